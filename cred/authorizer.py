"""Authorizer: the identities and services of an application, and what ties them: login, attach, revocation.

Knows neither wire nor connection. Everything that may ask a database is awaitable.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from zope.interface import implementer

from ._article import a
from ._directory import Directory
from ._held import Held
from ._identities import Identities, InThread
from ._logfields import fields
from ._loop import in_thread
from ._types import IdentityStore, Verifier
from ._waiting import never_waits
from .anonymous import AnonymousVerifier
from .attachment import Attachment
from .channel import Channel
from .ed25519 import Ed25519Verifier
from .errors import LoginFailed, NoSuchIdentity, NoSuchPerspective, NotPermitted
from .external import ExternalVerifier
from .identity import Identity, IdentityRecord
from .interfaces import IAuthorizer, IPerspective, IService
from .keyring import Key
from .login import Login, come_from
from .password import ScramVerifier
from .passwords import DEFAULT_ITERATIONS
from .service import Service
from .stores.memory import MemoryStore

log = logging.getLogger("cred")


@implementer(IAuthorizer)
class Authorizer(Identities):
    """Know identities and services, log in, attach, and tell at once what is revoked.

    Args:
        store: keeps the identities (IIdentityStore); None for one in memory.
        anonymous: the name of the identity that strangers get; None: they get none.
        verifiers: the ways to log in (IVerifier), best first; None for password, key, what the transport
            proves, and `anonymous`.
        iterations: of PBKDF2, for passwords that are set here.
        clock: seconds that only grow.
        in_thread: does something slow elsewhere, as `asyncio.to_thread` does.
    """

    def __init__(
        self,
        store: IdentityStore | None = None,
        *,
        anonymous: str | None = None,
        verifiers: Sequence[Verifier] | None = None,
        iterations: int = DEFAULT_ITERATIONS,
        clock: Callable[[], float] = time.monotonic,
        in_thread: InThread = in_thread,
    ) -> None:
        super().__init__(MemoryStore() if store is None else store, iterations, in_thread)
        if verifiers is None:
            verifiers = [ScramVerifier(), Ed25519Verifier(), ExternalVerifier()]
            if anonymous is not None:
                verifiers.append(AnonymousVerifier(anonymous))
        elif anonymous is not None:
            raise ValueError("with verifiers of your own, put AnonymousVerifier(name) among them")
        self._verifiers = tuple(verifiers)
        self._clock = clock
        self._directory = Directory(self.store, iterations=iterations, clock=clock)
        self._services: dict[str, Service] = {}
        self._held: dict[str, Held] = {}

    def add_service(self, service: Service) -> None:
        """Take a service in, an IService. Nothing happens if it is in already.

        Raises:
            ValueError: its name is taken, or it belongs elsewhere.
            TypeError: it is no service.
        """
        if not IService.providedBy(service):
            raise TypeError(f"{a(type(service).__name__)} is no service: derive it from Service")
        taken = self._services.get(service.name)
        if taken is service:
            return
        if taken is not None:
            raise ValueError(f"there is a service {service.name!r} already; give this one another name")
        service.authorizer = self
        self._services[service.name] = service
        self._held[service.name] = Held(service)

    def attach_count(self, service: str, perspective: str) -> int:
        """Return how many attachments there are now that were made with this key."""
        held = self._held.get(service)
        return 0 if held is None else held.count(perspective)

    @property
    def services(self) -> Mapping[str, Service]:
        """Return the services by name."""
        return MappingProxyType(self._services)

    def add_verifier(self, verifier: Verifier) -> None:
        """Add one more way to log in, after those there are."""
        self._verifiers = (*self._verifiers, verifier)

    def mechanisms(self, channel: Channel, more: Sequence[Verifier] = ()) -> list[str]:
        """Return the names of the mechanisms to announce for a channel, best first; `more` come last."""
        return [name for verifier in (*self._verifiers, *more) for name in verifier.offered(channel)]

    def begin_login(self, mechanism: str, channel: Channel, more: Sequence[Verifier] = ()) -> Login:
        """Return a Login; feed it what the client sends.

        Args:
            more: ways to log in at this door only, after those there are.

        Raises:
            LoginFailed: the mechanism is not offered on this channel.
            ValueError: the channel has no hello_hash. It is this side that forgot it.
        """
        if channel.hello_hash is None:
            raise ValueError("a login needs the hello_hash of its channel: else a downgrade goes unseen")
        for verifier in (*self._verifiers, *more):
            if mechanism in verifier.offered(channel):
                exchange = verifier.begin(mechanism, channel, self._directory)
                # What a class derived from this one does more may wait.
                is_at_once = type(self) is Authorizer and never_waits(exchange)
                return Login(self, mechanism, exchange, self._clock, channel.peer, is_at_once)
        log.info(
            "login refused%s: a mechanism that is not offered here",
            come_from(channel.peer),
            extra=fields("login.refused", mechanism=mechanism, peer=channel.peer),
        )
        raise LoginFailed("a mechanism that is not offered here")

    async def admit_login(self, proven: IdentityRecord) -> Identity:
        """Return the identity that a login has proven. For Login.

        Raises:
            LoginFailed: it was disabled or changed since the login began.
        """
        record = await self.store.get(proven.name)
        # Nearly always it is the very snapshot that was proven, which then has not changed.
        if record is None or record.disabled or not (record is proven or record.continues(proven)):
            raise LoginFailed("the identity changed while it logged in")
        identity = Identity(self, record.name, record)
        self._live.add_login(identity, record.epoch)
        return identity

    async def attach(
        self,
        identity: Identity,
        service: str,
        perspective: str | None = None,
        client: Any = None,
        *,
        prepare: Callable[[Any], Any] | None = None,
    ) -> Attachment:
        """Attach a perspective of a service for an identity, and return the live attachment.

        Args:
            service: a name, which may come from a peer, as may the next.
            perspective: a name; None for the identity's own if it has that key, else its first one.
            client: given to attached() as it is.
            prepare: called with the perspective before its attached() is; what it returns is given as the
                client instead. For those who tie a client to the perspective it calls on behalf of.

        Raises:
            NotPermitted: with one text, whether service, perspective, key or identity is missing or void.
            AttachRefused: attached() said no; or whatever else it raised.

        End it with `end()` when the client detaches or its connection is lost.
        """
        with self._live.opening(identity.name) as opening:
            key, found = await self._admit_attach(identity, service, perspective)
            attachment = await self._attach(identity, key, found, client, prepare)
            try:
                # Rights may have been taken away while attached() waited: this has to be known before it is
                # handed out, for nobody cuts what nobody has yet.
                while opening.is_disturbed and not opening.is_cut:
                    opening.is_disturbed = False
                    await self._admit_attach(identity, key.service, key.perspective)
                if opening.is_cut or not attachment.is_live:
                    raise NotPermitted("revoked while it was attached")
            except BaseException:
                attachment.end()
                raise
            return attachment

    async def _admit_attach(
        self, identity: Identity, service: str, perspective: str | None
    ) -> tuple[Key, Held]:
        if not isinstance(service, str) or not isinstance(perspective, str | None):
            raise NotPermitted("a name that is no string")
        try:
            record = await self.get_record(identity.name)
        except NoSuchIdentity:
            raise NotPermitted("the identity was removed") from None
        if record.disabled or (identity.as_of is not None and not record.continues(identity.as_of)):
            raise NotPermitted("disabled, or password or credentials changed since the login")
        if perspective is None:
            key = record.keys.choose(service, identity.name)
        else:
            key = Key(service, perspective)
        if key is None or key not in record.keys:
            raise NotPermitted("no such key on the keyring")
        found = self._held.get(key.service)
        if found is None:
            raise NotPermitted("a key for a service that is not here")
        return key, found

    async def _attach(
        self,
        identity: Identity,
        key: Key,
        held: Held,
        client: Any,
        prepare: Callable[[Any], Any] | None,
    ) -> Attachment:
        try:
            perspective = await held.hold(key.perspective, identity)
        except (NoSuchPerspective, KeyError) as error:
            log.info(
                "service %r has no perspective for a key of %s",
                key.service,
                ascii(identity.name),
                extra=fields("attach.refused", identity=identity.name, service=key.service, error=error),
            )
            raise NotPermitted("a key for a perspective that is not there") from error
        try:
            if prepare is not None:
                client = prepare(perspective)
            given = perspective.attached(client, identity)
            if isinstance(given, Awaitable):
                given = await given
            if given is None:
                given = perspective
            elif not IPerspective.providedBy(given):
                raise TypeError(f"attached() returned {a(type(given).__name__)}, expected a perspective")
        except BaseException:
            held.let_go(key.perspective, identity)
            raise
        attachment = Attachment(identity, client, key, given, held, self._live.forget)
        self._live.add(attachment)
        return attachment

    async def close(self) -> None:
        """End all attachments and close the store."""
        for name in self._live.names():
            for attachment in self._live.attachments(name):
                attachment.end()
        await self.store.close()
