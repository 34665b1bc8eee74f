"""How much of the log one connection may fill: so many lines of a kind a minute; the rest is counted.

What a peer sends makes lines here: refusals, failures, incidents. Without a bound it would choose how many.
Each kind has its own bound, so that what a peer can cause at will hides nothing else of it. Who is still at
the door has no connection whose lines could be counted: those are bounded by `pb.aio.sparing`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from ..logfields import fields
from .source_bound import SourceBound

log = logging.getLogger("pb")

MAX_LINES: Final = 100
WINDOW_S: Final = 60.0


class LogBound:
    """The lines that are left to one connection, by event.

    Args:
        clock: monotonic seconds.
        wider: the bound of all connections from where this one is, of which its lines take too; None: none.
    """

    __slots__ = ("_clock", "_kinds", "_wider")

    def __init__(self, clock: Callable[[], float], wider: SourceBound | None = None) -> None:
        self._clock = clock
        self._wider = wider
        # Since when lines are counted, how many there were, and their level: as many as there are events.
        self._kinds: dict[str, tuple[float, int, int]] = {}

    def allows(self, level: int, event: str, peer: str) -> bool:
        """Return whether a line is to be written, and count it; False too where that level is not logged.

        Args:
            event: one of `logfields.EVENTS`.
            peer: with whom the connection is.
        """
        if not log.isEnabledFor(level):
            return False
        now = self._clock()
        since, count, _ = self._kinds.get(event, (now, 0, level))
        if now - since >= WINDOW_S:
            self._tell(event, peer)
            since, count = now, 0
        self._kinds[event] = (since, count + 1, level)
        if count > MAX_LINES or (self._wider is not None and not self._wider.allows(level, event, peer)):
            return False
        if count == MAX_LINES:
            log.log(
                level,
                "%d lines about this in a minute with %s; more are only counted",
                MAX_LINES,
                peer,
                extra=fields(event, peer=peer),
            )
        return count < MAX_LINES

    def close(self, peer: str) -> None:
        """Say how many lines were left out: the connection has ended."""
        for event in list(self._kinds):  # a promise that is collected meanwhile may be one more
            self._tell(event, peer)
        self._kinds.clear()

    def _tell(self, event: str, peer: str) -> None:
        _, count, level = self._kinds[event]
        omitted = count - MAX_LINES
        if omitted > 0 and (self._wider is None or self._wider.allows(level, event, peer, omitted)):
            log.log(
                level,
                "%d more of these with %s were not logged: %s",
                omitted,
                peer,
                event,
                extra=fields(event, peer=peer),
            )
