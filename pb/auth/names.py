"""The objects of an application that have names: published ones, and those that only a holder can find.

Spec: spec/12-reconnecting.md, 12.6. What a name may be used for, and by whom, is decided in `naming.py`.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

import cred
from cred.sturdy import hash_of, is_named, time_of_day
from jelly._article import a
from pb.attachment import Attachment
from pb.errors import Forbidden, NoSuchObject
from pb.holding.published import SECRET_MARK, Published, check_nameable
from pb.logfields import fields

from .grants import Grant, Grants

log = logging.getLogger("pb")

Loader = Callable[[str], Any]


class Names:
    """What is published, and the loaders of what secret names stand for.

    Args:
        application: its name, under which the store has the secret ones.
        store: returns the store.
        clock: seconds since 1970.
    """

    def __init__(
        self, application: str, store: Callable[[], Any], *, clock: Callable[[], float] = time_of_day
    ) -> None:
        self.published = Published()
        self.grants = Grants()
        self.clock = clock
        self._application = application
        self._store = store
        self._loaders: dict[str, Loader] = {}

    def add_loader(self, kind: str, loader: Loader) -> None:
        """See `Application.sturdy`."""
        if kind in self._loaders:
            raise ValueError(f"objects of kind {kind!r} have a loader already")
        if not callable(loader):
            raise TypeError(f"the loader is {a(type(loader).__name__)}; a function of one key is expected")
        self._loaders[kind] = loader

    async def give(self, kind: str, key: str, expires_s: float | None) -> str:
        """Make a secret name. See `Application.give_name`."""
        if kind not in self._loaders:
            raise ValueError(f"no loader for objects of kind {kind!r}; name it by application.sturdy first")
        return SECRET_MARK + await self._secret().give(kind, key, expires_s)

    async def list(self) -> list[cred.SturdyRecord]:
        """Return what the store has of the secret names."""
        return await self._secret().list()

    async def revoke(self, name: str) -> bool:
        """Forget a secret name, given as it is, as the end of a URL, or by its id, and end its uses."""
        wanted = bare_name(name)
        found = await self._secret().revoke(wanted)
        # Also what another process has taken from the store, before recheck() finds out.
        for hash in self.grants.hashes:
            if is_named(wanted, hash):
                self.grants.end(hash)
        return found

    async def recheck(self) -> None:
        """Look for what other processes have revoked, and end its uses. It costs one query."""
        used = self.grants.hashes
        if used:
            kept = await self._store().kept_sturdy(used)
            for hash in used:
                if hash not in kept:
                    self.grants.end(hash)

    def begin(self, name: str) -> Grant:
        """Note that a secret name is about to be used."""
        return self.grants.begin(hash_of(name.removeprefix(SECRET_MARK)))

    async def load(self, name: str, peer: str) -> tuple[object, int | None] | None:
        """Return the object that a secret name stands for, and when that expires.

        None if there is none, whatever the reason: a store or a loader that fails too, which is logged.
        """
        try:
            record = await self._find(name)
        except Exception as error:
            _log_failed("a sturdy reference", peer, error)
            return None
        if record is None:
            log.info(
                "a sturdy reference that is unknown, expired or revoked was refused for %s",
                peer,
                extra=fields("name.refused", peer=peer),
            )
            return None
        what = f"sturdy reference {record.id} ({record.kind!a} {record.key!a})"
        loader = self._loaders.get(record.kind)
        try:
            found = None if loader is None else await _loaded(loader, record.key)
        except Exception as error:
            _log_failed(what, peer, error)
            return None
        if found is None:
            why = "nothing loads this kind" if loader is None else "the loader found nothing"
            log.warning(
                "%s was refused for %s: %s",
                what,
                peer,
                why,
                extra=fields("name.refused", peer=peer),
            )
            return None
        log.info("%s was used by %s", what, peer, extra=fields("name.used", peer=peer))
        return found, record.expires

    async def _find(self, name: str) -> cred.SturdyRecord | None:
        if not cred.INameStore.providedBy(self._store()):
            return None  # it has never given a name
        return await self._secret().find(name.removeprefix(SECRET_MARK))

    def _secret(self) -> cred.SturdyNames:
        return cred.SturdyNames(self._store(), self._application, clock=self.clock)


async def _loaded(loader: Loader, key: str) -> object | None:
    try:
        found: object | None = loader(key)
        if inspect.isawaitable(found):
            found = await found
    except (KeyError, NoSuchObject, Forbidden):
        return None
    if found is not None and not isinstance(found, Attachment):
        check_nameable(found)
    return found


def _log_failed(what: str, peer: str, error: Exception) -> None:
    """Tell who runs the server; whoever asked learns no more than that it is no name of his."""
    log.error(
        "%s was refused for %s: it could not be looked up",
        what,
        peer,
        exc_info=error,
        extra=fields("name.refused", peer=peer, error=error),
    )


def bare_name(text: str) -> str:
    """Return a name as the store knows it, or an id, of what somebody has: a URL, a name, an id."""
    return text.rpartition(SECRET_MARK)[2]
