"""What the two sides of the conversations about users who leave do: spec/vectors/conversations 17 and 40."""

from __future__ import annotations

import pb

from .binders_flavours import asks, drop


def detach(play):
    """End what the user has."""
    play.root.attachments["conan"].detach()


# (conversation, role) -> what our side does of its own, each before the frame of that number.
ACTS = {
    ("17-detach", "S"): {6: detach},
    ("17-detach", "C"): {
        0: asks("enter", "conan"),
        2: asks("weapon", of=0),
        4: asks("door", of=0),
        6: asks("weapon", of=0),  # before the GONE is read: afterwards it would fail here
        9: drop(0, 1, 2),
        10: asks("echo", 1),
    },
    ("40-put-out", "S"): {5: detach},
    ("40-put-out", "C"): {
        0: asks("enter", "conan"),
        2: asks("keep", pb.Referenceable(), of=0),
        4: asks("wait", of=0),
        8: drop(0),
        9: asks("echo", 1),
    },
}
