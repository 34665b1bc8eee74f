"""Leaving in good order: what is under way is finished, and a peer that hangs is not waited for in vain.

Spec: spec/2-frames.md, "The end" (PB-F32).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pb.bounds.leaving import awaited, ends_at

from . import logged

if TYPE_CHECKING:
    from .link import Link


async def finish(link: Link, lost: asyncio.Future[None]) -> None:
    """Wait until a connection on which BYE was said has ended, at most `Limits.drain_s`; then cut it.

    What ends it then is the core's clock (`pb.bounds.leaving`), which is the connection's and runs whoever
    waits for it. Here is only cut what that cannot end, a transport whose output the peer does not take, and
    sooner where the peer hangs and nothing of it is awaited.

    Args:
        lost: done when it has ended.
    """
    broker, clock = link.broker, link.loop.time
    count = awaited(broker)
    if count:
        logged.closing(broker.tables.peer_name, count)
    until = ends_at(broker, clock())
    while (left_s := until - clock()) > 0:
        # Once idle it stays so: new calls of the peer are refused, and no handler is there to make any.
        was_idle = _is_idle(link)
        await asyncio.wait((lost,), timeout=min(left_s, broker.limits.bye_answer_s))
        if lost.done() or was_idle:
            break
    if link.transport is not None:
        link.transport.abort()
    await lost


def _is_idle(link: Link) -> bool:
    written = link.transport is None or not link.transport.get_write_buffer_size()
    broker = link.broker
    return written and not (awaited(broker) or broker.streams or broker.is_cut)
