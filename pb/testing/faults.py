"""What is to go wrong with one direction of a `Network`: settings, which the relay looks at as it goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .wire import Ending

__all__ = ["DIRECTIONS", "Direction", "Faults"]

# As seen by the client: its own bytes go up.
Direction = Literal["up", "down"]
DIRECTIONS: tuple[Direction, ...] = ("up", "down")


@dataclass
class Faults:
    """The weather in one direction, for all connections of a network.

    Attributes:
        is_held: nothing passes for now, not even an end; it is not lost.
        is_dark: nothing passes any more, and nobody is told.
        delay_s, jitter_s: each piece takes so long, and up to so much longer.
        bytes_per_s: no faster than this; 0.0 is no bound.
        segment: pieces of at most so many bytes arrive one by one; 0: as they come.
        is_random: each piece has a random size up to `segment`.
        cut_after, ending: so many bytes of each connection pass, and then it ends like this; None: all pass.
        flips: bits of each connection that arrive wrong, counted from its beginning.
    """

    is_held: bool = False
    is_dark: bool = False
    delay_s: float = 0.0
    jitter_s: float = 0.0
    bytes_per_s: float = 0.0
    segment: int = 0
    is_random: bool = False
    cut_after: int | None = None
    ending: Ending = "fin"
    flips: list[int] = field(default_factory=list)

    def flipped(self, data: bytes, start: int) -> bytes:
        """Return data that begins at byte `start` of a connection, as it arrives."""
        first, last = 8 * start, 8 * (start + len(data))
        wrong = [bit - first for bit in self.flips if first <= bit < last]
        if not wrong:
            return data
        changed = bytearray(data)
        for bit in wrong:
            changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)
