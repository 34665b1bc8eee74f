"""Taking an object back: from everybody, or from one user only, though others share the connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jelly._article import a
from pb.attachment import Attachment
from pb.auth.application import Application

from .connection import Connection
from .server import Server

if TYPE_CHECKING:
    from pb.auth.service import Perspective
    from pb.holding.scope import Scope

    from .link import Link


def revoke(value: object, *where: Connection | Server | Application | Perspective | Attachment) -> int:
    """Withdraw an object from peers that hold it: calls on it fail with `pb.Gone`, from this moment on.

        pb.revoke(document, server)     # from everybody
        pb.revoke(document, bob)        # from one user, over whatever connection: bob's perspective

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
        How many references to it were withdrawn: 0, too, where a user is attached nowhere that is looked at.

    Raises:
        TypeError: nothing is named; or, with no place beside it, what is no perspective of an application.
    """
    whence = Whence(where, _links_of)
    for link in whence.links:
        link.check_thread()
    return whence.revoke(value, lambda link, function, *args: function(*args))


def _links_of(place: object) -> list[Link] | None:
    if isinstance(place, Connection):
        return [place._link]
    if isinstance(place, Server):
        return list(place._places)  # also those that are being closed: calls are served there until the end
    return None


class Whence:
    """What an object is withdrawn from, of whatever face.

    Args:
        where: as for `revoke`.
        links_of: returns the connections of a place, None for what is no place of this face.

    Attributes:
        links: the connections to look at.
    """

    def __init__(self, where: tuple[Any, ...], links_of: Callable[[object], list[Any] | None]) -> None:
        if not where:
            raise TypeError(
                "revoke(value, *where) needs what to withdraw it from: connections, servers, an application, "
                "or perspectives"
            )
        self._users: list[Any] = []
        places: list[Any] = []
        for each in where:
            found = list(each.faces) if isinstance(each, Application) else links_of(each)
            if found is None:
                self._users.append(each)
            else:
                places += found
        if len(self._users) == len(where):
            places = [link for user in self._users for link in _links_of_user(user)]
        self.links = list(dict.fromkeys(places))

    def revoke(self, value: object, call: Callable[..., Any]) -> int:
        """Withdraw it; return how many references were withdrawn.

        Args:
            call: (link, function, argument ...) calls a function in the thread of a connection.
        """
        users = self._users
        if not users:
            return sum(call(link, link.broker.holdings.revoke_object, value) for link in self.links)
        attached = {
            id(user)
            for user in users
            if any(call(link, link.broker.holdings.has_attached, user) for link in self.links)
        }

        def is_meant(scope: Scope) -> bool:
            return any(_is_of(scope, user, id(user) in attached) for user in users)

        return sum(call(link, link.broker.holdings.revoke_from, value, is_meant) for link in self.links)


def _links_of_user(user: Any) -> list[Any]:
    """Return the connections over which a user may be attached."""
    if isinstance(user, Attachment):
        return [user.scope.broker.face]
    application = getattr(getattr(user, "service", None), "application", None)
    if not isinstance(application, Application):
        raise TypeError(
            f"{a(type(user).__name__)} is no connection, server or application, and no perspective of an "
            "application; name the server too: revoke(value, server, perspective)"
        )
    return list(application.faces)


def _is_of(scope: Scope, user: Any, is_attached: bool) -> bool:
    """Tell whether an attachment is that of a user."""
    if isinstance(user, Attachment):
        return scope is user.scope
    if is_attached:
        return scope.perspective is user
    found: Any = scope.perspective
    service = getattr(user, "service", None)
    return (
        service is not None
        and getattr(found, "service", None) is service
        and found.perspective_name == user.perspective_name
    )
