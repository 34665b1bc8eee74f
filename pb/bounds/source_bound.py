"""How much of the log those at one address may fill, over all their connections to a server.

Beside `LogBound`, which each of them has: who connects again would have a new one. What one address causes
hides nothing of another's. Spec: spec/6-limits.md, PB-L4.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable
from typing import Final

from ..logfields import fields

log = logging.getLogger("pb")

MAX_LINES: Final = 300
WINDOW_S: Final = 60.0
# Of an address and an event, that are counted at a time: 1 MB. Those beyond share what is left to one more.
MOST_ROWS: Final = 4096
_OTHERS: Final = "other addresses"


class SourceBound:
    """The lines that are left to each address, by event.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # Since when lines are counted, how many there were, how many were left out, and their level.
        self._rows: dict[tuple[str, str], tuple[float, int, int, int]] = {}
        self._swept = clock()

    def __len__(self) -> int:
        return len(self._rows)

    def allows(self, level: int, event: str, peer: str, lines: int = 1) -> bool:
        """Return whether a line is to be written, and count it.

        Args:
            event: one of `logfields.EVENTS`.
            peer: with whom the connection is, as `host:port`.
            lines: how many it stands for, should it be left out.
        """
        if not log.isEnabledFor(level):
            return False
        now = self._clock()
        if now - self._swept >= WINDOW_S:
            self._sweep(now)
        key = (source_of(peer), event)
        if key not in self._rows and len(self._rows) >= MOST_ROWS:
            key = (_OTHERS, event)
        since, count, omitted, _ = self._rows.get(key, (now, 0, 0, level))
        if now - since >= WINDOW_S:
            self._tell(key)
            since, count, omitted = now, 0, 0
        is_allowed = count < MAX_LINES
        self._rows[key] = (since, count + 1, omitted if is_allowed else omitted + lines, level)
        if count == MAX_LINES:
            log.log(
                level,
                "%d lines about this in a minute with connections from %s; more are only counted",
                MAX_LINES,
                key[0],
                extra=fields(event, peer=key[0]),
            )
        return is_allowed

    def close(self) -> None:
        """Say how many lines were left out: the server has ended."""
        for key in list(self._rows):
            self._tell(key)
        self._rows.clear()

    def _sweep(self, now: float) -> None:
        self._swept = now
        # A list first: a promise that is collected meanwhile may cause one more.
        for key in [key for key in list(self._rows) if now - self._rows[key][0] >= WINDOW_S]:
            self._tell(key)
            del self._rows[key]

    def _tell(self, key: tuple[str, str]) -> None:
        _, _, omitted, level = self._rows[key]
        source, event = key
        if omitted:
            log.log(
                level,
                "%d more of these with connections from %s were not logged: %s",
                omitted,
                source,
                event,
                extra=fields(event, peer=source),
            )


def source_of(peer: str) -> str:
    """Return what counts as one address: an IPv4 one, the /64 of an IPv6 one, anything else as it is."""
    host = peer.rpartition(":")[0]
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host or peer
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.IPv6Network((found, 64), strict=False))
    return host
