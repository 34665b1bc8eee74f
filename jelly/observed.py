"""A list and a dict that tell one listener of every change. They know nothing of caches or of the wire.

What is told is enough to follow: whoever replays it on a plain copy has an equal list or dict at any time.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, SupportsIndex, TypeVar

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")
_ABSENT: Any = object()


class ListListener(Protocol):
    """Be told what happens to an ObservedList."""

    def spliced(self, start: int, removed: list[Any], items: list[Any]) -> object:
        """Note that at `start` the items `removed` have made way for `items`. Keep neither list changed."""


class DictListener(Protocol):
    """Be told what happens to an ObservedDict."""

    def put(self, key: Any, value: Any, is_new: bool) -> object:
        """Note that a key has got a value; whether the key is new too."""

    def dropped(self, key: Any) -> object:
        """Note that a key is gone."""

    def cleared(self) -> object:
        """Note that all keys are gone."""


class ObservedList(list[T]):
    """Be a list and tell of every change, once it has happened.

        class Shown:
            def spliced(self, start, removed, items):
                print(start, removed, items)

        players = jelly.ObservedList(["ann"], Shown())
        players += ["bob", "cy"]        # 1 [] ['bob', 'cy']
        del players[0]                  # 0 ['ann'] []

    It compares, prints and crosses as a plain list, and its copies and pickles are plain lists without
    listener. A method that fails, or has nothing to change, tells nothing; assigning an item tells also
    where it is the item that was there, for something within it may be new. Changes within the items are
    not seen, nor those made past the methods, as by `list.append(players, x)` or `heapq`.

    Attributes:
        listener: has `spliced(start, removed, items)`; None tells nobody. May be replaced at any time. If it
            raises, the change is undone and the exception goes to whoever made the change: so a listener
            can refuse, and list and story stay the same. It must not change the list itself.
    """

    __slots__ = ("listener",)

    def __init__(self, iterable: Iterable[T] = (), listener: ListListener | None = None) -> None:
        self.listener: ListListener | None = None
        super().__init__(iterable)
        self.listener = listener

    def append(self, item: T, /) -> None:
        start = len(self)
        super().append(item)
        self._tell(start, [], [item])

    def extend(self, iterable: Iterable[T], /) -> None:
        items = list(iterable)  # all of them before the first is taken over: it may fail
        start = len(self)
        super().extend(items)
        self._tell(start, [], items)

    def insert(self, index: SupportsIndex, item: T, /) -> None:
        start = slice(operator.index(index), None).indices(len(self))[0]
        super().insert(start, item)
        self._tell(start, [], [item])

    def pop(self, index: SupportsIndex = -1, /) -> T:
        start = self._at(index)
        item = super().pop(start)
        self._tell(start, [item], [])
        return item

    def remove(self, value: T, /) -> None:
        start = self.index(value)
        self._tell(start, [super().pop(start)], [])

    def clear(self) -> None:
        self._replace(0, len(self), [])

    def sort(self, *, key: Callable[[T], Any] | None = None, reverse: bool = False) -> None:
        # Not list.sort(): that leaves another order behind where a comparison fails.
        items = sorted(self, key=key, reverse=reverse)  # type: ignore[type-var,arg-type]
        if not all(map(operator.is_, self, items)):
            self._replace(0, len(self), items)

    def reverse(self) -> None:
        if len(self) > 1:
            self._replace(0, len(self), self[::-1])

    def __setitem__(self, index: Any, value: Any) -> None:
        if not isinstance(index, slice):
            start = self._at(index)
            self._replace(start, start + 1, [value])
            return
        items = list(value)
        start, stop, step = index.indices(len(self))
        if step == 1:
            self._replace(start, stop, items)
            return
        places = range(start, stop, step)
        low, high = _reach(places)
        removed = self[low:high]
        super().__setitem__(index, items)
        self._tell(low, removed, self[low:high])

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        if not isinstance(index, slice):
            start = self._at(index)
            self._replace(start, start + 1, [])
            return
        places = range(*index.indices(len(self)))
        low, high = _reach(places)
        self._replace(low, high, [self[at] for at in range(low, high) if at not in places])

    def __iadd__(self, iterable: Iterable[T], /) -> ObservedList[T]:  # type: ignore[override,misc]
        self.extend(iterable)
        return self

    def __imul__(self, count: SupportsIndex, /) -> ObservedList[T]:
        before = self[:]
        super().__imul__(count)
        if self:
            self._tell(len(before), [], self[len(before) :])
        else:
            self._tell(0, before, [])
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[type, tuple[()], None, Iterator[T]]:
        return list, (), None, iter(self)

    def _at(self, index: SupportsIndex) -> int:
        """Return an index from the start. Raises IndexError where there is no item."""
        start = operator.index(index)
        if start < 0:
            start += len(self)
        if not 0 <= start < len(self):
            raise IndexError("list index out of range")
        return start

    def _replace(self, start: int, stop: int, items: list[T]) -> None:
        removed = self[start:stop]
        super().__setitem__(slice(start, stop), items)
        self._tell(start, removed, items)

    def _tell(self, start: int, removed: list[T], items: list[T]) -> None:
        if self.listener is None or not (removed or items):
            return
        try:
            self.listener.spliced(start, removed, items)
        except BaseException:
            super().__setitem__(slice(start, start + len(items)), removed)
            raise


def _reach(places: range) -> tuple[int, int]:
    """Return the bounds of the part of a list that an extended slice touches."""
    if not places:
        return 0, 0
    return min(places[0], places[-1]), max(places[0], places[-1]) + 1


class ObservedDict(dict[K, V]):
    """Be a dict and tell of every change, once it has happened.

    It compares, prints and crosses as a plain dict, and its copies and pickles are plain dicts without
    listener. A method that fails, or has nothing to change, tells nothing; assigning a value tells also
    where it is the value that was there. `update` and `|=` tell of one key after the other, once all keys
    and values are known. Changes within the values are not seen, nor those made past the methods.

    Attributes:
        listener: has `put(key, value, is_new)`, `dropped(key)` and `cleared()`; None tells nobody.
            May be replaced at any time. If it raises, the change is undone (a key that comes back stands
            last) and the exception goes to whoever made the change. It must not change the dict itself.
    """

    __slots__ = ("listener",)

    def __init__(self, items: Any = (), listener: DictListener | None = None) -> None:
        self.listener: DictListener | None = None
        super().__init__(items)
        self.listener = listener

    def __setitem__(self, key: K, value: V, /) -> None:
        before = self.get(key, _ABSENT)
        super().__setitem__(key, value)
        if self.listener is None:
            return
        try:
            self.listener.put(key, value, before is _ABSENT)
        except BaseException:
            if before is _ABSENT:
                super().__delitem__(key)
            else:
                super().__setitem__(key, before)
            raise

    def __delitem__(self, key: K, /) -> None:
        self._tell_drop(key, super().pop(key))

    def pop(self, key: K, default: Any = _ABSENT, /) -> Any:
        if default is not _ABSENT and key not in self:
            return default
        value = super().pop(key)
        self._tell_drop(key, value)
        return value

    def popitem(self) -> tuple[K, V]:
        key, value = super().popitem()
        self._tell_drop(key, value)
        return key, value

    def setdefault(self, key: K, default: Any = None, /) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, /, *args: Any, **kwargs: Any) -> None:
        items: dict[Any, Any] = dict(*args, **kwargs)  # all of them before the first is taken over
        for key, value in items.items():
            self[key] = value

    def clear(self) -> None:
        before = dict(self)
        super().clear()
        if self.listener is None or not before:
            return
        try:
            self.listener.cleared()
        except BaseException:
            super().update(before)
            raise

    def __ior__(self, other: Any, /) -> ObservedDict[K, V]:  # type: ignore[override,misc]
        self.update(other)
        return self

    def __reduce_ex__(
        self, protocol: SupportsIndex
    ) -> tuple[type, tuple[()], None, None, Iterator[tuple[K, V]]]:
        return dict, (), None, None, iter(self.items())

    def _tell_drop(self, key: K, value: V) -> None:
        if self.listener is None:
            return
        try:
            self.listener.dropped(key)
        except BaseException:
            super().__setitem__(key, value)
            raise
