"""Identities: the half of an Authorizer that changes identities, and tells what is taken away.

Every change goes to the store first, then to whom it concerns. Knows no services and no logins.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from ._live import Live
from ._logfields import fields
from ._loop import Locks, Unbroken
from ._types import IdentityStore
from .credential import Credential
from .errors import BadName, IdentityExists, NoSuchCredential, NoSuchIdentity, NoSuchKey
from .identity import Identity, IdentityRecord
from .keyring import Key
from .names import identity_name
from .passwords import PasswordHash, prepare_password
from .revocation import REASONS, Listener, Revocation, Subscribers

log = logging.getLogger("cred")

# What a store answers where it has changed nothing: then nothing was taken away.
UNCHANGED = (NoSuchIdentity, NoSuchKey, NoSuchCredential)

Change = Callable[[str], Coroutine[Any, Any, None]]
InThread = Callable[[Callable[[], PasswordHash]], Awaitable[PasswordHash]]


class Identities:
    """Make, find, change and remove identities. See Authorizer, which is the public one."""

    @property
    def authorizer(self) -> Any:
        """Return itself: a service asks whatever it was given for its authorizer."""
        return self

    def __init__(self, store: IdentityStore, iterations: int, in_thread: InThread) -> None:
        self.store = store
        self._iterations = iterations
        self._in_thread = in_thread
        self._declared: dict[str, tuple[str | PasswordHash | None, tuple[tuple[str, str], ...]]] = {}
        self._declared_names: set[str] = set()
        self._locks = Locks()
        self._unbroken = Unbroken()
        self._live = Live()
        self._subscribers = Subscribers()

    async def add_identity(
        self,
        name: str,
        password: str | PasswordHash | None = None,
        *,
        keys: Iterable[tuple[str, str]] = (),
        credentials: Iterable[Credential] = (),
    ) -> Identity:
        """Make an identity and return it.

        Args:
            password: or its hash; None for one without.
            keys: pairs of service name and perspective name.

        Raises:
            IdentityExists: the name is taken; nothing was changed.
            BadName, BadPassword.
        """
        record = IdentityRecord.new(name, None, keys=keys, credentials=credentials)
        await self.settle()
        hash = await self._hash(password)
        await self.store.add(
            IdentityRecord(record.name, hash, keys=record.keys, credentials=record.credentials)
        )
        return self._handle(record.name)

    def declare_identity(
        self,
        name: str,
        password: str | PasswordHash | None = None,
        *,
        keys: Iterable[tuple[str, str]] = (),
    ) -> Identity:
        """Say at once that an identity should be there, and have it written before the store is next asked.

        Where the store has one of that name, that one stays wholly as it is.

        Raises:
            IdentityExists: it was declared before.
            BadName, BadPassword.
        """
        record = IdentityRecord.new(name, keys=keys)
        if record.name in self._declared_names:
            raise IdentityExists(f"identity {record.name!r} is declared twice; give one of them another name")
        if isinstance(password, str):
            prepare_password(password, stored=True)  # now, not when somebody else logs in
        self._declared_names.add(record.name)
        self._declared[record.name] = password, tuple(record.keys)
        return self._handle(record.name)

    @property
    def is_settled(self) -> bool:
        """Whether all that was declared is written."""
        return not self._declared

    async def settle(self) -> None:
        """Write what was declared. Every method that asks the store does this first."""
        while self._declared:
            async with self._locks.of(""):
                if not self._declared:
                    continue
                name, (password, keys) = next(iter(self._declared.items()))
                if await self.store.get(name) is None:
                    hash = await self._hash(password)
                    try:
                        await self.store.add(IdentityRecord.new(name, hash, keys=keys))
                    except IdentityExists:
                        pass  # another process was quicker, with the same program
                else:
                    log.debug(  # at each start but the first, for each of them
                        "identity %s is in the store: its declaration changes nothing",
                        ascii(name),
                        extra=fields("store.unused", identity=name),
                    )
                # Last: if the store is out of reach now, the declaration waits for the next who asks.
                del self._declared[name]

    async def get_identity(self, name: str) -> Identity:
        """Return an identity. Raises NoSuchIdentity, also for what cannot be a name."""
        return self._handle((await self.get_record(name)).name)

    async def get_record(self, name: str) -> IdentityRecord:
        """Return an identity as it is in the store now. Raises NoSuchIdentity."""
        await self.settle()
        record = await self.store.get(_prepared(name))
        if record is None:
            raise NoSuchIdentity(f"no identity {name!r}")
        return record

    async def names(self) -> list[str]:
        """Return the names of all identities, sorted."""
        await self.settle()
        return await self.store.names()

    async def remove_identity(self, name: str) -> None:
        """Forget an identity and cut everything that is logged in as it. Raises NoSuchIdentity."""
        await self._revoking(name, self.store.remove, "removed")
        self._declared_names.discard(_prepared(name))

    async def add_key(self, name: str, key: Key) -> None:
        """See `Identity.add_key`."""
        await self.settle()
        await self.store.add_key(_prepared(name), key)

    async def remove_key(self, name: str, key: Key) -> None:
        """See `Identity.remove_key`."""
        await self._revoking(name, lambda name: self.store.remove_key(name, key), "key", key)

    async def add_credential(self, name: str, credential: Credential) -> None:
        """See `Identity.add_credential`."""
        await self.settle()
        await self.store.add_credential(_prepared(name), credential)

    async def remove_credential(self, name: str, credential: Credential) -> None:
        """See `Identity.remove_credential`."""
        await self._revoking(name, lambda name: self.store.remove_credential(name, credential), "credential")

    async def set_password(self, name: str, password: str | PasswordHash | None) -> None:
        """See `Identity.set_password`."""
        hash = await self._hash(password)
        await self._revoking(name, lambda name: self.store.set_password_hash(name, hash), "password")

    async def set_disabled(self, name: str, disabled: bool) -> None:
        """See `Identity.disable` and `Identity.enable`."""
        if disabled:
            await self._revoking(name, lambda name: self.store.set_disabled(name, True), "disabled")
        else:
            await self.settle()
            await self.store.set_disabled(_prepared(name), False)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call a function with each Revocation, at once and on this loop; return what ends that."""
        return self._subscribers.add(listener)

    def kick(self, name: str) -> None:
        """Cut everything that is logged in as an identity. It may log in again."""
        self._revoke(_prepared(name), None, "kicked")

    async def recheck(self) -> None:
        """Look for what other processes, or the store itself, have taken away, and cut it.

        Call it every second or so where several processes share a store; it costs one query. What is changed
        through this authorizer is cut at once and needs no recheck.
        """
        epochs = await self.store.epochs(self._live.names())
        for name in self._live.names():
            if name in epochs and epochs[name] == self._live.epoch(name):
                continue
            record = await self.store.get(name)
            if record is None:
                self._revoke(name, None, "removed")
                continue
            self._live.set_epoch(name, record.epoch)
            logins = self._live.logins(name)
            earlier = {login.as_of for login in logins} | {
                one.identity.as_of for one in self._live.attachments(name)
            }
            if record.disabled or any(was is not None and not record.continues(was) for was in earlier):
                self._revoke(name, None, "disabled" if record.disabled else "password")
                continue
            for key in {one.key for one in self._live.attachments(name)} - record.keys:
                self._revoke(name, key, "key")

    async def _revoking(
        self,
        name: str,
        change: Change,
        reason: str,
        key: Key | None = None,
    ) -> None:
        prepared = _prepared(name)

        async def write_and_tell() -> None:
            await self.settle()
            try:
                await change(prepared)
            except UNCHANGED:
                raise
            except BaseException:
                # Perhaps it was written and only the answer is missing. Who is cut in vain logs in again.
                self._revoke(prepared, key, reason)
                raise
            self._revoke(prepared, key, reason)

        await self._unbroken.run(write_and_tell())

    def _revoke(self, name: str, key: Key | None, reason: str) -> None:
        attachments = self._live.attachments(name, key)
        self._live.disturb(name, cut=reason == "kicked")
        if attachments or (key is None and self._live.logins(name)):
            where = "" if key is None else f" from {key.service} as {key.perspective!a}"
            service = "" if key is None else key.service
            log.info(
                "%s was cut%s: %s",
                ascii(name),
                where,
                REASONS[reason],
                extra=fields("identity.cut", identity=name, service=service),
            )
        if key is None:
            self._live.forget_logins(name)
        self._subscribers.tell(Revocation(name, key, reason, attachments))
        for attachment in attachments:
            attachment.end()

    async def _hash(self, password: str | PasswordHash | None) -> PasswordHash | None:
        if not isinstance(password, str):
            return password
        return await self._in_thread(lambda: PasswordHash.of(password, iterations=self._iterations))

    def _handle(self, name: str) -> Identity:
        return Identity(self.authorizer, name)


def _prepared(name: str) -> str:
    """Return the form in which the store has a name. What cannot be a name is nobody's."""
    try:
        return identity_name(name, stored=False)
    except BadName as error:
        raise NoSuchIdentity(str(error)) from None
