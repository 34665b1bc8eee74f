"""One connection of a blocking program, as its loop sees it: an asyncio link whose handlers run in threads.

See `pb.aio.link`. Everything here runs in the thread of the loop, except where it says so.
"""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from pb.aio import ended
from pb.aio.connection import Connection as LoopConnection
from pb.aio.link import Link
from pb.broker import Broker
from pb.limits import Limits

from ._floor import Desk, Job
from ._handlers import ThreadServing
from ._sources import Source
from ._watching import MeteredSyncBroker, WatchedSyncBroker
from .connection import Connection
from .reference import SyncReference
from .stream import Stream

if TYPE_CHECKING:
    from pb.reference import RemoteReference

    from ._background import Background

# Calls that arrived and have not begun, above which nothing more is read: no more than a thread is quick
# to do, and so few that honest peers do not meet max_calls, over which calls are refused.
_MOST_JOBS: Final = 128
_ALIVE_S: Final = 1.0


class _SyncBroker(Broker):
    """A broker whose handlers run in threads."""

    __slots__ = ()

    serving_type = ThreadServing
    watched_types = (WatchedSyncBroker, MeteredSyncBroker)  # where hooks are given


class SyncLink(Link):
    """A connection of a blocking program.

    Args:
        background: what it lives in.
        options: those of `pb.aio.link.Link`.
    """

    broker_type = _SyncBroker

    __slots__ = ("_alive", "_is_turn_due", "background", "desk")

    def __init__(self, background: Background, *, limits: Limits, **options: Any) -> None:
        most = max(1, min(_MOST_JOBS, limits.max_calls // 4))
        turn = max(1, min(limits.turn_envelopes, limits.max_calls // 2))  # what arrives after it was too much
        super().__init__(limits=dataclasses.replace(limits, turn_envelopes=turn), **options)
        self.background = background
        self.desk = Desk(most)
        self._is_turn_due = False
        self._alive: asyncio.TimerHandle | None = None

    # --- what the broker asks of its face

    @property
    def connection(self) -> Any:
        """The connection as the program sees it."""
        return ended.connection_of(self, Connection)

    @property
    def loop_connection(self) -> LoopConnection:
        """The connection as functions on the loop see it."""
        return LoopConnection(self)

    def make_reference(self) -> RemoteReference:
        """Return a new, empty reference whose calls block."""
        return SyncReference()

    make_stream = Stream

    def iterate(self, iterator: Iterator[Any], id: int) -> Source:
        """Return an async iterator over what a plain one gives, whose steps may block."""
        return Source(self, iterator, id)

    def check_thread(self) -> None:
        """Refuse to be used from another thread than the loop's, as functions of `pb` do."""
        if not self.background.is_here:
            raise RuntimeError(
                "a function of pb was given what belongs to pb.sync; use the function of that name there or, "
                "to change what is observed, pb.sync.on_loop(function)"
            )

    def interrupted(self, error: BaseException) -> None:
        """Do nothing: no key ends the thread of the loop, on which all connections live."""

    def wants_release(self) -> None:
        """Write soon; called by the garbage collector, from any thread."""
        if not self.background.is_forked:  # the pipe to the loop is shared with the parent
            super().wants_release()

    def wants_turn(self) -> None:
        """Let others have their turn, then go on with what has arrived, unless too much of it waits."""
        if self.is_paced:
            self._is_turn_due = True
        else:
            super().wants_turn()

    # --- calls of the peer

    def offer(self, job: Job, target: int = 0) -> None:
        """Have a job done in a thread, and stop reading while too many wait."""
        if self.background.floor.offer(self.desk, job, target) and not self.is_paced:
            if self.transport is None:
                return
            self.transport.pause_reading()
            with self.background.floor.lock:
                self.desk.lowered = self._lowered
            self._stay_alive()

    def withdraw(self, job: Job) -> bool:
        """Take a job back; return False where it has begun."""
        return self.background.floor.withdraw(self.desk, job)

    @property
    def is_paced(self) -> bool:
        """Whether nothing is read because the program is busy with what was."""
        return self._alive is not None

    def _lowered(self) -> None:
        """Read again. Called in any thread, with a lock held."""
        try:
            self.loop.call_soon_threadsafe(self._read_on, context=contextvars.Context())
        except RuntimeError:
            pass  # the loop is closed: the program ends

    def _read_on(self) -> None:
        if self._alive is not None:
            self._alive.cancel()
            self._alive = None
        if self.transport is None:
            return
        if self._is_turn_due:
            self._is_turn_due = False
            self._continue()
        elif not self.broker.is_cut:
            self.transport.resume_reading()

    def _continue(self) -> None:
        super()._continue()
        if self.is_paced and self.transport is not None:
            self.transport.pause_reading()

    def _stay_alive(self) -> None:
        """Not to read is not to hear nothing: a busy program must not take its peer for dead."""
        self.broker.heard = True
        self._alive = self.loop.call_later(_ALIVE_S, self._stay_alive)

    # --- what the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be known to what ends all connections."""
        self.background.links.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Settle everything."""
        self.background.links.discard(self)
        if self._alive is not None:
            self._alive.cancel()
            self._alive = None
        super().connection_lost(exc)
