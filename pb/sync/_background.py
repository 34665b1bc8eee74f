"""The one thread in which all connections of blocking programs live: its beginning, its end, and its guard.

It runs an asyncio loop, is started when it is first needed, and never runs anything of the program's that
may block.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import os
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pb.aio.forking import WHY
from pb.errors import ForkedConnection

from ._floor import Desk, Floor, Frame, Waiting

if TYPE_CHECKING:
    from pb.aio.server import Server

    from .link import SyncLink
    from .reconnecting import Home

T = TypeVar("T")

# At the end of the program connections may say goodbye for so long.
_EXIT_S: Final = 0.5


class Background:
    """The loop, its thread, and who waits for it.

    Attributes:
        links: all connections.
        servers: all listeners.
        homes: all connections that reconnect.
        is_forked: this is a copy in a child process; there is no thread behind it.
    """

    def __init__(self) -> None:
        self.floor = Floor()
        self.loop = asyncio.new_event_loop()
        self.links: set[SyncLink] = set()
        self.servers: set[Server] = set()
        self.homes: set[Home] = set()
        self.is_forked = False
        self.is_over = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="pb.sync", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()

    @property
    def is_here(self) -> bool:
        """Whether this is the thread of the loop."""
        return threading.get_ident() == self._thread.ident

    def check_caller(self) -> None:
        """Refuse to block where that would stop a loop, or never end.

        Raises:
            RuntimeError: the text says what to do instead.
            ForkedConnection: this is a copy in a child process.
        """
        if self.is_forked:
            raise ForkedConnection(WHY)
        if self.is_over:
            if threading.current_thread().daemon:
                threading.Event().wait()  # the interpreter is about to stop it anyhow, and silently
            raise RuntimeError("the interpreter is exiting, and the connections of pb.sync have been closed")
        check_loop()

    def call(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Run something short in the thread of the loop, now, and return what it returns."""
        if self.is_here:
            return function(*args, **kwargs)
        self.check_caller()
        sitter = self.floor.sitter()
        waiting = Waiting(sitter)

        def run() -> None:
            try:
                value = function(*args, **kwargs)
            except BaseException as error:
                waiting.settle(None, error)
            else:
                waiting.settle(value, None)

        self.submit(run)
        sitter.wait(waiting)
        result: T = waiting.outcome()
        return result

    def submit(self, function: Callable[[], object], context: contextvars.Context | None = None) -> None:
        """Let the loop run something soon, in the context of this thread unless told."""
        if context is None:  # an empty one is false
            context = contextvars.copy_context()
        try:
            self.loop.call_soon_threadsafe(function, context=context)
        except RuntimeError:  # the loop was closed this very moment
            self.check_caller()
            raise

    def keep(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine that nobody waits for. On the loop."""
        task = self.loop.create_task(coroutine)
        self._tasks.add(task)  # the loop itself keeps only weak references to tasks
        task.add_done_callback(self._tasks.discard)

    def run(self, coroutine: Callable[[], Coroutine[Any, Any, T]], desk: Desk | None = None) -> T:
        """Run a coroutine on the loop, and serve the desk of its connection until it is done.

        Without a desk it makes a connection or a server, which is to know nothing of this thread's context:
        all that ever arrives there would be under a deadline that was meant for a few calls.
        """
        context = None if desk else contextvars.Context()
        self.check_caller()
        sitter = self.floor.sitter()
        waiting = Waiting(sitter)
        tasks: list[asyncio.Task[T]] = []

        def start() -> None:
            task = self.loop.create_task(coroutine())
            task.add_done_callback(done)
            tasks.append(task)

        def done(task: asyncio.Task[T]) -> None:
            if task.cancelled():
                waiting.settle(None, RuntimeError("the connections of pb.sync have been closed"))
            elif (error := task.exception()) is not None:
                waiting.settle(None, error)
            else:
                waiting.settle(task.result(), None)

        def cancel() -> None:
            for task in tasks:
                task.cancel()

        try:
            sitter.serve(waiting, Frame(desk or Desk(0), sitter), lambda: self.submit(start, context))
        except BaseException:
            self.submit(cancel)
            raise
        result: T = waiting.outcome()
        return result

    def end(self) -> None:
        """Say goodbye to all peers and stop, at the end of the program; what still waits is left waiting."""
        if self.is_forked or self.is_over:
            return
        self.is_over = self.floor.is_closed = True
        asyncio.run_coroutine_threadsafe(self._close(), self.loop)
        self._thread.join(2 * _EXIT_S)

    async def _close(self) -> None:
        try:
            # Those that reconnect first: they must not take the end of their links for a loss.
            ending: list[Any] = [*self.homes, *self.servers, *self.links]
            closing = [asyncio.create_task(each.close()) for each in ending]
            if closing:
                await asyncio.wait(closing, timeout=_EXIT_S)
            for link in list(self.links):
                if link.transport is not None:
                    link.transport.abort()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        finally:
            self.loop.call_soon(self.loop.stop)


def check_loop() -> None:
    """Refuse to block a running loop.

    Raises:
        RuntimeError: one runs in this thread.
    """
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        return
    if _state.background is not None and running is _state.background.loop:
        raise RuntimeError(
            "a blocking call is made in the thread of all connections, which would wait for itself: in an "
            "observe_ method, a hook of a copy, or an async method; only `send` and `pbcallback=` work there"
        )
    raise RuntimeError(
        "an event loop runs in this thread, and a call of pb.sync would block it; use pb there, and await: "
        "`async with pb.open_connection(...)`"
    )


class _State:
    """What a process has one of."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.background: Background | None = None
        self.is_hooked = False
        # In a child: what belongs to the parent is kept, because to finalize it would touch its sockets.
        self.left: list[Background] = []


_state = _State()


def background() -> Background:
    """Return what all connections of this process live in, started now if need be."""
    check_loop()
    with _state.lock:
        found = _state.background
        if found is None:
            found = _state.background = Background()
            if not _state.is_hooked:
                _state.is_hooked = True
                atexit.register(_at_exit)
                if hasattr(os, "register_at_fork"):
                    os.register_at_fork(after_in_child=_after_fork)
    return found


def _at_exit() -> None:
    if _state.background is not None:
        _state.background.end()


def _after_fork() -> None:
    _state.lock = threading.Lock()
    if _state.background is not None:
        _state.background.is_forked = True
        _state.left.append(_state.background)
        _state.background = None
