"""Replicas that the program has dropped, until their owner confirms that: what they take of memory.

An honest owner confirms as soon as it hears of it, so few are there at a time; one that does not would have
this side keep all it has ever sent. Spec: spec/7-caches.md, PB-C25.
"""

from __future__ import annotations

from collections.abc import Iterable
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Final

from jelly import SCALARS, ByReference, RemoteCache
from jelly._weight import MOST_PER_BYTE

from ..reference import RemoteReference

if TYPE_CHECKING:
    from .replica import Replica

# Together, on one connection.
MOST_BYTES: Final = 64 * 1024 * 1024
_BY_NAME: Final = (ByReference, RemoteCache, RemoteReference, type)


class Zombies:
    """What they take, on one connection.

    Args:
        most: how much that may be.

    Attributes:
        bytes: of all that are there.
    """

    __slots__ = ("_most", "bytes")

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self.bytes = 0

    def add(self, row: Replica) -> None:
        """Count a replica that has just become one; its state is given up where there is too much."""
        self.drop(row)
        if row.zombie is not None:
            self._grow(row, weight_of_state(vars(row.zombie), self._most - self.bytes))

    def update(self, row: Replica, payload: bytes | memoryview) -> None:
        """Count an update of one: as the most that it can have added."""
        if row.weight:
            self._grow(row, MOST_PER_BYTE * len(payload))

    def drop(self, row: Replica) -> None:
        """Count one no longer: it is none any more, or is no more."""
        self.bytes -= row.weight
        row.weight = 0

    def end(self, row: Replica) -> None:
        """Give a replica up, and its state with it, if it is one."""
        self.drop(row)
        row.zombie = None
        row.is_stale = True

    def _grow(self, row: Replica, weight: int) -> None:
        row.weight += weight
        self.bytes += weight
        if self.bytes > self._most:
            self.end(row)


def weight_of_state(state: dict[str, Any], most: int) -> int:
    """Return about how many bytes of memory the fields of a replica take.

    Args:
        most: what is more than that is not looked at, and the result is more.
    """
    found = 0
    seen: set[int] = set()
    stack: list[Any] = [value for name, value in state.items() if not name.startswith("_")]
    while stack and found <= most:
        value = stack.pop()
        if id(value) in seen:
            continue
        found += getsizeof(value)
        if type(value) not in SCALARS and not isinstance(value, _BY_NAME):
            seen.add(id(value))
            stack += _parts_of(value)
    return found


def _parts_of(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        return value
    return getattr(value, "__dict__", {}).values()
