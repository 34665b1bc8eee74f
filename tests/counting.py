"""How much is done, in calls of functions or in lines: the same on every machine, whatever else it does.

What C does within one call is not seen; a bound on that belongs into tests/bench.
"""

from __future__ import annotations

import sys
from collections.abc import Callable


def calls_in(action: Callable[..., object], *arguments: object) -> int:
    """Run an action and return how many functions, of Python and of C, were called meanwhile."""
    calls = 0

    def note(frame: object, event: str, about: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        action(*arguments)
    finally:
        sys.setprofile(None)
    return calls


def lines_in(action: Callable[..., object], *arguments: object) -> int:
    """Run an action and return how many lines of Python were run meanwhile, each turn of a loop anew."""
    lines = 0

    def note(frame: object, event: str, about: object) -> object:
        nonlocal lines
        lines += event == "line"
        return note

    before = sys.gettrace()
    sys.settrace(note)
    try:
        action(*arguments)
    finally:
        sys.settrace(before)
    return lines
