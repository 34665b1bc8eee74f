"""The connections of one server: those that are there, those that stand in its door, and how many it takes.

Spec: spec/6-limits.md, PB-L15.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pb.bounds.source_bound import SourceBound
from pb.bounds.source_memory import SourceMemory
from pb.errors import Forbidden

from .sparing import Sparing

if TYPE_CHECKING:
    from pb.limits import Limits

    from .lingering import Lingering
    from .link import Link

Leave = Callable[[], None]
Knock = Callable[[str], Leave]


class Place:
    """What one takes who is not a connection yet. To call it is to leave."""

    __slots__ = ("_leave", "_places")

    def __init__(self, places: Places, leave: Leave | None) -> None:
        self._places: Places | None = places
        self._leave = leave

    def arrived(self) -> None:
        """It is a connection from here on, and counted as one; its root may go on counting it."""
        if self._places is not None:
            self._places.in_door -= 1
            self._places = None

    def __call__(self) -> None:
        """Count it out, once."""
        self.arrived()
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()


class Places:
    """Count the connections of a server.

    Args:
        limits: how many it takes, `max_connections`, and what those from one address may have it keep.
        clock: monotonic seconds.
        knock: the root's own counting of those that shake hands; None: it does not count.

    Attributes:
        in_door: how many are shaking hands.
        lingering: those that were told why they are shut out, and may be reading that.
        sparing: says whether one more refusal is logged.
        source_bound: says whether one more line is logged that connections from one address have caused.
        source_memory: counts what connections from one address have this side keep.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float], knock: Knock | None) -> None:
        self._most = limits.max_connections
        self._knock = knock
        self._links: set[Link] = set()
        self._is_closed = False
        self.in_door = 0
        self.lingering: set[Lingering] = set()
        self.sparing = Sparing(clock)
        self.source_bound = SourceBound(clock)
        self.source_memory = SourceMemory(limits.max_source_bytes)

    def __len__(self) -> int:
        return len(self._links)

    def __iter__(self) -> Iterator[Link]:
        return iter(self._links)

    def knock(self, address: str) -> Place:
        """Count in who is about to shake hands. Raises Forbidden."""
        self._check_open()
        self._check(1)
        leave = None if self._knock is None else self._knock(address)
        self.in_door += 1
        return Place(self, leave)

    def enter(self, link: Link) -> None:
        """Count in a connection whose transport is there, until it is discarded.

        Raises:
            Forbidden: it is one too many, and counts until it has gone; or the server was closed between its
                arrival and this. The peer is to be told so.
        """
        if isinstance(link.entered, Place):
            link.entered.arrived()
        self._check_open()
        self._links.add(link)
        self._check(0)

    def close(self) -> list[Link]:
        """Let nobody in any more; return those who are there. Who was shut out is waited for no longer."""
        self._is_closed = True
        for each in list(self.lingering):
            each.abort()
        return list(self._links)

    def discard(self, link: Link) -> None:
        """Count out a connection whose transport is gone."""
        self._links.discard(link)

    def _check_open(self) -> None:
        if self._is_closed:
            raise Forbidden("the server is being closed; try again later")

    def _check(self, more: int) -> None:
        if self._most and len(self._links) + self.in_door + more > self._most:
            raise Forbidden(f"max_connections: {self._most} are open already; try again later")
