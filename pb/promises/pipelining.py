"""Calls on results that are not there yet, and calls that name such results among their arguments.

They go out at once where the peer keeps the results, and wait here otherwise. Spec: spec/11-pipelining.md.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import messages
from ..calling.at_home import broken
from ..calling.options import expire
from ..context import due_at, inherited
from ..errors import BrokenPromise, NotExecuted, NotPipelinable
from ..holding.scope import HoldsPromise
from ..logfields import fields
from ..wire.payloads import bytes_of, put_message
from .naming import Naming, NotNow
from .promised import LaterCall, Promised, make_now, wait_for

if TYPE_CHECKING:
    from jelly import Bulk

    from ..calling.calls import Calls
    from ..holding.scope import Scope
    from ..reference import Import

log = logging.getLogger("pb")


class Piped:
    """Where the answer of a call comes that is pipelined: then what it pinned is free."""

    __slots__ = ("_call", "_calls", "_id", "_on", "_pins", "_users")

    def __init__(self, calls: Calls, id: int, call: LaterCall, on: Promised | None, naming: Naming) -> None:
        self._id = id
        self._call = call
        self._calls = calls
        self._on = on
        self._pins = naming.pins
        self._users = [*naming.named.values()] if on is None else [on, *naming.named.values()]
        for promised in self._users:
            promised.users += 1
        for reference in self._pins:
            calls.tables.pin(reference)

    @property
    def is_made_here(self) -> bool:
        """Whether the call is made by this side, because what it was made on has come home."""
        return self._on is not None and self._call.piped != self._id

    @property
    def outcome(self) -> Any:
        """Where the answer goes on to."""
        return self._call.outcome

    def done(self) -> bool:
        """Return False: what comes is noted, even if nobody waits for it."""
        return False

    def set_result(self, value: object) -> None:
        """Take the answer."""
        self._free()
        if not self.is_made_here and not self._call.outcome.done():
            self._call.outcome.set_result(value)

    def set_exception(self, error: BaseException) -> None:
        """Take the error; make the call again where a promise has become what has no name there."""
        users, outcome = self._users, self._call.outcome
        self._free()
        if self.is_made_here or outcome.done():
            return
        if isinstance(error, BrokenPromise | NotExecuted):
            again = next((each for each in users if each.settled is None), None)
            if again is not None:  # the call named is made again, and may succeed; this one did not run
                wait_for(self._on or again, self._call)
                return
        failed = [each.settled for each in users if isinstance(each.settled, BaseException)]
        if failed and isinstance(error, BrokenPromise | NotPipelinable):
            error = broken(failed[0])  # the same cause for all of them
        elif isinstance(error, NotPipelinable) and self._may_be_made_again(users):
            make_now(self._call, users[0])
            return
        outcome.set_exception(error)

    def _may_be_made_again(self, users: list[Promised]) -> bool:
        """Whether nothing is wrong but that an argument has become a value, or has come home."""
        if self._on is not None and not self._on.is_hosted:
            return False
        return any(each.settled is not None and not each.is_hosted for each in users)

    def _free(self) -> None:
        calls = self._calls
        if not self.is_made_here:
            calls.deadlines.discard(self._call.outcome)
        users, pins = self._users, self._pins
        self._users, self._pins = [], []
        for promised in users:
            promised.users -= 1
            promised.check_finished()
        for reference in pins:
            calls.tables.unpin(reference)


class Unheard:
    """The outcome of a call that nobody wants to hear of, and that has an id all the same."""

    __slots__ = ("_is_over", "_method", "_tables")

    def __init__(self, calls: Calls, method: str) -> None:
        self._is_over = False
        self._tables = calls.tables
        self._method = method

    def done(self) -> bool:
        """Return whether it has ended; until then an error is logged."""
        return self._is_over

    def set_result(self, value: object) -> None:
        """Drop it."""

    def set_exception(self, error: BaseException) -> None:
        """Log it, as the callee does with errors of calls that want no answer."""
        self._is_over = True
        if self._tables.may_log(logging.INFO, "call.failed"):
            log.info(
                "%s, which wanted no answer, failed: %s",
                self._method,
                type(error).__name__,
                extra=fields("call.failed", method=self._method, error=error),
            )

    def call_started(self, id: int) -> None:
        """Do nothing: it is not cancelled."""

    def call_moved(self, calls: object) -> None:
        """Do nothing: it is not cancelled."""


def call_promised(
    promised: Promised,
    method: str,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    outcome: Any,
    at: float | None = None,
) -> None:
    """Call what another call will return.

    Every error comes out of `outcome`, which is also told the id of the call.

    Args:
        outcome: as for `Calls.make`; None where no answer is wanted.
    """
    if promised.calls.watch is None:
        call_result(
            promised,
            method,
            args,
            kwargs,
            Unheard(promised.calls, method) if outcome is None else outcome,
            at,
        )
    else:
        watched: Any = promised.calls
        watched.call_promised(promised, method, args, kwargs, outcome, at)


def call_result(
    promised: Promised,
    method: str,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    outcome: Any,
    at: float | None,
) -> None:
    """Do what `call_promised` says, for an outcome that wants the answer."""
    limit = due_at()
    if limit is not None and (at is None or limit < at):
        at = limit
    calls = promised.calls
    call = LaterCall(calls, None, method, args, kwargs, outcome, None, at)
    if promised.settled is None and not promised.later and _may_go(calls) and promised.name():
        _, scope = calls.pending[promised.id]
        try:
            _send(calls, call, scope, -promised.id, promised)
            return
        except NotNow:
            pass  # it waits for this one, so that what is called behind it does not overtake it
        except Exception as error:
            outcome.set_exception(error)
            return
    wait_for(promised, call)


def call_naming(
    calls: Calls,
    handle: Import,
    method: str,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    outcome: Any,
    scope: Scope | None,
    at: float | None,
    held: HoldsPromise,
) -> int:
    """Make a call whose arguments hold promises; return its id, or 0 if it waits for one of them.

    Raises as `Calls.make`, and BrokenPromise where one has failed.
    """
    outcome = Unheard(calls, method) if outcome is None else outcome
    call = LaterCall(calls, handle(), method, args, kwargs, outcome, scope, at)
    on: Promised | None = None
    if _may_go(calls):
        try:
            return _send(calls, call, scope or handle.scope, handle.id, None)
        except NotNow as wait:
            on = wait.promised
    wait_for(on or held.promise._pb_promise(), call)  # type: ignore[attr-defined]
    return 0


def _may_go(calls: Calls) -> bool:
    """Whether a call that names results can be sent now."""
    return (
        calls.peer_pipelines
        and calls.is_open
        and not calls.is_held
        and len(calls.pending) < calls.peer_max_calls
    )


def _send(calls: Calls, call: LaterCall, scope: Scope, target: int, on: Promised | None) -> int:
    naming = Naming(scope)
    try:
        payload: bytes | Bulk = calls.encode(naming, call.method, call.args, call.kwargs)
    except HoldsPromise as held:  # one that has failed: others are waited for, or have a name
        settled = held.promise._pb_settled()
        assert isinstance(settled, BaseException)
        told = broken(settled)
        raise told from told.__cause__
    at, outcome = call.at, call.outcome
    id = calls.next_id
    calls.next_id = id + 1
    calls.pending[id] = (Piped(calls, id, call, on, naming), scope)
    options: dict[str, Any] = {}
    if naming.named:
        options["needs"] = [*naming.named]
    if at is not None:
        options["ttl"] = min(max(math.ceil(calls.deadlines.left_s(at) * 1000), 0), messages.MAX_ID)
        calls.deadlines.add(outcome, at, partial(expire, calls, id, outcome))
    passed = inherited.get()
    if passed is not None and passed.trace is not None:
        options["trace"] = passed.trace.option
    message = [messages.CALL, id, target, call.method]
    if options:
        calls.outbox.put(calls.pack([*message, bytes_of(payload), options]))
    else:
        put_message(calls.outbox, calls.pack, message, payload)
    if on is not None:
        call.piped = id
        on.sent.append(call)
    outcome.call_started(id)
    return id
