"""Taking a reference for what an interface says, once its owner has said that it is: `providing`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pb.contract import check_provides

from .describing import describe

T = TypeVar("T")


async def providing(reference: Any, interface: Callable[..., T]) -> T:
    """Return a reference as what an interface says that it is, after asking its owner (`pb:describe`).

        class Echo(typing.Protocol):
            async def echo(self, text: str) -> str: ...

        echo = await pb.providing(connection.root, Echo)

    It is the very same reference; a type checker knows its methods from here on. Every call that the
    interface allows has been found to fit what the owner takes, by names and places. Types are not compared,
    and what the owner returns is not looked at.

    Args:
        interface: a class, such as a `typing.Protocol`, with the methods as they are called: without prefix,
            and without the actor of a view; what else the owner has does not matter. Or an Interface of
            zope.interface, of which type checkers know nothing.

    Raises:
        TypeError: a call that the interface allows would not fit, and the text says which: the two sides are
            of different versions, or it is another object. Or it is no interface, or no remote reference.
        NoSuchMethod: the peer's implementation does not tell.
        BadPayload: what it told is no description.
    """
    check_provides(await describe(reference), interface, repr(reference))
    provided: T = reference
    return provided
