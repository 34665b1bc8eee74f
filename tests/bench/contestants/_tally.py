"""What the client's side of fan-out counts, the same for all: a change is complete when all have it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

# Every number takes as many bytes as any other.
FIRST_NUMBER = 100_000


class Tally:
    """Counts who was told of which change."""

    def __init__(self, observers: int) -> None:
        self._observers = observers
        self._numbers = count(FIRST_NUMBER)
        self._last = 0
        self._missing: dict[int, int] = {}
        self._complete: dict[int, Callable[[None], object]] = {}

    def expect(self, complete: Callable[[None], object]) -> int:
        """Return the number of a new change; complete(None) is called when all have been told of it."""
        self._last = number = next(self._numbers)
        self._missing[number] = self._observers
        self._complete[number] = complete
        return number

    def take(self, number: int) -> None:
        """Count one delivery."""
        missing = self._missing[number] - 1
        if missing:
            self._missing[number] = missing
        else:
            del self._missing[number]
            self._complete.pop(number)(None)

    def check(self, told: list[int]) -> None:
        """See that nothing is missing and that the last change was the last that everybody heard of."""
        assert not self._missing, f"{len(self._missing)} changes are not complete"
        assert told == [self._last] * self._observers, f"told last: {sorted(set(told))}, not {self._last}"
