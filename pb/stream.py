"""A stream of the peer's: items that come one after the other, as this side takes them.

The core fills it; how one waits for the next item is the face's matter (`pb.aio.stream`, `pb.sync.stream`).
Spec: spec/10-streams.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from .streams.consumer import Consumer


class RemoteStream:
    """Base of what a stream of the peer's is here. It has one consumer; dropping it gives the stream up."""

    __slots__ = ("__weakref__", "_pb_row")

    _pb_row: Consumer

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a stream belongs to its connection and cannot be copied or pickled; take its items")

    def __repr__(self) -> str:
        row = self._pb_row
        return f"<Stream {row.id} of {row.streams.tables.peer_name}, {row.phase.value}>"
