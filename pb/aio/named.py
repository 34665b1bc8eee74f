"""Getting at objects by their names: `connection.get_object`, and URLs that end in a name.

Spec: spec/12-reconnecting.md, 12.6.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jelly import RemoteCache
from jelly._article import a
from pb.errors import BadPayload, Forbidden, NoSuchMethod
from pb.holding.published import RESOLVE, is_secret, no_such_name
from pb.reference import RemoteReference

from .lasting import LastingMethod
from .reference import remote_method
from .url import Address, BadURL, check_name

if TYPE_CHECKING:
    from .connection import Connection
    from .link import Link


def check_sayable(name: str, link: Link, peer: str) -> None:
    """Refuse to say what is no name, or a secret where others may listen.

    Raises:
        BadURL: it is no name.
        Forbidden: somebody may listen.
    """
    check_name(name, "published object")
    if is_secret(name) and not link.security().is_private:
        raise Forbidden(
            f"the name is a secret, and what is said to {peer} can be listened to; use pbs:// or wss://, or "
            "spell out insecure=True where the connection is made"
        )


def named_object(value: Any) -> Any:
    """Return what a peer has sent for a name. Raises BadPayload: it is no object."""
    if not isinstance(value, RemoteReference | RemoteCache):
        raise BadPayload(f"the peer sent {a(type(value).__name__)} for a name, a reference is expected")
    return value


async def get_object(connection: Connection, name: str) -> Any:
    """See `Connection.get_object`."""
    connection._link.check_thread()
    check_sayable(name, connection._link, connection.peer)
    try:
        method = remote_method(connection.root, RESOLVE)
        # Where a connection is lost before the answer came, it can be asked again.
        return named_object(await (method.idempotent if isinstance(method, LastingMethod) else method)(name))
    except NoSuchMethod:
        raise no_such_name() from None


def url_of(url: str, name: str) -> str:
    """Return a URL with the name of an object behind it.

    Raises:
        BadURL: it is none, has a name, or is one that only this machine understands.
    """
    address = Address.parse(url)
    if address.name is not None:
        raise BadURL("the URL has a name already; give that of the listener")
    if address.host in ("0.0.0.0", "::"):
        raise BadURL(f"{address} is every interface of this machine; say url=, where clients reach it")
    return str(replace(address, name=name))
