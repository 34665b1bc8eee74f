"""The names by which a peer gets at an object without being handed it. Spec: spec/12-reconnecting.md, 12.6.

Some are well known: the program has published its object under them. The others are secrets, made by chance,
of which the holder needs nothing else; those are looked up elsewhere.
"""

from __future__ import annotations

import re
from typing import Final

import jelly
from jelly._article import a

from ..errors import NoSuchObject
from ..reference import RemoteReference

RESOLVE: Final = "pb:resolve"
# What secret names begin with, and published ones never do: it is seen from the name that it is one.
SECRET_MARK: Final = "~"
MAX_NAME_CHARS: Final = 128

# As in a URL, and never "." or "..", which software that normalises URLs takes away.
_PUBLISHED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]*")
_NAMEABLE: Final = (jelly.ByReference, jelly.Cacheable, RemoteReference)


def is_secret(name: str) -> bool:
    """Return whether a name is all that its holder needs, and so must not be seen by others."""
    return name.startswith(SECRET_MARK)


def no_such_name() -> NoSuchObject:
    """Return the one error there is, whatever the reason: unknown, expired, revoked, or for others only."""
    return NoSuchObject("no object of that name, or not for you")


def check_nameable(value: object) -> None:
    """Refuse what would cross as a copy, of which a name means nothing.

    Raises:
        TypeError: it is no object that stays where it is.
    """
    if isinstance(value, type) or not isinstance(value, _NAMEABLE):
        what = f"the class {value.__name__}" if isinstance(value, type) else f"{a(type(value).__name__)}"
        raise TypeError(f"{what} cannot have a name; give a Referenceable, Viewable or Cacheable")


class Published:
    """The objects that a server has published, by name."""

    __slots__ = ("_objects",)

    def __init__(self) -> None:
        self._objects: dict[str, object] = {}

    def publish(self, name: str, value: object) -> None:
        """Give an object a name; it is kept alive for it. See `Server.publish`.

        Raises:
            ValueError: it can be no name, or is taken.
            TypeError: the value is nothing that can have a name.
        """
        if len(name) > MAX_NAME_CHARS or not _PUBLISHED.fullmatch(name):
            raise ValueError(
                f"{name!a} cannot be published: expected 1 to {MAX_NAME_CHARS} letters, digits and . _ ~ -,"
                " a letter or digit first"
            )
        check_nameable(value)
        if name in self._objects:
            raise ValueError(f"{name!r} is published already; unpublish it first, or take another name")
        self._objects[name] = value

    def unpublish(self, name: str) -> None:
        """Take a name back. Who has the object keeps it, until `pb.revoke`.

        Raises:
            KeyError: it is not published.
        """
        del self._objects[name]

    def find(self, name: str) -> object | None:
        """Return the object of a name; None if there is none."""
        return self._objects.get(name)

    async def resolve(self, name: str) -> object:
        """Return the object of a name, to whoever asks. Raises NoSuchObject."""
        found = self._objects.get(name)
        if found is None:
            raise no_such_name()
        return found
