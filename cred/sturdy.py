"""Names that are secrets: whoever holds one may have the object it stands for. No wire, no objects.

Such a name is made by chance and shown once. The store has its SHA-256 only: 160 bits of chance need neither
salt nor stretching, and looking up a hash tells nothing about the names there are, however long it takes.
"""

from __future__ import annotations

import base64
import hashlib
import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ._article import a
from .errors import StoreError
from .interfaces import INameStore

# 160 bits: 32 characters of base32, without padding.
NAME_BYTES: Final = 20
# Of its hash, what a name is called by; 64 bits that two names of one store do not share.
ID_CHARS: Final = 16
# What every store can count.
MAX_S: Final = 2.0**53
# How long a name that has expired is still listed, for those who wonder.
LISTED_S: Final = 7 * 24 * 3600


def time_of_day() -> float:
    """Return seconds since 1970: the clock by which names expire, in whichever process they are used."""
    return time.time()


@dataclass(frozen=True, slots=True)
class SturdyRecord:
    """What a store keeps of a name.

    Attributes:
        hash: SHA-256 of the name, hexadecimal.
        application: whose it is.
        kind, key: what it stands for, in words of the application.
        made, expires: seconds since 1970; `expires` is None if it never does.
    """

    hash: str
    application: str
    kind: str
    key: str
    made: int
    expires: int | None = None

    @property
    def id(self) -> str:
        """What it is called in lists and logs: the beginning of its hash, from which nobody gets the name."""
        return self.hash[:ID_CHARS]

    def is_expired(self, now: float) -> bool:
        """Return whether its time is over."""
        return self.expires is not None and self.expires <= now


class SturdyNames:
    """The secret names of one application.

    Args:
        store: provides INameStore.
        application: its name, under which the store has them.
        clock: seconds since 1970.
        random: returns that many bytes that nobody can foretell.
    """

    def __init__(
        self,
        store: Any,
        application: str,
        *,
        clock: Callable[[], float] = time_of_day,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        if not INameStore.providedBy(store):
            raise StoreError(f"{a(type(store).__name__)} keeps no names: it does not provide cred.INameStore")
        self._store = store
        self._application = application
        self._clock = clock
        self._random = random

    async def give(self, kind: str, key: str, expires_s: float | None = None) -> str:
        """Make a name for something, and return it. It cannot be had a second time.

        Args:
            expires_s: how long it is valid; None for ever.

        Raises:
            ValueError: it would be expired at once.
        """
        if expires_s is not None and not 1 <= expires_s <= MAX_S:
            raise ValueError(f"expires_s is {expires_s:g}, expected 1 second or more, or None")
        now = self._clock()
        name = base64.b32encode(self._random(NAME_BYTES)).decode("ascii").lower()
        expires = None if expires_s is None else math.ceil(now + expires_s)  # never before its time
        record = SturdyRecord(hash_of(name), self._application, kind, key, int(now), expires)
        await self._store.add_sturdy(record, record.made - LISTED_S)
        return name

    async def find(self, name: str) -> SturdyRecord | None:
        """Return what a name stands for; None if it is unknown, expired, revoked or another application's."""
        record: SturdyRecord | None = await self._store.get_sturdy(hash_of(name))
        if record is None or record.application != self._application or record.is_expired(self._clock()):
            return None
        return record

    async def list(self) -> list[SturdyRecord]:
        """Return the names of this application, oldest first; those that expired lately too."""
        records = await self._store.list_sturdy()
        return [record for record in records if record.application == self._application]

    async def revoke(self, name_or_id: str) -> bool:
        """Forget a name, by itself or its id; return whether it was there."""
        for hash in (hash_of(name_or_id), name_or_id):
            record = await self._store.get_sturdy(hash)
            if record is not None and record.application == self._application:
                return bool(await self._store.remove_sturdy(hash))
        found = False
        if len(name_or_id) == ID_CHARS:  # only then are all of them looked through
            for record in await self.list():
                if record.id == name_or_id:
                    found |= await self._store.remove_sturdy(record.hash)
        return found


def hash_of(name: str) -> str:
    """Return what a store knows of a name."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def is_named(text: str, hash: str) -> bool:
    """Tell whether a text is the name that has this hash, or its id, or the hash itself."""
    return text in (hash, hash[:ID_CHARS]) or hash_of(text) == hash
