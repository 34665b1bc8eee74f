"""Logging in with an Ed25519 key, client and server side by side. Spec: login, ED25519.

The signature covers a text of its own, the name, both nonces, the channel binding and the HELLOs: it fits no
other protocol, connection or moment. Keys are those of OpenSSH.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key
from zope.interface import implementer

from ._directory import Directory
from ._msgpack import pack, unpack_map
from .channel import Channel
from .credential import ED25519 as KIND
from .credential import Credential
from .errors import BadName, LoginFailed, NotOffered, UntrustedServer
from .identity import IdentityRecord, PasswordRecord
from .interfaces import ICredentials, IExchange, IProver, IVerifier
from .names import identity_name

MECHANISM: Final = "ED25519"
CONTEXT: Final = "PB/1 ED25519"
NONCE_BYTES: Final = 32
UNBOUND: Final = ("none", b"")

Random = Callable[[int], bytes]


def message_to_sign(
    user: str, client_nonce: bytes, server_nonce: bytes, binding: tuple[str, bytes], hello_hash: bytes
) -> bytes:
    """Return the bytes that a client signs.

    Args:
        binding: type and data, or UNBOUND.
    """
    return pack([CONTEXT, user, client_nonce, server_nonce, *binding, hello_hash])


def public_credential(key: Ed25519PublicKey | bytes | str, label: str = "") -> Credential:
    """Return the credential to give to an identity that may log in with a key.

    Args:
        key: the object, its 32 bytes, or a line as in `id_ed25519.pub`, whose comment becomes the label.

    Raises:
        ValueError: it is no Ed25519 key.
    """
    if isinstance(key, str):
        label = label or "".join(key.split(None, 2)[2:]).strip()
        found = _load(load_ssh_public_key, key.encode("utf-8"))
    else:
        found = Ed25519PublicKey.from_public_bytes(key) if isinstance(key, bytes) else key
    if not isinstance(found, Ed25519PublicKey):
        raise ValueError("the key is not an Ed25519 key: ssh-keygen -t ed25519 makes one")
    return Credential(KIND, found.public_bytes_raw().hex(), label)


_REMEDY: Final = (
    "a login with a key needs pbs://, wss:// or a unix socket, or within one machine "
    "insecure=True at both ends; one with a password needs none of these there"
)


@implementer(ICredentials)
class PrivateKey:
    """A name and an Ed25519 key, for any number of logins.

    Raises:
        BadName: the name cannot be one.
    """

    def __init__(self, user: str, key: Ed25519PrivateKey, *, random: Random = secrets.token_bytes) -> None:
        self.user = identity_name(user, stored=False)
        self._key = key
        self._random = random

    def __repr__(self) -> str:
        return f"<PrivateKey of {self.user!a}>"

    @classmethod
    def from_openssh(cls, user: str, data: bytes, passphrase: bytes | None = None) -> PrivateKey:
        """Read the content of a file such as `~/.ssh/id_ed25519`.

        Raises:
            ValueError: it is no Ed25519 key, or encrypted and the passphrase is missing or wrong. Encrypted
                files need the package bcrypt.
        """
        key = _load(lambda data: load_ssh_private_key(data, passphrase), data)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("the key is not an Ed25519 key: ssh-keygen -t ed25519 makes one")
        return cls(user, key)

    @property
    def credential(self) -> Credential:
        """Return what the server must know of this key."""
        return public_credential(self._key.public_key())

    def begin(self, offered: Sequence[str], channel: Channel) -> Ed25519Prover:
        """Return the client's side of one login.

        Raises:
            NotOffered: the mechanism is not offered, or the channel is neither bound nor a local one.
        """
        if MECHANISM not in offered:
            raise NotOffered.of(MECHANISM, offered, _REMEDY)
        if not channel.bindings and not channel.unbound_ok:
            raise NotOffered(
                f"the channel cannot be bound: who is in between could use the signature; {_REMEDY}"
            )
        return Ed25519Prover(self.user, self._key, channel, self._random)


@implementer(IProver)
class Ed25519Prover:
    """Prove a key to one server, once. The server itself is proven by TLS only."""

    mechanism = MECHANISM

    def __init__(self, user: str, key: Ed25519PrivateKey, channel: Channel, random: Random) -> None:
        if channel.hello_hash is None:
            raise ValueError(f"{MECHANISM} needs the hello_hash of the channel")
        self._user = user
        self._key = key
        self._hello_hash = channel.hello_hash
        self._binding = _bindings(channel)[0]
        self._nonce = random(NONCE_BYTES)
        self._answered = False

    def start(self) -> bytes:
        """Return name, public key and nonce."""
        key = self._key.public_key().public_bytes_raw()
        return pack({"key": key, "nonce": self._nonce, "user": self._user})

    def respond(self, data: bytes) -> bytes:
        """Return the signature. Raises UntrustedServer where the challenge is none, or the second one."""
        try:
            nonce = unpack_map(data, ["nonce"])["nonce"]
        except ValueError as error:
            raise UntrustedServer(f"the server's challenge: {error}") from None
        if not isinstance(nonce, bytes) or len(nonce) != NONCE_BYTES or nonce == self._nonce:
            raise UntrustedServer("the server's nonce is not 32 bytes of its own")
        if self._answered:
            raise UntrustedServer("the server asks for a second signature")
        self._answered = True
        return self._key.sign(
            message_to_sign(self._user, self._nonce, nonce, self._binding, self._hello_hash)
        )

    def finish(self, data: bytes) -> None:
        """Check that the server asked for a signature and says nothing more. Raises UntrustedServer."""
        if not self._answered or data:
            raise UntrustedServer("the server ended the login out of turn")


@implementer(IVerifier)
class Ed25519Verifier:
    """Let identities log in with the Ed25519 keys among their credentials."""

    def __init__(self, *, random: Random = secrets.token_bytes) -> None:
        self._random = random

    def offered(self, channel: Channel) -> Sequence[str]:
        """Return the mechanism where the channel can be bound or is a local one."""
        return (MECHANISM,) if channel.bindings or channel.unbound_ok else ()

    def begin(self, mechanism: str, channel: Channel, directory: Directory) -> Ed25519Exchange:
        """Return the server's side of one login."""
        return Ed25519Exchange(channel, directory, self._random(NONCE_BYTES))


@implementer(IExchange)
class Ed25519Exchange:
    """The server's side of one login with a key. One nonce, one try."""

    def __init__(self, channel: Channel, directory: Directory, nonce: bytes) -> None:
        if channel.hello_hash is None:
            raise ValueError(f"{MECHANISM} needs the hello_hash of the channel")
        self.user: str | None = None
        self._bindings = _bindings(channel)
        self._hello_hash = channel.hello_hash
        self.never_waits = directory.never_waits
        self._directory = directory
        self._nonce = nonce
        self._key: Ed25519PublicKey
        self._client_nonce = b""
        self._began = PasswordRecord()

    async def receive(self, data: bytes) -> tuple[bytes, IdentityRecord | None]:
        """Answer name and key with a nonce, whoever it is, and then check the signature."""
        if self.user is None:
            self.user = self._read_initial(data)
            self._began = await self._directory.password(self.user)
            return pack({"nonce": self._nonce}), None
        # All of it for everybody, so that the time tells nothing: the signature is checked with the key that
        # the client itself named, and only then is looked whose key that is. Of the name nothing is read
        # before it has turned out to be one of these.
        fitting = [self._signed(binding, data) for binding in self._bindings]
        if True not in fitting:
            raise LoginFailed("the signature does not fit key, name, nonces, binding and HELLOs")
        if self.user not in await self._directory.names_with(public_credential(self._key)):
            raise LoginFailed("unknown, or not a key of this identity")
        return b"", await self._directory.record_since(self.user, self._began)

    def _read_initial(self, data: bytes) -> str:
        try:
            initial = unpack_map(data, ["key", "nonce", "user"])
            key, nonce, user = initial.values()
            if not isinstance(key, bytes) or not isinstance(nonce, bytes) or not isinstance(user, str):
                raise ValueError("values of the wrong types")
            if len(nonce) != NONCE_BYTES:
                raise ValueError(f"a nonce of {len(nonce)} bytes, expected {NONCE_BYTES}")
            self._key = Ed25519PublicKey.from_public_bytes(key)
            if identity_name(user, stored=False) != user:
                # The signature covers the name as sent: what is compared must be what was signed.
                raise ValueError("a name that is not in its one form")
        except (ValueError, BadName) as error:
            raise LoginFailed(f"ED25519 initial: {error}") from None
        self._client_nonce = nonce
        return user

    def _signed(self, binding: tuple[str, bytes], signature: bytes) -> bool:
        message = message_to_sign(self.user or "", self._client_nonce, self._nonce, binding, self._hello_hash)
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def _bindings(channel: Channel) -> list[tuple[str, bytes]]:
    """Return what a signature may be bound to: never nothing where there is something."""
    if channel.bindings:
        return [(binding.type, binding.data) for binding in channel.bindings]
    return [UNBOUND] if channel.unbound_ok else []


def _load(load: Callable[[bytes], object], data: bytes) -> object:
    """Load a key file; the library has four types of errors for what is wrong with one."""
    try:
        return load(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"no usable OpenSSH key: {error}") from error
