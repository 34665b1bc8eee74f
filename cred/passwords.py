"""PasswordHash: what is kept of a password. It checks a SCRAM proof and cannot make one. RFC 5802 section 3.

At rest in PostgreSQL's syntax, so that its tools and tables can be used:
`SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, all but the number in base64.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from .errors import BadPassword
from .saslprep import saslprep

# OWASP's figure for PBKDF2-HMAC-SHA-256: 0.24 s at the client, and 16 us at the server whatever it is.
DEFAULT_ITERATIONS: Final = 600_000
# Below, a stolen store is cheap to search; above, a server could freeze its clients.
MIN_ITERATIONS: Final = 4_096
MAX_ITERATIONS: Final = 10_000_000
SALT_BYTES: Final = 16
MAX_SALT_BYTES: Final = 64
# At the client, before the work: PBKDF2 hashes longer ones first, so nothing is gained by more.
MAX_PASSWORD_BYTES: Final = 1_024

SYNTAX: Final = re.compile(
    r"SCRAM-SHA-256\$([1-9][0-9]{0,8}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)", re.ASCII
)

# What a NamedTuple's own constructor does, for half of the instructions.
_new: Final = tuple.__new__


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What a client derives from password, salt and iteration count; as secret as the password."""

    client_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


def derive_keys(password: str, salt: bytes, iterations: int, *, stored: bool = False) -> ScramKeys:
    """Derive the keys of a password. Slow on purpose (0.24 s at 600 000): call it in a thread.

    Raises:
        BadPassword: empty, longer than 1,024 bytes, or not allowed by RFC 4013.
    """
    salted = hashlib.pbkdf2_hmac("sha256", prepare_password(password, stored=stored), salt, iterations)
    return ScramKeys(
        hmac.digest(salted, b"Client Key", hashlib.sha256), hmac.digest(salted, b"Server Key", hashlib.sha256)
    )


def prepare_password(password: str, *, stored: bool) -> bytes:
    """Return the bytes of a password that are hashed. Raises BadPassword."""
    if not isinstance(password, str):
        raise BadPassword(f"a password is a str, not {type(password).__name__}")
    if len(password) > MAX_PASSWORD_BYTES:
        raise BadPassword(f"the password has more than {MAX_PASSWORD_BYTES} bytes")
    try:
        prepared = saslprep(password, stored=stored).encode("utf-8")
    except ValueError as error:
        # `error` tells kind and position, never the character.
        raise BadPassword(f"the password holds {error}") from None
    if not 0 < len(prepared) <= MAX_PASSWORD_BYTES:
        raise BadPassword(f"the password has {len(prepared)} bytes, expected 1 to {MAX_PASSWORD_BYTES}")
    return prepared


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """What is kept of a password: a SCRAM-SHA-256 verifier.

    Who steals it cannot log in with it, but can search for the password offline.
    """

    iterations: int
    salt: bytes
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not MIN_ITERATIONS <= self.iterations <= MAX_ITERATIONS:
            raise ValueError(
                f"{self.iterations} iterations, expected {MIN_ITERATIONS} to {MAX_ITERATIONS}, as clients do"
            )
        if not 8 <= len(self.salt) <= MAX_SALT_BYTES:
            raise ValueError(f"salt of {len(self.salt)} bytes, expected 8 to {MAX_SALT_BYTES}")
        if len(self.stored_key) != 32 or len(self.server_key) != 32:
            raise ValueError("StoredKey and ServerKey of SCRAM-SHA-256 have 32 bytes")

    @classmethod
    def of(
        cls,
        password: str,
        *,
        iterations: int = DEFAULT_ITERATIONS,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> PasswordHash:
        """Hash a new password. Slow on purpose (0.24 s at the default): call it in a thread.

        Args:
            random: returns that many bytes that nobody can foretell.

        Raises:
            BadPassword: see `derive_keys`; characters that Unicode 3.2 does not know are refused too.
            ValueError: iterations out of bounds.
        """
        salt = random(SALT_BYTES)
        keys = derive_keys(password, salt, iterations, stored=True)
        return cls(iterations, salt, hashlib.sha256(keys.client_key).digest(), keys.server_key)

    @classmethod
    def parse(cls, text: str) -> PasswordHash:
        """Read a verifier in PostgreSQL's syntax. Raises ValueError; the text holds nothing of it."""
        match = SYNTAX.fullmatch(text)
        if match is None:
            raise ValueError("expected SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>")
        iterations, salt, stored_key, server_key = match.groups()
        return cls(int(iterations), decode64(salt), decode64(stored_key), decode64(server_key))

    def __str__(self) -> str:
        return (
            f"SCRAM-SHA-256${self.iterations}:{encode64(self.salt)}"
            f"${encode64(self.stored_key)}:{encode64(self.server_key)}"
        )


class MockHash(NamedTuple):
    """What stands in for a PasswordHash. It has its fields; a seventh of the instructions makes it."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    def __repr__(self) -> str:
        return f"<MockHash of {self.iterations} iterations>"


def mock_hash(secret: bytes, name: str, histogram: Mapping[int, int]) -> MockHash:
    """Return the hash of nobody's password, the same for one name at all times and on all servers of a store.

    It stands in for identities that are unknown or have no password, so that a challenge tells nothing.

    Args:
        secret: the store's secret.
        histogram: how many real hashes have which iteration count. Drawn from in proportion; the draw is
            fixed by the name, so it moves only where the histogram itself moved.
    """

    prepared = name.encode("utf-8")
    drawn = hmac.digest(secret, b"mock-salt\0" + prepared, hashlib.sha256)
    if len(histogram) > 1:
        iterations = _draw_iterations(secret, prepared, histogram)
    else:  # the one there is, whatever were drawn: for all names alike, so that its work is spared them all
        iterations = next(iter(histogram), DEFAULT_ITERATIONS)
    # Keys that nobody has: they come from the half of the draw that is never told, 128 bits. With draws of
    # their own every login, of those who are known too, would cost two HMACs more.
    untold = drawn[SALT_BYTES:]
    key = hashlib.sha256(untold).digest()
    return _new(MockHash, (iterations, drawn[:SALT_BYTES], key, untold * 2))


def _draw_iterations(secret: bytes, prepared: bytes, histogram: Mapping[int, int]) -> int:
    drawn = hmac.digest(secret, b"mock-iterations\0" + prepared, hashlib.sha256)
    point = int.from_bytes(drawn) * sum(histogram.values()) >> 256
    iterations = DEFAULT_ITERATIONS
    for iterations in sorted(histogram):  # pragma: no branch - the point is below the sum
        point -= histogram[iterations]
        if point < 0:
            break
    return iterations


def encode64(data: bytes) -> str:
    """Return base64 with padding."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def decode64(text: str) -> bytes:
    """Return the bytes of canonical base64. Raises ValueError for everything else.

    Python's decoder takes stray bits in the last digit, and skips what is no digit; two texts for one value
    are how a replay gets past a list of what was seen.
    """
    try:
        data = binascii.a2b_base64(text)
    except ValueError:  # binascii.Error is one; the other is for what is not ASCII
        raise ValueError("no base64") from None
    if encode64(data) != text:
        raise ValueError("base64 that is not canonical")
    return data
