"""The only place of this package that touches the event loop, the stores aside: locks and slow work.

A Service must load a perspective once, however many attach at the same time; a hash takes 0.24 s.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class Locks:
    """One lock for each name, kept only while somebody holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    def __len__(self) -> int:
        return len(self._locks)

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        """Hold the lock of a name."""
        lock, users = self._locks.get(name) or (asyncio.Lock(), 0)
        self._locks[name] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(name)
            if users > 1:
                self._locks[name] = lock, users - 1


async def in_thread(work: Callable[[], T]) -> T:
    """Do something slow beside the loop and return its result."""
    return await asyncio.to_thread(work)


class Unbroken:
    """Run changes to their end, also where whoever asked for them is cancelled meanwhile.

    A right that was taken away in the store while nobody was told would live on.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Future[None]] = set()

    async def run(self, change: Coroutine[Any, Any, None]) -> None:
        """Wait for a change. Cancelling this leaves the change to finish by itself."""
        task = asyncio.ensure_future(change)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.shield(task)
