"""How many connections may be there that have not logged in. Spec: spec/6-limits.md.

Above the first bound some are refused by chance, so that a flood cannot take all places from those who have
a reason to come.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from typing import Final

from pb.errors import Forbidden

FREE: Final = 64
FULL: Final = 256
DROP_PERCENT: Final = 30
MOST_OF_ONE_SOURCE: Final = 16


class Strangers:
    """Count them, for one server.

    Args:
        chance: returns a number from 0 to below its argument.
    """

    def __init__(self, chance: Callable[[int], int] = secrets.randbelow) -> None:
        self._chance = chance
        self._sources: Counter[str] = Counter()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def enter(self, source: str) -> Callable[[], None]:
        """Count one more, and return what counts it out: when it has logged in, or has gone.

        Args:
            source: "" where the bound for one source does not apply: on this machine, and for one that is
                trusted.

        Raises:
            Forbidden: there are too many already.
        """
        if source and self._sources[source] >= MOST_OF_ONE_SOURCE:
            raise Forbidden(f"{MOST_OF_ONE_SOURCE} connections from {source} have not logged in yet")
        if self._count >= FULL:
            raise Forbidden(f"{FULL} connections have not logged in yet")
        if self._count >= FREE:
            # From DROP_PERCENT at the first bound to all at the second.
            percent = DROP_PERCENT + (100 - DROP_PERCENT) * (self._count - FREE) // (FULL - FREE)
            if self._chance(100) < percent:
                raise Forbidden(f"{self._count} connections have not logged in yet; dropped by chance")
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
