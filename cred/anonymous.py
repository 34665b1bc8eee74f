"""Logging in as nobody in particular, where the server allows it, and as an identity that it chooses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from zope.interface import implementer

from ._directory import Directory
from .channel import Channel
from .errors import LoginFailed, NotOffered, UntrustedServer
from .identity import IdentityRecord
from .interfaces import ICredentials, IExchange, IProver, IVerifier
from .names import identity_name

MECHANISM: Final = "ANONYMOUS"


@implementer(ICredentials, IProver)
class Anonymous:
    """Log in without a name. It is its own prover: there is nothing to prove."""

    mechanism = MECHANISM

    def begin(self, offered: Sequence[str], channel: Channel) -> Anonymous:
        """Return itself. Raises NotOffered where the server offers no anonymous login."""
        if MECHANISM not in offered:
            raise NotOffered.of(
                MECHANISM,
                offered,
                "a login without a name needs a server that takes it; give a user and a password or key",
            )
        return self

    def start(self) -> bytes:
        """Return nothing: RFC 4505's trace would tell who it is."""
        return b""

    def respond(self, data: bytes) -> bytes:
        """Refuse: there are no questions to nobody."""
        raise UntrustedServer(f"the server sent a challenge to {MECHANISM}")

    def finish(self, data: bytes) -> None:
        """Check that nothing more is said. Raises UntrustedServer."""
        if data:
            raise UntrustedServer(f"the server sent a proof to {MECHANISM}")


@implementer(IVerifier)
class AnonymousVerifier:
    """Let strangers in as one identity. Without this among the verifiers they are refused.

    Args:
        name: of the identity; give it keys for what anyone may see.
    """

    def __init__(self, name: str) -> None:
        self.name = identity_name(name)

    def offered(self, channel: Channel) -> Sequence[str]:
        """Return the mechanism."""
        return (MECHANISM,)

    def begin(self, mechanism: str, channel: Channel, directory: Directory) -> AnonymousExchange:
        """Return the server's side of one login."""
        return AnonymousExchange(self.name, directory)


@implementer(IExchange)
class AnonymousExchange:
    """The server's side of one anonymous login: a single step. What the client sends is not read."""

    def __init__(self, name: str, directory: Directory) -> None:
        self.user: str | None = name
        self._name = name
        self.never_waits = directory.never_waits
        self._directory = directory

    async def receive(self, data: bytes) -> tuple[bytes, IdentityRecord | None]:
        """Return the identity for strangers."""
        record = await self._directory.record(self._name)
        if record is None or record.disabled:
            raise LoginFailed("the identity for anonymous logins is missing or disabled")
        return b"", record
