"""Results of our calls that are used before they are there: called, or named in the arguments of others.

The caller's half of pipelining; the callee's is `pb.promises.slots`. Spec: spec/11-pipelining.md.
"""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from jelly import Referenceable
from jelly._article import a

from .. import messages
from ..calling.at_home import broken, call_here, find_promise, fit, is_ours
from ..calling.options import expire
from ..errors import ConnectionLost, NotPipelinable
from ..reference import RemoteReference
from .keep import ask_to_keep

if TYPE_CHECKING:
    from ..calling.calls import Calls

# Ids in one FINISH: each takes at most nine bytes, so any peer's max_frame holds it.
_MAX_FINISHED: Final = 400


class LaterCall:
    """A call that is made when a promise is settled.

    Attributes:
        target: what it is made on, where it waits for an argument; None for what the promise becomes.
        number: its place among those of its connection.
        piped: the id under which it is on its way to the peer already; 0 where it is not.
    """

    __slots__ = (
        "args",
        "at",
        "calls",
        "context",
        "kwargs",
        "method",
        "number",
        "outcome",
        "piped",
        "scope",
        "target",
    )

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
        self.piped = 0
        self.calls = calls
        calls.later_calls += 1
        self.number = calls.later_calls
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
        later: calls on it that wait for it here.
        is_blocked: whether the first of these waits for an argument too, and all others for that.
        others: calls on something else that wait for it, and promises whose first call does.
        settled: its value in a tuple, or its error, once it is there.
    """

    __slots__ = (
        "_is_finished",
        "_kept_id",
        "calls",
        "id",
        "is_answered",
        "is_blocked",
        "is_named",
        "later",
        "others",
        "outcome",
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
        self.later: deque[LaterCall] = deque()
        self.others: list[LaterCall | Promised] = []
        self.is_blocked = False
        self.settled = settled
        self._is_finished = False
        self._kept_id = 0  # its id when it got a name: it may be made again
        self.outcome: Any = None  # where the answer goes on to, once the result has a name

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
            # Half: a FINISH that has not left stands behind the call that is changed here.
            or 2 * (calls.kept + 1) > calls.peer_max_calls
            or not ask_to_keep(calls.outbox.batch, self.id)
        ):
            return False
        outcome, scope = found
        self.outcome = outcome
        calls.pending[self.id] = (self, scope)
        calls.kept += 1
        self.is_named = True
        self._kept_id = self.id
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
        is_lost = isinstance(what, ConnectionLost)
        if is_lost:  # there is nothing to be finished
            self._is_finished = True
            self.calls.kept -= 1
        outcome, self.outcome = self.outcome, None
        self.calls.deadlines.discard(outcome)
        if not outcome.done():
            getattr(outcome, tell)(what)
        if self.settled is not None:
            pass
        elif is_lost:  # it is made again, over another connection; what was made on it may have run (PB-K3)
            self.sent = []
        else:  # it is made again, and so will be what was made on it
            self._take_back()
        self.check_finished()

    def _take_back(self) -> None:
        """Let the calls on it that are on their way wait here: the peer says that they did not run."""
        for call in self.sent:
            call.piped = 0
        self.later = deque(sorted([*self.sent, *self.later], key=_number))
        self.sent = []

    def check_finished(self) -> None:
        """Tell the peer, once, that the result will not be named any more."""
        if not self.is_answered or self.users or self._is_finished:
            return
        self._is_finished = True
        self.calls.kept -= 1
        if self.calls.tables.is_open:
            finish(self.calls, self._kept_id)

    # --- what it becomes

    def settle(self, settled: tuple[Any] | BaseException) -> None:
        """Take the value or error, and make the calls that waited for it, before anybody else hears of it."""
        self.settled = settled
        home = settled[0] if type(settled) is tuple else None
        if not self.is_hosted and (is_ours(home) or isinstance(home, RemoteReference)):
            self._take_back()
        self.sent = []
        if self.later or self.others:
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


# --- calls that wait here


def _number(call: LaterCall) -> int:
    return call.number


def wait_for(promised: Promised, call: LaterCall) -> None:
    """Make a call once a promise is settled; now, if it is."""
    if call.target is None:
        later = promised.later
        if later and later[-1].number > call.number:  # it was on its way, and is to be made again
            promised.later = deque(sorted([*later, call], key=_number))
            promised.is_blocked = False
        else:
            later.append(call)
    else:
        promised.others.append(call)
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
            _make_line(calls.settling.popleft())
    finally:
        calls.settling = None


def _make_line(promised: Promised) -> None:
    # These first, and whatever holds up the line: what it waits for may be one of them.
    others, promised.others = promised.others, []
    for other in others:
        if isinstance(other, Promised):
            other.is_blocked = False
            make_later(other)
            continue
        missing = None if other.outcome.done() else _first_missing(other)
        if missing is None:
            make_now(other, promised)
        else:
            missing.others.append(other)
    while promised.later and not promised.is_blocked:
        call = promised.later[0]
        if type(promised.settled) is tuple and not call.outcome.done():
            missing = _first_missing(call)
            if missing is not None:
                # What was called behind it must not overtake it.
                promised.is_blocked = True
                missing.others.append(promised)
                return
        make_now(call, promised)
        promised.later.remove(call)  # only now: what is called meanwhile stands behind it


def _first_missing(call: LaterCall) -> Promised | None:
    """Return a promise among the arguments of a call that is not settled."""
    found = find_promise(call, lambda promise: promise._pb_settled() is None)
    return None if found is None else found._pb_promise()  # type: ignore[attr-defined]


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
        if not outcome.done():  # pragma: no branch - else a method of ours has given it up
            outcome.set_exception(fit(error))


def _make(call: LaterCall, target: Any) -> None:
    outcome = call.outcome
    if isinstance(target, RemoteReference):
        handle = target._pb_import
        calls = handle.scope.broker.calls
        # What it is made on may have come to another connection meanwhile, and has another scope there.
        scope = None if call.scope is None or call.scope.tables is not handle.scope.tables else call.scope
        outcome.call_moved(calls)
        outcome.call_started(calls.make(handle, call.method, call.args, call.kwargs, outcome, scope, call.at))
    elif is_ours(target):
        call_here(call, target)
    else:
        raise NotPipelinable(f"the result is {a(type(target).__name__)}, not an object to call")
