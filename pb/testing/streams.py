"""Streams as a test sees them that moves every byte by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pb.stream import RemoteStream

__all__ = ["Stream"]


class Stream(RemoteStream):
    """A stream of the peer's over a `Pump`: an async iterator in a task, or taken by hand."""

    __slots__ = ()

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Any:
        return await self._pb_row.next()

    def taken(self, most: int = 1000) -> list[Any]:
        """Take what has come, at most so many items."""
        row = self._pb_row
        found: list[Any] = []
        while row.items and len(found) < most:
            found.append(row.take())
        return found

    def stop(self) -> None:
        """Give it up."""
        self._pb_row.streams.stop(self._pb_row)


class Plain:
    """An async iterator over a plain one."""

    def __init__(self, iterator: Iterator[Any]) -> None:
        self._iterator = iterator

    async def __anext__(self) -> Any:
        try:
            return next(self._iterator)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        """Close a generator."""
        close = getattr(self._iterator, "close", None)
        if close is not None:
            close()
