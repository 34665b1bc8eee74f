"""What becomes of connections in a forked child: they stay the parent's.

A child has copies of the parent's sockets and of its selector, which is one for both: a socket that the
parent closes stays open, and what the child takes out of the selector is out of the parent's too; over TLS it
would even say goodbye in the parent's name. So nothing is left of them in the child that could reach the
network.
"""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .link import Link


class _Process:
    """What a process has one of: it is forked as a whole."""

    def __init__(self) -> None:
        self.links: set[Link] = set()
        # What loops leave behind that were closed with connections open: their sockets close when they are
        # collected. Not before another loop begins, so that programs end in silence.
        self.left: weakref.WeakSet[Link] = weakref.WeakSet()
        self.is_hooked = False


_process: Final = _Process()
FORKED_THREAD: Final = 0  # no thread has this identity
WHY: Final = "this connection belongs to the process that this one was forked from; open another one here"


def note(link: Link) -> None:
    """Remember a link that has a transport, until `forget`."""
    if not _process.is_hooked and hasattr(os, "register_at_fork"):
        _process.is_hooked = True
        os.register_at_fork(after_in_child=_after_fork)
    _process.links.add(link)


def forget(link: Link) -> None:
    """Forget a link whose transport is gone."""
    _process.links.discard(link)
    _process.left.discard(link)


def links() -> list[Link]:
    """Return the links of this process that have a transport, of all its threads."""
    return [*_process.links, *_process.left]


def let_go() -> None:
    """Keep those no longer whose loop is closed: they are nobody's."""
    for link in list(_process.links):
        if link.loop.is_closed():
            _process.left.add(link)
            _process.links.discard(link)


def _after_fork() -> None:
    found = links()
    _process.links, _process.left = set(), weakref.WeakSet()
    if not found:
        return
    nothing = os.open(os.devnull, os.O_RDWR)
    for link in found:
        transport, link.transport = link.transport, None
        link.thread = FORKED_THREAD  # so that each use is noticed where the thread is looked at anyway
        link.broker.calls.is_open = False
        link.broker.outbox.clear()
        link.broker.outbox.move(FORKED_THREAD)
        link.stop_timers()
        socket = None if transport is None else transport.get_extra_info("socket")
        if socket is not None and socket.fileno() >= 0:
            # The number stays taken, so whatever the copies of transports do to it, they do to nothing.
            os.dup2(nothing, socket.fileno(), inheritable=False)
    os.close(nothing)
