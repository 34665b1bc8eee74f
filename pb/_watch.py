"""Telling hooks, so that what they do wrong stays theirs. See `pb.hooks`."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import Any, Final

import msgpack

from .context import Inherited, inherited
from .errors import ConnectionLost, PeerError, RemoteError
from .hooks import CallEvent, Hooks, Outcome, ReferenceEvent

log = logging.getLogger("pb")

# Errors of these names say that the method was not run, or not to its end.
_OUTCOMES: Final[dict[str, Outcome]] = {
    "pb.NoSuchObject": "refused",
    "pb.NoSuchMethod": "refused",
    "pb.BadArguments": "refused",
    "pb.BadPayload": "refused",
    "pb.Unregistered": "refused",
    "pb.TooLarge": "refused",
    "pb.Busy": "refused",
    "pb.Unsupported": "refused",
    "pb.Forbidden": "refused",
    "pb.Gone": "refused",
    "pb.NotPipelinable": "refused",
    "pb.BrokenPromise": "refused",
    "pb.LoginFailed": "refused",
    "pb.Cancelled": "cancelled",
    "pb.DeadlineExceeded": "expired",
}


def hooks_of(given: Any) -> tuple[Any, ...]:
    """Return hooks as they were given: one, or a list or tuple of them.

    Raises:
        TypeError: one of them is none.
    """
    hooks = tuple(given) if isinstance(given, list | tuple) else (given,)
    for each in hooks:
        if not isinstance(each, Hooks):
            what = "the class itself" if isinstance(each, type) else f"a {type(each).__name__}"
            raise TypeError(f"hooks= is {what}; an object of a class derived from pb.Hooks is expected")
    return hooks


def type_of(error: BaseException) -> str:
    """Return the name of an error that may be shown: never its text."""
    if isinstance(error, RemoteError):
        return error.remote_type[:128]
    name = type(error).__name__
    return f"pb.{name}" if isinstance(error, PeerError) else name


class Watch:
    """The hooks of one connection, and how they are told."""

    __slots__ = ("_clock", "_enters", "_hooks", "_is_open", "call_promised", "face")

    call_promised: Any  # calls what another call will return: set by the calls of the connection

    def __init__(self, face: Any, hooks: tuple[Any, ...]) -> None:
        self.face = face
        self._clock = face.clock
        self._hooks = hooks
        self._enters = [each for each in hooks if type(each).around is not Hooks.around]
        self._is_open = False

    def tell(self, name: str, *what: Any) -> None:
        """Tell all hooks; an error of one is logged."""
        for each in self._hooks:
            try:
                getattr(each, name)(*what)
            except Exception:
                log.exception("a hook failed: %s of a %s", name, type(each).__name__)

    def around(self, call: CallEvent) -> ExitStack:
        """Return what is entered around a method."""
        stack = ExitStack()
        for each in self._enters:
            try:
                entered = each.around(call)
                if entered is not None:
                    stack.enter_context(_Guarded(entered))
            except Exception:
                log.exception("a hook failed: around of a %s", type(each).__name__)
        return stack

    # --- connections

    def opened(self) -> None:
        """The peer has said HELLO."""
        self._is_open = True
        self.tell("connection_opened", self.face.connection)

    def closed(self, reason: str) -> None:
        """The connection has ended."""
        if self._is_open:
            self._is_open = False
            self.tell("connection_closed", self.face.connection, reason)

    # --- calls

    def event(self, side: Any, scope: Any, method: str, **more: Any) -> CallEvent:
        """Return a call that begins, with what is inherited here."""
        passed = inherited.get() or Inherited()
        identity, service, perspective = names_of(scope)
        return CallEvent(
            side,
            self.face.connection,
            method[:128],
            self._clock(),
            identity,
            service,
            perspective,
            trace=passed.trace,
            parent=passed.call,
            **more,
        )

    def started(self, call: CallEvent) -> None:
        """Tell that it begins."""
        self.tell("call_started", call)

    def ended(self, call: CallEvent, outcome: Outcome, error_type: str = "") -> None:
        """Tell how it has ended; again, it does nothing."""
        if call.outcome:
            return
        call.outcome = outcome
        call.error_type = error_type
        call.ended_at = self._clock()
        self.tell("call_ended", call)
        call.parent = None  # else a chain of callbacks keeps all that were before it

    def raised(self, call: CallEvent, error: BaseException) -> None:
        """Tell that it has ended by an error."""
        name = type_of(error)
        outcome: Outcome = _OUTCOMES.get(name, "failed")
        if isinstance(error, ConnectionLost):
            outcome = "lost"
        self.ended(call, outcome, name)

    def told(self, call: CallEvent, told: Any) -> None:
        """Tell how it has ended by what the caller was told."""
        if told is None:
            self.ended(call, "lost")
        elif type(told) is not tuple:
            call.bytes_out = len(told)
            self.ended(call, "answered")
        else:
            call.bytes_out = len(told[1])
            error = msgpack.unpackb(told[1], strict_map_key=False)
            name = error["type"]
            if name == "pb.Internal":
                call.incident = error["data"]["ref"]
            self.ended(call, _OUTCOMES.get(name, "failed"), name)


class _Guarded:
    """A context manager of a hook: what it raises at the end is logged, and swallows nothing."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __enter__(self) -> None:
        self._inner.__enter__()

    def __exit__(self, *exc: Any) -> None:
        try:
            self._inner.__exit__(*exc)
        except Exception:
            log.exception(
                "a hook failed: the end of what its around() returned, a %s", type(self._inner).__name__
            )


def names_of(scope: Any) -> tuple[str, str, str]:
    """Return identity, service and perspective of a scope, "" where there is none."""
    perspective = scope.perspective
    if perspective is None:
        return scope.identity, "", ""
    name = getattr(perspective, "perspective_name", "")
    service = getattr(getattr(perspective, "service", None), "name", "")
    return scope.identity, str(service), str(name) or type(perspective).__name__


def reference_event(side: Any, connection: Any, row: Any) -> ReferenceEvent:
    """Return what is told of a row of a table."""
    scope = row.scope.direct
    kind = getattr(row, "kind", None)
    return ReferenceEvent(
        side,
        connection,
        row.id,
        "" if kind is None else kind.name.lower(),
        "" if kind is None else type(row.object).__name__,
        *names_of(scope),
    )
