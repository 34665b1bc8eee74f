"""Calls on references that outlive their connection: each made again over the next, where that is safe.

Which those are is in spec/12-reconnecting.md. Works for every face: what becomes of a call is told to an
`IOutcome`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pb.context import inherited
from pb.errors import DeadlineExceeded, DeadReference, NotExecuted, OutcomeUnknown
from pb.reference import Import, RemoteReference

if TYPE_CHECKING:
    from .lasting import Home

_import_of: Final[Callable[[RemoteReference], Import]] = RemoteReference.__dict__["_pb_import"].__get__


class _Settled:
    """Stands for the outcome of a call that has one, so that a promise and its attempt are no ring."""

    def done(self) -> bool:
        """Whether nobody waits for it."""
        return True


SETTLED: Final = _Settled()
# Over how many connections it is asked whether a call that was lost may run twice.
_MAX_QUESTIONS: Final = 2


class Attempt:
    """One call, over as many connections as it takes. It is the outcome of what it has made last.

    Args:
        home: where it waits while there is no connection.
        is_safe: whether its caller says that it may run twice; else the peer is believed.
    """

    __slots__ = (
        "_args",
        "_at",
        "_doubt",
        "_home",
        "_id",
        "_is_asking",
        "_is_safe",
        "_kwargs",
        "_name",
        "_passed",
        "_questions",
        "_timer",
        "calls",
        "outcome",
        "reference",
    )

    def __init__(
        self,
        home: Home,
        outcome: Any,
        reference: Any,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        at: float | None,
        is_safe: bool,
    ) -> None:
        self._passed = passed = inherited.get()  # of who calls: it is made again in another context
        self._home = home
        self.outcome = outcome
        self.reference = reference
        self._name = name
        self._args = args
        self._kwargs = kwargs
        self._at = at if passed is None else passed.due(at)
        self._is_safe = is_safe
        self._id = 0
        self._doubt: OutcomeUnknown | None = None  # why it may have run, over a connection that was lost
        self._is_asking = False  # whether it may run twice
        self._questions = 0  # how often that was asked since it was lost
        self._timer: asyncio.TimerHandle | None = None
        self.calls: Any = None

    @property
    def core(self) -> Any:
        """The calls of the connection that its reference belongs to now."""
        return _import_of(self.reference).scope.broker.calls

    def awaited(self, id: int) -> None:
        """Take note that somebody waits for the outcome; the call goes with the end of the turn."""

    def call_moved(self, calls: Any) -> None:
        """Note over which connection it is made."""
        self.calls = calls

    def make(self) -> None:
        """Make the call, or wait for a connection to make it over."""
        if self.outcome.done():
            return
        handle = _import_of(self.reference)
        if not self._home.is_ready:
            is_live = handle.dead is None and handle.scope.tables.is_open
            if not self._home.is_usable or not is_live:
                self._wait(NotExecuted(f"the call was not sent: {self._home.calls.why}"))
                return
        if self._doubt is not None and not self._is_safe and not self._may_run_again():
            return
        self.calls = handle.scope.broker.calls
        token = inherited.set(self._passed)
        try:
            id = self.calls.make(handle, self._name, self._args, self._kwargs, self, None, self._at)
        except Exception as error:
            self.set_exception(self.reference._pb_memory.explained(error))
        else:
            if id:
                self.call_started(id)
        finally:
            inherited.reset(token)

    def _may_run_again(self) -> bool:
        """Return whether the peer says so; else fail, or come back when it has said."""
        memory = self.reference._pb_memory
        if memory.safe is None:
            question = memory.ask(self.reference)
            if question is not None:
                self._is_asking = True
                self._questions += 1
                question.add_done_callback(self._told)
                return False
        if self._name in (memory.safe or ()):
            return True
        assert self._doubt is not None
        self.fail(self._doubt)
        return False

    def _told(self, question: object) -> None:
        self._is_asking = False
        if self._questions >= _MAX_QUESTIONS and self.reference._pb_memory.safe is None:
            assert self._doubt is not None
            self.fail(self._doubt)  # a connection that dies of the question would be asked for ever
        else:
            self.make()

    # --- IOutcome

    def done(self) -> bool:
        """Whether nobody waits for the outcome any longer."""
        done: bool = self.outcome.done()
        return done

    def call_started(self, id: int) -> None:
        """Note the id of the call."""
        self._id = id
        self.outcome.call_started(id)

    def set_result(self, value: Any) -> None:
        """Hand on the value."""
        self._stop_timer()
        outcome, self.outcome = self.outcome, SETTLED
        outcome.set_result(value)

    def set_exception(self, error: BaseException) -> None:
        """Hand on the error, unless the connection is why and the call may be made again."""
        if isinstance(error, DeadReference):  # on a live connection it is the reference that is the matter
            is_repeatable = not self._home.is_ready
        elif isinstance(error, OutcomeUnknown):
            # Looked at only now: what the peer says of its methods may have come after the call was made.
            # Where that was lost too, it is asked again over the next connection, before anything else.
            self._doubt = error
            safe = self.reference._pb_memory.safe
            is_repeatable = self._is_safe or safe is None or self._name in safe
        else:
            is_repeatable = isinstance(error, NotExecuted)
        if is_repeatable:
            self._wait(error)
        else:
            self.fail(error)

    # --- waiting

    def _wait(self, error: BaseException) -> None:
        if not self._home.calls.add(self):
            self.fail(error)
        elif self._at is not None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(self._at, self._expire)

    def _expire(self) -> None:
        self._timer = None
        if self._home.calls.discard(self) or self._is_asking:
            sent = "it may have run" if self._doubt else "it was not sent and did not run"
            self.fail(DeadlineExceeded(f"no connection was there in the time the call had; {sent}"))

    def fail(self, error: BaseException) -> None:
        """Give up."""
        self._stop_timer()
        if self._doubt is not None and isinstance(error, NotExecuted):
            error = self._doubt  # this time it was not made, but an earlier time it was
        outcome, self.outcome = self.outcome, SETTLED
        if not outcome.done():
            outcome.set_exception(error)

    def cancel(self, id: int, outcome: object) -> None:
        """Ask the callee to stop, where it was called; as `Calls.cancel`, for a promise."""
        self._stop_timer()
        if not self._home.calls.discard(self) and self.calls is not None:
            self.calls.cancel(self._id, self)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class WaitingCalls:
    """The calls that wait for a connection, in the order in which they were made.

    Attributes:
        is_open: whether any may wait.
        why: none can be made right now.
    """

    def __init__(self, most: int) -> None:
        self.is_open = most > 0
        self.why = "the connection is down"
        self._most = most
        self._waiting: deque[Attempt] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, attempt: Attempt) -> bool:
        """Let a call wait; return False where it may not."""
        if not self.is_open or len(self._waiting) >= self._most:
            return False
        self._waiting.append(attempt)
        return True

    def discard(self, attempt: Attempt) -> bool:
        """Let a call wait no longer; return False where it did not."""
        if attempt not in self._waiting:
            return False
        self._waiting.remove(attempt)
        return True

    def start(self) -> None:
        """Make the calls that waited."""
        waiting, self._waiting = self._waiting, deque()
        for attempt in waiting:
            attempt.make()

    def fail(self, reason: str) -> None:
        """Fail the calls that wait, and let none wait any more."""
        self.is_open = False
        self.why = reason
        waiting, self._waiting = self._waiting, deque()
        for attempt in waiting:
            attempt.fail(NotExecuted(f"the call was not made: {reason}"))
