"""What the records of the logger "pb" carry beside their text: fields for programs, named in one place.

Each record has `pb_event`, and of the others those that are known where it is made. They are plain text in
ASCII, whatever a peer has chosen escaped, or numbers; never arguments, results or secrets. The logger "cred"
has the same names (`cred/_logfields.py`). See docs/observing.md.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from .context import serving
from .hooks import names_of

log = logging.getLogger("pb")

FIELDS: Final[dict[str, str]] = {
    "pb_event": "what has happened: one of the events",
    "pb_peer": "who is at the other end, as the transport tells it",
    "pb_identity": "who had logged in",
    "pb_service": "the service of the perspective",
    "pb_perspective": "on whose behalf",
    "pb_object": "class and id of the object of ours that was called",
    "pb_method": "the method that was called, or that the program's function is",
    "pb_code": "code of a BYE, or status of HTTP",
    "pb_error": "the type of the error",
    "pb_incident": "the id that the caller was told with an internal error",
    "pb_mechanism": "how somebody wanted to log in",
    "pb_application": "the name of the application",
    "pb_url": "where a server listens, or is looked for",
}

EVENTS: Final[dict[str, str]] = {
    "incident": "an error of this program that the peer is told by its incident only",
    "call.refused": "a call of the peer has a method or arguments that it cannot have; a warning, once each, "
    "where only the prefix is missing from its definition",
    "call.failed": "a call that wanted no answer, or has no pberrback, failed; or its result holds what is "
    "dead",
    "call.slow": "a method held up the loop; in the debug mode of asyncio, or once it was held up for long",
    "call.unsent": "a call of this program that wanted no answer was not sent",
    "error.unsent": "an error could not be sent as what it is",
    "error.incomplete": "an error was sent without its args or attributes; once a class",
    "event.failed": "an event of pb.events failed at its subscriber",
    "hook.failed": "a method of pb.Hooks raised",
    "watcher.failed": "a function of this program that is told of something raised",
    "stream.failed": "a generator or file raised when its stream had ended already",
    "replica.dropped": "a replica at a peer no longer follows, because an update could not be sent, or the "
    "loop of its connection is closed",
    "replica.stale": "a replica here no longer follows, because an update could not be applied",
    "connection.failed": "a connection ends because of an error",
    "connection.refused": "a connection was refused before it could do anything",
    "connection.closing": "a connection is being closed, and calls or streams are awaited",
    "connection.lost": "a connection that comes back is given up",
    "restore.failed": "something was not had again over a new connection",
    "fault": "an error of this library; please report it",
    "login.refused": "a login was refused",
    "login.accepted": "somebody logged in",
    "login.ended": "somebody logged out; not told where the connection ends",
    "identity.cut": "what an identity may no longer do has ended: it was kicked, disabled, or lost a right",
    "attach.refused": "somebody was not given a perspective",
    "name.refused": "nobody is given the object of this name",
    "name.used": "somebody was given an object by its secret name",
    "request.refused": "a web server refused a request",
    "server.listening": "an application listens",
    "server.debug": "a server tells its peers of internal errors",
    "server.stopping": "an application stops",
    "server.stopped": "an application has stopped",
    "application.failed": "what the program has run when its application stops raised, or took too long",
    "server.failed": "a listener did not close, or cannot accept for now",
    "store.none": "an application keeps nothing from one run to the next",
    "store.unused": "something in the store is not asked for",
    "chore.failed": "what is done now and then fails",
    "chore.works": "it works again",
    "notify.failed": "the service manager was not told",
    "threads.left": "handlers in threads have not ended with the process",
}


def fields(
    event: str,
    *,
    peer: str = "",
    scope: Any = None,
    row: Any = None,
    method: str = "",
    error: BaseException | None = None,
    code: int | None = None,
    incident: str = "",
    application: str = "",
    url: object = "",
    identity: str = "",
    service: str = "",
) -> dict[str, object]:
    """Return the `extra=` of a record. Where a call is served, what is known of that is added.

    Args:
        event: one of EVENTS.
        scope: under which it was, where that is not the one of the call that is served.
        row: of the table of exports: the object.
        error: of which only the type is told.
    """
    told = current() if _is_about(peer, scope) else {}
    if scope is not None:
        told |= _of_scope(scope)
    if row is not None:
        told["pb_object"] = _object(row)
    for name, value in (
        ("pb_event", event),
        ("pb_peer", peer),
        ("pb_method", method),
        ("pb_error", "" if error is None else getattr(error, "remote_type", type(error).__name__)),
        ("pb_incident", incident),
        ("pb_application", application),
        ("pb_url", str(url)),
        ("pb_identity", identity),
        ("pb_service", service),
    ):
        if value and isinstance(value, str):  # a peer may send anything as a name
            told[name] = _ascii(value)
    if code is not None:
        told["pb_code"] = code
    return told


def log_fault(peer: str) -> None:
    """Log an error of this library, which is being handled."""
    log.exception("a fault of this side ends the connection with %s", peer, extra=fields("fault", peer=peer))


def log_loss(text: str, error: BaseException) -> None:
    """Log that an error is sent as less than it is."""
    log.warning("%s", text, extra=fields("error.incomplete", error=error))


def current() -> dict[str, object]:
    """Return the fields of the call that is served here, if one is."""
    found = serving.get()
    if found is None:
        return {}
    scope, _, target, method = found
    told = _of_scope(scope.direct)
    told["pb_method"] = _ascii(method)
    row = scope.tables.exports.get(target)
    if row is not None:
        told["pb_object"] = _object(row)
    return told


class CallFields(logging.Filter):
    """Give the records of this program, too, the fields of the call that is served where they are made.

        handler.addFilter(pb.CallFields())

    What a record has already is left as it is. It lets every record pass.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields."""
        for name, value in current().items():
            vars(record).setdefault(name, value)
        return True


def _is_about(peer: str, scope: Any) -> bool:
    """Whether the call that is served here is one of this peer, or of whichever."""
    found = serving.get()
    if found is None:
        return False
    tables = found[0].tables
    return scope.tables is tables if scope is not None else peer in ("", tables.peer_name)


def _of_scope(scope: Any) -> dict[str, object]:
    identity, service, perspective = names_of(scope)
    told = {
        "pb_peer": scope.tables.peer_name,
        "pb_identity": identity,
        "pb_service": service,
        "pb_perspective": perspective,
    }
    return {name: _ascii(value) for name, value in told.items() if value}


def _object(row: Any) -> str:
    return str(row.id) if row.object is None else f"{_ascii(type(row.object).__name__)} {row.id}"


def _ascii(text: str) -> str:
    return ascii(text[:256])[1:-1]
