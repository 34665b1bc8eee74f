"""How much memory all connections from one address to a server have it keep.

Beside the `Ledger`s that each of them has: who connects again would have a new one. What one address fills
is taken from no other. Spec: spec/6-limits.md, PB-L17.
"""

from __future__ import annotations

from .source_bound import source_of


class SourceMemory:
    """The bytes that are kept for each address.

    Args:
        most: for one of them; 0: no bound.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.bytes: dict[str, int] = {}  # of addresses for which there are any

    def of(self, peer: str) -> Share | None:
        """Return where the memory kept for a connection counts; None: nowhere.

        Args:
            peer: with whom the connection is, as `host:port`.
        """
        return Share(self, source_of(peer)) if self.most else None


class Share:
    """One connection's view of what is kept for its address."""

    __slots__ = ("_memory", "_source")

    def __init__(self, memory: SourceMemory, source: str) -> None:
        self._memory = memory
        self._source = source

    @property
    def bytes(self) -> int:
        """How much is kept for the address."""
        return self._memory.bytes.get(self._source, 0)

    @property
    def is_full(self) -> bool:
        """Whether nothing more is to be kept for it."""
        return self.bytes >= self._memory.most

    def is_half_free(self, weight: int) -> bool:
        """Whether half of what may be kept for it would still be free with so much more."""
        return self.bytes + weight <= self._memory.most // 2

    def add(self, weight: int) -> None:
        """Count something more, or less."""
        rows = self._memory.bytes
        left = rows.get(self._source, 0) + weight
        if left:
            rows[self._source] = left
        else:
            rows.pop(self._source, None)
