"""Leaving in good order: what is under way is finished, and a peer that hangs is not waited for in vain.

Spec: spec/2-frames.md, "The end" (PB-F32).
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pb.bounds.leaving import awaited, ends_at

from . import logged

if TYPE_CHECKING:
    from .link import Link

# Who leaves because of an error waits so long for what was sent to go out: it does where the peer reads.
SOON_S: Final = 0.5


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
    if count or broker.streams:
        logged.closing(broker.tables.peer_name, count, len(broker.streams))
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


async def gone(link: Link) -> None:
    """Wait until a connection that was given up has ended, for a moment at most; then cut it."""
    if link.transport is None or link.loop.is_closed():
        return
    if link.lost is None:
        link.lost = link.loop.create_future()
    try:
        await asyncio.wait((link.lost,), timeout=SOON_S)
    finally:
        if link.transport is not None:
            link.transport.abort()
    await link.lost


def end_soon(loop: asyncio.AbstractEventLoop, end: Callable[[], None]) -> None:
    """Let the loop end what a coroutine leaves open that is thrown away: there nothing can be awaited.

    That may be in the collector of garbage, in any thread, where nothing is to begin.
    """
    try:
        loop.call_soon_threadsafe(end, context=contextvars.Context())
    except RuntimeError:
        pass  # the loop is closed, and with it all that lived there


def _is_idle(link: Link) -> bool:
    written = link.transport is None or not link.transport.get_write_buffer_size()
    broker = link.broker
    return written and not (awaited(broker) or broker.streams or broker.is_cut)
