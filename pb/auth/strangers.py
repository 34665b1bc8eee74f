"""How many connections may be there that have not logged in. Spec: spec/6-limits.md.

Above the first bound some are refused by chance, so that a flood cannot take all places from those who have
a reason to come.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from typing import Final

from cred.throttle import STRANGERS, STRANGERS_OF_SOURCE
from pb.bounds.crowded import Crowded

FREE, FULL = STRANGERS
MOST_OF_ONE_SOURCE: Final = STRANGERS_OF_SOURCE
DROP_PERCENT: Final = 30


class Strangers:
    """Count them, for one server.

    Args:
        chance: returns a number from 0 to below its argument.
        bounds: how many before some are dropped by chance, and at most.
    """

    def __init__(
        self, chance: Callable[[int], int] = secrets.randbelow, bounds: tuple[int, int] = STRANGERS
    ) -> None:
        self._chance = chance
        self._free, self._full = bounds
        self._sources: Counter[str] = Counter()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def enter(self, source: str, most: int | None = MOST_OF_ONE_SOURCE) -> Callable[[], None]:
        """Count one more, and return what counts it out: when it has logged in, or has gone.

        Args:
            source: "" for those in this very process.
            most: how many from one source; None: as many as in all.

        Raises:
            Crowded: there are too many already.
        """
        if source and most is not None and self._sources[source] >= most:
            raise Crowded(f"{most} connections from {source} have not logged in yet; try again soon")
        if self._count >= self._full:
            raise Crowded(f"{self._full} connections have not logged in yet; try again soon")
        if self._count >= self._free:
            # From DROP_PERCENT at the first bound to all at the second.
            over, room = self._count - self._free, self._full - self._free
            if self._chance(100) < DROP_PERCENT + (100 - DROP_PERCENT) * over // room:
                text = "connections have not logged in yet; dropped by chance, try again soon"
                raise Crowded(f"{self._count} {text}")
        self._count += 1
        self._sources[source] += 1
        left = False

        def leave() -> None:
            nonlocal left
            if left:
                return
            left = True
            self._count -= 1
            self._sources[source] -= 1
            if not self._sources[source]:
                del self._sources[source]

        return leave
