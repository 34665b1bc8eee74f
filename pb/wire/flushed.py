"""Whose output is about to be taken, and whether it is worth while to wait for more.

One for all connections of a loop, of which it knows nothing. Spec: none; it is how many writes there are.
"""

from __future__ import annotations

from typing import Any, Final

# Of ten changes under way one is easily told by itself, the other nine in the next turn, and so on: one such
# turn says nothing. To believe it cost a tenth of the speed of `fan-out-ahead` (tests/bench).
ALONE: Final = 8


class Flushed(list[Any]):
    """The faces whose output is taken at the end of this turn of their loop.

    Attributes:
        changes: how many groups of observers were told of one since it was taken the last time.
        alone: in how many turns before, one after the other, there was but one; those that had none aside.
    """

    __slots__ = ("alone", "changes")

    def __init__(self) -> None:
        super().__init__()
        self.changes = 0
        self.alone = 0

    def note_change(self) -> bool:
        """Take note that a group is told of a change; return whether no other is likely in this turn.

        Likely is what the last ones were like. Where changes come one by one, each may be written while it
        is told, and who is told first is at work while the others are written to. Where several come in one
        turn, all of them are one write for each connection, and that is worth more.
        """
        self.changes += 1
        return self.alone >= ALONE and self.changes == 1 and not self

    def take(self) -> list[Any]:
        """Return the faces and forget them: their turn is over."""
        faces = self[:]
        self.clear()
        if self.changes:
            self.alone = self.alone + 1 if self.changes == 1 else 0
            self.changes = 0
        return faces
