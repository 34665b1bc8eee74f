"""How much memory takes what came from a peer and is kept for a while: counted, and bounded.

Spec: spec/6-limits.md, PB-L17.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jelly._weight import MOST_PER_BYTE, cut_large, weight_of

if TYPE_CHECKING:
    from .source_memory import Share


class Ledger:
    """What one kind of things that are kept takes, on one connection.

    Args:
        limit: the name of the limit.
        most: how much it may be, but for one payload.

    Attributes:
        bytes: how much it is. Little is counted as the most that so many bytes of payload can become.
        share: where it counts too, with other connections; None for none.
    """

    __slots__ = ("_limit", "bytes", "most", "share")

    def __init__(self, limit: str, most: int) -> None:
        self._limit = limit
        self.bytes = 0
        self.most = most
        self.share: Share | None = None

    def weigh(self, payload: bytes | memoryview) -> int:
        """Return what the value of a payload counts that has been decoded.

        To weigh takes longer than to decode, so nothing is weighed before half of what may be is used up by
        what every payload could be: with the defaults 1.8 MiB of calls. Half of what the address may take,
        too: else a few connections would fill that with little, and others there would have to pay for it.
        Large bytes are what they are.
        """
        rest, large = cut_large(payload)
        worst = large + MOST_PER_BYTE * len(rest)
        share = self.share
        if self.bytes + worst <= self.most // 2 and (share is None or share.is_half_free(worst)):
            return worst
        try:
            return large + weight_of(rest)
        except Exception:  # at least eight types come out of msgpack, of what another reader took
            return worst

    def add(self, weight: int) -> None:
        """Count something that is kept from now on."""
        self.bytes += weight
        if self.share is not None:
            self.share.add(weight)

    def less(self, weight: int) -> None:
        """Count it no longer."""
        self.bytes -= weight
        if self.share is not None:
            self.share.add(-weight)

    def leave(self) -> None:
        """Count what is still kept no longer together with that of other connections."""
        if self.share is not None:
            self.share.add(-self.bytes)
            self.share = None

    def why_full(self, weight: int = 0) -> str:
        """Return which limit keeps so much more from being kept; empty where none does.

        The first is always taken, whatever it weighs: else it could never be.
        """
        if self.bytes and self.bytes + weight >= self.most:
            return f"{self.bytes} bytes of memory are kept for them, the limit {self._limit} is {self.most}"
        share = self.share
        if share is not None and share.is_full:
            return f"{share.bytes} bytes of memory are kept for this address, the limit max_source_bytes"
        return ""
