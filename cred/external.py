"""Logging in with what the transport has proven: the uid behind a Unix socket, or a TLS client certificate.

Whose it is says the table of credentials, explicitly. A uid is never turned into a user's name, nor the name
in a certificate into an identity: whoever hands those out would then decide who gets in here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from zope.interface import implementer

from ._directory import Directory
from .channel import Channel
from .credential import TLS_KEY, TLS_SUBJECT, UNIX_UID
from .errors import BadName, LoginFailed, NotOffered, UntrustedServer
from .identity import IdentityRecord
from .interfaces import ICredentials, IExchange, IProver, IVerifier
from .names import identity_name

MECHANISM: Final = "EXTERNAL"
# A transport vouches for nothing else: an Ed25519 key must sign.
KINDS: Final = (UNIX_UID, TLS_KEY, TLS_SUBJECT)


@implementer(ICredentials, IProver)
class External:
    """Log in as whom the transport has proven. It is its own prover: nothing more is sent.

    Args:
        user: which identity, where several list the same credential; "" for the only one.
    """

    mechanism = MECHANISM

    def __init__(self, user: str = "") -> None:
        self.user = identity_name(user, stored=False) if user else ""

    def begin(self, offered: Sequence[str], channel: Channel) -> External:
        """Return itself. Raises NotOffered where the server does not offer it."""
        if MECHANISM not in offered:
            raise NotOffered.of(
                MECHANISM,
                offered,
                "it needs a unix socket or a client certificate, and a server that takes it",
            )
        return self

    def start(self) -> bytes:
        """Return the name, or nothing."""
        return self.user.encode("utf-8")

    def respond(self, data: bytes) -> bytes:
        """Refuse: the transport has answered all questions."""
        raise UntrustedServer(f"the server sent a challenge to {MECHANISM}")

    def finish(self, data: bytes) -> None:
        """Check that nothing more is said. Raises UntrustedServer."""
        if data:
            raise UntrustedServer(f"the server sent a proof to {MECHANISM}")


@implementer(IVerifier)
class ExternalVerifier:
    """Let in whom the transport vouches for, where an identity lists that credential."""

    def offered(self, channel: Channel) -> Sequence[str]:
        """Return the mechanism where the transport vouches for anything that counts here."""
        return (MECHANISM,) if any(one.kind in KINDS for one in channel.vouched) else ()

    def begin(self, mechanism: str, channel: Channel, directory: Directory) -> ExternalExchange:
        """Return the server's side of one login."""
        return ExternalExchange(channel, directory)


@implementer(IExchange)
class ExternalExchange:
    """The server's side of one external login: a single step."""

    def __init__(self, channel: Channel, directory: Directory) -> None:
        self.user: str | None = None
        self._vouched = [one for one in channel.vouched if one.kind in KINDS]
        self.never_waits = directory.never_waits
        self._directory = directory

    async def receive(self, data: bytes) -> tuple[bytes, IdentityRecord | None]:
        """Look up who lists what the transport vouches for, and choose by the name if one was sent."""
        if data:
            try:
                self.user = identity_name(data.decode("utf-8"), stored=False)
            except (UnicodeDecodeError, BadName):
                raise LoginFailed("EXTERNAL: the name cannot be one") from None
        names = {name for one in self._vouched for name in await self._directory.names_with(one)}
        if self.user is not None:
            names &= {self.user}
        if len(names) != 1:
            raise LoginFailed(f"EXTERNAL: {len(names)} identities list this credential, expected one")
        self.user = names.pop()
        record = await self._directory.record(self.user)
        if record is None or record.disabled:
            raise LoginFailed("EXTERNAL: the identity is disabled or has just been removed")
        return b"", record
