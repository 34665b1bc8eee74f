"""Service: a part of an application that has perspectives. Who is attached is known to its authorizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

from zope.interface import implementer

from ._article import a
from .errors import NoSuchPerspective
from .interfaces import IPerspective, IService
from .names import key_name
from .perspective import Perspective

if TYPE_CHECKING:
    from .authorizer import Authorizer
    from .identity import Identity

_MADE_BY_INIT: Final = ("name", "application", "authorizer", "_authorizer", "_perspectives")


@implementer(IService)
class Service:
    """Have perspectives, by name. Override get_perspective_named or load_perspective to make them on demand.

    Args:
        name: unique in its application; the name of the class if None.
        application: what has add_service(service): an application, an Authorizer. None to add it later.

    Raises:
        ValueError: the application has a service of that name.
    """

    perspective_class: type[Perspective] = Perspective

    def __init__(self, name: str | None = None, application: Any = None) -> None:
        self.name = key_name(type(self).__name__ if name is None else name, "service")
        self.application: Any = None
        self._authorizer: Authorizer | None = None
        self._perspectives: dict[str, Perspective] = {}
        if application is not None:
            application.add_service(self)
            self.application = application

    if not TYPE_CHECKING:  # pragma: no branch - else a type checker takes any name for an attribute

        def __getattr__(self, name: str) -> NoReturn:
            # Only what is missing comes here, and these are missing where a subclass forgot this __init__.
            text = f"{a(type(self).__name__)} has no {name!r}"
            if name in _MADE_BY_INIT:
                text += "; let its __init__ call super().__init__(name, application)"
            raise AttributeError(text, name=name, obj=self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!a}>"

    @property
    def authorizer(self) -> Authorizer | None:
        """Return the authorizer that this service was added to, or None."""
        return self._authorizer

    @authorizer.setter
    def authorizer(self, authorizer: Authorizer) -> None:
        if self._authorizer is not None and self._authorizer is not authorizer:
            raise ValueError(f"service {self.name!r} belongs to another application already")
        self._authorizer = authorizer

    def create_perspective(self, name: str) -> Perspective:
        """Make a perspective of perspective_class and keep it."""
        return self.add_perspective(self.perspective_class(name, self))

    def add_perspective(self, perspective: Perspective) -> Perspective:
        """Keep a perspective, attached or not, and return it. It replaces one of the same name.

        Raises:
            TypeError: it is no perspective.
        """
        if not IPerspective.providedBy(perspective):
            raise TypeError(f"{a(type(perspective).__name__)} is no perspective: derive it from Perspective")
        perspective.service = self
        self._perspectives[perspective.perspective_name] = perspective
        return perspective

    def get_perspective_named(self, name: str) -> Perspective:
        """Return a perspective that is kept. Override it to make one on demand.

        What it makes is kept while it is attached: whoever attaches that name meanwhile gets the same one,
        another identity too. So decide by the name alone here; what depends on who attaches belongs into
        `get_perspective`.

        Raises:
            NoSuchPerspective: there is none, or none yet: then load_perspective is asked.
        """
        try:
            return self._perspectives[name]
        except KeyError:
            raise NoSuchPerspective(f"service {self.name!r} keeps no perspective of that name") from None

    async def load_perspective(self, name: str) -> Perspective:
        """Fetch a perspective from elsewhere. Override it; it is called once for a name at a time.

        Raises:
            NoSuchPerspective: there is none.
        """
        raise NoSuchPerspective(f"service {self.name!r} loads no perspectives")

    async def get_perspective(self, name: str, identity: Identity) -> Perspective:
        """Find, make or load a perspective.

        Override it to decide by identity. What it then returns is for that identity alone: its further
        attachments of that name share it while one of them is there, and for every other identity this is
        called anew. As it is, it finds by name, and all who hold the key of that name share one perspective.
        An override that returns an object it gave another identity shares that one, and all it lets it do.

        Raises:
            NoSuchPerspective: there is none.
        """
        try:
            return self.get_perspective_named(name)
        except (NoSuchPerspective, KeyError):  # KeyError: what a look-up in a dict raises
            return await self.load_perspective(name)

    def attach_count(self, name: str) -> int:
        """Return how many attachments of a perspective there are now."""
        return 0 if self._authorizer is None else self._authorizer.attach_count(self.name, name)
