"""The errors of calls that this side has made: whoever passes one on is asked about it himself.

Spec: spec/5-errors.md.
"""

from __future__ import annotations

import contextlib
import inspect
from types import FrameType, TracebackType
from typing import Final, TypeVar

from ..errors import PeerError

AnyError = TypeVar("AnyError", bound=BaseException)

_OURS: Final = frozenset({"jelly", "pb"})
_HALTS: Final = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def of_own_call(error: AnyError) -> AnyError:
    """Mark an error that ends a call of this side: where a handler lets it pass, it is that handler's own."""
    if isinstance(error, PeerError):
        error.is_of_own_call = True
    return error


def freed(error: AnyError) -> AnyError:
    """Let an error that was caught here, and ends a call, know none of the functions of ours it went through.

    They know who waits for the call, who knows the error: a ring, with all that the call was to send. What
    the program needs stays: its own functions, from the first one on, and the errors that are the cause.
    Those frames lead back to whoever called them, so ours are emptied too.
    """
    was_raised_here = error.__traceback__ is not None
    seen: set[int] = set()
    chain: list[BaseException | None] = [error]
    while chain:
        found = chain.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        chain += found.__cause__, found.__context__
        found.__traceback__ = _from_others_on(found.__traceback__)
    if was_raised_here and error.__traceback__ is None and error.__suppress_context__:
        error.__context__ = None  # nobody is shown it
    return error


def _from_others_on(traceback: TracebackType | None) -> TracebackType | None:
    """Empty the functions of ours with which a traceback begins; return what is left of it."""
    while traceback is not None and _is_ours(traceback.tb_frame):
        frame, traceback = traceback.tb_frame, traceback.tb_next
        if not frame.f_code.co_flags & _HALTS:  # which may have gone on, and would be ended by it
            with contextlib.suppress(RuntimeError):  # one that runs: it is the one that has caught the error
                frame.clear()
    return traceback


def _is_ours(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__")
    return type(name) is str and name.partition(".")[0] in _OURS
