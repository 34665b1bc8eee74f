"""Who one is at a server, for blocking programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pb.auth.remote_identity import RemoteIdentity as LoopIdentity

    from .link import SyncLink


class RemoteIdentity:
    """Who one is at a server. Made by `connection.login(...)`.

    Attributes:
        name: as the server has it.
    """

    __slots__ = ("_identity", "_link", "name")

    def __init__(self, link: SyncLink, identity: LoopIdentity) -> None:
        self._link = link
        self._identity = identity
        self.name = identity.name

    def attach(self, service: str, perspective: str | None = None, client: object = None) -> Any:
        """Attach a perspective of a service, and return a reference to it. Any number may be attached.

        Arguments and errors as for `pb.RemoteIdentity.attach`.
        """
        return self._link.background.run(
            lambda: self._identity.attach(service, perspective, client), self._link.desk
        )

    def keys(self) -> list[tuple[str, str]]:
        """Return the keyring: (service, perspective), sorted."""
        return self._link.background.run(self._identity.keys, self._link.desk)

    def detach(self, perspective: Any) -> None:
        """End an attachment: the perspective and all that was got from it are gone.

        Raises:
            Forbidden: it is not attached by this identity over this connection.
        """
        self._link.background.run(lambda: self._identity.detach(perspective), self._link.desk)

    def logout(self) -> None:
        """End all attachments and this login. The connection stays; one may log in again."""
        self._link.background.run(self._identity.logout, self._link.desk)

    def __repr__(self) -> str:
        return f"<RemoteIdentity {self.name!r}>"
