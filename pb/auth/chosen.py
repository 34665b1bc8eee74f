"""ChosenStore: an identity store that is named after the program has begun to use it, and before it is asked.

Services and identities are declared while a program is read; where they are kept is the operator's to say.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import Any, Final

from zope.interface import implementer

import cred

from .state import StateError

STORE: Final[tuple[Any, ...]] = (cred.IIdentityStore, cred.INameStore)
SQL_METHODS: Final = frozenset({"read", "write"})


@implementer(cred.IIdentityStore)
class ChosenStore:
    """Pass everything on to the store that was chosen, or to one in memory if none was.

    Not asking is the only way to keep the choice open: the first call settles it.
    """

    def __init__(self) -> None:
        self._make: Callable[[], Any] = cred.MemoryStore
        self._store: Any = None

    @property
    def is_in_memory(self) -> bool:
        """Whether nothing of it outlives the process."""
        return self._make is cred.MemoryStore

    def choose(self, make: Callable[[], Any]) -> None:
        """Use what `make` returns, each time the store is opened.

        Raises:
            RuntimeError: another one was asked already: what it was told would be lost.
        """
        if self._store is not None:
            raise RuntimeError("the store is in use already; choose it before anything is asked of it")
        self._make = make

    @property
    def store(self) -> Any:
        """The store itself, opened."""
        if self._store is None:
            self._store = self._make()
        return self._store

    async def close(self) -> None:
        """Close the store. The next call opens it anew."""
        store = self._store
        if store is None:
            return
        if not self.is_in_memory:  # else its identities would be gone
            self._store = None
        await store.close()

    def __getattr__(self, name: str) -> Any:
        if name in SQL_METHODS or any(name in contract for contract in STORE):
            return getattr(self.store, name)
        raise AttributeError(f"an identity store has no {name!r}")


def sqlite_store(path: str | os.PathLike[str]) -> Callable[[], Any]:
    """Return what makes the store of a file."""

    def make() -> Any:
        from cred.stores.sqlite import SqliteStore  # here, because who brings a store may have no sqlite3

        return SqliteStore(path)

    return make


def explained(error: cred.StoreError, path: str | os.PathLike[str] | None) -> cred.StoreError:
    """Return an error that names the file and says what to do."""
    text, cause = str(error), error.__cause__
    if path is not None and os.fspath(path) not in text:
        text = f"{os.fspath(path)}: {text}"
    if isinstance(error, StateError):
        return StateError(text)
    if isinstance(cause, FileNotFoundError):
        text += "; make the directory first"
    elif isinstance(cause, IsADirectoryError):
        text += "; name a file in it"
    elif isinstance(cause, PermissionError):
        text += "; run as the owner of the file, or give it to who runs this"
    elif isinstance(cause, sqlite3.OperationalError):
        text += "; see that no other program holds it, and that its directory can be written"
    elif isinstance(cause, sqlite3.DatabaseError):
        text += "; it is no store, or damaged: put a copy of it back, or name another file"
    elif "version" in text:
        text += "; update this program, or name another file"
    return cred.StoreError(text)
