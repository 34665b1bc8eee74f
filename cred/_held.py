"""Held: the perspectives of one service that are attached now. Each is there once, however many attach it.

Not in Service: a foreign one gets it too. Knows no identities beyond passing them on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._loop import Locks
from .interfaces import IPerspective

if TYPE_CHECKING:
    from .identity import Identity
    from .perspective import Perspective
    from .service import Service


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
        self._ones: dict[str, _One] = {}
        self._locks = Locks()

    def count(self, name: str) -> int:
        """Return how many attachments of a perspective there are now."""
        one = self._ones.get(name)
        return 0 if one is None else one.count

    async def hold(self, name: str, identity: Identity) -> Perspective:
        """Return the perspective and count one attachment.

        Raises:
            NoSuchPerspective, KeyError: there is none.
            TypeError: what the service made is no perspective.
        """
        # One at a time for each name, or two who attach at once would load two perspectives.
        async with self._locks.of(name):
            one = self._ones.get(name)
            if one is None:
                found = await self.service.get_perspective(name, identity)
                if not IPerspective.providedBy(found):
                    raise TypeError(
                        f"service {self.service.name!r} made a {type(found).__name__}, expected a perspective"
                    )
                one = self._ones[name] = _One(found)
            one.count += 1
            return one.perspective

    def let_go(self, name: str) -> None:
        """Count one attachment less; with the last it is forgotten, unless its service keeps it."""
        one = self._ones[name]
        one.count -= 1
        if not one.count:
            del self._ones[name]
