"""When asynchronous methods begin: not so many in one turn of the loop that others wait for them.

A turn ends when its time is over, and plain methods run in it. What asynchronous ones do before they first
wait runs behind it, all in one go: here it is given the same time. Spec: spec/6-limits.md, PB-L6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..limits import Limits
    from .running import Served


class Pacing:
    """What `Serving` knows of calls whose task is there and has not begun.

    Attributes:
        beginning: how many there are. One alone looks at no clock.
    """

    __slots__ = ("_until", "_yields", "beginning")

    if TYPE_CHECKING:
        base: Any
        limits: Limits

    def __init__(self) -> None:
        self.beginning = 0
        self._until = 0.0  # when the time is over that began with the first of them; 0: it has not begun
        self._yields = False  # whether the time is over, and others have their turn

    def expect(self) -> None:
        """Count one whose task is about to be made."""
        self.beginning += 1
        if not self._yields:
            self._until = 0.0

    @property
    def is_late(self) -> bool:
        """Whether others are to have their turn before the next one begins."""
        now: float = self.base.broker.face.clock()
        if not self._until:
            self._until = now + self.limits.turn_s
        return now >= self._until

    async def give_way(self, served: Served) -> None:
        """Let others have their turn. Tasks go on in the order in which they gave way, so calls do too."""
        try:
            while self.is_late:
                is_first, self._yields = not self._yields, True
                try:
                    await self.base.broker.face.sleep(0)
                finally:
                    if is_first:
                        self._yields = False
                        self._until = 0.0
        except BaseException:  # the program stops its tasks
            self.beginning -= 1
            served.drop()
            raise
