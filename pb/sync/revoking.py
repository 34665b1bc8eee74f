"""Taking an object back, in blocking programs. See `pb.aio.revoking`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pb.aio.revoking import Whence

from .connection import Connection
from .link import SyncLink
from .server import Server

if TYPE_CHECKING:
    from pb.attachment import Attachment


def revoke(value: object, *where: Connection | Server | Attachment | Any) -> int:
    """Withdraw an object from peers that hold it; see `pb.revoke`.

        sync.revoke(document, server)  # from everybody
        sync.revoke(document, server, bob)  # from one user: whom bob is the perspective of

    Args:
        value: what was sent: a Referenceable, Viewable, Cacheable, a perspective or its Attachment.
        where: connections and servers of this face. Or the users that it is withdrawn from, whoever else has
            it: Attachments, or perspectives beside the server that they are attached at.

    Returns:
        How many references to it were withdrawn.

    Raises:
        TypeError: nothing is named; a perspective, and no place; or what is served by asyncio, such as an
            application: call `pb.revoke` in the thread of its loop.
    """
    whence = Whence(where, _links_of)
    if not all(isinstance(link, SyncLink) for link in whence.links):
        raise TypeError("what is named is served by asyncio: call pb.revoke, in the thread of its loop")
    return whence.revoke(value, _call)


def _links_of(place: object) -> list[Any] | None:
    if isinstance(place, Connection):
        return [place._link]
    if isinstance(place, Server):
        return place._links()
    return None


def _call(link: SyncLink, *what: Any) -> Any:
    return link.background.call(*what)
