"""Iterators of a blocking program that are sent as streams: each step runs in a thread that may block."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from ._handlers import Handling

if TYPE_CHECKING:
    from .link import SyncLink

_END: Final = object()


class Source:
    """An async iterator over a plain one, whose steps are laid on the desk of a connection.

    So they run where handlers do: in the thread whose call passed the iterator, while that waits; else in one
    that waits in a call on this connection, or in a worker. One step at a time, and closed after the last.
    """

    __slots__ = ("_id", "_iterator", "_link", "_step")

    def __init__(self, link: SyncLink, iterator: Iterator[Any], id: int) -> None:
        self._link = link
        self._iterator = iterator
        self._step: Handling | None = None
        self._id = id

    async def __anext__(self) -> Any:
        item = await self._run(_next)
        if item is _END:
            raise StopAsyncIteration
        return item

    async def _run(self, function: Any) -> Any:
        step = self._step = Handling(self._link, function, "a stream", (self._iterator,), {})
        self._link.offer(step, self._id)
        # Shielded: what has begun runs to its end, and must have ended before the iterator can be closed.
        item = await asyncio.shield(step)
        self._step = None
        return item

    async def aclose(self) -> None:
        """Close a generator, in a thread too: its `finally` may block."""
        step = self._step
        if step is not None and not step.done() and not self._link.withdraw(step):
            await asyncio.wait([step])
        if hasattr(self._iterator, "close"):
            await self._run(_close)


def _next(iterator: Iterator[Any]) -> Any:
    try:
        return next(iterator)
    except StopIteration:
        return _END


def _close(iterator: Any) -> None:
    iterator.close()
