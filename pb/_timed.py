"""Calls that this side gives only so much time. Spec: spec/3-messages.md, "Deadlines"."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from jelly import Bulk

from ._payloads import bytes_of
from .errors import DeadlineExceeded

if TYPE_CHECKING:
    from ._calls import Calls
    from ._observing import ObserverHandle
    from ._scope import Scope
    from .reference import Import


def make_timed(
    calls: Calls,
    handle: Import | ObserverHandle,
    method: str,
    payload: bytes | Bulk,
    outcome: Any,
    scope: Scope,
    at: float,
) -> int:
    """Send a call, its payload encoded already, with what is left of its time; return its id."""
    left_ms = math.ceil(calls.deadlines.left_s(at) * 1000)
    id = calls.next_id
    calls.next_id = id + 1
    calls.pending[id] = (outcome, scope)
    calls.deadlines.add(outcome, at, partial(expire, calls, id, outcome))
    # Sent even if no time is left: its payload is counted, and to take that back is no shorter way.
    options = {"ttl": max(left_ms, 0)}
    calls.outbox.put(calls.pack([handle.code, id, handle.id, method, bytes_of(payload), options]))
    if scope.tables.fresh:
        scope.tables.observing.sent(scope.tables)
    return id


def expire(calls: Calls, id: int, outcome: Any) -> None:
    """Settle a call whose time is over, and stop the callee; id 0 is a call that was not sent yet."""
    if not outcome.done():
        what = "it was sent, and the callee is told to stop" if id else "it was not sent"
        error = DeadlineExceeded(f"the time for the call is over; {what}")
        error.is_of_own_call = True  # where a handler lets it pass, it is that handler's own
        outcome.set_exception(error)
        calls.cancel(id, outcome)
