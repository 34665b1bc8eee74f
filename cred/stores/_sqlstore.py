"""SqlStore: what a store is asked, over whatever runs the transactions of `_sql`. Knows no database."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from zope.interface import implementer

from ..credential import Credential
from ..identity import IdentityRecord, PasswordRecord
from ..interfaces import IIdentityStore, INameStore
from ..keyring import Key
from ..passwords import PasswordHash
from ..sturdy import SturdyRecord
from . import _sql
from ._sql import Transaction

T = TypeVar("T")


@implementer(IIdentityStore, INameStore)
class SqlStore:
    """Turn each method into a transaction. A subclass runs it."""

    def __init__(self) -> None:
        self._secret: bytes | None = None

    async def read(self, transaction: Transaction[T]) -> T:
        """Run a transaction that changes nothing, on one state of the database."""
        raise NotImplementedError

    async def write(self, transaction: Transaction[T]) -> T:
        """Run a transaction and commit it; where it raises, nothing is changed."""
        raise NotImplementedError

    async def close(self) -> None:
        """See IIdentityStore."""
        raise NotImplementedError

    async def secret(self) -> bytes:
        """See IIdentityStore. It never changes, so it is asked for once."""
        if self._secret is None:
            self._secret = await self.read(_sql.secret())
        return self._secret

    async def get(self, name: str) -> IdentityRecord | None:
        """See IIdentityStore."""
        return await self.read(_sql.get(name))

    async def get_password(self, name: str) -> PasswordRecord:
        """See IIdentityStore."""
        return await self.read(_sql.get_password(name))

    async def add(self, record: IdentityRecord) -> None:
        """See IIdentityStore."""
        await self.write(_sql.add(record))

    async def remove(self, name: str) -> None:
        """See IIdentityStore."""
        await self.write(_sql.remove(name))

    async def names(self) -> list[str]:
        """See IIdentityStore."""
        return await self.read(_sql.names())

    async def set_password_hash(self, name: str, password_hash: PasswordHash | None) -> None:
        """See IIdentityStore."""
        await self.write(_sql.set_password_hash(name, password_hash))

    async def set_disabled(self, name: str, disabled: bool) -> None:
        """See IIdentityStore."""
        await self.write(_sql.set_disabled(name, disabled))

    async def add_key(self, name: str, key: Key) -> None:
        """See IIdentityStore."""
        await self.write(_sql.add_key(name, key))

    async def remove_key(self, name: str, key: Key) -> None:
        """See IIdentityStore."""
        await self.write(_sql.remove_key(name, key))

    async def add_credential(self, name: str, credential: Credential) -> None:
        """See IIdentityStore."""
        await self.write(_sql.add_credential(name, credential))

    async def remove_credential(self, name: str, credential: Credential) -> None:
        """See IIdentityStore."""
        await self.write(_sql.remove_credential(name, credential))

    async def names_with(self, credential: Credential) -> list[str]:
        """See IIdentityStore."""
        return await self.read(_sql.names_with(credential))

    async def epochs(self, names: Collection[str]) -> dict[str, int]:
        """See IIdentityStore."""
        return await self.read(_sql.epochs(names))

    async def iteration_counts(self) -> dict[int, int]:
        """See IIdentityStore."""
        return await self.read(_sql.iteration_counts())

    async def add_sturdy(self, record: SturdyRecord, forget_before: int) -> None:
        """See INameStore."""
        await self.write(_sql.add_sturdy(record, forget_before))

    async def get_sturdy(self, hash: str) -> SturdyRecord | None:
        """See INameStore."""
        return await self.read(_sql.get_sturdy(hash))

    async def list_sturdy(self) -> list[SturdyRecord]:
        """See INameStore."""
        return await self.read(_sql.list_sturdy())

    async def kept_sturdy(self, hashes: Collection[str]) -> set[str]:
        """See INameStore."""
        return await self.read(_sql.kept_sturdy(hashes))

    async def remove_sturdy(self, hash: str) -> bool:
        """See INameStore."""
        return await self.write(_sql.remove_sturdy(hash))
