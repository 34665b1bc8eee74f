"""What time does to a connection: greetings that do not come, silence, and peers that do not read.

One timer per connection, whatever goes on over it. Spec: spec/2-frames.md, "Liveness" and "Flow".
"""

from __future__ import annotations

import asyncio
import contextvars
import weakref
from typing import TYPE_CHECKING, Final

from pb import messages
from pb.errors import ProtocolError
from pb.limits import tick_interval_s
from pb.wire.outbox import LARGE_PAYLOAD
from pb.wire.state import State
from pb.wire.stranger import LOGIN_TIMEOUT_S

from .blocking import held_up
from .transports import acknowledged_bytes, give_up_after

if TYPE_CHECKING:
    from .link import Link

# What comes of a frame that has begun more slowly than this counts as silence (PB-F43). Signs of life alone
# are about one byte a second.
_LEAST_BYTES_PER_S: Final = 8
# A look that comes so much too late was held up by this side: that time is no silence of the peer, and what
# it said meanwhile is read first.
_LATE_S: Final = 1.0
_READ_S: Final = 0.1
# What one message adds to the output that waits, its frame and those of WebSocket and TLS around it included.
_MOST_BYTES: Final = 2 * LARGE_PAYLOAD


class Pulse:
    """The timer of one link.

    Attributes:
        stalled_since: when the network took no more, or had last taken so much that the peer does read; 0.0
            while nothing waits for it.
    """

    __slots__ = (
        "_acknowledged_bytes",
        "_arriving",
        "_due_at",
        "_leaving_bytes",
        "_link",
        "_looked_at",
        "_opened_at",
        "_quiet_since",
        "_room",
        "_taken_bytes",
        "_timer",
        "_waiting_bytes",
        "stalled_since",
    )

    def __init__(self, link: Link) -> None:
        self._link: Link = weakref.proxy(link)
        self._timer: asyncio.TimerHandle | None = None
        self._opened_at = 0.0
        self._due_at = 0.0
        self._quiet_since = 0.0
        self._arriving: tuple[int, int] | None = None
        self._looked_at = 0.0
        self._leaving_bytes = 0  # at the last look, since the connection has ended
        self.stalled_since = 0.0
        self._waiting_bytes = 0  # at the last look, while it takes no more,
        self._acknowledged_bytes = 0
        self._taken_bytes = 0  # and how much it has taken since `stalled_since`
        self._room: asyncio.Future[None] | None = None  # made by who waits for it

    @property
    def patience_s(self) -> float:
        """Seconds of quiet after which this timer has ended whatever it ever will: dead peers, slow ones."""
        limits = self._link.broker.limits
        strangers_s = max(limits.hello_timeout_s, LOGIN_TIMEOUT_S)
        # Silence is noticed, and asked about, a look later than it begins.
        return strangers_s + 2 * (limits.idle_s + limits.ping_after_s + limits.write_stall_s)

    def await_hello(self) -> None:
        """Begin: the peer's HELLO must come. Whoever waits for it knows for how long."""
        limits = self._link.broker.limits
        give_up_after(self._link.transport, limits)
        if self._link.ready is None:
            self._set(limits.hello_timeout_s)

    def start(self) -> None:
        """Go on: HELLO has come."""
        self.stop()
        link = self._link
        self._opened_at = self._quiet_since = link.loop.time()
        self._wind()

    def _wind(self) -> None:
        link = self._link
        wait_s = tick_interval_s(link.broker.limits, link.broker.peer_limits)
        if link.broker.greeting.stranger is not None:
            wait_s = min(wait_s, max(0.0, self._opened_at + LOGIN_TIMEOUT_S - link.loop.time()))
        if link.broker.limits.idle_s:
            left_s = self._quiet_since + link.broker.limits.idle_s - link.loop.time()
            wait_s = min(wait_s, max(0.001, left_s))  # 0 could come again, by rounding, without end
        self._set(wait_s)

    def _set(self, wait_s: float) -> None:
        loop = self._link.loop
        self._due_at = loop.time() + wait_s
        # In a context of its own: asyncio keeps that of a timer until it would be due, cancelled or not.
        self._timer = loop.call_later(wait_s, self._tick, context=contextvars.Context())

    def stop(self) -> None:
        """End."""
        self._free()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def ended(self) -> None:
        """The connection has ended, and the transport closes once the peer has taken what was written.

        It may never do so, and whoever shuts out a peer must not be bound to hold its output (PB-F33).
        """
        if self._timer is not None:
            self._timer.cancel()
        self._leaving_bytes = self._link.transport.get_write_buffer_size()
        self._set(self._link.broker.limits.write_stall_s)

    def _check_leaving(self) -> None:
        link = self._link
        left_bytes = link.transport.get_write_buffer_size()
        taken_bytes, self._leaving_bytes = self._leaving_bytes - left_bytes, left_bytes
        if taken_bytes < link.broker.limits.write_high_bytes:
            link.transport.abort()
        else:
            self._set(link.broker.limits.write_stall_s)

    def _tick(self) -> None:
        link = self._link
        broker = link.broker
        self._timer = None
        if link.transport is None:
            return
        if broker.state is State.CLOSED:
            self._check_leaving()
            return
        now = link.loop.time()
        if now > self._due_at + _LATE_S:
            held_up(link, now - self._due_at)
            self._quiet_since += now - self._due_at
            self._set(_READ_S)
            return
        if broker.state is State.GREETING:
            broker.fail(ProtocolError("no HELLO arrived in time", messages.BYE_IDLE))
            return
        # Not by the state: a stranger that has said BYE is one all the same.
        if broker.greeting.stranger is not None and now - self._opened_at >= LOGIN_TIMEOUT_S:
            broker.fail(ProtocolError(f"nobody logged in within {LOGIN_TIMEOUT_S:g} s", messages.BYE_POLICY))
            return
        arriving = broker.reader.arriving
        if broker.heard:
            broker.heard = False
            if not self._trickles(arriving, now):
                self._quiet_since = now
        self._arriving, self._looked_at = arriving, now
        quiet_s = now - self._quiet_since
        limits = broker.limits
        if limits.idle_s and quiet_s >= limits.idle_s:
            broker.fail(ProtocolError(f"silent for {quiet_s:.0f} s", messages.BYE_IDLE))
            return
        hello = broker.peer_limits
        owes_sign = not broker.outbox.has_spoken and hello is not None and hello.idle_s
        broker.outbox.has_spoken = False
        if quiet_s >= limits.ping_after_s or owes_sign:
            broker.ping()
        if self.stalled_since:
            self.check_stall()
        if link.transport is not None:
            self._wind()

    def stalled(self) -> None:
        """The network takes no more."""
        broker = self._link.broker
        self._await_more()
        broker.calls.hold()
        broker.serving.hold()
        broker.streams.hold()
        self.check_stall()

    def resumed(self) -> None:
        """The network takes more again."""
        broker = self._link.broker
        self.stalled_since = 0.0
        broker.calls.start_waiting()
        broker.serving.start_held()
        broker.streams.go_on()

    @property
    def looks_on(self) -> bool:
        """Whether each write is looked at: nothing is taken at present, or one may be too much at once.

        A write that is not looked at must end nothing: it may be in the middle of a change told to many.
        """
        limits = self._link.broker.limits
        return bool(self.stalled_since) or limits.most_bytes_waiting < limits.write_high_bytes + _MOST_BYTES

    async def drained(self) -> None:
        """Wait until there is room for more that wants no answer, or the transport is gone."""
        link = self._link
        link.write_now()
        calls = link.broker.calls
        while link.transport is not None and (calls.is_held or calls.room.is_short):
            if self._room is None:
                self._room = link.loop.create_future()
            calls.room.when_free = self._free
            await asyncio.shield(self._room)

    def _free(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            room.set_result(None)

    def _trickles(self, arriving: tuple[int, int] | None, now: float) -> bool:
        """Whether all that came belongs to one frame and is too little to be its rest.

        A length that is wrong looks like this: the peer's signs of life are taken for the rest of a frame,
        which no call would outlive (PB-F43).
        """
        before = self._arriving
        if arriving is None or before is None or arriving[0] != before[0]:
            return False
        return arriving[1] - before[1] < _LEAST_BYTES_PER_S * (now - self._looked_at)

    def _await_more(self) -> None:
        link = self._link
        self.stalled_since = link.loop.time()
        self._waiting_bytes = link.transport.get_write_buffer_size()
        self._acknowledged_bytes = acknowledged_bytes(link.transport)
        self._taken_bytes = 0

    def _look_at_taken(self, written_bytes: int) -> None:
        """Count what the peer has taken since the last look. Where that is enough, its time begins anew."""
        link = self._link
        waiting = link.transport.get_write_buffer_size()
        acknowledged = acknowledged_bytes(link.transport)
        # Two witnesses, because each misses something: TLS keeps bytes beneath what it tells, and the system
        # takes them in large portions; only it knows of acknowledgements, and only of those of TCP.
        from_here = self._waiting_bytes + written_bytes - waiting
        self._taken_bytes += max(0, from_here, acknowledged - self._acknowledged_bytes)
        self._waiting_bytes, self._acknowledged_bytes = waiting, acknowledged
        if self._taken_bytes >= max(1, link.broker.limits.write_low_bytes):
            self._await_more()

    def check_stall(self, written_bytes: int = 0) -> None:
        """Close on a peer that does not read: what waits for it is bounded in bytes and in time.

        Args:
            written_bytes: what was added just now to what waits.
        """
        link = self._link
        if link.broker.state is State.CLOSED:
            return
        limits = link.broker.limits
        self._look_at_taken(written_bytes)
        waiting, most = self._waiting_bytes, limits.most_bytes_waiting
        stalled_s = link.loop.time() - self.stalled_since
        if waiting > most:
            # It may read all the same, and then it is told why; else `_check_leaving` cuts it.
            link.broker.fail(
                ProtocolError(
                    f"the peer reads too slowly: {waiting} bytes wait for it, and {most} may",
                    messages.BYE_LIMIT,
                )
            )
        elif stalled_s > limits.write_stall_s:
            transport = link.transport
            link.broker.fail(
                ProtocolError(
                    f"the peer reads too slowly: {waiting} bytes wait for it, of which it has taken "
                    f"{self._taken_bytes} in {stalled_s:.0f} s",
                    messages.BYE_LIMIT,
                )
            )
            transport.abort()  # closing would wait for what the peer does not read
