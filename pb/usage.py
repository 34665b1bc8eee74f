"""What a connection holds right now, beside the most that it may hold. Spec: spec/6-limits.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .bounds.room import MOST_BYTES, MOST_WAITING
from .limits import Limits


@dataclass(frozen=True, slots=True)
class Usage:
    """What a connection holds right now, to be set against its limits.

        for name, share in connection.usage.shares.items():
            gauge(name, share)

    Attributes:
        calls_made: calls of ours that wait for their answer; over the peer's `max_calls` they wait here.
        calls_waiting: calls of ours that wait here for their turn; as many as this program makes.
        calls_served: calls of the peer that are running here.
        messages_waiting: messages of ours without answer that wait behind calls.
        references_held: objects of the peer's that are held here.
        references_given: objects of ours that the peer holds, its root among them.
        streams_sent: streams of ours that the peer goes through.
        streams_taken: streams of the peer that are gone through here.
        call_bytes: of memory that the arguments take of the peer's calls which are running; short ones are
            not counted, and a little is counted as the most that it could be.
        stream_bytes: of memory that items take which have arrived and were not taken, of all streams
            together; counted likewise.
        bytes_arriving: of the frame that has begun to arrive.
        bytes_waiting: output that the network has not taken yet.
        bytes_held_up: of messages without answer, taken in since the network has said that it takes no more.
        useless_requests: what the peer has used up of its budget of these.
        limits: the most of each, under its name, where there is a most. The peer's HELLO must have arrived
            for some.
    """

    calls_made: int
    calls_waiting: int
    calls_served: int
    messages_waiting: int
    references_held: int
    references_given: int
    streams_sent: int
    streams_taken: int
    call_bytes: int
    stream_bytes: int
    bytes_arriving: int
    bytes_waiting: int
    bytes_held_up: int
    useless_requests: int
    limits: Mapping[str, int]

    @property
    def shares(self) -> dict[str, float]:
        """How much of each limit is used: 0.0 none, 1.0 all. Where a limit is 0, nothing can be used: 1.0."""
        return {name: getattr(self, name) / most if most else 1.0 for name, most in self.limits.items()}


def usage_of(broker: Any, bytes_waiting: int) -> Usage:
    """Return what a connection holds.

    Args:
        bytes_waiting: what its transport has not written yet.
    """
    calls, serving, tables, streams = broker.calls, broker.serving, broker.tables, broker.streams
    limits: Limits = broker.limits
    peer: Limits | None = broker.peer_limits
    most = {
        "calls_served": limits.max_calls,
        "messages_waiting": MOST_WAITING,
        "references_held": limits.max_refs + tables.holds_root,  # which is not counted
        "streams_taken": limits.max_streams,
        "call_bytes": limits.max_call_bytes,
        "stream_bytes": limits.max_stream_bytes,
        "bytes_arriving": limits.max_frame,
        "bytes_waiting": limits.most_bytes_waiting,
        "bytes_held_up": MOST_BYTES,
        "useless_requests": serving.budget.most,
    }
    if peer is not None:
        most["calls_made"] = peer.max_calls
        most["references_given"] = min(limits.max_refs, peer.max_refs) + (0 in tables.exports)
        most["streams_sent"] = min(limits.max_streams, peer.max_streams)
    return Usage(
        calls_made=len(calls.pending),
        calls_waiting=calls.waiting - calls.room.waiting,
        calls_served=serving.count - serving.updates,
        messages_waiting=calls.room.waiting,
        references_held=tables.held,
        references_given=len(tables.exports),
        streams_sent=len(streams.producers),
        streams_taken=len(streams.consumers),
        call_bytes=serving.ledger.bytes,
        stream_bytes=streams.ledger.bytes,
        bytes_arriving=(broker.reader.arriving or (0, 0))[1],
        bytes_waiting=bytes_waiting,
        bytes_held_up=calls.room.bytes,
        useless_requests=serving.budget.spent(serving.taken),
        limits=most,
    )
