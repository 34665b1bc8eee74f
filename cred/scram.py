"""SCRAM-SHA-256 and -PLUS without I/O, client and server side by side. RFC 5802, RFC 7677.

One thing is added: the extension attribute `h=`, by which both proofs cover what was announced in the HELLOs,
so that whoever strips a mechanism or a binding type is found out. Knows no store and no connection.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from binascii import b2a_base64
from collections.abc import Callable
from typing import Final

from ._scram_messages import (
    ClientFirst,
    Malformed,
    escape,
    read_client_final,
    read_client_first,
    read_server_final,
    read_server_first,
)
from .channel import Binding, Channel
from .errors import BadName, DowngradeDetected, LoginFailed, UntrustedServer
from .names import identity_name
from .passwords import (
    MAX_ITERATIONS,
    MIN_ITERATIONS,
    MockHash,
    PasswordHash,
    ScramKeys,
    derive_keys,
    encode64,
)

SCRAM: Final = "SCRAM-SHA-256"
SCRAM_PLUS: Final = "SCRAM-SHA-256-PLUS"


def fresh_nonce() -> str:
    """Return a nonce that nobody can foretell: 24 characters of base64."""
    return encode64(os.urandom(18))


class KeyCache:
    """Hold the keys derived from one password, so that logging in again costs no PBKDF2.

    As secret as the password itself. It holds a few only: a server that sends another salt each time must not
    fill the memory.
    """

    MOST = 4

    def __init__(self) -> None:
        self._keys: dict[tuple[bytes, int], ScramKeys] = {}

    def __repr__(self) -> str:
        return f"<KeyCache of {len(self._keys)}>"

    def derive(self, password: str, salt: bytes, iterations: int) -> ScramKeys:
        """Return the keys, derived once. Slow the first time: call it in a thread. Raises BadPassword."""
        keys = self._keys.get((salt, iterations))
        if keys is None:
            keys = derive_keys(password, salt, iterations)
            while len(self._keys) >= self.MOST:
                # A thread beside this one may have been quicker, hence the default.
                self._keys.pop(next(iter(self._keys), (b"", 0)), None)
            self._keys[salt, iterations] = keys
        return keys


class ScramClient:
    """Prove a password to one server, once, and let the server prove that it knows it too.

    Call start(), respond() and finish() in this order; use nothing of the connection before all three.

    Args:
        user: the name; prepared by RFC 4013.
        hello_hash: what the server must send as `h=`. None for a server that is no PB server: without `h=`.
        binding: what this end can bind to, None without TLS.
        plus: whether to use -PLUS. False with a binding tells the server "I could have", and it refuses if it
            could too.
        make_nonce: returns 18 printable characters or more that nobody can foretell.

    Raises:
        BadName: the name cannot be one.
    """

    def __init__(
        self,
        user: str,
        password: str,
        *,
        hello_hash: bytes | None,
        binding: Binding | None = None,
        plus: bool = False,
        cache: KeyCache | None = None,
        make_nonce: Callable[[], str] = fresh_nonce,
    ) -> None:
        if plus and binding is None:
            raise ValueError(f"{SCRAM_PLUS} needs a binding")
        self.mechanism = SCRAM_PLUS if plus else SCRAM
        self._user = identity_name(user, stored=False)
        self._password = password
        self._hello_hash = hello_hash
        self._cache = KeyCache() if cache is None else cache
        self._nonce = make_nonce()
        self._bound = b"" if not plus or binding is None else binding.data
        if plus and binding is not None:
            self._gs2 = f"p={binding.type},,"
        else:
            self._gs2 = "n,," if binding is None else "y,,"
        self._bare = f"n={escape(self._user)},r={self._nonce}"
        self._expected: bytes | None = None
        self._is_answered = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.mechanism}>"

    def start(self) -> bytes:
        """Return the first message."""
        return (self._gs2 + self._bare).encode("utf-8")

    def respond(self, data: bytes) -> bytes:
        """Answer the server's challenge. Slow (PBKDF2, 0.24 s at 600 000): call it in a thread.

        Raises:
            UntrustedServer: the challenge is malformed, too weak, too costly or no answer to start().
            DowngradeDetected: its `h=` is missing or is not that of these HELLOs.
            BadPassword: the password cannot be one.
        """
        if self._is_answered:  # each answer may cost a PBKDF2
            raise UntrustedServer("the server sent a second challenge")
        self._is_answered = True
        try:
            first = read_server_first(data)
        except Malformed as error:
            raise UntrustedServer(f"the server's challenge: {error}") from None
        # Its own part may not be guessable either: 18 characters are 108 bits of base64.
        if not first.nonce.startswith(self._nonce) or len(first.nonce) < len(self._nonce) + 18:
            raise UntrustedServer("the server's nonce does not extend ours by 18 characters")
        if not MIN_ITERATIONS <= first.iterations <= MAX_ITERATIONS:
            raise UntrustedServer(
                f"{first.iterations} iterations asked for, {MIN_ITERATIONS} to {MAX_ITERATIONS} are done"
            )
        if self._hello_hash is not None:
            if first.hello is None:
                raise DowngradeDetected("the server's challenge does not cover the HELLOs (no h=)")
            if not hmac.compare_digest(first.hello, self._hello_hash):
                raise DowngradeDetected("the server saw other HELLOs than this side (h= differs)")
        keys = self._cache.derive(self._password, first.salt, first.iterations)
        binding = encode64(self._gs2.encode("ascii") + self._bound)
        without_proof = f"c={binding},r={first.nonce}"
        covered = f"{self._bare},{first.text},{without_proof}".encode()
        self._expected = hmac.digest(keys.server_key, covered, hashlib.sha256)
        proof = make_proof(keys.client_key, covered)
        return f"{without_proof},p={encode64(proof)}".encode("ascii")

    def finish(self, data: bytes) -> None:
        """Check the server's proof. Only then is the login done, at this side too.

        Raises:
            UntrustedServer: it does not know the password, or says "done" without having been asked.
        """
        expected, self._expected = self._expected, None
        if expected is None:
            raise UntrustedServer("the server ended the login before it gave a challenge")
        try:
            signature = read_server_final(data)
        except Malformed as error:
            raise UntrustedServer(f"the server's proof: {error}") from None
        if not hmac.compare_digest(signature, expected):
            raise UntrustedServer("the server's proof is wrong: it does not know the password")


class ScramServer:
    """Check one proof of a password, once.

    Call receive_first(), challenge() and receive_final() in this order. Every LoginFailed ends it.

    Args:
        plus: whether the client chose -PLUS.
        channel: its bindings are the ones that were offered.
        make_nonce: returns 18 printable characters or more that nobody can foretell.
    """

    def __init__(self, *, plus: bool, channel: Channel, make_nonce: Callable[[], str] = fresh_nonce) -> None:
        self._plus = plus
        self._channel = channel
        self._make_nonce = make_nonce
        self._first: ClientFirst | None = None
        self._challenged: tuple[ClientFirst, PasswordHash | MockHash, bool, str, str] | None = None

    def receive_first(self, data: bytes) -> str:
        """Read the client's first message and return the name it claims, prepared.

        Raises:
            LoginFailed: malformed, the name cannot be one, or the wrong kind of binding.
        """
        try:
            first = read_client_first(data)
            name = identity_name(first.user, stored=False)
        except (Malformed, BadName) as error:
            raise LoginFailed(str(error)) from None
        if self._plus != (first.binding_type is not None):
            raise LoginFailed("the binding flag does not fit the mechanism")
        if first.binding_type is not None and self._channel.binding(first.binding_type) is None:
            raise LoginFailed("a binding type that this channel has not got")
        if first.has_binding and self._channel.bindings:
            # Both sides can bind and somebody told the client that this one cannot.
            raise LoginFailed("downgrade: the client was not told of -PLUS")
        self._first = first
        return name

    def challenge(self, hash: PasswordHash | MockHash, *, genuine: bool = True) -> bytes:
        """Return the challenge for a password hash.

        Args:
            genuine: False where the hash stands in for none: then the proof fails, after the same work.

        Raises:
            LoginFailed: out of turn.
        """
        first, self._first = self._first, None
        if first is None:
            raise LoginFailed("challenge() is not in turn")
        nonce = first.nonce + self._make_nonce()
        text = f"r={nonce},s={encode64(hash.salt)},i={hash.iterations}"
        if self._channel.hello_hash is not None:
            text += f",h={encode64(self._channel.hello_hash)}"
        self._challenged = first, hash, genuine, nonce, text
        return text.encode("ascii")

    def receive_final(self, data: bytes) -> bytes:
        """Check the client's proof and return the server's.

        Raises:
            LoginFailed: for every reason alike; the work was the same.
        """
        challenged, self._challenged = self._challenged, None
        if challenged is None:
            raise LoginFailed("a proof that is not in turn")
        first, hash, genuine, nonce, text = challenged
        try:
            final = read_client_final(data)
        except Malformed as error:
            raise LoginFailed(str(error)) from None
        bound = self._channel.binding(first.binding_type) if first.binding_type else None
        expected = b2a_base64(first.gs2.encode("ascii") + (bound.data if bound else b""), newline=False)
        covered = f"{first.bare},{text},{final.without_proof}".encode()
        # Everything is computed before anything is decided: what fails must not show in the time it takes.
        is_bound = hmac.compare_digest(final.binding.encode("utf-8"), expected)
        is_fresh = hmac.compare_digest(final.nonce, nonce)  # both are ASCII
        is_proven = check_proof(hash.stored_key, covered, final.proof)
        signature = hmac.digest(hash.server_key, covered, hashlib.sha256)
        if not (is_bound and is_fresh and is_proven and genuine):
            raise LoginFailed(
                "channel binding differs: is somebody in between?"
                if not is_bound
                else "nonce differs"
                if not is_fresh
                else "unknown, disabled or without a password"
                if not genuine
                else "wrong password"
            )
        return f"v={encode64(signature)}".encode("ascii")


def make_proof(client_key: bytes, covered: bytes) -> bytes:
    """Return ClientProof: the client's key, hidden by what only this exchange has."""
    signature = hmac.digest(hashlib.sha256(client_key).digest(), covered, hashlib.sha256)
    return _xor(client_key, signature)


def check_proof(stored_key: bytes, covered: bytes, proof: bytes) -> bool:
    """Return whether a proof was made with the client key behind this stored key."""
    client_key = _xor(proof, hmac.digest(stored_key, covered, hashlib.sha256))
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), stored_key)


def _xor(left: bytes, right: bytes) -> bytes:
    # As numbers: byte by byte it takes eighteen times the instructions.
    return (int.from_bytes(left) ^ int.from_bytes(right)).to_bytes(len(left))
