"""What can go wrong between values and bytes.

Knows nothing of calls or connections; spec/errors.md names the wire types.
"""

from __future__ import annotations

from collections.abc import Sequence

from ._words import printable


class JellyError(Exception):
    """Stand above every error of this package."""


class Unjellyable(JellyError):
    """Say that a value cannot be sent, where it stands, and what would admit it.

    Raised at the sender, before a byte is written. References counted for the payload are given back.

    Attributes:
        steps: the way to the value from the outermost container, such as ("[0]", "['x']"), where it is known.
        problem: what it is and what would admit it, which is the text of this error without the place.
    """

    steps: tuple[str, ...] = ()
    problem: str = ""


class Oversized(Unjellyable):
    """Say that a payload is larger, or nests deeper, than its receiver takes. Send less, or in pieces."""


class InsecureJelly(JellyError):
    """Say that a payload was understood and is refused.

    Ends one call, not the connection: the payload was decoded to its end, so its references count.

    Args:
        wire_type: the name under which the refusal is reported to the peer; None for that of the class.
    """

    wire_type: str = "pb.BadPayload"

    def __init__(self, message: str = "", wire_type: str | None = None) -> None:
        super().__init__(message)
        if wire_type is not None:
            self.wire_type = wire_type


class MalformedJelly(JellyError):
    """Say that bytes are no payload at all; their references cannot be counted, so the connection ends.

    Args:
        too_large: True when a limit was exceeded (BYE 5), False for bad data (BYE 4).
    """

    def __init__(self, message: str = "", too_large: bool = False) -> None:
        super().__init__(message)
        self.too_large = too_large


class RemoteError(Exception):
    """Stand for an error of the peer whose class is not registered here.

    str() of it is one line, fit for a log and a terminal; the attributes hold what the peer sent, as it is.

    Attributes:
        remote_type: the wire name of its class, chosen by the peer: compare it, never look it up.
        message: the peer's text, at most 4 KiB, not escaped: `jelly.printable` does that.
        bases: wire names of its base classes, nearest first.
        data: what the peer sent of its state, or None.
        trace: the peer's traceback, or None, which is the rule; an uncaught error shows it, escaped.
        cause: the error that caused it, or None. Also set as __cause__.
        notes: lines added to it with add_note().
    """

    def __init__(
        self,
        remote_type: str,
        message: str = "",
        *,
        bases: Sequence[str] = (),
        data: object = None,
        trace: str | None = None,
        cause: BaseException | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        super().__init__(remote_type, message)
        self.remote_type = remote_type
        self.message = message
        self.bases = tuple(bases)
        self.data = data
        self.trace = trace
        self.cause = cause
        self.notes = tuple(notes)
        self.__cause__ = cause
        if trace:
            lines = [f"  peer: {printable(line)}" for line in trace.splitlines()]  # none looks like ours
            self.add_note("\n".join(["the traceback at the peer:", *lines]))

    def __str__(self) -> str:
        return printable(f"{self.remote_type}: {self.message}" if self.message else self.remote_type)
