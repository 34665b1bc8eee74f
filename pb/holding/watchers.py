"""Who is to be told when what they hold has ended. Knows neither connections nor references."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any, Final

# So many watchers are kept before it is looked whose references are gone.
_KEPT: Final = 16


class Watchers:
    """Who is to be told of the end of a connection, or of an attachment.

    A watcher may be one of a reference that the program drops. A peer may send references without end, so
    those of such as are gone are forgotten. They are looked for as often as the number has doubled, which
    costs nothing that grows.
    """

    __slots__ = ("_by_key", "_most")

    def __init__(self) -> None:
        self._by_key: dict[object, tuple[Callable[[], None], weakref.ref[Any] | None]] = {}
        self._most = _KEPT

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Callable[[], None]]:
        return iter([watcher for watcher, _ in self._by_key.values()])

    def add(self, watcher: Callable[[], None], of: weakref.ref[Any] | None) -> Callable[[], None]:
        """Add one; return what takes it back."""
        if len(self._by_key) >= self._most:
            held = {key: row for key, row in self._by_key.items() if row[1] is None or row[1]() is not None}
            self._by_key = held
            self._most = max(_KEPT, 2 * len(held))
        key = object()
        self._by_key[key] = watcher, of
        return lambda: self._forget(key)

    def _forget(self, key: object) -> None:
        self._by_key.pop(key, None)


class WatchersOfGone:
    """Who is to be told when the peer takes one of its objects away, by the id of that.

    Those of references that the program has dropped are forgotten as those of `Watchers` are.
    """

    __slots__ = ("_by_id", "_count", "_most")

    def __init__(self) -> None:
        self._by_id: dict[int, dict[object, tuple[Callable[[], None], weakref.ref[Any]]]] = {}
        self._count = 0
        self._most = _KEPT

    def __len__(self) -> int:
        return self._count

    def add(self, id: int, watcher: Callable[[], None], of: weakref.ref[Any]) -> Callable[[], None]:
        """Add one; return what takes it back."""
        if self._count >= self._most:
            self._look_through()
        self._count += 1
        key = object()  # by the row itself what takes it back would lead to it: a ring
        self._by_id.setdefault(id, {})[key] = watcher, of
        return lambda: self._forget(id, key)

    def take(self, id: int) -> list[Callable[[], None]]:
        """Return those of an id, and forget them."""
        rows = self._by_id.pop(id, {})
        self._count -= len(rows)
        return [watcher for watcher, _ in rows.values()]

    def _look_through(self) -> None:
        kept = {
            id: {key: row for key, row in rows.items() if row[1]() is not None}
            for id, rows in self._by_id.items()
        }
        self._by_id = {id: rows for id, rows in kept.items() if rows}
        self._count = sum(map(len, self._by_id.values()))
        self._most = max(_KEPT, 2 * self._count)

    def _forget(self, id: int, key: object) -> None:
        rows = self._by_id.get(id, {})
        if rows.pop(key, None) is not None:
            self._count -= 1
            if not rows:
                del self._by_id[id]
