"""Hooks: what a program is told of its connections, calls, references and logins while they happen.

Give an object as `hooks=` where connections are made or awaited. Without one nothing of this is there, and
nothing is paid for it. Never told are arguments, results and texts of errors. See docs/observing.md.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from .tracing import Trace

Outcome = Literal["", "answered", "sent", "failed", "refused", "cancelled", "expired", "lost"]


@dataclass(eq=False, slots=True, repr=False)
class CallEvent:
    """One call, on one side. The same object is told at the start, at the end and in between.

    Attributes:
        side: "caller" or "callee".
        connection: as the face made it: `connection.peer` says who is at the other end.
        identity, service, perspective: on whose behalf it is made; "" where that is nobody's.
        kind: of the object: "remote", "perspective", "view", "proxy"; "" at the caller, or for none.
        type: the class of the object, at the callee; "" at the caller, who does not know it.
        object_id: its id on this connection; the owner's. 0 is the root.
        method: its name; at most 128 characters of what the peer sent, so escape it where it is shown.
        call_id: that of the call on this connection and in its direction; 0 where no answer is wanted, and
            as long as it waits for its turn.
        bytes_in, bytes_out: of the two payloads, arguments and answer, as seen from this side.
        started_at, ended_at: as the clock of the connection counts, in seconds; it is monotonic.
        outcome: "" as long as it runs. "answered"; "sent": no answer was wanted, and here the caller's part
            is over; "failed" by an error of the method; "refused": it was not run; "cancelled"; "expired";
            "lost": with the connection.
        error_type: the registered name of the error, such as "pb.NoSuchMethod"; else the name of its class.
        incident: under which the callee's log has an internal error.
        trace: that of the caller. A hook may put another in its place in `call_started`: at the caller that
            one is sent, at the callee that one is inherited by what the method calls.
        parent: at the caller, the call that was being served when this one was made; None for none.
    """

    side: Literal["caller", "callee"]
    connection: Any
    method: str
    started_at: float
    identity: str = ""
    service: str = ""
    perspective: str = ""
    kind: str = ""
    type: str = ""
    object_id: int = 0
    call_id: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    ended_at: float = 0.0
    outcome: Outcome = ""
    error_type: str = ""
    incident: str = ""
    trace: Trace | None = None
    parent: CallEvent | None = None
    _goes_on: bool = False

    @property
    def seconds(self) -> float:
        """How long it took; 0 as long as it runs."""
        return self.ended_at - self.started_at if self.outcome else 0.0

    def __repr__(self) -> str:
        return f"<CallEvent {self.side} {self.method[:128]!a} {self.outcome or 'runs'}>"


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
    """A login at this side, or one that was refused.

    Attributes:
        connection: as the face made it.
        identity: who has logged in; of a refused login the name that was claimed, or "". Escape it.
        mechanism: such as "SCRAM-SHA-256-PLUS"; "" where none was begun.
    """

    connection: Any
    identity: str
    mechanism: str


class Hooks:
    """Be told what happens; derive from it and override what you want to know. Every method does nothing.

    They are called in the thread of the loop, in the middle of the work, so be quick. What a hook raises is
    logged and changes nothing.
    """

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
