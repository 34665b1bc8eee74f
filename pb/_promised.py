"""Results of our calls that are used before they are there: called, or named in the arguments of others.

The caller's half of pipelining; the callee's is `pb._slots`. Spec: spec/11-pipelining.md.
"""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from jelly import Promising, Referenceable

from . import messages
from ._keep import ask_to_keep
from ._options import expire
from .dispatch import Kind, find_method
from .errors import BrokenPromise, Cancelled, ConnectionLost, NotPipelinable
from .reference import RemoteReference

if TYPE_CHECKING:
    from ._calls import Calls

# Ids in one FINISH: each takes at most nine bytes, so any peer's max_frame holds it.
_MAX_FINISHED: Final = 400


class LaterCall:
    """A call that is made when a promise is settled.

    Attributes:
        target: what it is made on, where it waits for an argument; None for what the promise becomes.
        piped: where its answer comes, where it is on its way to the peer already.
    """

    __slots__ = ("args", "at", "context", "kwargs", "method", "outcome", "piped", "scope", "spawn", "target")

    def __init__(
        self,
        calls: Calls,
        target: RemoteReference | Referenceable | None,
        method: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        outcome: Any,
        scope: Any,
        at: float | None,
    ) -> None:
        self.target = target
        self.method = method
        self.args = args
        self.kwargs = kwargs
        self.outcome = outcome
        self.scope = scope
        self.at = at
        self.piped: Any = None
        self.spawn = calls.face.spawn
        # Whether it serves a call of the peer's is decided where it was made.
        self.context = contextvars.copy_context()


class Promised:
    """What one call of ours will return, as far as others have to do with it.

    Attributes:
        id: that of the call; 0 as long as it waits for its turn.
        is_named: whether the peer keeps the result.
        is_answered: whether the peer has answered.
        users: calls on the way that name it.
        sent: calls on it on the way; made again here if it comes home.
        later: calls that wait for it here.
        settled: its value in a tuple, or its error, once it is there.
    """

    __slots__ = (
        "_is_finished",
        "_outcome",
        "calls",
        "id",
        "is_answered",
        "is_named",
        "later",
        "sent",
        "settled",
        "users",
    )

    def __init__(self, calls: Calls, id: int, settled: tuple[Any] | BaseException | None = None) -> None:
        self.calls = calls
        self.id = id
        self.is_named = False
        self.is_answered = False
        self.users = 0
        self.sent: list[LaterCall] = []
        self.later: list[LaterCall] = []
        self.settled = settled
        self._is_finished = False
        self._outcome: Any = None  # where the answer goes on to, once the result has a name

    def name(self) -> bool:
        """See to it that the peer keeps the result; tell whether it can be named."""
        if self.is_named:
            return not self.is_answered
        calls = self.calls
        found = calls.pending.get(self.id)
        if (
            found is None
            or not calls.peer_pipelines
            or self.id <= calls.written_id
            or calls.kept >= calls.peer_max_calls
            or not ask_to_keep(calls.outbox.batch, self.id)
        ):
            return False
        outcome, scope = found
        self._outcome = outcome
        calls.pending[self.id] = (self, scope)
        calls.kept += 1
        self.is_named = True
        return True

    # --- as the outcome of its call, once it has a name

    def done(self) -> bool:
        """Return False: what comes is noted, even if nobody waits for it."""
        return False

    def set_result(self, value: object) -> None:
        """Take the answer."""
        self._answered("set_result", value)

    def set_exception(self, error: BaseException) -> None:
        """Take the error."""
        self._answered("set_exception", error)

    def _answered(self, tell: str, what: object) -> None:
        self.is_answered = True
        if isinstance(what, ConnectionLost):  # there is nothing to be finished
            self._is_finished = True
            self.calls.kept -= 1
        outcome, self._outcome = self._outcome, None
        self.calls.deadlines.discard(outcome)
        if not outcome.done():
            getattr(outcome, tell)(what)
        self.check_finished()

    def check_finished(self) -> None:
        """Tell the peer, once, that the result will not be named any more."""
        if not self.is_answered or self.users or self._is_finished:
            return
        self._is_finished = True
        self.calls.kept -= 1
        if self.calls.tables.is_open:
            finish(self.calls, self.id)

    # --- what it becomes

    def settle(self, settled: tuple[Any] | BaseException) -> None:
        """Take the value or error, and make the calls that waited for it, before anybody else hears of it."""
        if self.settled is not None:
            return
        self.settled = settled
        sent, self.sent = self.sent, []
        if sent and not self.is_hosted and type(settled) is tuple:
            home = settled[0]
            if is_ours(home) or isinstance(home, RemoteReference):
                for call in sent:
                    call.piped.is_made_here = True  # what the peer says of them is only that they did not run
                self.later = [*sent, *self.later]
        if self.later:
            make_later(self)

    @property
    def is_hosted(self) -> bool:
        """Whether it has become an object of the peer's: then calls under way are where they belong."""
        value = self.settled[0] if type(self.settled) is tuple else None
        return isinstance(value, RemoteReference) and value._pb_import.scope.tables is self.calls.tables


def finish(calls: Calls, q: int) -> None:
    """Queue FINISH, joining it to one that was queued last."""
    batch = calls.outbox.batch
    last = calls.finished
    if last is not None and batch and batch[-1] is last[0] and len(last[1]) < _MAX_FINISHED:
        last[1].append(q)
        batch.pop()
        ids = last[1]
    else:
        ids = [q]
    envelope = calls.pack((messages.FINISH, ids))
    calls.finished = envelope, ids
    calls.outbox.put(envelope)


def broken(error: BaseException) -> BrokenPromise:
    """Return the error of a call on the result of one that failed. A chain has one cause."""
    told = BrokenPromise("the call whose result was to be used has failed")
    told.is_of_own_call = True
    is_link = isinstance(error, BrokenPromise) and error.__cause__ is not None
    told.__cause__ = error.__cause__ if is_link else error
    return told


# --- calls that wait here


def wait_for(promised: Promised, call: LaterCall) -> None:
    """Make a call once a promise is settled; now, if it is."""
    promised.later.append(call)
    if call.at is not None:
        promised.calls.deadlines.add(call.outcome, call.at, partial(expire, promised.calls, 0, call.outcome))
    if promised.settled is not None:
        make_later(promised)


def make_later(promised: Promised) -> None:
    """Make the calls that waited for a promise, in their order.

    A loop, not a recursion: what one returns at once may be what the next waits for.
    """
    calls = promised.calls
    if calls.settling is not None:
        calls.settling.append(promised)
        return
    calls.settling = deque((promised,))
    try:
        while calls.settling:
            each = calls.settling.popleft()
            while each.later:
                make_now(each.later[0], each)
                del each.later[0]  # only now: what is called meanwhile stands behind it
    finally:
        calls.settling = None


def make_now(call: LaterCall, promised: Promised) -> None:
    """Make a call that waited for a promise."""
    outcome = call.outcome
    promised.calls.deadlines.discard(outcome)
    if outcome.done():
        return
    settled = promised.settled
    try:
        if isinstance(settled, BaseException):
            raise broken(settled)
        assert settled is not None
        call.context.run(_make, call, settled[0] if call.target is None else call.target)
    except Exception as error:
        if not outcome.done():
            outcome.set_exception(error)


def _make(call: LaterCall, target: Any) -> None:
    outcome = call.outcome
    if isinstance(target, RemoteReference):
        handle = target._pb_import
        calls = handle.scope.broker.calls
        outcome.call_moved(calls)
        outcome.call_started(
            calls.make(handle, call.method, call.args, call.kwargs, outcome, call.scope, call.at)
        )
    elif is_ours(target):
        _call_here(call, target)
    else:
        raise NotPipelinable(f"the result is a {type(target).__name__}, not an object to call")


def is_ours(value: object) -> bool:
    """Whether a result can be called here: an object of ours that came home."""
    return isinstance(value, Referenceable)


def _call_here(call: LaterCall, target: Referenceable) -> None:
    """Call an object of ours as the peer would."""
    for value in (*call.args, *call.kwargs.values()):
        if isinstance(value, Promising) and value._pb_settled() is None:
            call.target = target
            wait_for(value._pb_promise(), call)  # type: ignore[attr-defined]
            return
    args = [_value_of(each) for each in call.args]
    kwargs = {name: _value_of(each) for name, each in call.kwargs.items()}
    result = find_method(target, Kind.REMOTE.prefix, call.method)(*args, **kwargs)
    outcome = call.outcome
    if hasattr(type(result), "__await__"):
        outcome.call_moved(_Here(call.spawn(_await(result, outcome))))
    else:
        outcome.set_result(result)


def _value_of(argument: object) -> object:
    if not isinstance(argument, Promising):
        return argument
    settled = argument._pb_settled()
    if isinstance(settled, BaseException):
        raise broken(settled)
    assert settled is not None
    return settled[0]


async def _await(result: Any, outcome: Any) -> None:
    """Wait for what a method of ours returned."""
    try:
        value = await result
    except BaseException as error:
        if not outcome.done():
            told = error if isinstance(error, Exception) else Cancelled("the method was cancelled")
            outcome.set_exception(RuntimeError("StopIteration") if isinstance(told, StopIteration) else told)
        if not isinstance(error, Exception):
            raise
    else:
        if not outcome.done():
            outcome.set_result(value)


class _Here:
    """Stands for the calls of a connection, to an outcome whose method runs on this side."""

    __slots__ = ("_task",)

    def __init__(self, task: Any) -> None:
        self._task = task

    def cancel(self, id: int, outcome: object) -> None:
        """Stop the method."""
        self._task.cancel()
