"""What a connection that reconnects has to have again: logins, attached perspectives, what its program keeps.

Spec: spec/12-reconnecting.md.
"""

from __future__ import annotations

import logging
import secrets
import weakref
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jelly import RemoteCache
from jelly._article import a
from jelly.flavours import row_of
from pb.auth.remote_identity import RemoteIdentity, perspective_of
from pb.caches.offering import RESYNC, Offering
from pb.errors import (
    ConnectionLost,
    Error,
    Forbidden,
    Gone,
    LoginFailed,
    NoSuchMethod,
    NoSuchObject,
    PeerError,
    ProtocolError,
)
from pb.logfields import fields
from pb.reference import RemoteReference

from . import login
from .connection import Connection
from .lasting import call_now, make_lasting
from .reference import call_remote
from .taking_over import is_gone, let_die, memory_of, take_over

if TYPE_CHECKING:
    from pb.caches.replica import Replica

    from .link import Link
    from .status import Status

log = logging.getLogger("pb")

_SESSION_BYTES = 16
# So many are kept before it is looked which of them the program has dropped.
_KEPT = 16
_NOT_AGAIN = "kept, and could not be had again over this connection: {}; it is asked for over the next"


class KeptIdentity(RemoteIdentity):
    """Who one is at a server, over every connection there is with it in turn."""

    __slots__ = ("_attached", "_credentials", "_most", "_restoring", "_session")

    def __init__(self, identity: RemoteIdentity, credentials: Any, restoring: Restoring) -> None:
        super().__init__(
            identity._reference, identity.name, call_remote, identity.mechanism, identity.binding
        )
        self._credentials = credentials
        self._restoring = restoring
        self._session = secrets.token_bytes(_SESSION_BYTES)
        self._attached: list[_Attached] = []
        self._most = 1  # of these, before it is looked which of them the program has dropped
        make_lasting(self._reference)

    async def attach(self, service: str, perspective: str | None = None, client: object = None) -> Any:
        """Attach a perspective; over the next connection it is attached again. See `RemoteIdentity`."""
        reference = await super().attach(service, perspective, client)
        make_lasting(reference)
        if len(self._attached) >= self._most:  # each holds its client, who may be somebody new each time
            self._attached = [each for each in self._attached if each.reference() is not None]
            self._most = 2 * len(self._attached) + 1
        self._attached.append(_Attached(service, perspective, client, weakref.ref(reference)))
        return reference

    async def detach(self, perspective: Any) -> None:
        """End an attachment, for good."""
        for attached in reversed(self._attached):
            if attached.reference() is perspective:
                self._attached.remove(attached)
                break
        await super().detach(perspective)

    async def logout(self) -> None:
        """End all attachments and this login, for good."""
        self._restoring.forget(self)
        await super().logout()

    async def begin(self) -> None:
        """Let the server know the session, so that it can tell what is left of it when it comes again."""
        try:
            await call_now(self._reference, "supersede", self._session)
        except NoSuchMethod:
            pass  # then it finds out by itself, later

    async def log_in(self, connection: Connection) -> None:
        """Log in over a new connection.

        Raises:
            LoginFailed, cred.UntrustedServer: refused.
            ConnectionLost: the connection is lost again.
        """
        fresh = await login.login(connection, self._credentials, call_now)
        take_over(fresh._reference, self._reference)
        await self.begin()  # before anything is attached: what is left of the old session is detached first

    @property
    def is_cut(self) -> bool:
        """Whether the server has ended this login, so that it would only be refused."""
        return self._reference._pb_import.dead is Gone

    def end(self, error: Error) -> None:
        """Take it for ended by the server, which would not let it in again."""
        text = f"{self.name!r} could not be logged in again: {error}"
        for reference in (self._reference, *(each.reference() for each in self._attached)):
            if reference is not None:
                let_die(reference, Gone, text, error)

    async def attach_all(self) -> None:
        """Attach all that is still held. Raises ConnectionLost: the connection is lost again."""
        for attached in list(self._attached):
            held = attached.reference()
            if held is None:
                self._attached.remove(attached)
                continue
            try:
                reference = perspective_of(
                    await call_now(
                        self._reference, "attach", attached.service, attached.perspective, attached.client
                    )
                )
            except (Forbidden, Gone, ProtocolError) as error:
                log.warning(
                    "%r of %s cannot be attached again: %s",
                    attached.service,
                    ascii(self.name),
                    error,
                    extra=fields("restore.failed", identity=self.name, service=attached.service, error=error),
                )
                text = f"{attached.what} could not be attached again for {self.name!r}: {error}"
                let_die(held, type(error), text, error)
                self._restoring.status.note_lost(held, error)
                self._attached.remove(attached)
            else:
                take_over(reference, held)


@dataclass(frozen=True, slots=True, eq=False)
class _Attached:
    service: str
    perspective: str | None
    client: object
    reference: weakref.ref[Any]

    @property
    def what(self) -> str:
        """What it is, for people."""
        of = "" if self.perspective is None else f"{self.perspective!r} of "
        return f"{of}{self.service!r}"


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    get: Callable[[], Awaitable[Any]]
    value: weakref.ref[Any]
    name: str | None


class Restoring:
    """All that is to be had again, in the order in which it was first had.

    Args:
        status: where it is noted what the peer gives no longer.
    """

    def __init__(self, status: Status) -> None:
        self.status = status
        self._identities: list[KeptIdentity] = []
        # By what is held and its name: what is had five times by one name is asked for once.
        self._kept: dict[tuple[int, str | None], _Kept] = {}
        self._most = _KEPT
        self._lost: Sequence[Replica] = ()

    async def login(self, connection: Connection, credentials: Any) -> KeptIdentity:
        """Log in, now and over every connection after this one. Raises as `Connection.login`."""
        identity = KeptIdentity(await login.login(connection, credentials), credentials, self)
        await identity.begin()
        self._identities = [
            each for each in self._identities if not (each.is_cut and each.name == identity.name)
        ]
        self._identities.append(identity)
        self.status.logins_lost.pop(identity.name, None)
        return identity

    def forget(self, identity: KeptIdentity) -> None:
        """Log in as this one no more."""
        if identity in self._identities:
            self._identities.remove(identity)

    def let_go(self) -> None:
        """Hold nothing for its own sake: the program has only what it attached, and that is to be noticed."""
        for identity in self._identities:
            handle = identity._reference._pb_import
            handle.scope.tables.drop_now(handle)

    async def keep(self, get: Callable[[], Awaitable[Any]], name: str | None = None) -> Any:
        """Get something, now and over every connection after this one. See `LastingConnection.keep`.

        Args:
            name: by which the peer has it. With one it is given up when the peer revokes it, or does not
                know it any longer: wrong names count there.
        """
        value = await get()
        self.hold(value, get, name)
        return value

    def hold(self, value: Any, get: Callable[[], Awaitable[Any]], name: str | None = None) -> None:
        """Get again, over every connection after this one, what was got from this one.

        What is held already, by the same name, is got once; in the way that was said last.

        Raises:
            TypeError: it is neither a reference nor a replica.
        """
        if isinstance(value, RemoteReference):
            make_lasting(value)
        elif not isinstance(value, RemoteCache):
            raise TypeError(
                f"a reference or a replica can be kept, not {a(type(value).__name__)}: it changes with nobody"
            )
        if len(self._kept) >= self._most:
            self._kept = {key: kept for key, kept in self._kept.items() if kept.value() is not None}
            self._most = max(_KEPT, 2 * len(self._kept))
        if name is not None:
            self.status.names_lost.pop(name, None)
        key = id(value), name
        found = self._kept.get(key)
        if found is not None and found.value() is not value:
            del self._kept[key]  # what had this id before is no more; its place in the order goes with it
        self._kept[key] = _Kept(get, weakref.ref(value), name)

    def note_lost(self, link: Link) -> None:
        """Take note of the replicas that a connection leaves behind."""
        left = [row for row in self._lost if _is_of(row.object, row)]  # else it is among the others
        self._lost = [*left, *link.broker.tables.lost]

    async def restore(self, connection: Connection) -> None:
        """Log in and attach again. Raises as `KeptIdentity.log_in`, where nobody else is let in either."""
        self.status.forget_dropped()
        for identity in list(self._identities):
            await self._log_in(identity, connection)
        await self._offer(connection._link)  # before anything is attached that could send them
        for identity in list(self._identities):
            await identity.attach_all()

    async def _log_in(self, identity: KeptIdentity, connection: Connection) -> None:
        """Log in again, or forget a login that can only be refused: what others have goes on without it."""
        error: Error
        if identity.is_cut:
            error = Gone("the server has ended this login")
        else:
            try:
                await identity.log_in(connection)
            except LoginFailed as refused:
                if len(self._identities) == 1:
                    raise
                error = refused
            else:
                return
        self.forget(identity)
        identity.end(error)
        self.status.logins_lost[identity.name] = error.with_traceback(None)
        log.warning(
            "%s is not logged in again: %s",
            ascii(identity.name),
            error,
            extra=fields("restore.failed", identity=identity.name, error=error),
        )

    async def _offer(self, link: Link) -> None:
        """Offer the replicas that are still held. Raises ConnectionLost."""
        broker = link.broker
        done = link.loop.create_future()
        offering = Offering(self._lost, broker.scope, done)
        if not offering.offers or not broker.tables.observing.peer_comes_back:
            return
        handle = broker.root_reference()._pb_import
        broker.calls.make(handle, RESYNC, (offering.offers,), {}, offering)
        try:
            await done
        except PeerError as error:
            log.info(
                "%s takes up no replicas: %s",
                broker.tables.peer_name,
                error,
                extra=fields("restore.failed", peer=broker.tables.peer_name, error=error),
            )

    async def restore_kept(self) -> None:
        """Get again what the program keeps. Raises ConnectionLost."""
        for key, kept in list(self._kept.items()):
            if self._kept.get(key) is not kept:
                continue  # its name was refused just now, or it was got anew meanwhile
            held = kept.value()
            # What was revoked: its name is void, and to ask for it once more would count as a guess.
            if held is None or (kept.name is not None and is_gone(held)):
                del self._kept[key]
                continue
            try:
                fresh = await kept.get()
            except ConnectionLost:
                raise
            except Exception as error:
                known = isinstance(error, PeerError)
                log.warning(
                    "what was kept cannot be had again: %s",
                    error,
                    exc_info=None if known else error,
                    extra=fields("restore.failed", error=error),
                )
                error = error.with_traceback(None)
                if kept.name is not None and isinstance(error, NoSuchObject):
                    self._give_up(kept.name, error)
                    self.status.names_lost[kept.name] = error
                else:
                    self.status.note_lost(held, error)
                    if isinstance(held, RemoteReference):
                        memory_of(held).lost = _NOT_AGAIN.format(error), error
            else:
                self.status.forget_lost(held)
                take_over(fresh, held)

    def _give_up(self, name: str, error: BaseException) -> None:
        """Ask for a name no more. What was had by it is dead, unless it is had in another way too."""
        had = [kept.value() for kept in self._kept.values() if kept.name == name]
        self._kept = {key: kept for key, kept in self._kept.items() if kept.name != name}
        still = {id(kept.value()) for kept in self._kept.values()}
        for held in had:
            if held is not None and id(held) not in still:
                self.status.note_lost(held, error)
            if isinstance(held, RemoteReference) and id(held) not in still:
                let_die(held, NoSuchObject, f"the server knows the name no longer: {error}", error)


def _is_of(replica: Any, row: Replica) -> bool:
    return replica is not None and row_of(replica) is row
