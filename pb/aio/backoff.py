"""How a connection is tried again: how often, how fast, and when no more."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

from jelly._article import a
from pb.errors import Error, LoginFailed, ProtocolError
from pb.messages import BYE_POLICY, BYE_VERSION

_MOST_REFUSED_S: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnect:
    """Options of `reconnect=` of `pb.open_connection`.

    Before try n a random time is waited, up to `first_s * 2**n` and never more than `max_s` (full jitter), so
    that the clients of a server that comes back do not come all at once.

    Attributes:
        first_s: the most that the first wait takes.
        max_s: the most that any wait takes.
        stable_s: how long a connection must have lasted for the next waits to be short again.
        refused_s: the least that is waited where the server lets nobody in from here (BYE 8), or hangs up
            before it says HELLO twice in a row; doubled each time, up to 10 minutes. Spec: spec/9-login.md.
        max_attempts: give up after so many tries in a row that failed; None: never.
        give_up_s: give up when it has been down for so long; None: never.
        calls: whether calls on lasting references that are made while it is down "wait" for it, at most
            until their deadline, or "fail" with NotExecuted.
        max_waiting: how many calls may wait; those beyond fail with NotExecuted.
        retries_first: whether the very first connection is tried again too; False: what it fails with is
            raised, as a wrong host name should be.
        sleep, chance: wait so many seconds, and a number from 0 to 1; for tests.

    Raises:
        ValueError: a number makes no sense.
    """

    first_s: float = 0.1
    max_s: float = 30.0
    stable_s: float = 10.0
    refused_s: float = 5.0
    max_attempts: int | None = None
    give_up_s: float | None = None
    calls: Literal["wait", "fail"] = "wait"
    max_waiting: int = 1024
    retries_first: bool = False
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    chance: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        if not 0 <= self.first_s <= self.max_s or self.stable_s < 0 or self.refused_s < 0:
            raise ValueError("expected 0 <= first_s <= max_s, and stable_s and refused_s from 0 on")
        if self.calls not in ("wait", "fail"):
            raise ValueError(f"calls={self.calls!r}; expected 'wait' or 'fail'")
        if self.max_waiting < 0 or (self.max_attempts is not None and self.max_attempts < 1):
            raise ValueError("expected max_waiting from 0 on, max_attempts from 1 on or None")
        if self.give_up_s is not None and self.give_up_s < 0:
            raise ValueError("expected give_up_s from 0 on, or None")

    @classmethod
    def of(cls, given: object) -> Reconnect | None:
        """Return the options that were given as `reconnect=`: None, False, True or the options themselves.

        Raises:
            TypeError: it is something else.
        """
        if given is None or given is False:
            return None
        if given is True:
            return cls()
        if isinstance(given, cls):
            return given
        raise TypeError(f"reconnect= is {a(type(given).__name__)}; True, or a pb.Reconnect(...), is expected")

    def delay_s(self, streak: int) -> float:
        """Return how long to wait before a try, after so many in a row that came to nothing."""
        most: float = min(self.max_s, self.first_s * 2.0 ** min(streak, 64))
        return most * self.chance()

    def least_s(self, refusals: int) -> float:
        """Return how long to wait at least before a try, after so many refusals in a row."""
        return min(_MOST_REFUSED_S, self.refused_s * 2.0 ** min(refusals - 1, 64)) if refusals > 0 else 0.0

    def is_over(self, attempts: int, down_s: float) -> bool:
        """Tell whether to give up after so many failures and so many seconds."""
        return (self.max_attempts is not None and attempts >= self.max_attempts) or (
            self.give_up_s is not None and down_s >= self.give_up_s
        )


class Streak:
    """Connections and tries in a row that came to nothing, and how long is waited for that."""

    __slots__ = ("_options", "_refusals", "_tries")

    def __init__(self, options: Reconnect) -> None:
        self._options = options
        self.end()

    def end(self) -> None:
        """A connection has lasted."""
        self._tries = self._refusals = 0

    def next_s(self, error: BaseException, is_try: bool) -> float:
        """Return how long to wait before the next try.

        Args:
            error: what became of the one before.
            is_try: whether that never was a connection.
        """
        if is_refusal(error):
            self._refusals = max(self._refusals, _HUNG_UP) + 1
        elif is_try and is_silent(error):
            self._refusals += 1
        elif self._refusals == _HUNG_UP:  # the next one is not the second in a row
            self._refusals = 0
        seconds = self._options.delay_s(self._tries)
        self._tries += 1
        return self._options.least_s(self._refusals - _HUNG_UP) + seconds


# How often a server may hang up without a word, as one does that goes down, before that is a refusal.
_HUNG_UP: Final = 1


def is_refusal(error: BaseException) -> bool:
    """Tell whether the server said that it lets nobody in from here, or not again so soon: BYE 8."""
    said = error if isinstance(error, ProtocolError) else error.__cause__
    return isinstance(said, ProtocolError) and said.code == BYE_POLICY


def is_silent(error: BaseException) -> bool:
    """Tell whether a try ended because the server hung up before its HELLO."""
    is_lost = isinstance(error, ConnectionError | ssl.SSLError) and not isinstance(error, Error)
    if isinstance(error.__cause__, ProtocolError):  # it said why
        return False
    return is_lost and not isinstance(error, ConnectionRefusedError)


def is_final(error: BaseException) -> bool:
    """Tell whether trying again would only repeat this: a wrong key, a refused login, another version."""
    import cred  # here, because who never logs in never loads it

    if isinstance(error, ProtocolError):
        return error.code == BYE_VERSION
    return isinstance(error, LoginFailed | cred.UntrustedServer | ssl.SSLCertVerificationError)
