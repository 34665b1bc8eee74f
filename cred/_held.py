"""Held: the perspectives of one service that are attached now, and who shares one.

Where a service finds them by name alone, each is there once, however many attach it. Where it decides by
identity, each identity has its own: what was made for one is never given to another.
Not in Service: a foreign one gets it too.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ._article import a
from ._loop import Locks
from .interfaces import IPerspective
from .service import Service

if TYPE_CHECKING:
    from .identity import Identity
    from .perspective import Perspective


class _One:
    """A perspective while it is attached, and how often."""

    __slots__ = ("count", "perspective")

    def __init__(self, perspective: Perspective) -> None:
        self.perspective = perspective
        self.count = 0


class Held:
    """Count attachments by name; find or load a perspective for the first, forget it with the last.

    Args:
        service: an IService.
    """

    def __init__(self, service: Service) -> None:
        self.service: Any = service
        self._ones: dict[tuple[str, str | None], _One] = {}
        self._counts: Counter[str] = Counter()
        self._locks = Locks()

    def count(self, name: str) -> int:
        """Return how many attachments of the perspectives of a name there are now."""
        return self._counts[name]

    async def hold(self, name: str, identity: Identity) -> Perspective:
        """Return the perspective and count one attachment.

        Raises:
            NoSuchPerspective, KeyError: there is none.
            TypeError: what the service made is no perspective.
        """
        # One at a time for each name, or two who attach at once would load two perspectives.
        async with self._locks.of(name):
            key = self._key(name, identity)
            one = self._ones.get(key)
            if one is None:
                found = await self.service.get_perspective(name, identity)
                if not IPerspective.providedBy(found):
                    made = a(type(found).__name__)
                    raise TypeError(f"service {self.service.name!r} made {made}, expected a perspective")
                one = self._ones[key] = _One(found)
            one.count += 1
            self._counts[name] += 1
            return one.perspective

    def let_go(self, name: str, identity: Identity) -> None:
        """Count one attachment less; with the last it is forgotten, unless its service keeps it."""
        self._counts[name] -= 1
        if not self._counts[name]:
            del self._counts[name]
        key = self._key(name, identity)
        one = self._ones[key]
        one.count -= 1
        if not one.count:
            del self._ones[key]

    def _key(self, name: str, identity: Identity) -> tuple[str, str | None]:
        """Return what stands for those who share a perspective.

        Only the method of Service itself is known not to look at the identity.
        """
        finds = getattr(self.service.get_perspective, "__func__", None)
        return name, None if finds is Service.get_perspective else identity.name
