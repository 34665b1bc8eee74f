"""Telling the author of a program that an error is sent as less than it is: once for each class.

The error itself goes on its way, for its caller must not take it for another. spec/5-errors.md 5.2.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Final

from ._words import printable

_MAX_NAMED: Final = 8


def _warn(text: str, error: BaseException) -> None:
    warnings.warn(text, stacklevel=2)


class Losses:
    """What errors were sent without, of which class.

    Args:
        tell: called with a text and the error. By default a UserWarning.
    """

    __slots__ = ("_tell", "_told")

    def __init__(self, tell: Callable[[str, BaseException], object] = _warn) -> None:
        self._tell = tell
        self._told: set[tuple[type, str]] = set()

    def note(self, error: BaseException, what: str, why: str) -> None:
        """Say that an error was sent without its args, attributes or data, unless that was said already."""
        cls = type(error)
        if (cls, what) not in self._told:
            self._told.add((cls, what))
            self._tell(f"{cls.__qualname__} errors arrive without their {what}{why}", error)


def unsent(names: Sequence[str]) -> str:
    """Name the attributes that stay behind, and say what to do."""
    shown = ", ".join(printable(name[:80]) for name in names[:_MAX_NAMED])
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    first = printable(names[0].lstrip("_")[:80])
    return (
        f": {shown}{more}. Only args and fields cross: annotate in the class what is to ({first}: ...), "
        "or register it with fields=[...], which is fields=[] if it is nothing else"
    )
