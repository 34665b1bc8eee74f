"""The errors of the broker, as Python classes and as wire types.

Spec: spec/5-errors.md; `WIRE_ERRORS` is compared with spec/registry.md by a test.

Three families, told apart by what the caller may do:

* `RemoteError` and its subclasses: the peer ran the call, or decided about it, and said no.
* `ConnectionLost` and its subclasses: there was no answer; `NotExecuted` is safe to try again.
* `ProtocolError`: the peer broke the protocol; the connection is closed.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import jelly

from . import messages


class Error(Exception):
    """Base of every error of this package, and of errors that a service raises on purpose.

    An exception derived from it crosses the wire where its own class is registered: with its text, its args,
    and the attributes that are annotated in the class. No `__init__` runs on arrival.

        @registry.copyable("jobs.JobFailed")
        class JobFailed(pb.Error):
            job: str            # without this it would arrive without: the log of the sender says so
            step: int

            def __init__(self, job: str, step: int) -> None:
                super().__init__(f"{job} failed at step {step}")
                self.job, self.step = job, step

    One of a class that is not registered arrives as `pb.Internal`, also where a base of it is.
    """


class RemoteError(jelly.RemoteError, Error):
    """An error that the peer answered and whose class is not registered here.

    Attributes (read-only):
        remote_type: the wire type, such as `"bank.Overdrawn"`, or `"pb.Internal"`.
        message: the text the peer sent, not escaped; str() of the error is.
        incident: for `"pb.Internal"` the id under which the peer's log has the details; else None.
    """

    def __str__(self) -> str:
        text = super().__str__()
        if not self.incident:
            return text
        return f"{text}; incident {printable(self.incident)} in the peer's log"

    @property
    def incident(self) -> str | None:
        """Return the id under which the peer logged what happened, or None."""
        if isinstance(self.data, dict):
            incident = self.data.get("ref")
            if type(incident) is str:
                return incident
        return None


class PeerError(Error):
    """Base of the refusals that the protocol itself defines."""

    wire_type: str = "pb.Error"
    is_of_own_call = False  # whether a call that this side made ended with it
    _stays_here = frozenset({"wire_type", "is_of_own_call"})  # of a class derived from it, too

    @property
    def remote_type(self) -> str:
        """Return the wire type of this error."""
        return self.wire_type


class NoSuchObject(PeerError):
    """The target of the call is no object of the peer's (any longer). Get a new reference."""

    wire_type = "pb.NoSuchObject"


class NoSuchMethod(PeerError):
    """The object publishes no method of that name."""

    wire_type = "pb.NoSuchMethod"


class BadArguments(PeerError):
    """The arguments do not fit the signature of the method; it was not run."""

    wire_type = "pb.BadArguments"


class BadPayload(PeerError, jelly.InsecureJelly):
    """A value was well-formed but not acceptable to its receiver; the method was not run."""

    wire_type = "pb.BadPayload"


class Unregistered(PeerError, jelly.InsecureJelly):
    """A value is of a class that its receiver has not registered; the method was not run."""

    wire_type = "pb.Unregistered"


class TooLarge(PeerError):
    """A value or a table would exceed a limit of the receiver. Send less, or raise the limit there."""

    wire_type = "pb.TooLarge"


class Busy(PeerError):
    """The peer already serves as many calls as it takes; this one was not run and may be retried."""

    wire_type = "pb.Busy"


class Unsupported(PeerError):
    """The receiver has not got the feature that the value or call needs."""

    wire_type = "pb.Unsupported"


class Forbidden(PeerError):
    """Policy refuses this: it is not a matter of trying again."""

    wire_type = "pb.Forbidden"


class Cancelled(PeerError):
    """The callee stopped the call because it was asked to."""

    wire_type = "pb.Cancelled"


class DeadlineExceeded(PeerError, TimeoutError):
    """The time given to the call ran out; what it had done by then stays done."""

    wire_type = "pb.DeadlineExceeded"


class Gone(PeerError):
    """The object was revoked: the reference, and whatever was handed out under it, is dead.

    Also where something in the result is dead, as the text says: `pb.is_live(reference)` of what was called.
    """

    wire_type = "pb.Gone"


class NotPipelinable(PeerError):
    """The result that a pipelined call was aimed at is not an object of the callee's."""

    wire_type = "pb.NotPipelinable"


class BrokenPromise(PeerError):
    """The call whose result this one was aimed at has failed; `__cause__` is that failure."""

    wire_type = "pb.BrokenPromise"


class LoginFailed(PeerError):
    """The login was refused; the reason is deliberately not told."""

    wire_type = "pb.LoginFailed"


WIRE_ERRORS: Final[dict[str, type[Error]]] = {
    "pb.Error": Error,
    **{
        error.wire_type: error
        for error in (
            NoSuchObject,
            NoSuchMethod,
            BadArguments,
            BadPayload,
            Unregistered,
            TooLarge,
            Busy,
            Unsupported,
            Forbidden,
            Cancelled,
            DeadlineExceeded,
            Gone,
            NotPipelinable,
            BrokenPromise,
            LoginFailed,
        )
    },
    # Every unregistered exception arrives as this type; it has no class of its own, so that nobody
    # catches "something went wrong over there" by accident instead of reading the incident id.
    "pb.Internal": RemoteError,
}


class ConnectionLost(Error, ConnectionError):
    """The connection ended before the answer came; see the two subclasses for what that means."""


class NotExecuted(ConnectionLost):
    """The call certainly did not run. It is safe to make it again on a new connection."""


class DeadReference(NotExecuted):
    """The reference belongs to a connection that has ended, or was released. Get a new one."""


class OutcomeUnknown(ConnectionLost):
    """The call was sent and the connection ended before its answer: it may or may not have run."""


class ForkedConnection(Error, RuntimeError):
    """The connection belongs to the process from which this one was forked. Open another one here."""


class ProtocolError(Error):
    """The peer broke the protocol; the connection is closed with the BYE code it carries.

    Args:
        text: what was found and what was expected. Sent to the peer, so it never holds its values.
        code: the BYE code, `pb.messages.BYE_PROTOCOL` unless told.
    """

    def __init__(self, text: str, code: int = messages.BYE_PROTOCOL) -> None:
        super().__init__(text)
        self.code = code


def build_registry(*, with_base: bool) -> jelly.Registry:
    """Return a registry that admits the errors of the protocol itself.

    Every broker includes it, so that `except pb.NoSuchMethod` works without a word from the user.

    Args:
        with_base: whether `Error` itself is in it. It is for sending; received, it would take the place of
            every error of an application that is derived from it and not registered here, and its name.
    """
    registry = jelly.Registry()
    registry.include(_own_errors(with_base))
    return registry


@cache  # 4 ms to plan, the same each time, and wanted twice for each Codec
def _own_errors(with_base: bool) -> jelly.Registry:
    registry = jelly.Registry()
    for name, error in WIRE_ERRORS.items():
        if error is not RemoteError and (with_base or error is not Error):
            registry.add(error, name, fields=None if error is Error else ())
    registry.freeze()
    return registry


def printable(text: str) -> str:
    """Return a peer's text fit for a log line: one line, escaped, at most 200 characters."""
    return jelly.printable(text[:200])[:200]
