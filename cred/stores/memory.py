"""MemoryStore: identities for as long as the process lives. For tests, and programs that declare theirs."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace

from zope.interface import implementer

from ..credential import Credential
from ..errors import IdentityExists, NoSuchCredential, NoSuchIdentity, NoSuchKey
from ..identity import IdentityRecord, PasswordRecord
from ..interfaces import IIdentityStore, INameStore
from ..keyring import Key, Keyring
from ..passwords import PasswordHash
from ..sturdy import SturdyRecord


@implementer(IIdentityStore, INameStore)
class MemoryStore:
    """Keep identities in a dict. Nothing here waits, so every change is one step of the loop.

    Args:
        random: returns that many bytes that nobody can foretell.

    Attributes:
        never_waits: see IIdentityStore. Not of classes that are derived from this one: theirs may wait.
    """

    def __init__(self, *, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._records: dict[str, IdentityRecord] = {}
        self._sturdy: dict[str, SturdyRecord] = {}
        self._epoch = 0
        self._secret = random(32)
        self.never_waits = type(self) is MemoryStore

    async def get(self, name: str) -> IdentityRecord | None:
        """See IIdentityStore."""
        return self._records.get(name)

    async def get_password(self, name: str) -> PasswordRecord:
        """See IIdentityStore."""
        record = self._records.get(name)
        if record is None:
            return PasswordRecord()
        return PasswordRecord(record.password_hash, record.disabled, record.epoch)

    async def add(self, record: IdentityRecord) -> None:
        """See IIdentityStore."""
        if record.name in self._records:
            raise IdentityExists(f"there is an identity {record.name!r} already")
        self._records[record.name] = replace(record, epoch=self._next_epoch())

    async def remove(self, name: str) -> None:
        """See IIdentityStore."""
        self._record(name)
        del self._records[name]

    async def names(self) -> list[str]:
        """See IIdentityStore."""
        return sorted(self._records)

    async def set_password_hash(self, name: str, password_hash: PasswordHash | None) -> None:
        """See IIdentityStore."""
        record = self._record(name)
        self._records[name] = replace(record, password_hash=password_hash, epoch=self._next_epoch())

    async def set_disabled(self, name: str, disabled: bool) -> None:
        """See IIdentityStore."""
        record = self._record(name)
        epoch = self._next_epoch() if disabled else record.epoch
        self._records[name] = replace(record, disabled=disabled, epoch=epoch)

    async def add_key(self, name: str, key: Key) -> None:
        """See IIdentityStore."""
        record = self._record(name)
        self._records[name] = replace(record, keys=Keyring(record.keys | {key}))

    async def remove_key(self, name: str, key: Key) -> None:
        """See IIdentityStore."""
        record = self._record(name)
        if key not in record.keys:
            raise NoSuchKey(f"no such key on the keyring of {name!r}")
        self._records[name] = replace(record, keys=Keyring(record.keys - {key}), epoch=self._next_epoch())

    async def add_credential(self, name: str, credential: Credential) -> None:
        """See IIdentityStore."""
        record = self._record(name)
        # The old one first, or its label would stay: they are equal.
        self._records[name] = replace(record, credentials=record.credentials - {credential} | {credential})

    async def remove_credential(self, name: str, credential: Credential) -> None:
        """See IIdentityStore."""
        record = self._record(name)
        if credential not in record.credentials:
            raise NoSuchCredential(f"no such credential of {name!r}")
        left = record.credentials - {credential}
        self._records[name] = replace(record, credentials=left, epoch=self._next_epoch())

    async def names_with(self, credential: Credential) -> list[str]:
        """See IIdentityStore."""
        return sorted(name for name, record in self._records.items() if credential in record.credentials)

    async def epochs(self, names: Collection[str]) -> dict[str, int]:
        """See IIdentityStore."""
        return {name: self._records[name].epoch for name in names if name in self._records}

    async def iteration_counts(self) -> dict[int, int]:
        """See IIdentityStore."""
        hashes = (record.password_hash for record in self._records.values())
        return dict(Counter(hash.iterations for hash in hashes if hash is not None))

    async def secret(self) -> bytes:
        """See IIdentityStore."""
        return self._secret

    async def close(self) -> None:
        """See IIdentityStore. Everything is forgotten with the object, not here."""

    async def add_sturdy(self, record: SturdyRecord, forget_before: int) -> None:
        """See INameStore."""
        for old in [old for old in self._sturdy.values() if old.is_expired(forget_before - 1)]:
            del self._sturdy[old.hash]
        self._sturdy[record.hash] = record

    async def get_sturdy(self, hash: str) -> SturdyRecord | None:
        """See INameStore."""
        return self._sturdy.get(hash)

    async def list_sturdy(self) -> list[SturdyRecord]:
        """See INameStore."""
        return sorted(self._sturdy.values(), key=lambda record: (record.made, record.hash))

    async def kept_sturdy(self, hashes: Collection[str]) -> set[str]:
        """See INameStore."""
        return {hash for hash in hashes if hash in self._sturdy}

    async def remove_sturdy(self, hash: str) -> bool:
        """See INameStore."""
        return self._sturdy.pop(hash, None) is not None

    def _record(self, name: str) -> IdentityRecord:
        try:
            return self._records[name]
        except KeyError:
            raise NoSuchIdentity(f"no identity {name!r}") from None

    def _next_epoch(self) -> int:
        self._epoch += 1
        return self._epoch
