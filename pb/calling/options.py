"""Calls of this side that carry options: so much time, a trace. Spec: spec/3-messages.md, CALL."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from jelly import Bulk

from .. import messages
from ..errors import DeadlineExceeded
from ..wire.payloads import bytes_of, put_message

if TYPE_CHECKING:
    from ..caches.observing import ObserverHandle
    from ..context import Inherited
    from ..holding.scope import Scope
    from ..reference import Import
    from ..tracing import Trace
    from .calls import Calls


def make_with_options(
    calls: Calls,
    handle: Import | ObserverHandle,
    method: str,
    payload: bytes | Bulk,
    outcome: Any,
    scope: Scope,
    at: float | None,
    passed: Inherited | None,
) -> int:
    """Send a call, its payload encoded already, with its options; return its id."""
    options: dict[str, object] = {}
    id = calls.next_id
    calls.next_id = id + 1
    calls.pending[id] = (outcome, scope)
    if at is not None:
        calls.deadlines.add(outcome, at, partial(expire, calls, id, outcome))
        # None may be left by now, and it is sent all the same: to take a counted payload back is longer.
        options["ttl"] = min(max(math.ceil(calls.deadlines.left_s(at) * 1000), 0), messages.MAX_ID)
    if passed is not None and passed.trace is not None:
        options["trace"] = passed.trace.option
    if options:
        calls.outbox.put(calls.pack([handle.code, id, handle.id, method, bytes_of(payload), options]))
    else:
        put_message(calls.outbox, calls.pack, [handle.code, id, handle.id, method], payload)
    if scope.tables.fresh:
        scope.tables.observing.sent(scope.tables)
    return id


def put_quiet(
    calls: Calls, handle: Import | ObserverHandle, method: str, payload: bytes | Bulk, trace: Trace
) -> None:
    """Queue a call that wants no answer, with its trace."""
    options = {"trace": trace.option}
    calls.outbox.put_counted(calls.pack([handle.code, 0, handle.id, method, bytes_of(payload), options]))


def expire(calls: Calls, id: int, outcome: Any) -> None:
    """Settle a call whose time is over, and stop the callee; id 0 is a call that was not sent yet."""
    if not outcome.done():
        what = "it was sent, and the callee is told to stop" if id else "it was not sent"
        error = DeadlineExceeded(f"the time for the call is over; {what}")
        error.is_of_own_call = True  # where a handler lets it pass, it is that handler's own
        outcome.set_exception(error)
        calls.cancel(id, outcome)
