"""A list and a dict that are part of a replica: whoever holds it reads them, and its owner changes them.

They know nothing of caches or of the wire. Here is also which classes cross as lists and as dicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NoReturn, SupportsIndex, TypeVar

from .observed import ObservedDict, ObservedList

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class ReplicaList(list[T]):
    """Be a list that its holder reads, and that only the updates of its owner change.

    It is read at the cost of a list; it compares, prints and crosses as a plain list, and slices, copies and
    pickles of it are plain lists. Every method that would change it raises an AttributeError, as assigning
    the field does that it belongs to. What is within its items is not guarded, nor is it from what goes past
    the methods: `list.append(players, x)`, which is how updates are applied, or `heapq`.

    Called, the class returns a plain list, which is what `dataclasses.asdict` wants; `hold()` makes one.
    """

    __slots__ = ("_of",)
    _of: tuple[type, str]

    def __new__(cls, items: Iterable[T] = (), /) -> list[T]:  # type: ignore[misc]
        return list(items)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AttributeError(_refusal(self._of, "list"))

    append = extend = insert = pop = remove = clear = sort = reverse = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[type, tuple[()], None, Iterator[T]]:
        return list, (), None, iter(self)


class ReplicaDict(dict[K, V]):
    """Be a dict that its holder reads, and that only the updates of its owner change; see ReplicaList."""

    __slots__ = ("_of",)
    _of: tuple[type, str]

    def __new__(cls, items: Any = (), /) -> dict[K, V]:  # type: ignore[misc]
        return dict(items)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AttributeError(_refusal(self._of, "dict"))

    pop = popitem = setdefault = update = clear = _refuse
    __setitem__ = __delitem__ = __ior__ = _refuse

    def __reduce_ex__(
        self, protocol: SupportsIndex
    ) -> tuple[type, tuple[()], None, None, Iterator[tuple[K, V]]]:
        return dict, (), None, None, iter(self.items())


def hold(value: Any, cls: type, field: str) -> Any:
    """Return what a replica of a class holds in a field: of a list or dict a copy that is read only."""
    held: Any
    if type(value) is list:
        held = _new_list(ReplicaList)
        list.extend(held, value)
    elif type(value) is dict:
        held = _new_dict(ReplicaDict)
        dict.update(held, value)
    else:
        return value
    held._of = cls, field
    return held


def _refusal(of: tuple[type, str], kind: str) -> AttributeError:
    cls, field = of
    return AttributeError(
        f"{cls.__name__}.{field} is a field of a replica; only its owner can change it: call a method there "
        f"that does, or change a copy of your own, {kind}(...)"
    )


_new_list: Final[Any] = list.__new__
_new_dict: Final[Any] = dict.__new__
LISTS: Final = frozenset({list, ObservedList, ReplicaList})
DICTS: Final = frozenset({dict, ObservedDict, ReplicaDict})
