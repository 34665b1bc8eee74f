"""AuditLog: one record for each call, login and attachment of a server, without a value in it."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from .hooks import CallEvent, Hooks, LoginEvent

AuditEvent = Mapping[str, Any]

_GOOD: Final = frozenset(("answered", "sent"))


class AuditLog(Hooks):
    """Write down who has called what, and what came of it. Give it as `hooks=`.

        application.listen(url, hooks=pb.AuditLog(logging.getLogger("audit")))

    An event is a dict. Of a call, `event` "call": `side`, `peer`, `identity`, `service`, `perspective`,
    `object` (class and id), `method`, `outcome`, `error`, `incident`, `bytes_in`, `bytes_out`, `ms`,
    `trace_id`. Of a login, `event` "login" or "login refused": `peer`, `identity`, `mechanism`, `outcome`.
    Arguments, results and texts of errors are in none. All text is ASCII, everything else escaped.

    Args:
        to: a logger, which gets each as a record of level INFO with the event as `record.audit`; or what is
            called with each.
        redact: called with each event first; returns what is written instead, or None for nothing.
        callers: whether calls that this side makes are written too; those have `side` "caller".
    """

    def __init__(
        self,
        to: logging.Logger | Callable[[dict[str, Any]], object],
        *,
        redact: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None,
        callers: bool = False,
    ) -> None:
        self._write = self._log if isinstance(to, logging.Logger) else to
        self._logger = to
        self._redact = redact
        if not callers:
            self.sides = frozenset(("callee",))

    def call_ended(self, call: CallEvent) -> None:
        """Write a call down."""
        identity, service, perspective = call.names
        outcome = call.outcome
        is_good = outcome in _GOOD  # then there is no error to be asked for
        self._put(
            {
                "event": "call",
                "side": call.side,
                "peer": plain(call.connection),
                "identity": identity and _ascii(identity),
                "service": service and _ascii(service),
                "perspective": perspective and _ascii(perspective),
                "object": f"{call.type} {call.object_id}".strip(),
                "method": _ascii(call.method),
                "outcome": outcome,
                "error": "" if is_good else _ascii(call.error_type),
                "incident": "" if is_good else call.incident,
                "bytes_in": call.bytes_in,
                "bytes_out": call.bytes_out,
                "ms": round(call.seconds * 1000, 3),
                "trace_id": "" if call.trace is None else call.trace.trace_id,
            }
        )

    def logged_in(self, login: LoginEvent) -> None:
        """Write a login down."""
        self._login("login", login, "answered")

    def login_refused(self, login: LoginEvent) -> None:
        """Write a refused login down."""
        self._login("login refused", login, "refused")

    def _login(self, event: str, login: LoginEvent, outcome: str) -> None:
        self._put(
            {
                "event": event,
                "peer": plain(login.connection),
                "identity": _ascii(login.identity),
                "mechanism": _ascii(login.mechanism),
                "outcome": outcome,
            }
        )

    def _put(self, event: dict[str, Any]) -> None:
        told = event if self._redact is None else self._redact(event)
        if told is not None:
            self._write(told)

    def _log(self, event: dict[str, Any]) -> None:
        text = " ".join(f"{name}={value}" for name, value in event.items() if value != "")
        self._logger.info("%s", text, extra={"audit": event})  # type: ignore[union-attr]


def plain(connection: Any) -> str:
    """Return who is at the other end of a connection, in ASCII."""
    return _ascii(str(getattr(connection, "peer", connection)))


@functools.lru_cache(maxsize=1024)  # the same few, call after call
def _ascii(text: str) -> str:
    return ascii(text)[1:-1]
