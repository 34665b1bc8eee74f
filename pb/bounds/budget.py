"""What a peer may ask for although it could know that nothing comes of it: a budget per connection.

One that asks on and on in that way is closed. Spec: spec/6-limits.md, "Useless requests".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from .. import messages
from ..errors import ProtocolError

if TYPE_CHECKING:
    from ..limits import Limits


class Budget:
    """The useless requests that one peer may still make.

    Args:
        clock: monotonic seconds.
        limits: `useless_requests` at once beside `max_calls`, and `useless_per_s` for ever.

    Attributes:
        is_in_force: not for strangers, whose every byte is counted.
    """

    __slots__ = ("_at", "_clock", "_earned", "_full", "_left", "_per_s", "is_in_force")

    def __init__(self, clock: Callable[[], float], limits: Limits) -> None:
        self._clock = clock
        # Whatever is outstanding may be cancelled at once, just when its answers are on their way.
        self._full = self._left = float(limits.useless_requests + limits.max_calls)
        self._per_s = limits.useless_per_s
        self._at = 0.0
        self._earned = 0
        self.is_in_force = True

    @property
    def most(self) -> int:
        """How many may be made at once."""
        return int(self._full)

    def spent(self, earned: int) -> int:
        """Return how many of these the peer cannot make now. Argument as of `draw`."""
        left = self._left + (earned - self._earned) + (self._clock() - self._at) * self._per_s
        return max(0, math.ceil(self._full - left)) if self.is_in_force else 0

    def draw(self, earned: int, why: str) -> None:
        """Count one request.

        Args:
            earned: how many calls gave 1 back so far. Counted elsewhere, and only looked at here, so that a
                call costs one addition.

        Raises:
            ProtocolError: nothing is left; the connection ends.
        """
        if not self.is_in_force:
            return
        now = self._clock()
        left = self._left + (earned - self._earned) + (now - self._at) * self._per_s
        self._left = min(left, self._full) - 1
        self._at = now
        self._earned = earned
        if self._left < 0:
            raise ProtocolError(
                f"too many useless requests, the last of them {why}: more than {self._full:.0f} at once, the "
                f"limits useless_requests and max_calls, and {self._per_s:g} a second",
                messages.BYE_LIMIT,
            )
