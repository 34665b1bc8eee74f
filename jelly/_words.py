"""Texts of a peer, where people and logs meet them. spec/5-errors.md PB-E8.

A log is read line by line, and a terminal obeys what it prints: a text with a line break forges a record, one
with an escape clears the screen, one with a mark of direction shows other words than it holds.
"""

from __future__ import annotations

from typing import Any


def printable(text: str) -> str:
    r"""Return a text on one line, that no terminal obeys: what cannot be seen is escaped, such as \x1b."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str.__str__(text))


class PeerText(str):
    """A text of a peer among the args of an error: equal to what was sent, escaped where it is printed.

    Exceptions print their args with str(), whoever prints them: the logging module, asyncio, an
    interpreter that ends. Only texts that cannot be printed as they are become one.
    """

    __slots__ = ()

    def __str__(self) -> str:
        return printable(self)

    @property
    def raw(self) -> str:
        """Return what the peer sent, as a plain str."""
        return str.__str__(self)


def guard(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the args of an error that a peer sent, so that to print the error is safe."""
    if all(type(each) is not str or each.isprintable() for each in args):
        return args
    return tuple(PeerText(each) if type(each) is str and not each.isprintable() else each for each in args)


def unguard(args: tuple[Any, ...]) -> list[Any]:
    """Return args as a peer sent them, to be sent on."""
    return [each.raw if type(each) is PeerText else each for each in args]
