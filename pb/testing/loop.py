"""An event loop whose clock is told: what waits for an hour is done at once, in the same order.

For `memory://` and everything else that stays in this process. Sockets and child processes live by the clock
on the wall, which this loop does not look at.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from .clock import Clock
from .stillness import Stillness, told

__all__ = ["Loop", "Stuck", "run"]

T = TypeVar("T")

# 0.0 means "never" in more than one place.
BEGIN_S: Final = 1_000.0


class Stuck(AssertionError):
    """Nothing can ever happen again: every task waits, and no timer, socket or thread is left to wake one.

    On a loop that lives by the clock on the wall this is a test that hangs. The signs of life of connections
    that are open are not counted, once they have gone on for longer than a dead peer takes to be found.
    """


class Loop(asyncio.SelectorEventLoop):
    """An asyncio loop over a `Clock`, which it moves on itself whenever there is nothing to do.

    Threads are waited for in earnest: while one works, the clock stands still.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock(BEGIN_S)
        self._threads = 0
        self._stillness = Stillness()
        self._limit_s: float | None = None
        self._ends_at = 0.0
        super().__init__(_Patience(self))

    def time(self) -> float:
        """Return what the clock shows."""
        return self.clock.now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """As asyncio's; the clock stands still meanwhile."""
        self._threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_done)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        """As asyncio's, which has a thread of its own wait for the others."""
        self._threads += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._threads -= 1

    def end_after(self, limit_s: float | None) -> None:
        """Raise TimeoutError out of the loop after so long by its clock; None takes that back."""
        self._limit_s = limit_s
        self._ends_at = self.time() + (limit_s or 0.0)

    def has_other_threads(self) -> bool:
        """Return whether a thread that is not ours to count might wake somebody."""
        pool: Any = getattr(self, "_default_executor", None)
        known = {threading.current_thread(), threading.main_thread(), *getattr(pool, "_threads", ())}
        return any(thread not in known and not thread.daemon for thread in threading.enumerate())

    def _thread_done(self, future: asyncio.Future[Any]) -> None:
        self._threads -= 1


class _Patience(selectors.SelectSelector):
    """Wait for the next timer by moving the clock to it."""

    def __init__(self, loop: Loop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if self._loop._threads or timeout == 0:
            # A thread wakes the loop when it is done; a timer that is due is looked at again then.
            return super().select(timeout if timeout == 0 else None)
        ready = super().select(0)
        if ready:
            return ready
        loop = self._loop
        # One is the loop's own, by which threads wake it.
        is_alone = len(self.get_map()) <= 1
        if timeout is None:
            if is_alone and not loop.has_other_threads():
                raise Stuck(_why(loop))
            return super().select(None)
        if is_alone and loop._stillness.has_come(loop) and not loop.has_other_threads():
            raise Stuck(_why(loop))
        limit_s = loop._limit_s
        if limit_s is not None and loop.time() + timeout > loop._ends_at:
            loop.clock.advance(max(0.0, loop._ends_at - loop.time()))
            loop.end_after(limit_s)  # what is cancelled now has as long to end
            raise TimeoutError(
                f"it has not ended within limit_s={limit_s:g} s of its clock: {_waiting(loop)}"
            )
        loop.clock.advance(timeout)
        return []


def _why(loop: Loop) -> str:
    count = len(asyncio.all_tasks(loop))
    tasks = "1 task waits" if count == 1 else f"{count} tasks wait"
    return f"{tasks} and nothing is left that could wake one: {_waiting(loop)}"


def _waiting(loop: Loop) -> str:
    return told(asyncio.all_tasks(loop))


def run(main: Coroutine[Any, Any, T], *, clock: Clock | None = None, limit_s: float | None = 86_400.0) -> T:
    """Run a coroutine on a `Loop` of its own, and return its result.

    Args:
        clock: to be looked at, or moved, by the test; None for a new one.
        limit_s: so long may it take by that clock, which costs nothing and shows what never ends; None: for
            ever.

    Raises:
        RuntimeError: a loop runs already in this thread, such as that of a plugin for asynchronous tests.
        Stuck: everything waits for something else; the text says who waits where. What was waiting has been
            cancelled.
        TimeoutError: it has not ended within `limit_s`, likewise.
        AssertionError: an error came up in the loop that nobody looked at, or a task of it was left over.
    """
    if asyncio._get_running_loop() is not None:
        main.close()
        raise RuntimeError("pb.testing.run brings its own loop: call it from a def, not from an async def")
    unseen: list[dict[str, Any]] = []
    left: list[asyncio.Task[Any]] = []
    where: list[str] = []  # before they are cancelled

    async def bounded() -> T:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: unseen.append(context))
        result = await main
        # What was cancelled at the end may take a turn to end, and what was closed another.
        for _ in range(3):
            await asyncio.sleep(0)
        mine = asyncio.current_task()
        left.extend(task for task in asyncio.all_tasks() if task is not mine)
        where.append(told(left))
        return result

    def make_loop() -> Loop:
        loop = Loop(clock)
        loop.end_after(limit_s)
        return loop

    with asyncio.Runner(loop_factory=make_loop) as runner:
        result = runner.run(bounded())
    if unseen:
        error = unseen[0].get("exception")
        raise AssertionError(f"{unseen[0]['message']}: {error!r}, and nobody saw it") from error
    if left:
        tasks = "1 task was" if len(left) == 1 else f"{len(left)} tasks were"
        raise AssertionError(f"{tasks} left running: {where[0]}")
    return result
