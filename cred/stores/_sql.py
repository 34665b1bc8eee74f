"""What the SQL stores do, without a database: generators that yield statements and are sent the rows.

One generator is one transaction: it returns the result, or raises and nothing is changed. So SQLite in a
thread and PostgreSQL on the loop share every statement. Placeholders are `?`.

A transaction that changes something locks in this order: the store's row, the identity's, the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from typing import Any, Final, TypeVar

from ..credential import Credential
from ..errors import IdentityExists, NoSuchCredential, NoSuchIdentity, NoSuchKey, StoreError
from ..identity import IdentityRecord, PasswordRecord
from ..keyring import Key, Keyring
from ..passwords import PasswordHash
from ..sturdy import SturdyRecord

T = TypeVar("T")

Statement = tuple[str, Sequence[Any]]
Transaction = Generator[Statement, list[Sequence[Any]], T]

VERSION: Final = 1
# Names in one statement: SQLite takes 999 placeholders, or 32 766.
MOST_NAMES: Final = 500

NOBODYS: Final = str(PasswordHash(600_000, bytes(16), bytes(32), bytes(32)))
# One row of one size, whoever is asked for: where only the known had a row, fetching it took 2 to 4 us more.
PASSWORD: Final = (
    "SELECT COALESCE(known.password_hash, ?), known.password_hash IS NULL,"
    " COALESCE(known.disabled, FALSE), COALESCE(known.epoch, 0)"
    " FROM (SELECT CAST(? AS TEXT) AS name) AS wanted"
    " LEFT JOIN cred_identities AS known ON known.name = wanted.name"
)

TABLES: Final = (
    """CREATE TABLE cred_identities (
        name TEXT PRIMARY KEY,
        password_hash TEXT,
        iterations BIGINT,
        disabled BOOLEAN NOT NULL,
        epoch BIGINT NOT NULL
    )""",
    "CREATE INDEX cred_identities_iterations ON cred_identities (iterations)",
    """CREATE TABLE cred_keys (
        identity TEXT NOT NULL REFERENCES cred_identities (name) ON DELETE CASCADE,
        service TEXT NOT NULL,
        perspective TEXT NOT NULL,
        PRIMARY KEY (identity, service, perspective)
    )""",
    """CREATE TABLE cred_credentials (
        identity TEXT NOT NULL REFERENCES cred_identities (name) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        label TEXT NOT NULL,
        PRIMARY KEY (identity, kind, id)
    )""",
    "CREATE INDEX cred_credentials_id ON cred_credentials (kind, id)",
)

# Made in a store of any age: what was written before it knew of names is complete without.
STURDY_TABLE: Final = """CREATE TABLE IF NOT EXISTS cred_sturdy (
        hash TEXT PRIMARY KEY,
        application TEXT NOT NULL,
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        made BIGINT NOT NULL,
        expires BIGINT
    )"""
STURDY: Final = "SELECT hash, application, kind, key, made, expires FROM cred_sturdy"


def setup(secret: bytes) -> Transaction[None]:
    """Make the tables where they are missing.

    Args:
        secret: of the store, kept where there is none yet.

    Raises:
        StoreError: the tables are of a later version of this package.
    """
    yield (
        "CREATE TABLE IF NOT EXISTS cred_store"
        " (version BIGINT NOT NULL, secret BYTEA NOT NULL, epoch BIGINT NOT NULL)",
        (),
    )
    rows = yield "SELECT version FROM cred_store", ()
    if not rows:
        for table in TABLES:
            yield table, ()
        yield "INSERT INTO cred_store (version, secret, epoch) VALUES (?, ?, 0)", (VERSION, secret)
    elif rows[0][0] != VERSION:
        raise StoreError(f"the store has version {rows[0][0]}, this program reads version {VERSION}")
    yield STURDY_TABLE, ()


def secret() -> Transaction[bytes]:
    """See IIdentityStore."""
    rows = yield "SELECT secret FROM cred_store", ()
    return bytes(rows[0][0])


def get(name: str) -> Transaction[IdentityRecord | None]:
    """See IIdentityStore."""
    rows = yield "SELECT password_hash, disabled, epoch FROM cred_identities WHERE name = ?", (name,)
    if not rows:
        return None
    keys = yield "SELECT service, perspective FROM cred_keys WHERE identity = ?", (name,)
    credentials = yield "SELECT kind, id, label FROM cred_credentials WHERE identity = ?", (name,)
    hash, disabled, epoch = rows[0]
    try:
        return IdentityRecord(
            name,
            None if hash is None else PasswordHash.parse(hash),
            bool(disabled),
            epoch,
            Keyring(Key(*row) for row in keys),
            frozenset(Credential(*row) for row in credentials),
        )
    except ValueError as error:
        raise StoreError(f"the identity {name!r} cannot be read: {error}") from None


def get_password(name: str) -> Transaction[PasswordRecord]:
    """See IIdentityStore."""
    ((hash, is_nobodys, disabled, epoch),) = yield PASSWORD, (NOBODYS, name)
    try:
        # Read for everybody: it takes 10 us, which would show in the time of a login.
        password_hash = PasswordHash.parse(hash)
    except ValueError as error:
        raise StoreError(f"the identity {name!r} cannot be read: {error}") from None
    return PasswordRecord(None if is_nobodys else password_hash, bool(disabled), epoch)


def add(record: IdentityRecord) -> Transaction[None]:
    """See IIdentityStore."""
    epoch = yield from _next_epoch()
    rows = yield (
        "INSERT INTO cred_identities (name, password_hash, iterations, disabled, epoch)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING RETURNING name",
        (record.name, *_hash_columns(record.password_hash), record.disabled, epoch),
    )
    if not rows:
        raise IdentityExists(f"there is an identity {record.name!r} already")
    for key in record.keys:
        yield from _insert_key(record.name, key)
    for credential in record.credentials:
        yield from _insert_credential(record.name, credential)


def remove(name: str) -> Transaction[None]:
    """See IIdentityStore."""
    # The epoch is used up, so that an identity of the same name made later never has an earlier one.
    yield from _next_epoch()
    rows = yield "DELETE FROM cred_identities WHERE name = ? RETURNING name", (name,)
    _expect_identity(rows, name)


def names() -> Transaction[list[str]]:
    """See IIdentityStore."""
    rows = yield "SELECT name FROM cred_identities", ()
    # Sorted here: databases sort by a collation of their own.
    return sorted(name for (name,) in rows)


def set_password_hash(name: str, password_hash: PasswordHash | None) -> Transaction[None]:
    """See IIdentityStore."""
    epoch = yield from _next_epoch()
    rows = yield (
        "UPDATE cred_identities SET password_hash = ?, iterations = ?, epoch = ?"
        " WHERE name = ? RETURNING name",
        (*_hash_columns(password_hash), epoch, name),
    )
    _expect_identity(rows, name)


def set_disabled(name: str, disabled: bool) -> Transaction[None]:
    """See IIdentityStore."""
    if disabled:
        yield from _outdate(name)
    rows = yield "UPDATE cred_identities SET disabled = ? WHERE name = ? RETURNING name", (disabled, name)
    _expect_identity(rows, name)


def add_key(name: str, key: Key) -> Transaction[None]:
    """See IIdentityStore."""
    yield from _lock(name)
    yield from _insert_key(name, key)


def remove_key(name: str, key: Key) -> Transaction[None]:
    """See IIdentityStore."""
    yield from _outdate(name)
    rows = yield (
        "DELETE FROM cred_keys WHERE identity = ? AND service = ? AND perspective = ? RETURNING service",
        (name, *key),
    )
    if not rows:
        raise NoSuchKey(f"no such key on the keyring of {name!r}")


def add_credential(name: str, credential: Credential) -> Transaction[None]:
    """See IIdentityStore."""
    yield from _lock(name)
    yield from _insert_credential(name, credential)


def remove_credential(name: str, credential: Credential) -> Transaction[None]:
    """See IIdentityStore."""
    yield from _outdate(name)
    rows = yield (
        "DELETE FROM cred_credentials WHERE identity = ? AND kind = ? AND id = ? RETURNING id",
        (name, credential.kind, credential.id),
    )
    if not rows:
        raise NoSuchCredential(f"no such credential of {name!r}")


def names_with(credential: Credential) -> Transaction[list[str]]:
    """See IIdentityStore."""
    rows = yield (
        "SELECT identity FROM cred_credentials WHERE kind = ? AND id = ?",
        (credential.kind, credential.id),
    )
    return sorted(name for (name,) in rows)


def epochs(names: Collection[str]) -> Transaction[dict[str, int]]:
    """See IIdentityStore."""
    found: dict[str, int] = {}
    wanted = list(names)
    for start in range(0, len(wanted), MOST_NAMES):
        some = wanted[start : start + MOST_NAMES]
        marks = ", ".join("?" * len(some))
        rows = yield f"SELECT name, epoch FROM cred_identities WHERE name IN ({marks})", some
        found.update((name, epoch) for name, epoch in rows)
    return found


def iteration_counts() -> Transaction[dict[int, int]]:
    """See IIdentityStore."""
    rows = yield (
        "SELECT iterations, COUNT(*) FROM cred_identities WHERE iterations IS NOT NULL GROUP BY iterations",
        (),
    )
    return {iterations: count for iterations, count in rows}  # noqa: C416 (rows are sequences)


def add_sturdy(record: SturdyRecord, forget_before: int) -> Transaction[None]:
    """See INameStore."""
    yield "DELETE FROM cred_sturdy WHERE expires < ?", (forget_before,)
    yield (
        "INSERT INTO cred_sturdy (hash, application, kind, key, made, expires) VALUES (?, ?, ?, ?, ?, ?)",
        (record.hash, record.application, record.kind, record.key, record.made, record.expires),
    )


def get_sturdy(hash: str) -> Transaction[SturdyRecord | None]:
    """See INameStore."""
    rows = yield f"{STURDY} WHERE hash = ?", (hash,)
    return SturdyRecord(*rows[0]) if rows else None


def list_sturdy() -> Transaction[list[SturdyRecord]]:
    """See INameStore."""
    rows = yield STURDY, ()
    return sorted((SturdyRecord(*row) for row in rows), key=lambda record: (record.made, record.hash))


def kept_sturdy(hashes: Collection[str]) -> Transaction[set[str]]:
    """See INameStore."""
    kept: set[str] = set()
    wanted = list(hashes)
    for start in range(0, len(wanted), MOST_NAMES):
        some = wanted[start : start + MOST_NAMES]
        marks = ", ".join("?" * len(some))
        rows = yield f"SELECT hash FROM cred_sturdy WHERE hash IN ({marks})", some
        kept.update(hash for (hash,) in rows)
    return kept


def remove_sturdy(hash: str) -> Transaction[bool]:
    """See INameStore."""
    rows = yield "DELETE FROM cred_sturdy WHERE hash = ? RETURNING hash", (hash,)
    return bool(rows)


def _next_epoch() -> Transaction[int]:
    rows = yield "UPDATE cred_store SET epoch = epoch + 1 RETURNING epoch", ()
    epoch: int = rows[0][0]
    return epoch


def _outdate(name: str) -> Transaction[None]:
    epoch = yield from _next_epoch()
    rows = yield "UPDATE cred_identities SET epoch = ? WHERE name = ? RETURNING name", (epoch, name)
    _expect_identity(rows, name)


def _lock(name: str) -> Transaction[None]:
    """Hold the row of an identity to the end of the transaction, so that it cannot be removed meanwhile."""
    rows = yield "UPDATE cred_identities SET name = name WHERE name = ? RETURNING name", (name,)
    _expect_identity(rows, name)


def _insert_key(name: str, key: Key) -> Transaction[None]:
    yield (
        "INSERT INTO cred_keys (identity, service, perspective) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (name, *key),
    )


def _insert_credential(name: str, credential: Credential) -> Transaction[None]:
    yield (
        "INSERT INTO cred_credentials (identity, kind, id, label) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (identity, kind, id) DO UPDATE SET label = excluded.label",
        (name, credential.kind, credential.id, credential.label),
    )


def _hash_columns(hash: PasswordHash | None) -> tuple[str | None, int | None]:
    return (None, None) if hash is None else (str(hash), hash.iterations)


def _expect_identity(rows: Sequence[object], name: str) -> None:
    if not rows:
        raise NoSuchIdentity(f"no identity {name!r}")
