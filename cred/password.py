"""Logging in with a password: what a client has, and what checks it at the server. By scram.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zope.interface import implementer

from ._directory import Directory
from .channel import Channel
from .errors import DowngradeDetected, NotOffered
from .identity import IdentityRecord, PasswordRecord
from .interfaces import ICredentials, IExchange, IProver, IVerifier
from .names import identity_name
from .scram import SCRAM, SCRAM_PLUS, KeyCache, ScramClient, ScramServer, fresh_nonce

implementer(IProver)(ScramClient)

MakeNonce = Callable[[], str]


@implementer(ICredentials)
class Password:
    """A name and a password, for any number of logins: the slow part is done once for each salt.

    Args:
        require_binding: whether to refuse a server that offers no -PLUS over a channel that could be bound.
            False for servers behind something that ends TLS for them; who is in between is then trusted.

    Raises:
        BadName: the name cannot be one.
    """

    def __init__(
        self,
        user: str,
        password: str,
        *,
        require_binding: bool = True,
        make_nonce: MakeNonce = fresh_nonce,
    ) -> None:
        self.user = identity_name(user, stored=False)
        self._password = password
        self._require_binding = require_binding
        self._make_nonce = make_nonce
        self._cache = KeyCache()

    def __repr__(self) -> str:
        return f"<Password of {self.user!a}>"

    def begin(self, offered: Sequence[str], channel: Channel) -> ScramClient:
        """Return the client's side of one login.

        Raises:
            DowngradeDetected: the channel could be bound and the server does not offer to.
            NotOffered: no mechanism for passwords is offered.
        """
        binding = channel.bindings[0] if channel.bindings else None
        plus = binding is not None and SCRAM_PLUS in offered
        if not plus:
            if binding is not None and self._require_binding:
                raise DowngradeDetected(
                    f"the server does not offer {SCRAM_PLUS} though the channel can be bound"
                )
            if SCRAM not in offered:
                raise NotOffered.of(
                    SCRAM, offered, "a login with a password needs a server that takes passwords"
                )
        return ScramClient(
            self.user,
            self._password,
            hello_hash=channel.hello_hash,
            binding=binding,
            plus=plus,
            cache=self._cache,
            make_nonce=self._make_nonce,
        )


@implementer(IVerifier)
class ScramVerifier:
    """Let identities log in with their password.

    Args:
        require_binding: whether -PLUS is all that is offered where the channel can be bound. Browsers and
            other clients that cannot see the server's certificate are then shut out.
    """

    def __init__(self, *, require_binding: bool = False, make_nonce: MakeNonce = fresh_nonce) -> None:
        self._require_binding = require_binding
        self._make_nonce = make_nonce

    def offered(self, channel: Channel) -> Sequence[str]:
        """Return -PLUS where the channel can be bound, and the plain mechanism."""
        if not channel.bindings:
            return (SCRAM,)
        return (SCRAM_PLUS,) if self._require_binding else (SCRAM_PLUS, SCRAM)

    def begin(self, mechanism: str, channel: Channel, directory: Directory) -> ScramExchange:
        """Return the server's side of one login."""
        server = ScramServer(plus=mechanism == SCRAM_PLUS, channel=channel, make_nonce=self._make_nonce)
        return ScramExchange(server, directory)


@implementer(IExchange)
class ScramExchange:
    """The server's side of one login with a password."""

    def __init__(self, server: ScramServer, directory: Directory) -> None:
        self.user: str | None = None
        self.never_waits = directory.never_waits
        self._server = server
        self._directory = directory
        self._began = PasswordRecord()

    async def receive(self, data: bytes) -> tuple[bytes, IdentityRecord | None]:
        """Answer the first message with a challenge, and the second with the proof of this side."""
        if self.user is None:
            self.user = self._server.receive_first(data)
            self._began = hash, disabled, _ = await self._directory.password(self.user)
            # Made for everybody, so that who is there is not told by the time it takes.
            mock = await self._directory.mock_hash(self.user)
            genuine = hash is not None and not disabled
            return self._server.challenge(hash or mock, genuine=genuine), None
        proof = self._server.receive_final(data)
        return proof, await self._directory.record_since(self.user, self._began)
