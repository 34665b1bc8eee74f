"""What one side of a connection accepts and how long it waits: numbers, and what follows from them.

Spec: spec/6-limits.md and the table in spec/registry.md, which a test compares with this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import jelly

from . import messages

__all__ = ["Limits"]

_KIB = 1024
_MIB = 1024 * 1024
# The least that HELLO may announce. Of calls that is 4, but who announces fewer is borne by most (PB-F18).
_LEAST: Final = {
    "max_frame": messages.HELLO_MAX_FRAME,
    "max_calls": 1,
    "max_depth": messages.MIN_DEPTH,
    "max_exts": messages.MIN_EXTS,
    "max_containers": messages.MIN_CONTAINERS,
    "max_floodable_keys": 0,
    "max_refs": 0,
    "window": 0,
    "max_streams": 0,
    "idle_s": 0,
}


@dataclass(frozen=True, slots=True)
class Limits(jelly.Limits):
    """The limits of one side of a connection; each is per connection, unless it says of a server.

    They are large enough that honest programs never meet them. Every hit is an error that names the
    limit, the most that is allowed and what was found.

    What HELLO announces has a least value, because peers end a connection whose HELLO says less (PB-F18):
    `max_frame` and `max_calls` as below, `max_depth` 4, `max_exts` 256, `max_containers` 4,096, the others 0.

    Raises:
        ValueError: one of those is less, or more than 2^53 - 1, or NaN.

    Args:
        max_frame: bytes of one frame this side accepts (at least 4,096), and the most it sends.
        max_calls: unanswered calls of the peer this side serves at once (at least 1, and 4 for every peer to
            bear it); one more is answered `pb.Busy`.
        max_refs: live ids of the peer this side holds, and live ids the peer may make this side export.
        window: items of a stream that the peer may send ahead of whoever takes them.
        max_streams: streams of the peer that are open at once, and streams to it likewise.
        max_call_bytes: memory that the arguments of the peer's calls may take which are under way: those of
            methods that wait for something, and of calls whose turn has not come. A call whose arguments are
            longer than 1 KiB is answered `pb.Busy` when that is used up; one payload may be beyond it.
        max_stream_bytes: memory that items may take that have arrived and were not taken, of all streams
            together; the stream that brings more fails. What comes while none waits is taken in any case.
        max_source_bytes: the same memory, of both kinds and of all connections of one server from one address
            (of IPv6 those of one /64; all that come through one proxy); what would be more fails likewise.
            0: no bound.
        idle_s: seconds of silence after which the connection counts as dead; 0 is never.
        ping_after_s: seconds of silence after which this side asks for a sign of life.
        hello_timeout_s: seconds within which the peer's HELLO must have arrived.
        connect_timeout_s: seconds for making a connection.
        drain_s: seconds that a graceful close waits for what is under way.
        bye_answer_s: seconds of them that it waits where nothing is under way and only the peer's own BYE, or
            its closing, is awaited: no more than a turn of its loop and the way there and back.
        turn_envelopes: messages handled before other connections get their turn.
        turn_s: seconds of work before other connections get their turn.
        write_high_bytes: output waiting for the network above which producers wait.
        write_low_bytes: output waiting below which they go on.
        write_max_bytes: output waiting that closes the connection as a slow consumer.
        write_stall_s: seconds that close it likewise when it takes less than `write_low_bytes` in them, while
            more waits for it. A frame of any size arrives over a link that is as fast as that (2 kB/s).
        useless_requests: how many requests of the peer, beside `max_calls`, may at once be such as it could
            know to be useless (at least 100): calls of what is not there, calls over `max_calls`, a CANCEL of
            what has ended, PINGs.
        useless_per_s: how many more of them a second (at least 33); above both the connection is closed.
        max_connections: of one server at once, those that are shaking hands included; what comes beyond them
            is refused. 0: no bound but that of the system.
    """

    max_frame: int = 4 * _MIB
    max_calls: int = 1024
    max_refs: int = 100_000
    window: int = 16
    max_streams: int = 256
    max_call_bytes: int = 256 * _MIB
    max_stream_bytes: int = 128 * _MIB
    max_source_bytes: int = 1024 * _MIB
    idle_s: float = 50
    ping_after_s: float = 30
    hello_timeout_s: float = 10
    connect_timeout_s: float = 30
    drain_s: float = 30
    bye_answer_s: float = 5
    turn_envelopes: int = 64
    turn_s: float = 0.005
    write_high_bytes: int = 256 * _KIB
    write_low_bytes: int = 64 * _KIB
    write_max_bytes: int = 16 * _MIB
    write_stall_s: float = 30
    useless_requests: int = 1024
    useless_per_s: float = 33
    max_connections: int = 10_000

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if not least <= value <= messages.MAX_ID:
                raise ValueError(
                    f"{name}={value} is out of range: expected {least} to {messages.MAX_ID}, because peers "
                    "end a connection whose HELLO announces anything else (PB-F18)"
                )

    @property
    def most_bytes_waiting(self) -> int:
        """Output that may wait for the network: `write_max_bytes`, and two frames in any case."""
        return max(self.write_max_bytes, 2 * self.max_frame)


def tick_interval_s(ours: Limits, peers: Limits | None) -> float:
    """Return how often to look whether the peer is alive, so that no announced silence is exceeded."""
    waits = [ours.ping_after_s, ours.write_stall_s]
    if ours.idle_s:
        waits.append(ours.idle_s / 2)
    if peers is not None and peers.idle_s:
        waits.append(peers.idle_s / 2)
    # A third, not a half: silence is noticed so much later than it begins, and then idle_s runs; with the
    # defaults both together are less than two ping_after_s.
    return min(waits) / 3
