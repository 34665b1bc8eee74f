"""The end of a link: who is told of it, and what is let go then.

A link, its broker and its connection know each other. If that lasted, all of them would be left to the
collector of garbage, at 20 us for each connection. So when a link has ended it leads to none of them:
references and connections lead to the broker, that leads to the link, and this ends there.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from pb.wire.state import State

if TYPE_CHECKING:
    from .link import Link

# What leads back to the link. Who needs these of one that has ended holds them, as connections and references
# hold the broker.
_LEADING_BACK: Final = ("broker", "calls", "outbox")
# So many watchers are kept before it is looked whose references are gone.
_KEPT: Final = 16


class Watchers:
    """Who is to be told of the end of a link.

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


def watch(link: Link, watcher: Callable[[], None], of: weakref.ref[Any] | None = None) -> Callable[[], None]:
    """Call `watcher` once a connection is lost, soon if it is; return what takes that back.

    Args:
        of: the reference without which there is nobody to be told; None: it is to be told in any case.
    """
    if link.transport is None and link.broker.state is State.CLOSED:
        handle = link.loop.call_soon(watcher)
        return handle.cancel
    if link._watchers is None:
        link._watchers = Watchers()
    return link._watchers.add(watcher, of)


def tell(link: Link) -> None:
    """Tell who watches or waits for it that a connection is lost; then let go."""
    watchers, link._watchers = link._watchers, None
    for watcher in watchers or ():
        link.loop.call_soon(watcher)
    if link.places is not None:
        link.places.discard(link)
    if link.lost is not None and not link.lost.done():
        link.lost.set_result(None)
    link.loop.call_soon(_let_go, link)  # behind the watchers, and whatever was due before the end


def _let_go(link: Link) -> None:
    for name in _LEADING_BACK:
        setattr(link, name, weakref.proxy(getattr(link, name)))
    link._pieces = None  # the protocol of the transport in the place of the link
    if link._connection is not None and type(link._connection) is not weakref.ref:
        link._connection = weakref.ref(link._connection)


def connection_of(link: Link, kind: Callable[[Any], Any]) -> Any:
    """Return the connection of a link as the program sees it; when it has ended only the program keeps it.

    Args:
        kind: makes one.
    """
    found = link._connection
    if type(found) is weakref.ref:
        found = found()
    if found is None:
        found = kind(link)
        link._connection = found if link.transport is not None else weakref.ref(found)
    return found
