"""Throttle: who guesses passwords has to wait. It counts and says how long; it never waits itself.

A source that fails is refused for a while; a name that is guessed at is answered later, but never locked:
else anyone could lock anyone out. Names are counted whether they exist or not. Spec: limits (login).
"""

from __future__ import annotations

import functools
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final

# Failures a connection may have, before it is closed.
ATTEMPTS: Final = 3
# How long a source is refused from its third failure on, doubling each time.
PENALTY_S: Final = (5.0, 600.0)
# How much later a name is answered from its fourth failure on, doubling each time.
DELAY_S: Final = (0.25, 8.0)
# After so long without a failure, the count is halved.
HALF_LIFE_S: Final = 300.0
# Connections that have not logged in: so many before some are refused by chance, and so many at most.
STRANGERS: Final = (64, 256)
# Of these, how many from one source that is not this machine.
STRANGERS_OF_SOURCE: Final = 16
# Sources and names remembered, of each kind: about 10 MB. The longest unused is forgotten first.
REMEMBERED: Final = 65_536
# 2 ** 32 is over every bound above; beyond, the power would only grow.
MAX_DOUBLINGS: Final = 32
# Of IPv6 that is one source.
_PREFIX: Final = 64
_LOOPBACK_6: Final = "::/64"  # what source_of() makes of ::1


class _Mark:
    """Failures of one source or name."""

    __slots__ = ("at", "failures", "until")

    def __init__(self, now: float) -> None:
        self.failures = 0
        self.at = now
        self.until = now


class _Marks:
    """The marks of all sources, or of all names."""

    def __init__(
        self, clock: Callable[[], float], bounds_s: tuple[float, float], most: int, free: int
    ) -> None:
        self._free = free
        self._clock = clock
        self._first_s, self._most_s = bounds_s
        self._most = most
        self._marks: OrderedDict[str, _Mark] = OrderedDict()

    def __len__(self) -> int:
        return len(self._marks)

    def failed(self, key: str) -> None:
        now = self._clock()
        mark = self._marks.pop(key, None) or _Mark(now)
        self._fade(mark, now)
        mark.failures += 1
        mark.at = now
        mark.until = now + self._wait_s(mark)
        self._marks[key] = mark
        if len(self._marks) > self._most:
            self._marks.popitem(last=False)

    def left_s(self, key: str) -> float:
        """How long the wait that began with the last failure still goes on."""
        mark = self._marks.get(key)
        return 0.0 if mark is None else max(0.0, mark.until - self._clock())

    def wait_s(self, key: str) -> float:
        """How long a wait would be that began now."""
        mark = self._marks.get(key)
        if mark is None:
            return 0.0
        self._fade(mark, self._clock())
        return self._wait_s(mark)

    def forget(self, key: str) -> None:
        self._marks.pop(key, None)

    def _wait_s(self, mark: _Mark) -> float:
        over = mark.failures - self._free
        return 0.0 if over <= 0 else min(self._most_s, self._first_s * 2.0 ** min(over - 1, MAX_DOUBLINGS))

    def _fade(self, mark: _Mark, now: float) -> None:
        halvings = int((now - mark.at) / HALF_LIFE_S)
        if halvings > 0:
            mark.failures >>= min(halvings, 64)
            mark.at += halvings * HALF_LIFE_S


class Throttle:
    """Count failed logins by source and by name. One for all connections of a server.

    Args:
        clock: seconds that only grow.
        penalty_s: shortest and longest time for which a source is refused.
        delay_s: shortest and longest time by which the answer to a name is delayed.
        remembered: sources, and names, kept at most. Who has more addresses than that can make the throttle
            forget: it slows guessing down, the iteration count and the password stop it.
        trusted: addresses and networks, such as "10.0.0.7" and "192.168.0.0/16", that are never refused as a
            source, because many come from there: a front end, an office. Names are held back all the same.
            Whoever can send from one guesses as fast as the names allow.
        strangers: how many connections may be there that have not logged in: up to the first number all,
            from there on fewer and fewer, by chance, and up to the second at most.
        strangers_of_source: how many of them may come from one source that is not trusted; None for 16, and
            from this machine as many as in all: who connects there is a front end, or could do worse.

    Raises:
        ValueError: one of them is no address or network, or a part of an IPv6 /64, which is one source; or
            the numbers make no sense.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        penalty_s: tuple[float, float] = PENALTY_S,
        delay_s: tuple[float, float] = DELAY_S,
        remembered: int = REMEMBERED,
        trusted: Iterable[str] = (),
        strangers: tuple[int, int] = STRANGERS,
        strangers_of_source: int | None = None,
    ) -> None:
        if not 0 <= strangers[0] <= strangers[1] or strangers[1] < 1:
            raise ValueError(
                f"strangers={strangers}: expected two numbers, the second from 1 and the first on"
            )
        if strangers_of_source is not None and strangers_of_source < 1:
            raise ValueError(
                f"strangers_of_source={strangers_of_source}: expected a number from 1 on, or None"
            )
        self.strangers = strangers
        self._strangers_of_source = strangers_of_source
        self._trusted = [_network(each) for each in trusted]
        self._sources = _Marks(clock, penalty_s, remembered, ATTEMPTS - 1)
        self._names = _Marks(clock, delay_s, remembered, ATTEMPTS)

    def is_trusted(self, source: str) -> bool:
        """Return whether a source is never refused, however often logins from there fail."""
        if not self._trusted:
            return False
        try:
            found: Any = ipaddress.ip_network(source)
        except ValueError:
            return False  # a user of this machine, say
        return any(found.version == each.version and found.subnet_of(each) for each in self._trusted)

    def strangers_of(self, source: str) -> int | None:
        """Return how many connections from a source may be there that have not logged in; None: as in all."""
        if self.is_trusted(source):
            return None
        if self._strangers_of_source is not None:
            return self._strangers_of_source
        return None if _is_here(source) else STRANGERS_OF_SOURCE

    def penalty_s(self, source: str) -> float:
        """Return how long connections from a source are to be refused, in seconds; 0 if they are welcome.

        Args:
            source: what `source_of` returns.
        """
        return self._sources.left_s(source)

    def delay_s(self, name: str) -> float:
        """Return how long to hold back the answer to a login as this name, in seconds.

        Whether it succeeded or not: who is answered at once only when right could give up early.
        """
        return self._names.wait_s(name)

    def failed(self, source: str, name: str | None) -> None:
        """Count a refused login. `name` is None where none was claimed."""
        if not self.is_trusted(source):
            self._sources.failed(source)
        if name is not None:
            self._names.failed(name)

    def succeeded(self, name: str) -> None:
        """Forget what was counted for a name.

        Not for the source: with one good password it could else guess at all others for ever.
        """
        self._names.forget(name)

    def connection(self, source: str) -> Attempts:
        """Return the count for one connection."""
        return Attempts(self, source)


class Attempts:
    """The logins tried over one connection.

    Attributes:
        left: how many may still fail. At 0 close the connection.
    """

    def __init__(self, throttle: Throttle, source: str) -> None:
        self.left = ATTEMPTS
        self._throttle = throttle
        self._source = source

    def failed(self, name: str | None) -> None:
        """Count a refused login. `name` is None where none was claimed."""
        self.left = max(0, self.left - 1)
        self._throttle.failed(self._source, name)

    def succeeded(self, name: str) -> None:
        """Take note of a login."""
        self._throttle.succeeded(name)

    def delay_s(self, name: str | None) -> float:
        """Return how long to hold back the answer, in seconds."""
        return 0.0 if name is None else self._throttle.delay_s(name)


def _is_here(source: str) -> bool:
    """Tell whether a source is this machine: a user of it, or a loopback address."""
    return source.startswith(("uid ", "127.")) or source == _LOOPBACK_6


def _network(text: str) -> Any:
    try:
        found = ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"trusted={text!r}: {error}; expected an address or a network") from None
    if found.version == 6 and found.prefixlen > _PREFIX:
        whole = found.supernet(new_prefix=_PREFIX)
        raise ValueError(f"trusted={text!r} is a part of {whole}, which counts as one source; name that")
    return found


@functools.lru_cache(maxsize=256)  # asked for each connection; reading an address takes 4 us
def source_of(address: str) -> str:
    """Return what counts as one source: an IPv4 address, the /64 of an IPv6 address, anything else as it is.

    A /64 is what one customer is given, with 2 ** 64 addresses to fail from.
    """
    host = address.partition("%")[0]  # fe80::1%eth0
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((found, _PREFIX), strict=False))
