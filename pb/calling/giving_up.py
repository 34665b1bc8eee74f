"""Calls of this side that are given up because what they are made on is dead.

Spec: spec/4-references.md, PB-R36.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import Gone
from ..promises.pipelining import Piped
from ..promises.promised import Promised
from ..streams.bringing import Blamed
from .own import ENDED, of_own_call

if TYPE_CHECKING:
    from ..holding.scope import Scope
    from .calls import Calls


def innermost(outcome: Any) -> Any:
    """Return who waits for a call, behind those who hear of its answer first."""
    while isinstance(outcome, Promised | Piped | Blamed):
        outcome = outcome.outcome
    return outcome


def give_up_under(calls: Calls, scope: Scope) -> None:
    """End the calls that were made under an attachment, which has ended, and stop the callee.

    Their rows stay until the answers come, which may carry references.
    """
    for id, (outcome, under) in list(calls.pending.items()):
        if (under.of or under) is scope:
            waiting = innermost(outcome)
            if _fail(calls, waiting):
                calls.cancel(id, waiting)
    for outcome in calls.take_waiting(scope):
        _fail(calls, outcome)


def _fail(calls: Calls, outcome: Any) -> bool:
    calls.deadlines.discard(outcome)
    if outcome.done():
        return False
    outcome.set_exception(of_own_call(Gone(ENDED)))
    return True
