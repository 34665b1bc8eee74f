"""WeakList: objects that are of interest as long as somebody else holds them. Knows not what they are."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

T = TypeVar("T")

LEAST: Final = 8


class WeakList(Generic[T]):
    """Hold objects weakly, in the order in which they came.

    A `weakref.WeakSet` is told of each that goes, and takes four times the instructions. Here those who have
    gone are swept out when there may be as many of them as of the others.
    """

    __slots__ = ("_most", "_refs")

    def __init__(self) -> None:
        self._refs: list[weakref.ref[T]] = []
        self._most = LEAST

    def add(self, item: T) -> None:
        """Hold one more, which is not there yet."""
        if len(self._refs) >= self._most:
            self._refs = [ref for ref in self._refs if ref() is not None]
            self._most = max(LEAST, 2 * len(self._refs))
        self._refs.append(weakref.ref(item))

    def __iter__(self) -> Iterator[T]:
        """Return those that are there now; what happens meanwhile changes nothing of that."""
        return iter([item for ref in self._refs if (item := ref()) is not None])

    def __len__(self) -> int:
        return sum(ref() is not None for ref in self._refs)
