"""Leaving in good order: what is under way is finished, and a peer that hangs is not waited for in vain.

Spec: spec/2-frames.md, "The end" (PB-F32).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from pb.bounds.leaving import awaited

from . import logged

if TYPE_CHECKING:
    from .link import Link

# How long a peer has for answering BYE where nothing else is awaited. It needs no more than a turn of its
# loop and the way there and back, and whatever was written for it is in the hands of the network.
_ANSWER_S: Final = 5.0


async def finish(link: Link, lost: asyncio.Future[None]) -> None:
    """Wait until a connection on which BYE was said has ended, at most `Limits.drain_s`; then cut it.

    Args:
        lost: done when it has ended.
    """
    broker = link.broker
    count = awaited(broker)
    if count:
        logged.closing(broker.tables.peer_name, count)
    until = link.loop.time() + broker.limits.drain_s
    left_s = broker.limits.drain_s
    while left_s > 0:
        # Once idle it stays so: new calls of the peer are dropped, and no handler is there to make any.
        was_idle = _is_idle(link)
        await asyncio.wait((lost,), timeout=min(left_s, _ANSWER_S))
        if lost.done() or was_idle:
            break
        left_s = until - link.loop.time()
    if link.transport is not None:
        link.transport.abort()
    await lost


def _is_idle(link: Link) -> bool:
    written = link.transport is None or not link.transport.get_write_buffer_size()
    broker = link.broker
    return written and not (awaited(broker) or broker.streams or broker.is_cut)
