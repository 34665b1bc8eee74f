"""Who may enter: whether a connection is let in at all, and what its peer may call first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jelly
from pb import interfaces, messages
from pb.bounds.crowded import Crowded
from pb.errors import Forbidden

from . import logged
from .blocking import watch_blocking
from .secure import HungUp

if TYPE_CHECKING:
    from .link import Link


def let_in(link: Link, check: Callable[[asyncio.BaseTransport], None] | None, root: Any) -> bool:
    """Check the peer and publish a root to it; False where it is refused, and then the connection has ended.

    Args:
        check: called with the transport; raises to refuse the peer.
        root: an object, or a callable that gets the `Connection`; None for none.
    """
    broker, places = link.broker, link.places
    watch_blocking(link)
    try:
        if places is not None:
            broker.tables.source_bound = places.source_bound
            share = places.source_memory.of(broker.tables.peer_name)
            broker.serving.ledger.share = broker.streams.ledger.share = share
            places.enter(link)
        if check is not None:
            check(link.transport)
        if root is not None:
            if interfaces.IRootFactory.providedBy(root):
                root = root.make_root(link)
            elif not isinstance(root, jelly.ByReference) and callable(root):
                root = root(link.connection)
            broker.tables.set_root(root, broker.scope)
    except Exception as error:
        if not isinstance(error, HungUp):
            logged.refused(broker.tables.peer_name, error, places)
        link.fail_ready(error)
        if isinstance(error, Forbidden):
            # The peer is told why it is not let in; its HELLO is not waited for (PB-A51).
            broker.start()
            code = messages.BYE_LIMIT if isinstance(error, Crowded) else messages.BYE_POLICY
            broker.close(code, str(error))
        else:
            broker.connection_lost(f"the connection was refused: {error}")
            link.transport.abort()
        return False
    return True
