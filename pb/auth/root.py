"""Logging in, at the server: the root that strangers meet, and what those who have logged in may ask.

Everything here is calls; spec/9-login.md describes them.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

import cred
import jelly
from cred.weakly import WeakList
from pb import interfaces
from pb.errors import Forbidden, LoginFailed, ProtocolError
from pb.logfields import fields
from pb.messages import BYE_POLICY

from .channel import channel_of
from .logged_in import LoggedIn
from .names import Names
from .naming import Naming
from .presence import Presence
from .strangers import Strangers

if TYPE_CHECKING:
    from pb.attachment import Attachment
    from pb.broker import Broker

log = logging.getLogger("pb")

# The least time that a refusal takes, so that what it took to find the reason does not show.
_REFUSAL_S = 0.05
Told = Mapping[str, object]  # what a step of a login tells the client
_MAX_MESSAGE_BYTES = 4096


@implementer(interfaces.IRootFactory)
class AuthRoot:
    """What a server publishes that asks who is there: `pb.serve(pb.AuthRoot(application), url)`.

    Until somebody has logged in, a connection can do nothing else, and only little of that.

    What other processes revoke in a store that is shared is found out by `Application.running` and `pb run`;
    a program that serves a root itself awaits `recheck()` every second or so.

    Args:
        application: a `pb.Application`, or a `cred.Authorizer`.
        anonymous: the name of the identity that those get who do not log in as anyone; None: nobody does.
            Only where `application` is an Application or an Authorizer without verifiers of its own.
        throttle: counts failed logins, and says which sources may fail as they like; share one among the
            servers of an application.
    """

    needs_privacy = True

    def __init__(
        self, application: Any, *, anonymous: str | None = None, throttle: cred.Throttle | None = None
    ) -> None:
        self.authorizer: cred.Authorizer = getattr(application, "authorizer", application)
        names = getattr(application, "names", None)
        self.names = names if isinstance(names, Names) else Names("", lambda: self.authorizer.store)
        # Its own, not the authorizer's: another root of the same authorizer may let nobody in unnamed.
        self.verifiers = () if anonymous is None else (cred.AnonymousVerifier(anonymous),)
        self.throttle = throttle or cred.Throttle()
        self.strangers = Strangers(bounds=self.throttle.strangers)
        self.faces: set[Any] = getattr(application, "faces", set())  # of the connections that are open
        self.attachments: dict[cred.Attachment, Attachment] = {}
        self._roots: set[LoginRoot] = set()  # of these connections
        self._stop: Callable[[], None] | None = None

    def knock(self, address: str) -> Callable[[], None]:
        """Count in who has just connected from an address, as one that has not logged in yet.

        Returns what counts it out: when it has logged in, or has gone.

        Raises:
            Forbidden: as make_root().
        """
        source = cred.source_of(address)
        self._check_penalty(source)
        return self._enter(source)

    def _enter(self, source: str) -> Callable[[], None]:
        return self.strangers.enter(source, self.throttle.strangers_of(source))

    def _check_penalty(self, source: str) -> None:
        # "" are those in this very process: they would shut out each other.
        penalty_s = self.throttle.penalty_s(source) if source else 0.0
        if penalty_s:
            raise Forbidden(f"logins from {source} are refused for {penalty_s:.0f} s: too many have failed")

    def make_root(self, face: Any) -> LoginRoot:
        """Return the root of a new connection, which from here on can do nothing but log in.

        Raises:
            Forbidden: too many have not logged in yet, or too many logins from there have failed.
        """
        if self._stop is None:
            self._stop = self.authorizer.subscribe(self._revoked)
        security = face.security()
        source = cred.source_of(security.address)
        if security.uid is not None:
            source = f"uid {security.uid}"
        channel = channel_of(security, None, peer=face.broker.tables.peer_name)
        # First: who is refused is told so behind a HELLO, which must say that there are logins.
        face.broker.greeting.confine(
            self.authorizer.mechanisms(channel, self.verifiers),
            [binding.type for binding in channel.bindings],
        )
        self._check_penalty(source)  # again: it may have earned one while it shook hands
        leave = face.entered or self._enter(source)
        face.watch(leave)
        root = LoginRoot(self, face, channel, self.throttle.connection(source), leave)
        face.broker.serving.reserved.resolve = root.begin_naming().resolve
        self.faces.add(face)
        self._roots.add(root)
        return root

    def forget(self, root: LoginRoot, face: Any) -> None:
        """Forget a connection that was lost."""
        self.faces.discard(face)
        self._roots.discard(root)

    async def recheck(self) -> None:
        """Look for what other processes have revoked, identities and secret names, and end it here.

        Raises:
            cred.StoreError: the store cannot be asked; try again.
        """
        await self.authorizer.recheck()
        await self.names.recheck()

    # --- who is here, so that what is revoked ends at once

    @property
    def _logged_in(self) -> list[LoggedIn]:
        return [each for root in self._roots for each in root.logged_in if not each.is_over]

    def supersede(self, logged_in: LoggedIn) -> None:
        """End the earlier logins of the session of this one."""
        for earlier in self._logged_in:
            if earlier.is_left_of(logged_in):
                earlier.end("superseded")

    def _revoked(self, revocation: cred.Revocation) -> None:
        for ended in revocation.attachments:
            attachment = self.attachments.get(ended)
            if attachment is not None:
                attachment.detach()
        if revocation.key is None:
            for logged_in in self._logged_in:
                if logged_in.name == revocation.name:
                    logged_in.end("cut")


class LoginRoot(jelly.Referenceable):
    """The one object that a stranger can call."""

    _pb_methods_of_protocol = frozenset(("login",))
    _naming: Naming  # weakly: it keeps this root, not this root it

    def __init__(
        self,
        auth: AuthRoot,
        face: Any,
        channel: cred.Channel,
        attempts: cred.Attempts,
        leave: Callable[[], None],
    ) -> None:
        self._auth = auth
        self._face = face
        self._channel = channel  # with the hash of the HELLOs from the first login on
        self._attempts = attempts
        self._leave = leave
        self._begun: Responder | None = None
        # Weakly, for they may have been released by their client.
        self.logged_in: WeakList[LoggedIn] = WeakList()
        # Of each identity one is held here: a login counts for names after its client has released it, until
        # it is ended. More would tell nothing, and who logs in again and again would fill the memory.
        self._held: dict[str, LoggedIn] = {}
        self._presence = Presence(face)
        face.watch(self._lost)

    def begin_naming(self) -> Naming:
        """Return what resolves names over this connection; the caller has to keep it."""
        naming = Naming(
            self._auth.names,
            self._face,
            self._attempts,
            is_somebody=lambda: bool(self._held),
            admit=self._admit,
            refuse=self._refuse_name,
        )
        self._naming = weakref.proxy(naming)
        return naming

    def remote_login(self, mechanism: object, initial: object) -> Told | Awaitable[Told]:
        """Begin to log in. A login that was begun before on this connection is void.

        Returns:
            {"data", "next"}: answer the challenge `data` by `next.respond(bytes)`; or, when done,
            {"data", "identity", "user"}. To be awaited, where something has to be waited for.

        Raises:
            LoginFailed: refused, whatever the reason.
        """
        if self._begun is not None:
            self._begun.is_void = True
        responder = self._begun = Responder(self)
        if self._channel.hello_hash is None:  # the same for every login of a connection
            greeting = self._face.broker.greeting
            self._channel = self._channel.greeted(cred.hello_hash(greeting.received, greeting.sent))
        try:
            if not isinstance(mechanism, str):
                raise self.misused("a mechanism that is no str")
            responder.mechanism = mechanism[:64]
            responder.login = self._auth.authorizer.begin_login(
                mechanism, self._channel, self._auth.verifiers
            )
        except cred.LoginFailed:
            return self.refuse(None, responder.mechanism)
        return responder.receive(initial)

    def delay_s(self, user: str | None) -> float:
        """Return how long guesses at this name are held back by now, whether the next is right or not."""
        return self._attempts.delay_s(user)

    async def hold_back(self, delay_s: float) -> None:
        """Wait so long."""
        if delay_s:  # sleeping for 0 s is a turn of the loop, with its system call
            await self._face.sleep(delay_s)

    def check_tries(self) -> None:
        """Raise cred.LoginFailed where no tries are left: the connection is about to end."""
        if not self._attempts.left:
            raise self.misused("a try more than there are")

    def misused(self, why: str) -> cred.LoginFailed:
        """Log a refusal that `cred` knows nothing of, and return it."""
        peer = self._face.broker.tables.peer_name
        log.info("login refused from %s: %s", peer, why, extra=fields("login.refused", peer=peer))
        return cred.LoginFailed(why)

    def refuse(self, user: str | None, mechanism: str) -> Awaitable[Told]:
        """Count a refusal, at once: CANCEL ends the call, and must not end this; after the third hang up.

        Returns:
            What raises LoginFailed, in due time.
        """
        self._presence.refused(user or "", mechanism)
        self._count_refusal(user)
        return self._refused()

    async def _refused(self) -> Told:
        await self._face.sleep(_REFUSAL_S)
        raise LoginFailed("login failed")

    async def _refuse_name(self) -> None:
        self._count_refusal(None)
        await self._face.sleep(_REFUSAL_S)

    def _count_refusal(self, user: str | None) -> None:
        self._attempts.failed(user)
        if not self._attempts.left:
            self._face.spawn(self._hang_up(self._face.broker))

    async def _hang_up(self, broker: Broker) -> None:
        await self._face.sleep(0)  # until the answer is held back
        await self._face.sleep(_REFUSAL_S)
        await self._face.sleep(0)  # until it is queued
        broker.fail(ProtocolError("too many logins failed", BYE_POLICY))

    def accept(self, identity: cred.Identity, mechanism: str) -> LoggedIn:
        """Let somebody in."""
        self._attempts.succeeded(identity.name)
        self._admit()
        logged_in = LoggedIn(identity, self._auth, self._face, self._ended, self._presence)
        self.logged_in.add(logged_in)
        self._held[logged_in.name] = logged_in
        self._presence.begin(logged_in, identity.name, mechanism)
        tables = self._face.broker.tables
        if tables.may_log(logging.INFO, "login.accepted"):
            log.info(
                "%s logged in from %s by %s",
                ascii(identity.name),
                tables.peer_name,
                mechanism,
                extra=fields("login.accepted", peer=tables.peer_name, identity=identity.name),
            )
        return logged_in

    def _admit(self) -> None:
        self._leave()
        self._face.broker.greeting.admit()

    def _ended(self) -> None:
        """Hold another login of the identity in place of the one that has ended, if there is one."""
        self._held = {each.name: each for each in self.logged_in if not each.is_over}
        self._naming.withdraw()

    def _lost(self) -> None:
        """End what was logged in over the connection that was lost."""
        self._auth.forget(self, self._face)
        self._begun = None
        for logged_in in self.logged_in:
            logged_in.leave()
        self._presence.lost()
        self._held.clear()


class Responder(jelly.Referenceable):
    """Takes the answer to one challenge, once."""

    _pb_methods_of_protocol = frozenset(("respond",))

    def __init__(self, root: LoginRoot) -> None:
        self.login: cred.Login | None = None
        self.mechanism = ""
        self.is_void = False
        self._root = root
        self._is_busy = False

    def remote_respond(self, data: object) -> Told | Awaitable[Told]:
        """Answer the challenge. Returns and raises as login() does."""
        return self.receive(data)

    def receive(self, data: object) -> Told | Awaitable[Told]:
        """Take a message of the login. What is returned has to be awaited, where something has to wait."""
        root, login = self._root, self.login
        assert login is not None
        try:
            # A challenge is answered once, and by whom it was given to: not twice at the same time either.
            if self.is_void or self._is_busy:
                raise root.misused("a challenge that was answered already, or is no longer valid")
            if type(data) is not bytes or len(data) > _MAX_MESSAGE_BYTES:
                raise root.misused("a message that is no bytes, or too long")
            self._is_busy = True
            delay_s = root.delay_s(login.user)
            if delay_s or not _never_waits(login):
                return self._receive(login, data, delay_s)
            root.check_tries()
            # A task takes as long as half of what is done in it here.
            step = login.receive_at_once(data)
        except cred.LoginFailed:
            self.is_void = True
            return root.refuse(login.user, self.mechanism)
        return self._go_on(step)

    async def _receive(self, login: cred.Login, data: bytes, delay_s: float) -> Told:
        try:
            await self._root.hold_back(delay_s)
            self._root.check_tries()
            step = await login.receive(data)
            if self.is_void:
                raise self._root.misused("another login was begun meanwhile")
        except cred.LoginFailed:
            self.is_void = True
            return await self._root.refuse(login.user, self.mechanism)
        return self._go_on(step)

    def _go_on(self, step: cred.Step) -> Told:
        if step.identity is None:
            self._is_busy = False
            return {"data": step.data, "next": self}
        self.is_void = True
        logged_in = self._root.accept(step.identity, self.mechanism)
        return {"data": step.data, "identity": logged_in, "user": step.identity.name}


def _never_waits(login: Any) -> bool:
    # Asked of the class: what hands on to a login of cred's whatever it has not got would be gone round,
    # with all that its own receive() refuses.
    return hasattr(type(login), "receive_at_once") and bool(login.never_waits)
