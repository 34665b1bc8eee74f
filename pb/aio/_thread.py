"""What the connections of one thread share because only one of them uses it at a time.

A scratch space, not a registry: nothing is looked up in it by name, and losing it loses nothing.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pb.wire.codec import Codec
from pb.wire.flushed import Flushed

from . import forking
from .writing import write_out

if TYPE_CHECKING:
    import jelly

    from .link import Link

# asyncio allocates 256 KiB for every read of a plain Protocol; one buffer for all connections of the
# loop gains 1.3x on 50 connections x 10 calls and keeps idle connections small (tests/bench).
_BUFFER_BYTES = 256 * 1024

WRONG_THREAD: Final = (
    "a connection is used in another thread than its loop's; from here, call through the loop: "
    "pb.from_thread(reference.method, ...), or, in a method that runs in_thread, for what calls nobody, such "
    "as a change of what is observed: pb.on_loop(function, ...)"
)
WRONG_LOOP: Final = (
    "a connection is used in another event loop than the one it was opened in, which does not run now, so "
    "that nothing would be sent; open it in the loop that uses it (with pytest-asyncio, the fixture and the "
    "test need the same loop_scope)"
)
LOOP_CLOSED: Final = (
    "the event loop of this connection is closed: it was opened in another asyncio.run() and ended with it; "
    "open it in the one that uses it, or use pb.sync, whose connections live between calls"
)
_NO_THREAD: Final = -2  # stands for that of a link whose loop is closed, so that its thread is none


def clock_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Return what tells the time of a loop, in seconds: without the method in between that asyncio's has."""
    is_plain = getattr(type(loop), "time", None) is asyncio.BaseEventLoop.time
    return time.monotonic if is_plain else loop.time


class Flush:
    """Write the output of many connections in one go at the end of a turn of their loop.

    A change told to 100 connections then takes one callback of the loop, not 100: 0.5 us less for each.

    Attributes:
        links: those that wait, always the same list; once there is one, more may be appended.
        was_held_up: whether something has blocked the loop for long.
    """

    __slots__ = ("links", "loop", "was_held_up")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.links = Flushed()
        self.was_held_up = False

    def add(self, link: Link) -> None:
        """Write what this connection has to say, soon."""
        if not self.links:
            try:
                self.loop.call_soon(self._write)
            except RuntimeError as error:
                raise self._closed(link, error) from None
        self.links.append(link)

    def sweep_at(self, link: Link, time: float) -> asyncio.TimerHandle:
        """End the calls of a connection that are due, at a time."""
        try:
            return self.loop.call_at(time, link.broker.deadlines.sweep, context=contextvars.Context())
        except RuntimeError as error:
            raise self._closed(link, error) from None

    def _closed(self, link: Link, error: RuntimeError) -> RuntimeError:
        """Say what to do, now and whatever is done with this connection from here on."""
        if not self.loop.is_closed():
            return error
        part(link)
        return RuntimeError(LOOP_CLOSED)

    def _write(self) -> None:
        write_out(self.links.take(), self.failed)

    def failed(self, error: Exception) -> None:
        """Report that something could not be written."""
        self.loop.call_exception_handler({"message": "a write failed", "exception": error})


def part(link: Link) -> None:
    """Take a connection whose loop is closed out of its thread: whatever is done with it there is refused."""
    link.thread = _NO_THREAD
    link.broker.outbox.move(_NO_THREAD)  # else updates are appended without a look, and nobody takes them
    link.flushed.clear()


def _part_closed() -> None:
    """Do so for all those of the loops that were closed in this thread.

    One that had output waiting then wakes nobody when more is queued, so that nothing would tell of it.
    """
    here = threading.get_ident()
    for link in forking.links():
        if link.thread == here and link.loop.is_closed():
            part(link)
    forking.let_go()


class Shared(threading.local):
    """The receive buffer and the codecs of the current thread."""

    def __init__(self) -> None:
        self._flush: Flush | None = None
        self.buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._plain: Codec | None = None
        self._codecs: weakref.WeakKeyDictionary[jelly.Registry, tuple[int, Codec]] = (
            weakref.WeakKeyDictionary()
        )

    def flush(self, loop: asyncio.AbstractEventLoop) -> Flush:
        """Return what writes for the connections of a loop of this thread."""
        if self._flush is None or self._flush.loop is not loop:
            _part_closed()
            self._flush = Flush(loop)
        return self._flush

    def codec(self, registry: jelly.Registry | None) -> Codec:
        """Return this thread's codec for a registry as it is now; later additions make a new one."""
        if registry is None:
            if self._plain is None:
                self._plain = Codec(None)
            return self._plain
        found = self._codecs.get(registry)
        if found is None or found[0] != registry.version:
            found = self._codecs[registry] = (registry.version, Codec(registry))
        return found[1]


shared = Shared()
