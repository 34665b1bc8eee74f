"""Hooks: what a program is told of its connections, calls, references and logins while they happen.

Give an object as `hooks=` where connections are made or awaited. Without one nothing of this is there, and
nothing is paid for it. Never told are arguments, results and texts of errors. See docs/observing.md.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

if TYPE_CHECKING:
    from .tracing import Trace

Outcome = Literal["", "answered", "sent", "failed", "refused", "cancelled", "expired", "lost"]
Side = Literal["caller", "callee"]
_NONE: Final = ("", "")
RESOLVE: Final = "pb:resolve"


class Login:
    """A base of what somebody who has logged in calls to attach; its `name` is who that is. For `pb.auth`."""

    __slots__ = ()

    name: str


class CallEvent:
    """One call, on one side. The same object is told at the start, at the end and in between.

    Made by the broker, to be read. What few hooks ask for is found out when it is asked for.

    Attributes:
        side: "caller" or "callee".
        trace: that of the caller. A hook may put another in its place in `call_started`: at the caller that
            one is sent, at the callee that one is inherited by what the method calls.
    """

    # What is known at the start and at the end is one tuple each, and no more is assigned: half of what it
    # costs to tell of a call were the fields of this object (tests/bench/bench_hooks.py).
    __slots__ = ("_begun", "_ended", "_why", "trace")

    side: ClassVar[Side]
    trace: Trace | None
    _begun: tuple[Any, ...]  # scope, method and time; the rest is each side's own
    _ended: tuple[Outcome, float, int] | None  # outcome, time, and bytes of the answer
    _why: tuple[str, str]  # error_type and incident; only of those that have failed

    @property
    def method(self) -> str:
        """Its name; at most 128 characters of what the peer sent, so escape it where it is shown."""
        name: str = self._begun[1]
        return name[:128]

    @property
    def object_id(self) -> int:
        """The object's id on this connection; the owner's. 0 is the root."""
        raise NotImplementedError  # pragma: no cover - each side has its own

    @property
    def call_id(self) -> int:
        """That of the call on this connection and in its direction.

        0 where no answer is wanted, and at the caller until it is sent.
        """
        raise NotImplementedError  # pragma: no cover - likewise

    @property
    def bytes_in(self) -> int:
        """How long the payload is that came: at the callee the arguments, at the caller the answer."""
        raise NotImplementedError  # pragma: no cover - likewise

    @property
    def bytes_out(self) -> int:
        """How long the payload is that was sent: at the caller the arguments, at the callee the answer."""
        raise NotImplementedError  # pragma: no cover - likewise

    @property
    def started_at(self) -> float:
        """When it was made or has arrived, as the clock of the connection counts, in seconds; monotonic."""
        at: float = self._begun[2]
        return at

    @property
    def ended_at(self) -> float:
        """When it had its outcome; 0 as long as it runs."""
        return 0.0 if self._ended is None else self._ended[1]

    @property
    def outcome(self) -> Outcome:
        """What came of it; "" as long as it runs.

        "answered"; "sent": no answer was wanted, and here the caller's part is over; "failed" by an error of
        the method; "refused": it was not run; "cancelled"; "expired"; "lost": with the connection.
        """
        return "" if self._ended is None else self._ended[0]

    @property
    def error_type(self) -> str:
        """The registered name of the error, such as "pb.NoSuchMethod"; else the name of its class."""
        return getattr(self, "_why", _NONE)[0]

    @property
    def incident(self) -> str:
        """Under which the callee's log has an internal error."""
        return getattr(self, "_why", _NONE)[1]

    @property
    def connection(self) -> Any:
        """The connection as the face made it: `connection.peer` says who is at the other end."""
        return self._begun[0].broker.connection

    @property
    def names(self) -> tuple[str, str, str]:
        """On whose behalf it is made: identity, service and perspective, each "" where that is nobody's."""
        return names_of(self._begun[0].direct)

    @property
    def identity(self) -> str:
        """Who has logged in to make it; "" where that is nobody."""
        return self.names[0]

    @property
    def service(self) -> str:
        """The service on whose perspective it is made; "" for none."""
        return self.names[1]

    @property
    def perspective(self) -> str:
        """The perspective on whose behalf it is made; "" for none."""
        return self.names[2]

    @property
    def kind(self) -> str:
        """What the object is: "remote", "perspective", "view", "proxy"; "" at the caller, or for none."""
        return ""

    @property
    def type(self) -> str:
        """The class of the object, at the callee; "" at the caller, who does not know it."""
        return ""

    @property
    def is_of_protocol(self) -> bool:
        """Whether a library made it for itself: reserved methods (but for looking up a name), logging in and
        out, attaching and detaching. What comes of those is told by hooks of their own.
        """
        method: str = self._begun[1]
        return method.startswith("pb:") and method != RESOLVE

    @property
    def seconds(self) -> float:
        """How long it took; 0 as long as it runs."""
        return 0.0 if self._ended is None else self._ended[1] - self._begun[2]

    @property
    def parent(self) -> CallEvent | None:
        """At the caller, in `call_started`: the call that is served and makes this one; None for none.

        It is known where hooks are told of the calls of that connection too. Later it is None.
        """
        return None

    def __repr__(self) -> str:
        return f"<CallEvent {self.side} {self.method!a} {self.outcome or 'runs'}>"


@dataclass(frozen=True, slots=True)
class ReferenceEvent:
    """An object begins or ceases to be held over a connection.

    Attributes:
        side: "owner" of the object, or "holder" of the reference.
        connection: as the face made it.
        id: of the object on this connection.
        kind: "remote", "perspective", "view", "cache", "proxy"; "" at the holder.
        type: the class of the object; "" at the holder.
        identity, service, perspective: under which it was handed out.
    """

    side: Literal["owner", "holder"]
    connection: Any
    id: int
    kind: str = ""
    type: str = ""
    identity: str = ""
    service: str = ""
    perspective: str = ""


@dataclass(frozen=True, slots=True)
class LoginEvent:
    """A login at this side, its end, or one that was refused.

    Attributes:
        connection: as the face made it.
        identity: who has logged in; of a refused login the name that was claimed, or "". Escape it.
        mechanism: such as "SCRAM-SHA-256-PLUS"; "" where none was begun.
        reason: of its end: "logged out", "cut" (a right was taken away), "superseded" (the same client has
            logged in again), "released" (the client has dropped it) or "lost" (with the connection); else "".
    """

    connection: Any
    identity: str
    mechanism: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AttachmentEvent:
    """A perspective that somebody has logged in to attach, at this side; its end, or that it was refused.

    Attributes:
        connection: as the face made it.
        identity: who has logged in.
        service, perspective: which one; where it was refused as they were asked for, at most 128 characters
            each and "" for none. Escape them.
    """

    connection: Any
    identity: str
    service: str
    perspective: str


BOTH: Final[frozenset[Side]] = frozenset(("caller", "callee"))


class Hooks:
    """Be told what happens; derive from it and override what you want to know. Every method does nothing.

    They are called in the thread of the loop, in the middle of the work, so be quick. What a hook raises is
    logged and changes nothing. Which methods are overridden is looked up when a connection is made, and
    nothing is paid for the others.

    Attributes:
        sides: whose calls are told, "caller" those that are made here and "callee" those that are served
            here; whoever needs only one says so, and pays nothing for the other.
    """

    sides: frozenset[Side] = BOTH

    def connection_opened(self, connection: Any) -> None:
        """The peer has said HELLO: calls can be made."""

    def connection_closed(self, connection: Any, reason: str) -> None:
        """A connection that was opened has ended. The reason may hold text of the peer's, escaped."""

    def call_started(self, call: CallEvent) -> None:
        """A call is made here, or has arrived. `call.trace` may be replaced."""

    def around(self, call: CallEvent) -> AbstractContextManager[Any] | None:
        """Return what is entered while the method is started; what it sets in contextvars, the method sees.

        At the callee only. A method that waits goes on in a copy of that context.
        """
        return None

    def call_ended(self, call: CallEvent) -> None:
        """A call has its outcome."""

    def bytes_received(self, connection: Any, count: int) -> None:
        """So many bytes were read, of whatever messages."""

    def bytes_sent(self, connection: Any, count: int) -> None:
        """So many bytes are written."""

    def reference_given(self, reference: ReferenceEvent) -> None:
        """The peer holds an object of ours from now on."""

    def reference_returned(self, reference: ReferenceEvent) -> None:
        """The peer holds it no longer: released, revoked, or the connection has ended."""

    def reference_received(self, reference: ReferenceEvent) -> None:
        """An object of the peer's is held here from now on."""

    def reference_dropped(self, reference: ReferenceEvent) -> None:
        """It is held no longer; of what ends with the connection only `connection_closed` tells."""

    def logged_in(self, login: LoginEvent) -> None:
        """Somebody has logged in at this side."""

    def login_refused(self, login: LoginEvent) -> None:
        """A login at this side was refused."""

    def logged_out(self, login: LoginEvent) -> None:
        """A login at this side has ended, however it did: `login.reason`. Once for each `logged_in`."""

    def attached(self, attachment: AttachmentEvent) -> None:
        """Somebody was given a perspective."""

    def attach_refused(self, attachment: AttachmentEvent) -> None:
        """Somebody was not given a perspective."""

    def detached(self, attachment: AttachmentEvent) -> None:
        """An attachment has ended, however it did. Once for each `attached`."""


def names_of(scope: Any) -> tuple[str, str, str]:
    """Return identity, service and perspective of a scope, "" where there is none. Never fails."""
    perspective = scope.perspective
    if perspective is None:
        return scope.names or (scope.identity, "", "")
    try:
        name = str(getattr(perspective, "perspective_name", ""))
        service = str(getattr(getattr(perspective, "service", None), "name", ""))
    except Exception:  # it may be any object of the program, and who is told of others must be told still
        name = service = ""
    return scope.identity, service, name or type(perspective).__name__
