"""Offering the replicas of a lost connection over the next one: the call, and what becomes of its answer.

Spec: spec/12-reconnecting.md, "Caches".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from .resync import MAX_OFFERS

if TYPE_CHECKING:
    from ..holding.scope import Scope
    from .replica import Replica

RESYNC: Final = "pb:resync"


class Offering:
    """The outcome of `pb:resync`: at once, before any later frame, the replicas wait where they are told to.

    Args:
        rows: what is offered, the latest last; of too many the first are left out.
        scope: that of the new connection.
        outcome: is told when it is done, with None; and of no error but that of the connection.
    """

    def __init__(self, rows: Iterable[Replica], scope: Scope, outcome: Any) -> None:
        found = [(row.object, row.key, row.version) for row in rows]
        self._offered = [each for each in found if each[0] is not None][-MAX_OFFERS:]
        self._scope = scope
        self._outcome = outcome

    @property
    def offers(self) -> list[list[object]]:
        """What is sent."""
        return [[key, version] for _, key, version in self._offered]

    def done(self) -> bool:
        """Whether nobody waits for it."""
        done: bool = self._outcome.done()
        return done

    def call_started(self, id: int) -> None:
        """Do nothing: it is not cancelled."""

    def set_result(self, ids: object) -> None:
        """Let the replicas wait under these ids."""
        if type(ids) is list and len(ids) == len(self._offered):
            for id, (replica, key, version) in zip(ids, self._offered, strict=True):
                self._scope.tables.expect_replica(id, replica, key, version, self._scope)
        self._outcome.set_result(None)

    def set_exception(self, error: BaseException) -> None:
        """Hand on the error."""
        self._outcome.set_exception(error)
