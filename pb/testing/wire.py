"""One direction of a `Pump`: what is under way, and where it is cut. Bytes only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from random import Random

__all__ = ["Ending", "Wire"]

Ending = Literal["fin", "rst"]


class Wire:
    """Bytes that were written by one side and not yet read by the other.

    Args:
        cut_after: so many bytes arrive, and then the end; None: all of them.
        ending: how it ends there: "fin", after which the reader still gets its own answers through, or "rst",
            by which both sides lose what is under way.

    Attributes:
        arrived: all that the reader has got.
    """

    def __init__(self, cut_after: int | None = None, ending: Ending = "fin") -> None:
        self.cut_after = cut_after
        self.ending: Ending = ending
        self.arrived = bytearray()
        self._under_way = bytearray()

    @property
    def is_cut(self) -> bool:
        """Whether the end was reached: nothing arrives any longer."""
        return self.cut_after is not None and len(self.arrived) >= self.cut_after

    def write(self, data: bytes) -> None:
        """Take what a side writes."""
        if not self.is_cut:
            self._under_way += data

    def end(self) -> None:
        """Let what is under way arrive, and then the end, unless it is cut before."""
        end = len(self.arrived) + len(self._under_way)
        if self.cut_after is None or end < self.cut_after:
            self.cut_after, self.ending = end, "fin"

    def read(self, chance: Random | None = None) -> bytes:
        """Return what arrives now: all there is, or as much as chance will have it."""
        size = len(self._under_way)
        if chance is not None and size:
            size = chance.randint(0, size)
        if self.cut_after is not None:
            size = min(size, self.cut_after - len(self.arrived))
        data = bytes(self._under_way[:size])
        del self._under_way[:size]
        self.arrived += data
        if self.is_cut:
            self._under_way.clear()
        return data

    def drop(self) -> None:
        """Lose what is under way."""
        self._under_way.clear()

    @property
    def is_busy(self) -> bool:
        """Whether anything is under way."""
        return bool(self._under_way)
