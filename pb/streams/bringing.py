"""Streams of this side that go with a call: where one fails here, whoever made that call is told so.

The peer learns no more of it than of any failure here, an incident; what it answers then points at its own
log, which says no more. Spec: spec/10-streams.md, END.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from ..errors import ConnectionLost
from ..stream import RemoteStream
from .producer import Producer

if TYPE_CHECKING:
    from ..calling.calls import Calls

_LIBRARY: Final = "pb."


def bring(
    calls: Calls,
    id: int,
    fresh: Iterable[object],
    method: str,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> None:
    """Note which call the streams go with that its payload has announced."""
    for row in fresh:
        if isinstance(row, Producer) and not isinstance(row.value, RemoteStream):
            row.failed = partial(blame, calls, id, f"{_place_of(row.value, args, kwargs)} of {method}")


def _place_of(value: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    for number, each in enumerate(args):
        if each is value:
            return f"that was argument {number}"
    for name, each in kwargs.items():
        if each is value:
            return f"that was argument {name!r}"
    return "in an argument"


def blame(calls: Calls, id: int, what: str, error: BaseException) -> None:
    """Keep why a stream has failed for the outcome of its call, unless that is there already."""
    found = calls.pending.get(id)
    if found is not None:
        outcome, scope = found
        calls.pending[id] = (Blamed(calls, outcome, what, error), scope)


class Blamed:
    """Where the answer of a call comes that brought a stream which has failed.

    It takes the place of the outcome, so that calls without such a stream pay nothing for it.
    """

    __slots__ = ("_calls", "_error", "_what", "outcome")

    def __init__(self, calls: Calls, outcome: Any, what: str, error: BaseException) -> None:
        self._calls = calls
        self.outcome = outcome
        self._what = what
        self._error = error

    def done(self) -> bool:
        """Return whether nobody waits for the outcome any longer."""
        return bool(self.outcome.done())

    def set_result(self, value: object) -> None:
        """Take the value: the callee has made do with what had come."""
        self._calls.deadlines.discard(self.outcome)
        self.outcome.set_result(value)

    def set_exception(self, error: BaseException) -> None:
        """Take the error, and say where it comes from."""
        self._calls.deadlines.discard(self.outcome)
        if not isinstance(error, ConnectionLost):
            why = self._error
            # Not by str(): that of a class of the program's may raise.
            text = traceback.format_exception_only(why)[-1].strip()
            error.add_note(f"the stream {self._what} failed here: {text}")
            if error.__cause__ is None:
                error.__cause__ = why.with_traceback(_without_library(why.__traceback__))
        self.outcome.set_exception(error)


def _without_library(trace: TracebackType | None) -> TracebackType | None:
    """Return where the program's own part begins: the frames before it know the connection."""
    while trace is not None and str(trace.tb_frame.f_globals.get("__name__")).startswith(_LIBRARY):
        trace = trace.tb_next
    return trace
