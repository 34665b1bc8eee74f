"""How a connection of a blocking program that reconnects is doing, and who is told when it changes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from jelly._article import a
from pb.aio.status import MAX_CHANGES, Change, ConnectionState

from ._handlers import Chore

if TYPE_CHECKING:
    from .reconnecting import Home


class Status:
    """The status of a connection that reconnects: `connection.status`. Any thread may use it."""

    __slots__ = ("_home",)

    def __init__(self, home: Home) -> None:
        self._home = home

    @property
    def state(self) -> ConnectionState:
        """Where it stands; its `value` is a word for people."""
        return self._home.status.state

    @property
    def attempts(self) -> int:
        """How many tries have failed since the connection was last there."""
        return self._home.status.attempts

    @property
    def error(self) -> BaseException | None:
        """Why it was lost, or the last try failed; None where all is well."""
        return self._home.status.error

    @property
    def names_lost(self) -> dict[str, BaseException]:
        """The names that the server knew no longer, each with its error. As `pb.aio.status.Status`."""
        return dict(self._home.status.names_lost)

    @property
    def logins_lost(self) -> dict[str, BaseException]:
        """The identities that were not logged in again, each with its error. As `pb.aio.status.Status`."""
        return dict(self._home.status.logins_lost)

    @property
    def kept_lost(self) -> list[tuple[Any, BaseException]]:
        """What could not be had again, each with its error. As `pb.aio.status.Status`."""
        return self._home.background.call(lambda: self._home.status.kept_lost)

    @property
    def next_try_s(self) -> float | None:
        """Seconds until the next try to connect; None where none is waited for."""
        return self._home.status.next_try_s

    def watch(self, watcher: Callable[[Change], object]) -> Callable[[], None]:
        """Call `watcher(change)` at every change; return what takes that back.

        It runs where methods that the peer calls do - in a thread that waits in a call on this connection,
        or else in a worker - one change after the other. What it raises is logged. Of changes that it does
        not come to, only the last 1,024 are kept.
        """
        if not callable(watcher):
            raise TypeError(f"a watcher is a function of one argument, not {a(type(watcher).__name__)}")
        home = self._home
        forget = home.background.call(home.status.watch, _Relay(home, watcher).note)
        return lambda: home.background.call(forget)

    def changes(self) -> Iterator[Change]:
        """Yield every change from now on, and end when the connection does. Serves the peer meanwhile."""
        home = self._home
        changes: deque[Change] = deque(maxlen=MAX_CHANGES)
        came = asyncio.Event()  # touched on the loop only

        def note(change: Change) -> None:
            changes.append(change)
            came.set()

        async def wait() -> None:
            while not changes and not home.status.state.is_final:
                came.clear()
                await came.wait()

        return self._go_through(home.background.call(home.status.watch, note), changes, wait)

    def _go_through(
        self, forget: Callable[[], None], changes: deque[Change], wait: Callable[[], object]
    ) -> Iterator[Change]:
        home = self._home
        try:
            while True:
                home.background.run(wait, home.desk)  # type: ignore[arg-type]
                if not changes:
                    return
                while changes:
                    yield changes.popleft()
        finally:
            home.background.submit(forget)  # not waited for: the garbage collector may be who closes it

    def wait_for(self, *states: ConnectionState | str, timeout: float | None = None) -> ConnectionState:
        """Wait until it is in one of these states, or has ended for good; return the state.

        Serves the peer meanwhile.

        Args:
            timeout: seconds; None for as long as it takes.

        Raises:
            TimeoutError: it is in none of them yet.
        """
        home = self._home

        async def wait() -> ConnectionState:
            async with asyncio.timeout(timeout):
                return await home.status.wait_for(*states)

        return home.background.run(wait, home.desk)

    def __repr__(self) -> str:
        return repr(self._home.status)


class _Relay:
    """Brings changes to a watcher, in a thread that may block, in their order."""

    __slots__ = ("_changes", "_home", "_is_busy", "_watcher")

    def __init__(self, home: Home, watcher: Callable[[Change], object]) -> None:
        self._home = home
        self._watcher = watcher
        self._changes: deque[Change] = deque(maxlen=MAX_CHANGES)
        self._is_busy = False

    def note(self, change: Change) -> None:
        """Take a change. On the loop."""
        with self._home.background.floor.lock:
            self._changes.append(change)
            if self._is_busy:
                return
            self._is_busy = True
        self._offer()

    def _offer(self) -> None:
        self._home.background.floor.offer(
            self._home.desk, Chore("a watcher of the status of a connection", self._tell)
        )

    def _tell(self) -> None:
        """Tell of one change, and see to it that the next one is told."""
        try:
            self._watcher(self._changes.popleft())
        finally:
            with self._home.background.floor.lock:
                are_more = self._is_busy = bool(self._changes)
            if are_more:
                self._offer()
