"""One connection: the broker on one side, an asyncio transport on the other.

It is the face of its broker (`pb.interfaces.IFace`) and the protocol of its transport, and knows nothing
of URLs, servers or clients. Spec: spec/2-frames.md.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import weakref
from collections.abc import Callable, Coroutine
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar

from zope.interface import implementer

import jelly
from pb import interfaces, messages
from pb.bounds.leaving import is_within_call
from pb.broker import Broker
from pb.errors import ForkedConnection, ProtocolError
from pb.limits import Limits
from pb.wire.state import State

from . import ended, forking, lingering, logged
from ._thread import LOOP_CLOSED, WRONG_LOOP, WRONG_THREAD, clock_of, part, shared
from .connection import Connection
from .entering import let_in
from .leaving import finish
from .options import broker_kind
from .pulse import Pulse
from .reading import Reading
from .reference import Reference
from .secure import security_of
from .stream import Plain, Stream
from .transports import peer_name
from .writing import write_one

if TYPE_CHECKING:
    from pb.holding.watchers import Watchers
    from pb.reference import RemoteReference
    from pb.security import Security
    from pb.stream import RemoteStream

    from .places import Places

AGENT = "perspective-broker/0.1"


@implementer(interfaces.IFace)
class Link(Reading):
    """A connection as the loop sees it.

    Args:
        root: what the peer may call first: an object, or a callable that gets the `Connection`.
        check: called with the transport before the first byte; raises to refuse the peer.
        places: where this link is counted while its transport lives; None at a client.
        insecure: let logins run where somebody may listen.
        certificate: the server's own, DER, at a server.
        hooks: are told what happens; None for nobody.
    """

    broker_type: ClassVar[type[Broker]] = Broker
    make_reference: Callable[[], RemoteReference] = Reference
    make_stream: Callable[[], RemoteStream] = Stream
    iterate: Callable[[Any, int], Any] = Plain
    sleep = staticmethod(asyncio.sleep)
    cancelled = (asyncio.CancelledError, concurrent.futures.CancelledError)

    __slots__ = (
        "__weakref__",
        "_certificate",
        "_check",
        "_connection",
        "_flush",
        "_insecure",
        "_owned",
        "_pulse",
        "_root",
        "_sweep",
        "_tasks",
        "_watchers",
        "calls",
        "clock",
        "entered",
        "flushed",
        "lost",
        "places",
        "ready",
        "task_factory",
        "thread",
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
        places: Places | None = None,
        insecure: bool = False,
        certificate: bytes | None = None,
        hooks: Any = None,
        dials: bool = False,
    ) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self.clock = clock_of(self.loop)  # monotonic seconds
        self.task_factory = self.loop.get_task_factory
        self.thread = get_ident()
        self._transport: Any = None
        self.ready: asyncio.Future[None] | None = None  # made by who waits for the peer's HELLO
        self.lost: asyncio.Future[None] | None = None  # made by who waits for the end
        self.entered: Callable[[], None] | None = None
        self._flush = shared.flush(self.loop)
        self.flushed = self._flush.links
        self._connection: Any = None  # also a weak reference to one; see ended.py
        self._root = root
        self._owned = False
        self._check = check
        self.places = places
        self._insecure = insecure
        self._certificate = certificate
        self._pulse = Pulse(self)
        self._sweep: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] | None = None
        self._watchers: Watchers | None = None
        kind: type[Broker] = broker_kind(self.broker_type, hooks)
        codec = shared.codec(registry)
        self.broker = kind(self, codec, limits, agent=AGENT, debug=debug, proxy=proxy, dials=dials)
        self.dropped, self.outbox = self.broker.tables.dropped, self.broker.outbox  # for each read and write
        self.calls, self._reader = self.broker.calls, self.broker.reader

    # --- what the broker asks of its face

    @property
    def connection(self) -> Connection:
        """The connection as the program sees it."""
        connection: Connection = ended.connection_of(self, Connection)
        return connection

    @property
    def transport(self) -> Any:
        """Where bytes come from and go to; None before and after."""
        return self._transport

    @transport.setter
    def transport(self, transport: Any) -> None:
        self._transport = transport
        self._settle()

    def _settle(self) -> None:
        """See whether all that is to be done with a message is to write it."""
        is_simple = not (self._owned or self._pulse.looks_on or self.broker.is_metered)
        self.outbox.direct = self._transport.write if is_simple and self._transport is not None else None
        self.outbox.at_once = None

    def wake_at(self, time: float) -> None:
        """End the calls that are due, at a time."""
        if self._sweep is not None:
            self._sweep.cancel()
        self._sweep = self._flush.sweep_at(self, time)

    def security(self) -> Security:
        """Return what the transport says about who may listen and who is there."""
        return security_of(self.transport, self.places is not None, self._certificate, self._insecure)

    def incident(self) -> str:
        """Return a fresh random id."""
        return os.urandom(8).hex()

    def make_future(self) -> asyncio.Future[None]:
        """Return what one waits with."""
        return self.loop.create_future()

    def begin(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a handler that takes its time. To be told of its end would cost a turn of the loop."""
        return self.loop.create_task(coroutine)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something that nobody else holds."""
        task = self.loop.create_task(coroutine)
        if self._tasks is None:
            self._tasks = set()
        self._tasks.add(task)  # the loop itself keeps only weak references to tasks
        task.add_done_callback(self._tasks.discard)
        return task

    def wants_write(self) -> None:
        """Write soon, together with all else that this turn of the loop produces."""
        self._flush.add(self)

    def write_failed(self, error: Exception) -> None:
        """Have the loop report it."""
        self._flush.failed(error)

    def interrupted(self, error: BaseException) -> None:
        """Let the loop end with an error, as it does when a callback of its own raises that."""
        self.loop.call_soon(_raise, error)

    def wants_release(self) -> None:
        """Write soon; called by the garbage collector, from any thread."""
        try:
            if self.thread == forking.FORKED_THREAD:
                return  # the pipe to the loop is shared with the parent
            if self.thread != get_ident():
                self.loop.call_soon_threadsafe(self.write_now)
            elif not self.broker.outbox.due:
                self.broker.outbox.due = True
                self.loop.call_soon(self.write_now)
        except RuntimeError:
            pass  # the loop is closed, and so is the connection

    def wants_turn(self) -> None:
        """Let others have their turn, then go on with what has arrived."""
        if not self.broker.reads_on:
            self.transport.pause_reading()
        self.loop.call_soon(self._continue)

    def opened(self) -> None:
        """The peer has said HELLO."""
        if self.ready is not None and not self.ready.done():
            self.ready.set_result(None)
        self._pulse.start()

    def ended(self, error: ProtocolError | None) -> None:
        """Write what is left and close."""
        if error is not None and self.ready is None:  # else who opens it is told, by an error
            logged.ends(self.broker.tables.peer_name, error, self.places)
        if self.transport is not None:
            self.write_now()
            lingering.close(self)
            self._pulse.ended()

    # --- what the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say HELLO, unless the peer is not who it should be."""
        self.transport = transport
        forking.note(self)
        self.broker.tables.peer_name = peer_name(transport)
        if not let_in(self, self._check, self._root):
            return
        limits = self.broker.limits
        self.transport.set_write_buffer_limits(high=limits.write_high_bytes, low=limits.write_low_bytes)
        self.broker.outbox.due = True
        self.broker.start()
        self.write_now()
        self._pulse.await_hello()
        self.read_from(transport)

    def _continue(self) -> None:
        if self._transport is None:
            return
        broker = self.broker
        if broker.reads_on and self._transport.is_closing():
            return  # the peer has gone, and `connection_lost` is on its way
        broker.outbox.due = True
        broker.turn()
        self.loop.call_soon(self.write_now)
        if broker.state is not State.CLOSED and (broker.reads_on or not broker.is_cut):
            self.transport.resume_reading()

    def write_now(self) -> None:
        """Write what there is; `pause_writing` may come of it."""
        write_one(self)

    def written(self, buffers: list[bytes]) -> None:
        """Look after what was written: whether the peer reads it, and whether this is needed any longer."""
        if self._pulse.stalled_since and self._transport is not None:
            self._pulse.check_stall(sum(map(len, buffers)))
        if self._owned and self.broker.is_unused:
            self._owned = False
            self._settle()
            self.broker.close()

    def eof_received(self) -> bool:
        """Close: the peer says nothing more. Returns False, which tells asyncio to close."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Settle everything."""
        self.stop_timers()
        forking.forget(self)
        if self.transport is None:
            return
        self.transport = None
        reason = "the connection was lost"
        if exc is not None:
            reason += f" ({type(exc).__name__}: {exc})"
        error = self.broker.error
        self.broker.connection_lost(reason)
        self.fail_ready(error or ConnectionError(f"{reason} before the peer said HELLO"))
        ended.tell(self)

    def stop_timers(self) -> None:
        """Let nothing come of time any more."""
        self._pulse.stop()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    def pause_writing(self) -> None:
        """The network takes no more for now: new calls wait."""
        self._pulse.stalled()
        self._settle()

    def resume_writing(self) -> None:
        """The network takes more again."""
        self._pulse.resumed()
        self._settle()

    # --- what faces of this link use

    def watch(self, watcher: Callable[[], None], of: weakref.ref[Any] | None = None) -> Callable[[], None]:
        """Call `watcher` once the connection is lost, soon if it is; return what takes that back."""
        return ended.watch(self, watcher, of)

    def fail_ready(self, error: BaseException) -> None:
        """Tell who waits for HELLO that none comes."""
        if self.ready is not None and not self.ready.done():
            self.ready.set_exception(error)

    @property
    def is_over(self) -> bool:
        """Whether its loop is closed."""
        return self.loop.is_closed()

    def check_thread(self) -> None:
        """Refuse to be used from another thread than the loop's, or another loop of that.

        Before the loop runs, and between its runs, it may be used: what is sent goes out when it runs.

        Raises:
            RuntimeError: it is, or the loop is closed; the text says what to do instead.
            ForkedConnection: this is a copy in a child process.
        """
        if self.thread == forking.FORKED_THREAD:
            raise ForkedConnection(forking.WHY)
        if self.outbox.due and self.loop.is_closed():
            part(self)
        if self.thread != get_ident():
            raise RuntimeError(LOOP_CLOSED if self.loop.is_closed() else WRONG_THREAD)
        if not self.loop.is_running() and asyncio._get_running_loop() is not None:
            if self.loop.is_closed():
                part(self)
                raise RuntimeError(LOOP_CLOSED)
            raise RuntimeError(WRONG_LOOP)

    def abort(self) -> None:
        """End it at once: from here on no call is sent, and none of the peer's begins."""
        if self.transport is not None and not self.loop.is_closed():
            self.transport.abort()
            # asyncio tells of the end a turn later: until then calls of the peer that have come would begin.
            self.broker.connection_lost("this side has ended the connection")

    def give_up(self) -> None:
        """Say BYE and end it at once; what was sent goes out before, as far as the peer takes it."""
        if self.transport is not None and not self.loop.is_closed():
            self.broker.give_up("its block was left by an exception")

    async def drain(self) -> None:
        """Wait until there is room for more that wants no answer, or the connection is lost."""
        await self._pulse.drained()

    def own(self) -> None:
        """From here on the references keep the connection: with the last of them it closes."""
        self._owned = True
        self._settle()

    async def close(self, code: int = messages.BYE_NORMAL) -> None:
        """Say BYE, wait for what is under way at most `Limits.drain_s`, and for the transport to close.

        In a method that serves a call of the peer nothing is waited for: it would be that call.
        """
        if self.transport is None:
            return
        if is_within_call(self.broker):
            self.broker.close(code)
            return
        if self.lost is None:
            self.lost = self.loop.create_future()
        self.broker.close(code)
        try:
            await finish(self, self.lost)
        except asyncio.CancelledError:
            self.abort()  # nobody waits any longer, and the peer may say nothing for ever
            raise


def _raise(error: BaseException) -> None:
    raise error
