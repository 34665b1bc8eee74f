"""Telling hooks, so that what they do wrong stays theirs. See `pb.hooks`.

Which hooks override what is found out once for each connection: what nobody wants to know is not even noted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

import msgpack

from jelly._article import a

from ..errors import ConnectionLost, PeerError, RemoteError
from ..hooks import BOTH, CallEvent, Hooks, Outcome, ReferenceEvent, Side, names_of
from ..logfields import fields

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
_REFERENCES: Final = ("reference_given", "reference_returned", "reference_received", "reference_dropped")
_BYTES: Final = ("bytes_received", "bytes_sent")
_REST: Final = (
    "connection_opened",
    "connection_closed",
    "logged_in",
    "login_refused",
    "logged_out",
    "attached",
    "attach_refused",
    "detached",
)

Entered = list[AbstractContextManager[Any]]


def hooks_of(given: Any) -> tuple[Any, ...]:
    """Return hooks as they were given: one, or a list or tuple of them.

    Raises:
        TypeError: one of them is none, or its `sides` are no sides.
    """
    hooks = tuple(given) if isinstance(given, list | tuple) else (given,)
    for each in hooks:
        if not isinstance(each, Hooks):
            what = "the class itself" if isinstance(each, type) else f"{a(type(each).__name__)}"
            raise TypeError(f"hooks= is {what}; an object of a class derived from pb.Hooks is expected")
        if not isinstance(each.sides, set | frozenset) or not each.sides <= BOTH:
            raise TypeError(f'the sides of {a(type(each).__name__)} are not a set of "caller" and "callee"')
    return hooks


def overriding(hooks: tuple[Any, ...], name: str) -> tuple[Callable[..., Any], ...]:
    """Return one method of those hooks that have their own."""
    plain = getattr(Hooks, name)
    return tuple(
        getattr(each, name)
        for each in hooks
        if getattr(type(each), name) is not plain or name in getattr(each, "__dict__", ())
    )


def type_of(error: BaseException) -> str:
    """Return the name of an error that may be shown: never its text."""
    if isinstance(error, RemoteError):
        return error.remote_type[:128]
    name = type(error).__name__
    return f"pb.{name}" if isinstance(error, PeerError) else name


class Wanted:
    """What hooks want to know, as far as that can be said before there is a connection.

    Args:
        hooks: as `hooks_of` returns them.
    """

    def __init__(self, hooks: tuple[Any, ...]) -> None:
        self.hooks = hooks
        self.methods = {name: overriding(hooks, name) for name in (*_REFERENCES, *_BYTES, *_REST)}
        self.caller = self._of("caller", ("call_started", "call_ended"))
        self.callee = self._of("callee", ("call_started", "call_ended", "around"))

    def _of(self, side: Side, names: tuple[str, ...]) -> dict[str, tuple[Callable[..., Any], ...]]:
        hooks = tuple(each for each in self.hooks if side in each.sides)
        return {name: methods for name in names if (methods := overriding(hooks, name))}

    @property
    def has_references(self) -> bool:
        """Whether somebody is told of references."""
        return any(self.methods[name] for name in _REFERENCES)

    @property
    def has_bytes(self) -> bool:
        """Whether somebody is told of bytes."""
        return any(self.methods[name] for name in _BYTES)

    def __bool__(self) -> bool:
        return bool(self.caller or self.callee or any(self.methods.values()))


class _Each:
    """Several methods of hooks as one."""

    __slots__ = ("_methods", "_name")

    def __init__(self, name: str, methods: tuple[Callable[..., Any], ...]) -> None:
        self._name = name
        self._methods = methods

    def __call__(self, call: CallEvent) -> None:
        """Tell all of them."""
        for told in self._methods:
            try:
                told(call)
            except Exception:
                log_failure(self._name, told)


class CallWatch:
    """The hooks that are told of the calls of one side of one connection.

    Attributes:
        clock: tells the time, in seconds.
        start, end: what is told of the start and the end of a call; None where nobody wants to know.
        arounds: what is asked for something to be entered around a method; call `enter` where there are such.
    """

    __slots__ = ("arounds", "clock", "end", "start")

    def __init__(
        self, methods: dict[str, tuple[Callable[..., Any], ...]], clock: Callable[[], float]
    ) -> None:
        self.clock = clock
        self.start = _one("call_started", methods)
        self.end = _one("call_ended", methods)
        self.arounds = methods.get("around", ())

    def enter(self, call: CallEvent) -> Entered:
        """Enter what hooks want to have around a method, and return it."""
        entered: Entered = []
        for around in self.arounds:
            try:
                each = around(call)
                if each is not None:
                    each.__enter__()
                    entered.append(each)
            except Exception:
                log_failure("around", around)
        return entered

    def leave(self, entered: Entered) -> None:
        """Leave it again. What the method raised has been answered and is not told here."""
        for each in reversed(entered):
            try:
                each.__exit__(None, None, None)
            except Exception:
                log.exception(
                    "a hook failed: the end of what its around() returned, a %s",
                    type(each).__name__,
                    extra=fields("hook.failed", method="around"),
                )

    def begun(self, call: CallEvent) -> None:
        """Tell that it begins."""
        start = self.start
        if start is not None:
            try:
                start(call)
            except Exception:
                log_failure("call_started", start)

    def ended(self, call: CallEvent, outcome: Outcome, size: int = 0) -> None:
        """Tell how it has ended; again, it does nothing.

        Args:
            size: bytes of the answer.
        """
        if call._ended is not None:
            return
        call._ended = outcome, self.clock(), size
        end = self.end
        if end is not None:
            try:
                end(call)
            except Exception:
                log_failure("call_ended", end)

    def ended_badly(
        self, call: CallEvent, outcome: Outcome, error_type: str, incident: str = "", size: int = 0
    ) -> None:
        """Tell by which error it has ended; again, it does nothing."""
        if call._ended is None:
            call._why = error_type, incident
            self.ended(call, outcome, size)

    def raised(self, call: CallEvent, error: BaseException, size: int = 0) -> None:
        """Tell that it has ended by an error."""
        name = type_of(error)
        outcome: Outcome = _OUTCOMES.get(name, "failed")
        if isinstance(error, ConnectionLost):
            outcome = "lost"
        self.ended_badly(call, outcome, name, size=size)

    def answered(self, call: CallEvent, told: Any) -> None:
        """Tell how it has ended by what the caller was told."""
        if told is None:
            self.ended(call, "lost")
        elif type(told) is not tuple:
            self.ended(call, "answered", len(told))
        else:
            error = msgpack.unpackb(told[1], strict_map_key=False)
            name = error["type"]
            incident = error["data"]["ref"] if name == "pb.Internal" else ""
            self.ended_badly(call, _OUTCOMES.get(name, "failed"), name, incident, len(told[1]))


def _one(name: str, methods: dict[str, tuple[Callable[..., Any], ...]]) -> Callable[[CallEvent], Any] | None:
    """Return one method for all of a name; None for none."""
    found = methods.get(name, ())
    if len(found) > 1:
        return _Each(name, found)
    return found[0] if found else None


class Watch:
    """The hooks of one connection, and how they are told.

    Attributes:
        caller, callee: those of the calls that are made and that are served here.
        methods: what is told of all else, by name.
    """

    __slots__ = ("__weakref__", "_is_open", "callee", "caller", "face", "methods")

    def __init__(self, face: Any, wanted: Wanted) -> None:
        self.face = face
        self.methods = wanted.methods
        self.caller = CallWatch(wanted.caller, face.clock)
        self.callee = CallWatch(wanted.callee, face.clock)
        self._is_open = False

    def tell(self, name: str, *what: Any) -> None:
        """Tell all hooks that want to know; an error of one is logged."""
        for told in self.methods[name]:
            try:
                told(*what)
            except Exception:
                log_failure(name, told)

    def opened(self) -> None:
        """The peer has said HELLO."""
        self._is_open = True
        self.tell("connection_opened", self.face.connection)

    def closed(self, reason: str) -> None:
        """The connection has ended."""
        if self._is_open:
            self._is_open = False
            self.tell("connection_closed", self.face.connection, reason)


def log_failure(name: str, told: Callable[..., Any]) -> None:
    """Log the error of a hook, which is being handled."""
    log.exception(
        "a hook failed: %s of a %s",
        name,
        type(getattr(told, "__self__", told)).__name__,
        extra=fields("hook.failed", method=name),
    )


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
