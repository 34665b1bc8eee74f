"""How often something may be logged that anybody can cause without end who has no connection yet.

It is another bound than `pb.bounds.log_bound`. That counts for one connection, whose lines take no other's
place, and at whose end it can be said what was left out. A listener has no such end, and all who are at its
door share what may be written: so lines come back one by one, and each says how many were left out before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_AT_ONCE: Final = 20
_PER_S: Final = 1.0


class Sparing:
    """Some lines at once, and so many a second for ever.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left = float(_AT_ONCE)
        self._at = clock()
        self._omitted = 0

    def may_log(self) -> bool:
        """Whether there is room for one more line, which is then taken."""
        now = self._clock()
        self._left = min(_AT_ONCE, self._left + (now - self._at) * _PER_S)
        self._at = now
        if self._left < 1:
            self._omitted += 1
            return False
        self._left -= 1
        return True

    def omitted(self) -> str:
        """Return what a line adds about those that were left out before it."""
        count, self._omitted = self._omitted, 0
        return f" ({count} more like this were not logged)" if count else ""
