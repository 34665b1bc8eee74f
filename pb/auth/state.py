"""What an application keeps from one run to the next, beside its identities and in the same database.

Only what was named is kept, as jelly writes it: reading it back builds registered classes and nothing else.
A generator here is one transaction, as in the SQL stores: it yields statements and is sent the rows.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import cred
import jelly
from jelly._article import a
from jelly._losses import Losses
from jelly.visibility import OWNER
from pb.logfields import fields, log_loss

log = logging.getLogger("pb")

FORMAT: Final = 1
# SQLite takes no longer value unless it was built for more.
MAX_STATE_BYTES: Final = 512 * 1024 * 1024
# What comes from a file that only its owner can write may have as many keys, and values, as he likes.
LIMITS: Final = jelly.Limits(max_exts=1 << 30, max_containers=1 << 30, max_floodable_keys=1 << 30)

T = TypeVar("T")
Transaction = Generator[tuple[str, Sequence[Any]], list[Sequence[Any]], T]

TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS pb_applications"
    " (application TEXT PRIMARY KEY, format BIGINT NOT NULL, writer TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS pb_state (application TEXT NOT NULL, name TEXT NOT NULL,"
    " version BIGINT NOT NULL, payload BYTEA NOT NULL, seal BYTEA NOT NULL, PRIMARY KEY (application, name))",
)


class StateError(cred.StoreError):
    """Say that kept state cannot be read or written. What the store holds is as it was."""


class Store(Protocol):
    """An SQL store."""

    async def secret(self) -> bytes: ...
    async def read(self, transaction: Transaction[T]) -> T: ...
    async def write(self, transaction: Transaction[T]) -> T: ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of one owner as it lies in the store."""

    version: int
    payload: bytes
    seal: bytes


@dataclass(frozen=True, slots=True)
class _Entry:
    owner: Any
    version: int
    registry: jelly.Registry


class KeptState:
    """The owners of state in one application, and what the store has of it.

    Args:
        application: its name, under which the store has the state.
    """

    def __init__(self, application: str) -> None:
        self._application = application
        self._entries: dict[str, _Entry] = {}
        self._saved: dict[str, Snapshot] = {}
        self._writer = ""
        self._losses = Losses(log_loss)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, name: str, owner: Any, registry: jelly.Registry | None) -> None:
        """See `Application.keep`."""
        if name in self._entries:
            raise ValueError(f"state is kept under {name!r} already; give this another name")
        for hook in ("get_state_to_keep", "set_kept_state"):
            if not callable(getattr(owner, hook, None)):
                raise TypeError(f"{a(type(owner).__name__)} cannot be kept: it has no method {hook}")
        version = getattr(owner, "kept_version", 1)
        if type(version) is not int or version < 1:
            raise TypeError(f"kept_version of {type(owner).__name__} is no int from 1 on")
        self._entries[name] = _Entry(owner, version, registry or jelly.Registry())

    async def load(self, store: Store, writer: str) -> None:
        """Give every owner its state back, and take over the writing of it.

        Args:
            writer: stands for this run of the application; unique.

        Raises:
            StateError: it was damaged, or cannot be understood. No owner was given anything.
        """
        self._saved, self._writer = {}, ""
        await store.write(_setup())
        found = await store.read(_read(self._application))
        secret = await store.secret()
        states = [
            (entry.owner, self._state_of(name, entry, found[name], secret))
            for name, entry in self._entries.items()
            if name in found
        ]
        for name in sorted(found.keys() - self._entries.keys()):
            log.info(
                "state %a of %a is in the store and not kept any longer; it stays there",
                name,
                self._application,
                extra=fields("store.unused", application=self._application),
            )
        await store.write(_claim(self._application, writer, found))
        for owner, state in states:
            owner.set_kept_state(state)
        self._saved, self._writer = found, writer

    async def save(self, store: Store) -> bool:
        """Write the state of all owners as it is now, in one transaction; return whether any had changed.

        Raises:
            StateError: an owner's state cannot be written, or another process has taken over. Nothing was
                written.
        """
        assert self._writer, "save() before load() would overwrite what is there"
        secret = await store.secret()
        # From here to the write nothing is awaited: all owners are written as they are at one moment.
        snapshots = {name: self._snapshot_of(name, entry, secret) for name, entry in self._entries.items()}
        changed = {name: one for name, one in snapshots.items() if self._saved.get(name) != one}
        if changed:
            await store.write(_write(self._application, self._writer, changed))
            self._saved.update(changed)
        return bool(changed)

    def _snapshot_of(self, name: str, entry: _Entry, secret: bytes) -> Snapshot:
        state = entry.owner.get_state_to_keep()
        encoder = jelly.Encoder(
            entry.registry, LIMITS, max_payload=MAX_STATE_BYTES, losses=self._losses, unknown=OWNER
        )
        try:
            payload = encoder.dumps(state, where=f"state {name!r}")
        except jelly.JellyError as error:
            raise StateError(f"cannot be kept: {error}") from error
        return Snapshot(entry.version, payload, self._seal(secret, name, entry.version, payload))

    def _state_of(self, name: str, entry: _Entry, snapshot: Snapshot, secret: bytes) -> Any:
        version = snapshot.version
        told = f"state {name!r} of {self._application!r}"
        seal = self._seal(secret, name, version, snapshot.payload)
        if not hmac.compare_digest(seal, snapshot.seal):
            raise StateError(f"{told} was damaged or changed by hand; put a copy of the file back")
        if version > entry.version:
            raise StateError(
                f"{told} has version {version}, {type(entry.owner).__name__} reads {entry.version}; "
                "update the program"
            )
        try:
            state = jelly.Decoder(entry.registry, LIMITS).loads(snapshot.payload)
        except jelly.JellyError as error:
            raise StateError(f"{told} is refused: {error}") from error
        for newer in range(version + 1, entry.version + 1):
            hook: Callable[[Any], Any] | None
            hook = getattr(entry.owner, f"upgrade_to_version_{newer}", None)
            if hook is None:
                raise StateError(
                    f"{told} has version {version}, and {type(entry.owner).__name__} has no "
                    f"upgrade_to_version_{newer}(state)"
                )
            state = hook(state)
        return state

    def _seal(self, secret: bytes, name: str, version: int, payload: bytes) -> bytes:
        """Return what shows that a snapshot is whole, and is that of this name in this store.

        It shows no more: who can write the file can read the secret in it.
        """
        seal = hmac.new(secret, digestmod="sha256")
        for part in (self._application.encode(), name.encode(), b"%d" % version, payload):
            seal.update(b"%d:" % len(part))
            seal.update(part)
        return seal.digest()


def _setup() -> Transaction[None]:
    for table in TABLES:
        yield table, ()


def _read(application: str) -> Transaction[dict[str, Snapshot]]:
    rows = yield "SELECT format FROM pb_applications WHERE application = ?", (application,)
    if rows and rows[0][0] != FORMAT:
        raise StateError(
            f"the state of {application!r} has format {rows[0][0]}, this program reads {FORMAT}; update it"
        )
    rows = yield "SELECT name, version, payload, seal FROM pb_state WHERE application = ?", (application,)
    # SQLite has what somebody put there, of whatever type; such a one fails its seal.
    return {
        name: Snapshot(version if type(version) is int else 0, _bytes(payload), _bytes(seal))
        for name, version, payload, seal in rows
    }


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def _claim(application: str, writer: str, expected: Mapping[str, Snapshot]) -> Transaction[None]:
    yield (
        "INSERT INTO pb_applications (application, format, writer) VALUES (?, ?, ?)"
        " ON CONFLICT (application) DO UPDATE SET writer = excluded.writer",
        (application, FORMAT, writer),
    )
    found = yield from _read(application)
    if found != expected:
        raise StateError(f"another process wrote the state of {application!r} meanwhile; stop it first")


def _write(application: str, writer: str, changed: Mapping[str, Snapshot]) -> Transaction[None]:
    rows = yield (
        "UPDATE pb_applications SET format = ? WHERE application = ? AND writer = ? RETURNING writer",
        (FORMAT, application, writer),
    )
    if not rows:
        raise StateError(
            f"another process has taken over the state of {application!r}; what changed here is not kept"
        )
    for name, one in changed.items():
        yield (
            "INSERT INTO pb_state (application, name, version, payload, seal) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (application, name) DO UPDATE SET"
            " version = excluded.version, payload = excluded.payload, seal = excluded.seal",
            (application, name, one.version, one.payload, one.seal),
        )
