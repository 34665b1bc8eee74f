"""One connection: the broker on one side, an asyncio transport on the other.

It is the face of its broker (`pb.interfaces.IFace`) and the protocol of its transport, and knows nothing
of URLs, servers or clients. Spec: spec/2-frames.md.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from threading import get_ident
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

import jelly
from pb import interfaces, messages
from pb._state import State
from pb.broker import Broker
from pb.errors import ProtocolError
from pb.limits import Limits

from ._thread import shared
from .connection import Connection
from .reference import Reference
from .transports import peer_name, write_buffers

if TYPE_CHECKING:
    from pb.reference import RemoteReference

log = logging.getLogger("pb")

AGENT = "perspective-broker/0.1"


@implementer(interfaces.IFace)
class Link(asyncio.BufferedProtocol):
    """A connection as the loop sees it.

    Args:
        root: what the peer may call first: an object, or a callable that gets the `Connection`.
        check: called with the transport before the first byte; raises to refuse the peer.
        links: where this link is listed while its transport lives.
    """

    __slots__ = (
        "_buffer",
        "_check",
        "_connection",
        "_links",
        "_owned",
        "_quiet_since",
        "_room",
        "_root",
        "_stalled_since",
        "_tasks",
        "_timer",
        "_watchers",
        "_writes_at_once",
        "broker",
        "loop",
        "lost",
        "ready",
        "thread",
        "transport",
    )

    def __init__(
        self,
        *,
        registry: jelly.Registry | None,
        limits: Limits,
        root: Any = None,
        debug: bool = False,
        proxy: bool = True,
        check: Callable[[asyncio.BaseTransport], None] | None = None,
        links: set[Link] | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.thread = get_ident()
        self.transport: Any = None
        self.ready: asyncio.Future[None] | None = None  # made by who waits for the peer's HELLO
        self.lost: asyncio.Future[None] | None = None  # made by who waits for the end
        self._buffer = shared.buffer
        self._room: memoryview | None = None
        self._connection: Connection | None = None
        self._root = root
        self._owned = False
        self._writes_at_once = False  # the next message, without waiting for the end of the turn
        self._check = check
        self._links = links
        self._timer: asyncio.TimerHandle | None = None
        self._quiet_since = 0.0
        self._stalled_since = 0.0
        self._tasks: set[asyncio.Task[None]] | None = None
        self._watchers: list[Callable[[], None]] | None = None
        self.broker = Broker(
            self,
            shared.codec(registry),
            limits,
            agent=AGENT,
            debug=debug,
            proxy=proxy,
        )

    # --- what the broker asks of its face

    @property
    def connection(self) -> Connection:
        """The connection as the program sees it."""
        if self._connection is None:
            self._connection = Connection(self)
        return self._connection

    def clock(self) -> float:
        """Return monotonic seconds."""
        return self.loop.time()

    def incident(self) -> str:
        """Return a fresh random id."""
        return os.urandom(8).hex()

    def make_reference(self) -> RemoteReference:
        """Return a new, empty reference."""
        return Reference()

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a handler that takes its time."""
        task = self.loop.create_task(coroutine)
        if self._tasks is None:
            self._tasks = set()
        self._tasks.add(task)  # the loop itself keeps only weak references to tasks
        task.add_done_callback(self._tasks.discard)
        return task

    def wants_write(self) -> None:
        """Write soon, together with all else that this turn of the loop produces."""
        if self._writes_at_once:
            self._writes_at_once = False
            self.write_now()
        else:
            self.loop.call_soon(self.write_now)

    def wants_release(self) -> None:
        """Write soon; called by the garbage collector, from any thread."""
        try:
            if self.thread != get_ident():
                self.loop.call_soon_threadsafe(self.write_now)
            elif not self.broker.outbox.due:
                self.broker.outbox.due = True
                self.loop.call_soon(self.write_now)
        except RuntimeError:
            pass  # the loop is closed, and so is the connection

    def wants_turn(self) -> None:
        """Let others have their turn, then go on with what has arrived."""
        self.transport.pause_reading()
        self.loop.call_soon(self._continue)

    def opened(self) -> None:
        """The peer has said HELLO."""
        if self.ready is not None and not self.ready.done():
            self.ready.set_result(None)
        self._set_timer()

    def ended(self, error: ProtocolError | None) -> None:
        """Write what is left and close."""
        if error is not None:
            # The text, not the error: it holds on to frames, and so to this connection.
            log.warning("connection with %s ends: %s", self.broker.tables.peer_name, str(error))
        if self.transport is not None:
            self.write_now()
            self.transport.close()

    # --- what the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say HELLO, unless the peer is not who it should be."""
        self.transport = transport
        if self._links is not None:
            self._links.add(self)
        self.broker.tables.peer_name = peer_name(transport)
        try:
            if self._check is not None:
                self._check(transport)
            root = self._root
            if root is not None:
                if not isinstance(root, jelly.ByReference) and callable(root):
                    root = root(self.connection)
                self.broker.tables.set_root(root, self.broker.scope)
        except Exception as error:
            log.error("connection with %s refused", self.broker.tables.peer_name, exc_info=error)
            self._fail_ready(error)
            self.broker.connection_lost(f"the connection was refused: {error}")
            self.transport.abort()
            return
        limits = self.broker.limits
        self.transport.set_write_buffer_limits(high=limits.write_high_bytes, low=limits.write_low_bytes)
        self.broker.outbox.due = True
        self.broker.start()
        self.write_now()
        self._timer = self.loop.call_later(limits.hello_timeout_s, self._tick)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to read to: the frame that is arriving if it is long, else the shared buffer."""
        if self.broker.reader.frame is not None:
            self._room = self.broker.reader.room()
        return self._room or self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Act on what was read, and write all that comes of it at once."""
        broker = self.broker
        outbox = broker.outbox
        outbox.due = True  # the flush below
        was_single = len(broker.calls.pending) == 1
        if self._room is None:
            broker.receive_data(self._buffer[:nbytes])
        else:
            self._room = None
            broker.reader.filled(nbytes)
            broker.turn()
        if outbox.batch or outbox.frames:
            self.write_now()
        elif was_single:
            # Somebody makes one call at a time: the next needs no further turn of the loop.
            outbox.due = False
            self._writes_at_once = True
        else:
            # Answers have come, and woken tasks are about to run: what they call is written behind them,
            # in the same turn of the loop and as one frame.
            self.loop.call_soon(self.write_now)

    def _continue(self) -> None:
        broker = self.broker
        broker.outbox.due = True
        broker.turn()
        self.loop.call_soon(self.write_now)
        if not broker.is_cut and broker.state is not State.CLOSED:
            self.transport.resume_reading()

    def write_now(self) -> None:
        """Write what there is; `pause_writing` may come of it."""
        buffers = self.broker.take_output()
        if buffers and self.transport is not None:
            if len(buffers) == 1:
                self.transport.write(buffers[0])
            else:
                write_buffers(self.transport, buffers)
            if self._stalled_since:
                self._check_stall()
        if self._owned and self.broker.is_unused:
            self._owned = False
            self.broker.close()

    def eof_received(self) -> bool:
        """Close: the peer says nothing more. Returns False, which tells asyncio to close."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Settle everything."""
        if self._timer is not None:
            self._timer.cancel()
        if self.transport is None:
            return
        self.transport = None
        reason = "the connection was lost"
        if exc is not None:
            reason += f" ({type(exc).__name__}: {exc})"
        error = self.broker.error
        self.broker.connection_lost(reason)
        self._fail_ready(error or ConnectionError(f"{reason} before the peer said HELLO"))
        watchers, self._watchers = self._watchers, None
        for watcher in watchers or ():
            self.loop.call_soon(watcher)
        if self._links is not None:
            self._links.discard(self)
        if self.lost is not None and not self.lost.done():
            self.lost.set_result(None)

    def pause_writing(self) -> None:
        """The network takes no more for now: new calls wait."""
        self._stalled_since = self.loop.time()
        self.broker.calls.hold()
        self.broker.serving.is_held = True
        self._check_stall()

    def resume_writing(self) -> None:
        """The network takes more again."""
        self._stalled_since = 0.0
        self.broker.calls.start_waiting()
        self.broker.serving.start_held()

    # --- time

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._quiet_since = self.loop.time()
        self._timer = self.loop.call_later(self.broker.tick_interval_s, self._tick)

    def _tick(self) -> None:
        broker = self.broker
        self._timer = None
        if self.transport is None or broker.state is State.CLOSED:
            return
        if broker.state is State.GREETING:
            broker.fail(ProtocolError("no HELLO arrived in time", messages.BYE_IDLE))
            return
        now = self.loop.time()
        if broker.heard:
            broker.heard = False
            self._quiet_since = now
        quiet_s = now - self._quiet_since
        limits = broker.limits
        if limits.idle_s and quiet_s >= limits.idle_s:
            broker.fail(ProtocolError(f"silent for {quiet_s:.0f} s", messages.BYE_IDLE))
            return
        peer = broker.peer_limits
        owes_sign = not broker.outbox.has_spoken and peer is not None and peer.idle_s
        broker.outbox.has_spoken = False
        if quiet_s >= limits.ping_after_s or owes_sign:
            broker.ping()
        if self._stalled_since:
            self._check_stall()
        if self.transport is not None:
            self._timer = self.loop.call_later(broker.tick_interval_s, self._tick)

    def _check_stall(self) -> None:
        """Close on a peer that does not read: what waits for it is bounded in bytes and in time."""
        limits = self.broker.limits
        waiting = self.transport.get_write_buffer_size()
        bound = max(limits.write_max_bytes, 2 * limits.max_frame)
        stalled_s = self.loop.time() - self._stalled_since
        if waiting > bound or stalled_s > limits.write_stall_s:
            transport = self.transport
            self.broker.fail(
                ProtocolError(
                    f"the peer reads too slowly: {waiting} bytes wait for it since {stalled_s:.0f} s",
                    messages.BYE_LIMIT,
                )
            )
            transport.abort()  # closing would wait for what the peer does not read

    # --- what faces of this link use

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` once the connection is lost, soon if it is; return what takes that back."""
        if self.transport is None and self.broker.state is State.CLOSED:
            handle = self.loop.call_soon(watcher)
            return handle.cancel
        if self._watchers is None:
            self._watchers = []
        self._watchers.append(watcher)

        def forget() -> None:
            if self._watchers is not None and watcher in self._watchers:
                self._watchers.remove(watcher)

        return forget

    def _fail_ready(self, error: BaseException) -> None:
        if self.ready is not None and not self.ready.done():
            self.ready.set_exception(error)

    def check_thread(self) -> None:
        """Refuse to be used from another thread than the loop's.

        Raises:
            RuntimeError: it is; the text says what to do instead.
        """
        if self.thread != get_ident():
            raise RuntimeError(
                "a connection is used in another thread than its loop's; from here, hand the loop an async "
                "function that makes the call: asyncio.run_coroutine_threadsafe(function(), loop)"
            )

    def own(self) -> None:
        """From here on the references keep the connection: with the last of them it closes."""
        self._owned = True

    async def close(self, code: int = messages.BYE_NORMAL) -> None:
        """Say BYE, wait for what is under way at most `Limits.drain_s`, and for the transport to close."""
        if self.transport is None:
            return
        if self.lost is None:
            self.lost = self.loop.create_future()
        self.broker.close(code)
        awaited = self.broker.serving.count + len(self.broker.calls.pending)
        if awaited:
            log.info("closing %s: %d calls are awaited", self.broker.tables.peer_name, awaited)
        try:
            await asyncio.wait_for(asyncio.shield(self.lost), self.broker.limits.drain_s)
        except TimeoutError:
            if self.transport is not None:
                self.transport.abort()
            await self.lost
