"""Writing: what connections have to say goes to their transports."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from pb.wire.outbox import LENGTH, frame_of

from .transports import write_buffers

if TYPE_CHECKING:
    from .link import Link


def write_one(link: Link) -> None:
    """Write what one link has to say; `pause_writing` may come of it. `write_out` has the reasons."""
    outbox = link.outbox
    batch = outbox.batch
    direct = outbox.direct
    if len(batch) == 1 and direct is not None and not (outbox.frames or link.dropped):
        outbox.due = False
        outbox.has_spoken = True
        calls = link.calls
        calls.written_id = calls.next_id - 1
        message = batch[0]
        batch.clear()  # pop() would give the room back by realloc(), in 270 instructions more
        direct(LENGTH(len(message)) + message)  # frame_of, spelled out
    elif direct is not None and not (batch or outbox.frames or link.dropped):
        outbox.due = False  # it was written at once
    else:
        _write_other(link)


def write_out(links: Iterable[Link], failed: Callable[[Exception], object]) -> None:
    """Write what each of some links has to say; `pause_writing` may come of it.

    Args:
        failed: is told what goes wrong with one, and the others are written all the same.
    """
    told = frame = b""
    for link in links:
        try:
            # One message and nothing to look after: an answer to who waits for it, or a change told to many,
            # which is the same frame for all. Half of what a server does for these was done on the way from
            # here to the transport.
            outbox = link.outbox
            batch = outbox.batch
            direct = outbox.direct
            if len(batch) == 1 and direct is not None and not (outbox.frames or link.dropped):
                message = batch[0]
                batch.clear()
                if message is not told:
                    told, frame = message, frame_of(message)
                outbox.due = False
                outbox.has_spoken = True
                calls = link.calls
                calls.written_id = calls.next_id - 1
                direct(frame)
            else:
                _write_other(link)
        except Exception as error:
            failed(error)


def _write_other(link: Link) -> None:
    buffers = link.broker.take_output()
    if buffers and link.transport is not None:
        if len(buffers) == 1:
            link.transport.write(buffers[0])
        else:
            write_buffers(link.transport, buffers)
    link.written(buffers)
