"""The end of a link: who is told of it, and what is let go then.

A link, its broker and its connection know each other. If that lasted, all of them would be left to the
collector of garbage, at 20 us for each connection. So when a link has ended it leads to none of them:
references and connections lead to the broker, that leads to the link, and this ends there.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pb.errors import Gone
from pb.holding.watchers import Watchers
from pb.wire.state import State

if TYPE_CHECKING:
    from pb.holding.scope import Scope

    from .link import Link

# What leads back to the link. Who needs these of one that has ended holds them, as connections and references
# hold the broker.
_LEADING_BACK: Final = ("broker", "calls", "outbox")


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


def watch_under(
    link: Link, scope: Scope, watcher: Callable[[], None], of: weakref.ref[Any]
) -> Callable[[], None]:
    """Call `watcher` once, soon after what came under `scope` is dead: with its user, or with the connection.

    Args:
        of: as for `watch`.

    Returns:
        What takes that back.
    """
    if scope.exports is None:  # nobody's: it lives as the connection does
        return watch(link, watcher, of)

    def soon() -> None:
        if not link.loop.is_closed():
            link.loop.call_soon(watcher)

    return scope.watch(soon, of)


def watch_dead(link: Link, row: Any, watcher: Callable[[], None], of: weakref.ref[Any]) -> Callable[[], None]:
    """Call `watcher` once, soon after a reference or a replica is dead; soon, if it is.

    That is so when its owner has taken it away, with the user under whom it came, and with the connection.

    Args:
        row: what is known of it.
        of: as for `watch`.

    Returns:
        What takes that back.
    """
    forgets: list[Callable[[], None]] = []

    def forget() -> None:
        while forgets:
            forgets.pop()()

    def once() -> None:
        if forgets:
            forget()
            watcher()

    def soon() -> None:
        if not link.loop.is_closed():
            link.loop.call_soon(once)

    forgets.append(watch_under(link, row.scope, once, of))
    if row.scope.tables.is_open:
        forgets.append(row.scope.broker.holdings.watch_gone(row.id, soon, of))
        if getattr(row, "dead", None) is Gone:
            soon()
    return forget


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
