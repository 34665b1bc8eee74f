"""The methods that every object has beside its own: those whose names have a colon.

Their names belong to the specification, so no object can publish one of them, nor hide one.
Spec: spec/12-reconnecting.md; spec/3-messages.md, "What may be called".
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from ..caches.resync import MAX_OFFERS, Offers, read_offer
from ..dispatch import Kind
from ..errors import BadArguments
from ..holding.published import MAX_NAME_CHARS, RESOLVE
from ..idempotent import idempotent_methods
from .describing import describe, interfaces_of

if TYPE_CHECKING:
    from ..holding.export import Export
    from ..holding.tables import Tables
    from ..wire.greeting import Greeting

Method = Callable[..., Awaitable[Any]]

_NOTHING_WARNED: Final[frozenset[tuple[type, str]]] = frozenset()  # one for all: an empty one has 216 bytes


class Reserved:
    """The reserved methods, as one connection serves them.

    Args:
        tables: what is held over it.
        greeting: knows whether a stranger asks.

    Attributes:
        resolve: finds the object of a name, or raises NoSuchObject; None where nothing has a name. It alone
            is asked by strangers too, and has to know what they may have.
        warned: the methods without a prefix that the log was warned of, each once.
    """

    __slots__ = ("_greeting", "_tables", "resolve", "warned")

    def __init__(self, tables: Tables, greeting: Greeting) -> None:
        self._tables = tables
        self._greeting = greeting
        self.resolve: Callable[[str], Awaitable[object]] | None = None
        self.warned = _NOTHING_WARNED

    @property
    def is_asked_by_stranger(self) -> bool:
        """Whether nobody has logged in, where that is asked for."""
        return self._greeting.stranger is not None

    def find(self, export: Export, name: str) -> Method | None:
        """Return what is run for a reserved method; None where there is none, or for strangers."""
        method = METHODS.get(name)
        if method is None:
            return None
        if name == RESOLVE:
            if export.id or self.resolve is None:
                return None
        elif self.is_asked_by_stranger:
            return None
        # Asynchronous, because those run in the thread of the connection at every face.
        return functools.partial(method, self, export)

    async def describe(self, export: Export, *args: object) -> dict[str, object]:
        """Return what may be called on an object."""
        _arguments(export, args, 0)
        return describe(export)

    async def interfaces(self, export: Export, *args: object) -> list[str]:
        """Return the names of the interfaces of an object."""
        _arguments(export, args, 0)
        return interfaces_of(export)

    async def idempotent(self, export: Export, *args: object) -> list[str]:
        """Return the methods of an object that may be run twice."""
        _arguments(export, args, 0)
        cls: Any = type(export.object)
        return list(idempotent_methods(cls, export.prefix))

    async def resolve_name(self, export: Export, *args: object) -> object:
        """Return the object of a name."""
        (name,) = _arguments(export, args, 1)
        if type(name) is not str or len(name) > MAX_NAME_CHARS:
            raise BadArguments(f"expected a name of at most {MAX_NAME_CHARS} characters")
        assert self.resolve is not None  # find() has seen to that, and it is never taken away
        return await self.resolve(name)

    async def resync(self, export: Export, *args: object) -> list[int | None]:
        """Return the ids under which replicas of earlier connections are to wait."""
        (offers,) = _arguments(export, args, 1)
        if type(offers) is not list or len(offers) > MAX_OFFERS:
            raise BadArguments(f"expected an array of at most {MAX_OFFERS} offers")
        tables = self._tables
        for offer in offers:  # all of them are looked at before any is taken
            read_offer(offer)
        if tables.offers is None:
            tables.offers = Offers()
        return [tables.offers.add(offer, tables) for offer in offers]


METHODS: Final[dict[str, Callable[..., Awaitable[Any]]]] = {
    "pb:describe": Reserved.describe,
    "pb:idempotent": Reserved.idempotent,
    "pb:interfaces": Reserved.interfaces,
    RESOLVE: Reserved.resolve_name,
    "pb:resync": Reserved.resync,
}


def _arguments(export: Export, args: tuple[object, ...], expected: int) -> tuple[object, ...]:
    """Return the arguments, without the actor that a view is told first. Raises BadArguments."""
    given = args[export.kind is Kind.VIEW :]
    if len(given) != expected:
        raise BadArguments(f"expected {expected} arguments, found {len(given)}")
    return given
