"""Values that stand for something this side does not have. Code never runs because of them."""

from __future__ import annotations


class Opaque:
    """Stand for a value its sender could not send and, on its own choice, named instead.

    Attributes:
        reason: the sender's text.
    """

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __eq__(self, other: object) -> bool:
        return self.reason == other.reason if type(other) is Opaque else NotImplemented

    def __hash__(self) -> int:
        return hash(self.reason)

    def __repr__(self) -> str:
        return f"Opaque({self.reason[:200]!r})"


class Relayed:
    """Carry a copy of a class this side does not know, unchanged, to someone who may.

    Only a Decoder with relay=True makes it. An Encoder writes the same copy again.

    Attributes:
        name: the wire name.
        state: what the peer sent; its size and depth are within this side's limits.
    """

    __slots__ = ("__weakref__", "name", "state")

    def __init__(self, name: str, state: object) -> None:
        self.name = name
        self.state = state

    def __repr__(self) -> str:
        return f"Relayed({self.name!r})"
