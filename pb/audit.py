"""AuditLog: one record for each call, login and attachment of a server, without a value in it."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from .hooks import AttachmentEvent, CallEvent, Hooks, LoginEvent

AuditEvent = Mapping[str, Any]

_GOOD: Final = frozenset(("answered", "sent"))


class AuditLog(Hooks):
    """Write down who has called what, and what came of it. Give it as `hooks=`.

        application.listen(url, hooks=pb.AuditLog(logging.getLogger("audit")))

    An event is a dict. Of a call, `event` "call": `side`, `peer`, `identity`, `service`, `perspective`,
    `object` (class and id), `method`, `outcome`, `error`, `incident`, `bytes_in`, `bytes_out`, `ms`,
    `trace_id`. Of a login, `event` "login", "login refused" or "logout": `peer`, `identity`, `mechanism`,
    `outcome`, `reason`. Of an attachment, "attach", "attach refused" or "detach": `peer`, `identity`,
    `service`, `perspective`, `outcome`. Calls of the protocol itself (`CallEvent.is_of_protocol`), which are
    told by these, or are nobody's doing, are left out unless they failed.
    Arguments, results and texts of errors are in none. All text is ASCII, everything else escaped.

    Args:
        to: a logger, which gets each as a record of level INFO with the event as `record.audit`; or what is
            called with each.
        redact: called with each event first; returns what is written instead, or None for nothing.
        callers: whether calls that this side makes are written too; those have `side` "caller".
        protocol: whether calls of the protocol itself are written too.
    """

    def __init__(
        self,
        to: logging.Logger | Callable[[dict[str, Any]], object],
        *,
        redact: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None,
        callers: bool = False,
        protocol: bool = False,
    ) -> None:
        self._has_protocol = protocol
        self._write = self._log if isinstance(to, logging.Logger) else to
        self._logger = to
        self._redact = redact
        if not callers:
            self.sides = frozenset(("callee",))

    def call_ended(self, call: CallEvent) -> None:
        """Write a call down."""
        outcome = call.outcome
        if call.is_of_protocol and not self._has_protocol and outcome != "failed":
            return
        identity, service, perspective = call.names
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

    def logged_out(self, login: LoginEvent) -> None:
        """Write the end of a login down."""
        self._login("logout", login, "answered")

    def _login(self, event: str, login: LoginEvent, outcome: str) -> None:
        self._put(
            {
                "event": event,
                "peer": plain(login.connection),
                "identity": _ascii(login.identity),
                "mechanism": _ascii(login.mechanism),
                "outcome": outcome,
                "reason": login.reason,
            }
        )

    def attached(self, attachment: AttachmentEvent) -> None:
        """Write down that somebody was given a perspective."""
        self._attachment("attach", attachment, "answered")

    def attach_refused(self, attachment: AttachmentEvent) -> None:
        """Write down that somebody was not given a perspective."""
        self._attachment("attach refused", attachment, "refused")

    def detached(self, attachment: AttachmentEvent) -> None:
        """Write down that somebody has a perspective no longer."""
        self._attachment("detach", attachment, "answered")

    def _attachment(self, event: str, attachment: AttachmentEvent, outcome: str) -> None:
        self._put(
            {
                "event": event,
                "peer": plain(attachment.connection),
                "identity": _ascii(attachment.identity),
                "service": _ascii(attachment.service),
                "perspective": _ascii(attachment.perspective),
                "outcome": outcome,
            }
        )

    def _put(self, event: dict[str, Any]) -> None:
        told = event if self._redact is None else self._redact(event)
        if told is not None:
            self._write(told)

    def _log(self, event: dict[str, Any]) -> None:
        text = " ".join(f"{name}={_quoted(value)}" for name, value in event.items() if value != "")
        self._logger.info("%s", text, extra={"audit": event})  # type: ignore[union-attr]


def _quoted(value: object) -> str:
    """Return a value for a line of name=value: in quotes where it would not be seen where it ends."""
    text = str(value)
    if not any(char in text for char in ' "='):
        return text
    return '"' + text.replace('"', '\\"') + '"'


def plain(connection: Any) -> str:
    """Return who is at the other end of a connection, in ASCII."""
    return _ascii(str(getattr(connection, "peer", connection)))


@functools.lru_cache(maxsize=1024)  # the same few, call after call
def _ascii(text: str) -> str:
    return ascii(text)[1:-1]
