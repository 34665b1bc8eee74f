"""Whether anything but the signs of life of connections will ever happen on a loop, and who waits for it.

The timer of a connection lasts as long as the connection. So a test that waits for ever is told from one that
waits for such a timer by this: for longer than any of them takes to find a dead peer, no task went on.
"""

from __future__ import annotations

import asyncio
import linecache
import os
import re
import weakref
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any, Final

from pb.aio.pulse import Pulse

from .relay import Lane

__all__ = ["Stillness", "told"]

MOST_NAMED: Final = 10
# Of a connection that may be silent for a year it is not awaited: so many looks are some seconds' work.
MOST_LOOKS: Final = 20_000
_GIVEN_BY_ASYNCIO: Final = re.compile(r"Task-\d+")
_OURS: Final = {"pb", "cred", "jelly", "asyncio"}


class Stillness:
    """For how long no task of a loop has gone on, with nothing there but timers of connections."""

    def __init__(self) -> None:
        self._waiting: dict[object, object] = {}
        self._since = 0.0
        self._looks = 0

    def has_come(self, loop: Any) -> bool:
        """Look, each time there is nothing to do before the next timer.

        Args:
            loop: a `Loop`; of it are asked the time and its timers, for which asyncio has no public name.
        """
        patience_s = 0.0
        is_carrying = False
        for timer in loop._scheduled:
            if timer.cancelled():
                continue
            whose = getattr(timer._callback, "__self__", None)
            if isinstance(whose, Pulse):
                patience_s = max(patience_s, whose.patience_s)
            elif isinstance(whose, Lane):
                is_carrying = True  # a sign of life, or more: it is seen when it has arrived
            else:
                self._waiting.clear()  # what the program does itself
                return False
        # What a task waits for is a new future each time that it has gone on. Nothing is kept for this: a
        # future has a result in the end, which the test wants to be gone.
        waiting: dict[object, object] = {weakref.ref(task): _future(task) for task in asyncio.all_tasks(loop)}
        if self._waiting != waiting or not waiting:
            self._waiting, self._since, self._looks = waiting, loop.time(), 0
            return False
        self._looks += 1
        return not is_carrying and (loop.time() - self._since > patience_s or self._looks > MOST_LOOKS)


def _future(task: asyncio.Task[Any]) -> object:
    future = getattr(task, "_fut_waiter", None)
    return None if future is None else weakref.ref(future)


def told(tasks: Iterable[asyncio.Task[Any]]) -> str:
    """Return who waits where: the functions' names, and the lines of the program's own."""
    names = sorted(map(_told, tasks))
    return "; ".join(names[:MOST_NAMED]) + ("; ..." if len(names) > MOST_NAMED else "")


def _told(task: asyncio.Task[Any]) -> str:
    coroutines = list(_chain(task.get_coro()))
    theirs = [each for each in coroutines if _module(each) not in _OURS]
    first = _name((theirs or coroutines)[0])
    if not _GIVEN_BY_ASYNCIO.fullmatch(task.get_name()):
        first = f"{task.get_name()} ({first})"
    if theirs:
        last, frame = theirs[-1], _frame(theirs[-1])
        through = f" in {_name(last)}" if len(theirs) > 1 else ""
        return f"{first}{through}{_place(frame) if frame else ''}"
    return f"{first} in {_name(coroutines[-1])}"


def _chain(coroutine: Any) -> Iterator[Any]:
    """Yield a coroutine, what it awaits, and so on."""
    while hasattr(coroutine, "__qualname__"):
        yield coroutine
        coroutine = getattr(coroutine, "cr_await", getattr(coroutine, "gi_yieldfrom", None))


def _frame(coroutine: Any) -> FrameType | None:
    return getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)


def _module(coroutine: Any) -> str:
    frame = _frame(coroutine)
    return "" if frame is None else str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _name(coroutine: Any) -> str:
    return str(coroutine.__qualname__).rpartition("<locals>.")[2]


def _place(frame: FrameType) -> str:
    file, number = frame.f_code.co_filename, frame.f_lineno
    line = linecache.getline(file, number, frame.f_globals).strip()
    return f", {os.path.basename(file)}:{number}" + (f": {line}" if line else "")
