"""What somebody who has logged in may ask of the server. Spec: spec/9-login.md, "Identity"."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import cred
import jelly
from pb.attachment import Attachment, check_roles
from pb.context import current_call
from pb.errors import Forbidden, Gone
from pb.hooks import AttachmentEvent, Login, names_of
from pb.logfields import fields
from pb.reference import RemoteReference

from .presence import Presence

if TYPE_CHECKING:
    from .root import AuthRoot

log = logging.getLogger("pb")

MIN_SESSION_BYTES: Final = 16
MAX_SESSION_BYTES: Final = 64


class LoggedIn(jelly.Referenceable, Login):
    """One identity on one connection: attach perspectives, list keys, leave."""

    _pb_methods_of_protocol = frozenset(("attach", "detach", "logout", "supersede"))

    def __init__(
        self,
        identity: cred.Identity,
        auth: AuthRoot,
        face: Any,
        ended: Callable[[], object],
        presence: Presence,
    ) -> None:
        self._presence = presence
        self.name = identity.name
        self._on_end = ended
        self._identity = identity
        self._auth = auth
        self._holdings = face.broker.holdings
        self._attachments: dict[Attachment, AttachmentEvent | None] = {}  # what hooks were told of it
        self._is_over = False
        self._session: bytes | None = None

    async def remote_attach(
        self, service: object, perspective: object = None, client: object = None
    ) -> Attachment:
        """Attach a perspective of a service; the caller gets a reference to it.

        Args:
            perspective: a name; None for the own name if that is on the keyring, else the first of the
                service.
            client: an object of the caller's that the perspective may call, or None.

        Raises:
            Forbidden: no such key, whatever the reason; or the perspective does not want this client now.
            Gone: the login was ended meanwhile.
        """
        try:
            return await self._give(service, perspective, client)
        except (Forbidden, Gone):
            self._presence.attachment("attach_refused", self.name, service, perspective)
            raise

    async def _give(self, service: object, perspective: object, client: object) -> Attachment:
        if not isinstance(client, RemoteReference | None):
            raise Forbidden("client is neither an object of the caller's nor nil")
        call = current_call()
        if call is None or not call.answer_wanted:
            raise Forbidden("a call that wants no answer cannot attach")
        attachment = call.attach()
        attachment.scope.identity = self.name
        try:
            live = await self._attach(attachment, service, perspective, client)
        except BaseException:
            attachment.detach()
            raise
        self._auth.attachments[live] = attachment
        self._attachments[attachment] = None
        attachment.on_end(lambda: self._ended(attachment, live))
        if self._is_over or not live.is_live:
            attachment.detach()
            raise Gone("the login was ended while it attached")
        _, found, name = names_of(attachment.scope)
        self._attachments[attachment] = self._presence.attachment("attached", self.name, found, name)
        return attachment

    async def _attach(
        self, attachment: Attachment, service: Any, perspective: Any, client: RemoteReference | None
    ) -> cred.Attachment:
        def prepare(perspective: object) -> object:
            attachment.perspective = perspective
            return None if client is None else attachment.adopt(client)

        try:
            live = await self._auth.authorizer.attach(self._identity, service, perspective, prepare=prepare)
        except cred.NotPermitted as error:
            if attachment.scope.tables.may_log(logging.INFO, "attach.refused"):
                log.info(
                    "attach refused for %s: %s of %s: %s",
                    ascii(self.name),
                    _shown(perspective, "the perspective"),
                    _shown(service, "a service"),
                    error.reason,
                    extra=fields("attach.refused", identity=self.name, service=service, error=error),
                )
            raise Forbidden(str(error)) from None
        except cred.AttachRefused as error:
            raise Forbidden(str(error)) from None
        try:
            if live.perspective is not attachment.perspective:
                attachment.perspective = live.perspective  # which attached() chose
            else:
                check_roles(live.perspective)  # which attached() may have set
        except (TypeError, ValueError):
            live.end()
            raise
        return live

    def _ended(self, attachment: Attachment, live: cred.Attachment) -> None:
        event = self._attachments.pop(attachment)
        self._auth.attachments.pop(live, None)
        live.end()
        self._presence.detached(event)

    async def remote_keys(self) -> list[list[str]]:
        """Return what may be attached, as [service, perspective], sorted. Raises Gone."""
        try:
            return [[key.service, key.perspective] for key in await self._identity.keys()]
        except cred.NoSuchIdentity:  # removed by another process; recheck() has not found out yet
            raise Gone("the identity was removed") from None

    def remote_detach(self, perspective: object) -> None:
        """End the latest attachment of a perspective; everything handed out under it is gone.

        Raises:
            Forbidden: it is not attached here.
        """
        for attachment in reversed(self._attachments):
            if attachment.perspective is perspective:
                attachment.detach()
                return
        raise Forbidden("this is no perspective that is attached here")

    def remote_logout(self) -> None:
        """End all attachments and this login. The connection stays."""
        tables = self._holdings.broker.tables
        if tables.may_log(logging.INFO, "login.ended"):
            log.info(
                "%s logged out at %s",
                ascii(self.name),
                tables.peer_name,
                extra=fields("login.ended", peer=tables.peer_name, identity=self.name),
            )
        self.end("logged out")

    def remote_supersede(self, session: object) -> None:
        """End what is left of a session of the same client: its earlier connection may be dead unnoticed.

        Args:
            session: random bytes that the client chose once, and says at each of its logins.

        Raises:
            Forbidden: it is no session.
        """
        if type(session) is not bytes or not MIN_SESSION_BYTES <= len(session) <= MAX_SESSION_BYTES:
            raise Forbidden(f"a session is {MIN_SESSION_BYTES} to {MAX_SESSION_BYTES} bytes")
        self._session = session
        self._auth.supersede(self)

    def is_left_of(self, other: LoggedIn) -> bool:
        """Tell whether this is an earlier login of the session of another one."""
        same = self.name == other.name and self._session is not None
        return same and self is not other and self._session == other._session

    @property
    def is_over(self) -> bool:
        """Whether the login has ended."""
        return self._is_over

    def end(self, reason: str) -> None:
        """End all attachments, and withdraw this object.

        Args:
            reason: for hooks; see `pb.hooks.LoginEvent`.
        """
        self.leave()
        self._presence.end(self, reason)
        self._holdings.revoke_object(self)
        self._on_end()

    def leave(self) -> None:
        """End all attachments: the connection is lost, or the login over."""
        self._is_over = True
        for attachment in list(self._attachments):
            attachment.detach()


def _shown(name: object, none: str) -> str:
    """Return a name that a peer has sent, or what stands for none, for the log."""
    return ascii(name[:256]) if isinstance(name, str) else none
