"""An update of a replica that is encoded when its turn has come. Spec: spec/7-caches.md.

Questions are such, which are answered: they keep their place among the updates, and get their id only when
they are put, because ids increase on the wire. So are updates that are told while a snapshot is being made:
they may hold what is new in it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import Busy, NotExecuted
from ..logfields import fields
from ..wire.payloads import put_message

if TYPE_CHECKING:
    from ..calling.calls import Calls
    from .observing import ObserverHandle

log = logging.getLogger("pb")


class Question:
    """An update, with where its answer goes; None where none is wanted."""

    __slots__ = ("_args", "_calls", "_handle", "_kwargs", "_method", "_outcome")

    def __init__(
        self,
        calls: Calls,
        handle: ObserverHandle,
        method: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        outcome: Any,
    ) -> None:
        self._calls = calls
        self._handle = handle
        self._method = method
        self._args = args
        self._kwargs = kwargs
        self._outcome = outcome

    def send(self) -> int:
        """Queue it and return its id, 0 where no answer is wanted. Raises as `Calls.make`."""
        calls, handle, outcome = self._calls, self._handle, self._outcome
        scope = handle.scope
        payload = calls.encode(scope, self._method, self._args, self._kwargs)
        id = 0
        if outcome is not None:
            id = calls.next_id
            calls.next_id = id + 1
            calls.pending[id] = (outcome, scope)
            outcome.call_started(id)
        put_message(calls.outbox, calls.pack, [handle.code, id, handle.id, self._method], payload)
        if scope.tables.fresh:
            scope.tables.observing.sent(scope.tables)
        return id

    def put(self) -> None:
        """Queue it; where that fails, whoever asked is told, or the replica is given up."""
        handle, outcome = self._handle, self._outcome
        if handle.dead is not None or (outcome is not None and outcome.done()):
            self.drop()
            return
        try:
            self.send()
        except Exception as error:
            if outcome is not None:
                if not outcome.done():  # pragma: no branch - else a hook has given it up meanwhile
                    outcome.set_exception(error)
                return
            if handle.scope.tables.may_log(logging.WARNING, "replica.dropped"):
                log.warning(
                    "an update could not be sent; its replica is given up",
                    exc_info=error,
                    extra=fields(
                        "replica.dropped",
                        scope=handle.scope.direct,
                        row=handle.export,
                        method=self._method,
                        error=error,
                    ),
                )
            handle.scope.broker.holdings.revoke(handle.export)

    def drop(self) -> None:
        """Settle it: the replica it is for never came to be, or is gone."""
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_exception(NotExecuted("the replica that was to be asked is not there"))


def ask(
    calls: Calls,
    handle: ObserverHandle,
    method: str,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    outcome: Any,
) -> int:
    """Make an update that is answered. It keeps its place among the updates, so it never waits its turn.

    Raises:
        Busy: it would be over the peer's `max_calls`; nothing was sent.
    """
    calls.check_open(handle)
    if len(calls.pending) >= calls.peer_max_calls:
        if not calls.serves_peer(handle.scope):
            error = Busy(f"{len(calls.pending)} calls wait for an answer, the peer's max_calls")
            error.is_of_own_call = True  # where a handler lets it pass, it is that handler's own
            raise error
        calls.room.serve(len(calls.pending), calls.peer_max_calls)
    question = Question(calls, handle, method, args, kwargs, outcome)
    late = handle.late
    if late is None:
        return question.send()
    late.append(question)
    return 0
