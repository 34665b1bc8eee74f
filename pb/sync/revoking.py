"""Taking an object back, in blocking programs. See `pb.aio.revoking`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pb.aio.revoking import Whence

from .connection import Connection
from .server import Server

if TYPE_CHECKING:
    from pb.attachment import Attachment
    from pb.auth.application import Application
    from pb.auth.service import Perspective

    from .link import SyncLink


def revoke(value: object, *where: Connection | Server | Application | Perspective | Attachment) -> int:
    """Withdraw an object from peers that hold it: calls on it fail with `pb.Gone`, from this moment on.

        sync.revoke(document, server)     # from everybody
        sync.revoke(document, bob)        # from one user, over whatever connection: bob's perspective

    Those that run are answered so too, and cancelled, but for one that calls this itself. Replicas of it
    become stale. A perspective takes with it all that was handed out under it. The peer may get the object
    again, under a new id, if it is sent again: see to that first.

    Args:
        value: what was sent: a Referenceable, Viewable, Cacheable, a perspective or its Attachment.
        where: connections; servers and applications, which stand for all of theirs. Or the users that it is
            withdrawn from, whoever else has it: perspectives, or their Attachments. One that is attached
            nowhere stands for those of its service and name, so a perspective that is made anew each time
            will do. Of a service the user is looked for wherever its application serves, unless a place is
            named too.

    Returns:
        How many references to it were withdrawn.

    Raises:
        TypeError: nothing is named, or something else; or a perspective of no application, and no place.
    """

    return Whence(where, _links_of).revoke(value, _call)


def _links_of(place: object) -> list[SyncLink] | None:
    if isinstance(place, Connection):
        return [place._link]
    if isinstance(place, Server):
        return [connection._link for connection in place.connections]
    return None


def _call(link: SyncLink, *what: Any) -> Any:
    return link.background.call(*what)
