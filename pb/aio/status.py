"""How a connection that reconnects is doing: a state out of a table, and who is told when it changes.

Knows nothing of connections. Spec: none; spec/12-reconnecting.md says what happens in each state.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, Final

from pb.logfields import fields

log = logging.getLogger("pb")

# A watcher that never looks must not keep every change there ever was.
MAX_CHANGES: Final = 1024


class ConnectionState(enum.Enum):
    """Where a connection that reconnects stands."""

    CONNECTING = "connecting"
    RESTORING = "restoring", "connected; logging in, attaching and asking for what was held again"
    CONNECTED = "connected"
    WAITING = "waiting", "down; the next try is at a time"
    FAILED = "failed", "given up for good"
    CLOSED = "closed", "by this side"

    meaning: str

    def __new__(cls, value: str, meaning: str = "") -> ConnectionState:
        """Make a member whose value is its name in lower case."""
        member = object.__new__(cls)
        member._value_ = value
        member.meaning = meaning
        return member

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return not NEXT[self]


_S = ConnectionState
NEXT: Final[dict[ConnectionState, frozenset[ConnectionState]]] = {
    _S.CONNECTING: frozenset({_S.RESTORING, _S.WAITING, _S.FAILED, _S.CLOSED}),
    _S.RESTORING: frozenset({_S.CONNECTED, _S.WAITING, _S.FAILED, _S.CLOSED}),
    _S.CONNECTED: frozenset({_S.WAITING, _S.FAILED, _S.CLOSED}),
    _S.WAITING: frozenset({_S.CONNECTING, _S.FAILED, _S.CLOSED}),
    _S.FAILED: frozenset(),
    _S.CLOSED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the status.

    Attributes:
        state: what it is from here on.
        attempts: tries that have failed since the connection was last there.
        error: why it was lost, or the last try failed; None where all is well.
        next_try_s: seconds until the next try, in the state WAITING; else None.
    """

    state: ConnectionState
    attempts: int
    error: BaseException | None
    next_try_s: float | None


class Status:
    """The status of a connection that reconnects: `connection.status`.

    Attributes (read-only):
        state: a `ConnectionState`; its `value` is a word for people.
        attempts, error: as of the last `Change`.
        names_lost: the names had by `get_object` that the server knew no longer when the connection came
            back, each with its error; their references are dead. A name that is had anew goes from here.
        logins_lost: the identities that were not logged in again when the connection came back, by name,
            each with its error; what was attached under them is gone. One that logs in anew goes from here.

        kept_lost: what was attached, named or kept (`keep`) and could not be had again when the connection
            came back, each with its error, as far as somebody still holds it. What `keep` has is tried again
            over the next connection, and goes from here when it is had; the rest is given up.

    These are filled before the change to CONNECTED is told.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._due: float | None = None
        self._watchers: list[Callable[[Change], object]] = []
        self.state = ConnectionState.CONNECTING
        self.attempts = 0
        self.error: BaseException | None = None
        self.names_lost: dict[str, BaseException] = {}
        self.logins_lost: dict[str, BaseException] = {}
        # Weakly: what nobody holds any longer is not to be had again.
        self._kept_lost: dict[int, tuple[weakref.ref[Any], BaseException]] = {}

    @property
    def kept_lost(self) -> list[tuple[Any, BaseException]]:
        """What could not be had again, each with its error."""
        found = [(held(), error) for held, error in self._kept_lost.values()]
        return [(held, error) for held, error in found if held is not None]

    def note_lost(self, held: Any, error: BaseException) -> None:
        """Take note of what could not be had again; for the connection."""
        self._kept_lost[id(held)] = weakref.ref(held), error

    def forget_lost(self, held: Any) -> None:
        """Take note that something is there again; for the connection."""
        self._kept_lost.pop(id(held), None)

    def forget_dropped(self) -> None:
        """Forget what nobody holds any longer; for the connection."""
        self._kept_lost = {key: each for key, each in self._kept_lost.items() if each[0]() is not None}

    @property
    def next_try_s(self) -> float | None:
        """Seconds until the next try to connect; None where none is waited for."""
        return None if self._due is None else max(0.0, self._due - self._clock())

    def watch(self, watcher: Callable[[Change], object]) -> Callable[[], None]:
        """Call `watcher(change)` at every change, from the loop; return what takes that back.

        What it raises is logged, and keeps nobody else from being told.
        """
        self._watchers.append(watcher)

        def forget() -> None:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

        return forget

    async def changes(self) -> AsyncGenerator[Change, None]:
        """Yield every change from now on, and end when the connection does.

        Of changes that are not taken only the last 1,024 are kept.
        """
        came = asyncio.Event()
        queue: deque[Change] = deque(maxlen=MAX_CHANGES)

        def note(change: Change) -> None:
            queue.append(change)
            came.set()

        forget = self.watch(note)
        try:
            while not self.state.is_final or queue:
                while queue:
                    yield queue.popleft()
                came.clear()
                if not self.state.is_final:
                    await came.wait()
        finally:
            forget()

    async def wait_for(self, *states: ConnectionState | str) -> ConnectionState:
        """Wait until the connection is in one of these states, or has ended for good; return the state."""
        wanted = {each if isinstance(each, ConnectionState) else ConnectionState(each) for each in states}
        if self.state in wanted:
            return self.state
        async with contextlib.aclosing(self.changes()) as changes:
            async for change in changes:
                if change.state in wanted:
                    return change.state
        return self.state

    def enter(
        self,
        state: ConnectionState,
        *,
        error: BaseException | None = None,
        attempts: int = 0,
        due: float | None = None,
    ) -> None:
        """Change the state; for the connection.

        Args:
            due: when the next try is, as the clock counts.
        """
        if state not in NEXT[self.state]:
            raise AssertionError(f"from {self.state.value} to {state.value}")
        self.state, self.error, self.attempts, self._due = state, error, attempts, due
        change = Change(state, attempts, error, self.next_try_s)
        for watcher in list(self._watchers):
            try:
                watcher(change)
            except Exception:
                log.exception(
                    "a watcher of the status of a connection failed", extra=fields("watcher.failed")
                )

    def __repr__(self) -> str:
        return f"<Status {self.state.value}, {self.attempts} tries failed>"
