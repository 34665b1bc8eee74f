"""Calls that must be over by a certain time: one timer per connection, whatever their number.

Spec: spec/3-messages.md, "Deadlines".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Final

from jelly._article import a

# Calls that are due within so long after another are ended together with it.
_GRAIN_S: Final = 0.005
_NEVER: Final = math.inf


def seconds_of(seconds: float, name: str) -> float:
    """Return how long a caller gives, if it is a length of time; 0 and less are: the time is over.

    Args:
        name: of the function that was called, for the error.

    Raises:
        TypeError: it is no number.
        ValueError: it is not finite.
    """
    if not isinstance(seconds, Real):
        raise TypeError(f"{name}() takes seconds, not {a(type(seconds).__name__)}")
    if not math.isfinite(seconds):
        raise ValueError(f"{name}() takes a finite number of seconds, not {seconds}; for ever is without it")
    return seconds


class Deadlines:
    """What is to be ended, and when, on one connection.

    Args:
        clock: monotonic seconds.
        wake_at: asks the face to call `sweep` at a time.

    Attributes:
        due: when each call is due, and what ends it.
    """

    __slots__ = ("_clock", "_wake_at", "_wakes_at", "due")

    def __init__(self, clock: Callable[[], float], wake_at: Callable[[float], None]) -> None:
        self._clock = clock
        self._wake_at = wake_at
        self._wakes_at = _NEVER
        self.due: dict[object, tuple[float, Callable[[], None]]] = {}

    def __len__(self) -> int:
        return len(self.due)

    def left_s(self, at: float) -> float:
        """Return how long it is until a time; not more than 0 where it has passed."""
        return at - self._clock()

    def after(self, seconds: float) -> float:
        """Return the time that is so far ahead."""
        return self._clock() + seconds

    def add(self, call: object, at: float, end: Callable[[], None]) -> None:
        """End a call at a time; a call that is there already gets the new time."""
        self.due[call] = at, end
        if at < self._wakes_at:
            self._wakes_at = at
            self._wake_at(at)

    def discard(self, call: object) -> None:
        """Forget a call: it is over."""
        self.due.pop(call, None)

    def sweep(self) -> None:
        """End what is due, and ask to be called again for what is not.

        And at once for what is left where that takes its time: to end a call that waited is to read it first.
        """
        until = self._clock() + _GRAIN_S
        self._wakes_at = _NEVER
        for call, (at, end) in list(self.due.items()):
            if at <= until and self.due.pop(call, None) is not None:
                end()
                if self._clock() > until:
                    break
        if self.due:
            self._wakes_at = min(at for at, _ in self.due.values())
            self._wake_at(self._wakes_at)
