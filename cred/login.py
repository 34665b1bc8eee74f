"""Login: one try to become an identity, at the server. Whatever goes wrong ends it, and looks the same."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from ._logfields import fields
from ._types import Exchange
from .errors import LoginFailed
from .identity import Identity

if TYPE_CHECKING:
    from .authorizer import Authorizer

log = logging.getLogger("cred")

# A person types the password before the login begins; this is for PBKDF2 and the way there and back.
LOGIN_S: Final = 30.0


def come_from(peer: str) -> str:
    """Return where somebody comes from, for the log: before all that they have chosen themselves."""
    return f" from {peer}" if peer else ""


class Step(NamedTuple):
    """What to send to the client.

    Attributes:
        data: a challenge, or what ends the login.
        identity: who it is; None where the client has to answer `data` first.
    """

    data: bytes
    identity: Identity | None


class Login:
    """One try to log in, made by `Authorizer.begin_login`.

    Args:
        never_waits: whether neither the exchange nor the authorizer waits for anything, but for what was
            declared and is not written yet.

    Attributes:
        mechanism: the name of the mechanism.
    """

    def __init__(
        self,
        authorizer: Authorizer,
        mechanism: str,
        exchange: Exchange,
        clock: Callable[[], float],
        peer: str = "",
        never_waits: bool = False,
    ) -> None:
        self.mechanism = mechanism
        self._peer = peer
        self._authorizer = authorizer
        self._exchange = exchange
        self._clock = clock
        self._ends_at = clock() + LOGIN_S
        self._waits = True
        self._never_waits = never_waits

    @property
    def user(self) -> str | None:
        """Return the name that the client claims, or None as long as it claimed none. For a throttle."""
        return self._exchange.user

    @property
    def never_waits(self) -> bool:
        """Whether `receive_at_once` can be used now."""
        return self._never_waits and self._authorizer.is_settled

    def receive_at_once(self, data: bytes) -> Step:
        """Do what receive() does, where that waits for nothing: a task would take as long as the rest.

        Raises:
            LoginFailed: as receive().
            RuntimeError: it did wait, though it was said that it never does; the login is over.
        """
        coroutine = self.receive(data)
        try:
            coroutine.send(None)
        except StopIteration as done:
            step: Step = done.value
            return step
        coroutine.close()
        raise RuntimeError(
            "a login has waited, and its store and its exchange say that they never do: see never_waits"
        )

    async def receive(self, data: bytes) -> Step:
        """Take a message of the client's and return what to send.

        Raises:
            LoginFailed: refused; begin anew. `reason` is in the log already.
            StoreError: the store is out of reach; begin anew later.
        """
        waits, self._waits = self._waits, False
        try:
            if not waits:
                raise LoginFailed("a message out of turn: the login is over or busy")
            if self._clock() > self._ends_at:
                raise LoginFailed(f"took longer than {LOGIN_S:g} s")
            if not self._authorizer.is_settled:
                await self._authorizer.settle()
            answer, proven = await self._exchange.receive(data)
            if proven is None:
                self._waits = True
                return Step(answer, None)
            return Step(answer, await self._authorizer.admit_login(proven))
        except LoginFailed as failed:
            user = ascii(self.user) if self.user is not None else "nobody yet"
            log.info(
                "login refused%s: %s as %s: %s",
                come_from(self._peer),
                self.mechanism,
                user,
                failed.reason,
                extra=fields(
                    "login.refused",
                    identity=self.user,
                    mechanism=self.mechanism,
                    peer=self._peer,
                    error=failed,
                ),
            )
            raise
