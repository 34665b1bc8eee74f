"""What the peer is told of its calls: one answer or error each.

Spec: spec/3-messages.md, ANSWER and ERROR; spec/5-errors.md for what the caller may learn.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from jelly import Bulk, Oversized, Unjellyable

from .. import messages
from ..context import serving
from ..errors import Gone, PeerError, RemoteError, TooLarge, printable
from ..holding.detached import is_detached
from ..holding.scope import DeadValue
from ..logfields import fields
from ..messages import ANSWER
from ..wire.outbox import LARGE_PAYLOAD, Outbox
from ..wire.payloads import Pack, put_message

if TYPE_CHECKING:
    from ..holding.scope import Scope
    from ..holding.tables import Tables
    from ..limits import Limits

log = logging.getLogger("pb")

# What was told: the payload of ANSWER, or ERROR and its payload; None where nobody was told.
Told = bytes | Bulk | tuple[int, bytes] | None


class Answers:
    """The way back to the caller, for the calls of one connection.

    Args:
        incident: makes the id under which an internal error is logged and told.
        debug: whether text and traceback of internal errors go to the peer.
    """

    __slots__ = ("_debug", "_incident", "_max_error_bytes", "_outbox", "_pack", "_tables")

    def __init__(
        self,
        tables: Tables,
        outbox: Outbox,
        pack: Pack,
        limits: Limits,
        *,
        incident: Callable[[], str],
        debug: bool,
    ) -> None:
        self._tables = tables
        self._outbox = outbox
        self._pack = pack
        self._max_error_bytes = limits.max_error_bytes
        self._incident = incident
        self._debug = debug

    def answer(self, id: int, scope: Scope, value: object) -> Told:
        """Send the value of a call and return its payload; where it cannot be sent, the call fails."""
        if not id or not self._tables.is_open:
            return None
        try:
            payload = scope.encoder.encode(value, scope, "the result")
        except Oversized as error:
            return self.fail(id, scope, TooLarge(str(error)))
        except Unjellyable as error:
            return self.fail(
                id, scope, self._dead_in(id, scope, error) or error, what=self._result(id, scope)
            )
        except BaseException as error:  # the value's own hooks may raise anything
            return self.fail(id, scope, error, what=self._result(id, scope))
        if len(payload) < LARGE_PAYLOAD:
            outbox, pack = self._outbox, self._pack
            answer = pack((ANSWER, id, payload))
            if outbox.at_once is not None and not outbox.batch:
                # Here, and not with the end of the turn: what is done between the two, 5,000 instructions, is
                # done while the caller is at work.
                outbox.write_at_once(answer)
            else:
                outbox.batch.append(answer)
                if not outbox.due:  # Outbox.put, spelled out
                    outbox.due = True
                    outbox.wake()
        else:
            put_message(self._outbox, self._pack, [messages.ANSWER, id], payload)
        if self._tables.fresh:
            self._tables.observing.sent(self._tables)
        if self._tables.unbegun:
            self._tables.end_unbegun(id)
        return payload

    def fail(
        self, id: int, scope: Scope, error: BaseException, relayed: bool = False, what: str = "a call of"
    ) -> Told:
        """Send the error of a call; what is not registered is told as an incident only."""
        if not self._tables.is_open:
            return None
        if not id:
            # Not encoded: what it holds would be counted and never sent (R7).
            if isinstance(error, PeerError):
                if self._tables.may_log(logging.INFO, "call.refused"):
                    log.info(
                        "a call that wanted no answer was refused: %s",
                        type(error).__name__,
                        extra=fields("call.refused", scope=scope, error=error),
                    )
            elif self._tables.may_log(logging.ERROR, "call.failed"):
                log.error(
                    "a call that wanted no answer failed",
                    exc_info=error,
                    extra=fields("call.failed", scope=scope, error=error),
                )
            return None
        payload = self.tell(scope, error, relayed, what)
        put_message(self._outbox, self._pack, [messages.ERROR, id], payload)
        if self._tables.fresh:
            self._tables.observing.sent(self._tables)
        if self._tables.unbegun:
            self._tables.end_unbegun(id)
        return messages.ERROR, payload

    def _result(self, id: int, scope: Scope) -> str:
        return f"the result of {self._serving(id, scope)} for"

    def _dead_in(self, id: int, scope: Scope, error: Unjellyable) -> Gone | None:
        """Return what the caller is told where a result holds a dead reference: which is nobody's fault.

        It is no incident: that somebody else has gone could have been seen from the result itself.
        """
        if not isinstance(error.__cause__, DeadValue):
            return None
        if self._tables.may_log(logging.WARNING, "call.failed"):
            log.warning(
                "%s %s is not sent: %s",
                self._result(id, scope),
                self._tables.peer_name,
                error,
                extra=fields("call.failed", scope=scope, error=error),
            )
        place = printable("".join(error.steps))
        return Gone(f"the result holds a reference that is dead{f', at {place}' if place else ''}")

    def _serving(self, id: int, scope: Scope) -> str:
        """Return which method gave the result of a call, for the log."""
        found = serving.get()
        if found is None or found[0] is not scope or found[1] != id:  # a result that was passed on, say
            return "a call"
        row = self._tables.exports.get(
            found[2]
        )  # it may be gone by now, and the ids of replicas are the peer's
        cls, name = (type(None), "") if row is None else (type(row.object), row.prefix + found[3])
        return f"{cls.__qualname__}.{name}" if hasattr(cls, name) else found[3]

    def tell(self, scope: Scope, error: BaseException, relayed: bool, what: str = "a call of") -> bytes:
        """Return the payload that tells the peer of an error.

        Args:
            what: names, in the log, what has failed, up to the peer's name.
        """
        is_own = isinstance(error, RemoteError) or (isinstance(error, PeerError) and error.is_of_own_call)
        payload: bytes | None = None
        if is_detached(error):  # who was served has logged out, or was put out: nobody's mistake
            if self._tables.may_log(logging.INFO, "call.refused"):
                log.info(
                    "%s %s came too late: %s",
                    what,
                    self._tables.peer_name,
                    error,
                    extra=fields("call.refused", scope=scope, error=error),
                )
            is_own = False
            error = Gone("what the call was made under has ended, and its result with it")
        # How a call of the handler's own ended is its business; only a relay passes that on.
        if relayed or not is_own:
            try:
                payload = scope.encoder.dumps_error(error, scope)
            except BaseException as secondary:
                if self._tables.may_log(logging.ERROR, "error.unsent"):
                    log.error(
                        "an error of type %s could not be sent",
                        type(error).__name__,
                        exc_info=secondary,
                        extra=fields("error.unsent", scope=scope, error=error),
                    )
        return self._internal(scope, error, what) if payload is None else payload

    def _internal(self, scope: Scope, error: BaseException, what: str) -> bytes:
        """Log an error that is nobody else's business, and return what the caller is told."""
        incident = self._incident()
        how = "failed"
        if type(error).__module__.partition(".")[0] not in ("pb", "jelly", "cred"):
            bases = scope.encoder.names_of_bases(type(error))
            if bases:  # a registered class does not speak for those derived from it (PB-E4)
                how = f"failed: {type(error).__qualname__} is not registered, as its base {bases[0]!r} is"
        if self._tables.may_log(logging.ERROR, "incident"):
            log.error(
                "incident %s: %s %s %s",
                incident,
                what,
                self._tables.peer_name,
                how,
                exc_info=error,
                extra=fields("incident", scope=scope, error=error, incident=incident),
            )
        told: dict[str, object] = {"type": "pb.Internal", "msg": "internal error", "data": {"ref": incident}}
        if self._debug:
            lines = traceback.format_exception(error)
            told["msg"] = lines[-1].strip()[: self._max_error_bytes]
            told["trace"] = "".join(lines)[-self._max_error_bytes :]
        return scope.encoder.dumps(told, None, "the error")
