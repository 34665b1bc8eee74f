"""One connection through a `Network`: a protocol at each end, and a lane each way between them."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from .faults import Faults
from .wire import Ending

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["End", "Relay"]

# What is under way in one direction before its writer has to wait, as in the buffers of a network.
WINDOW_BYTES: Final = 64 * 1024


class End(asyncio.Protocol):
    """One of the two ends that a relay holds: what is written there goes into its lane."""

    def __init__(self, opened: Callable[[End], None]) -> None:
        self.transport: Any = None
        self.lane: Lane | Nowhere | None = None  # away from here
        self.into: Lane | None = None  # to here
        self._opened = opened

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._opened(self)

    def data_received(self, data: bytes) -> None:
        assert self.lane is not None
        self.lane.put(data)

    def eof_received(self) -> bool:
        assert self.lane is not None
        self.lane.put_end("fin")
        return True  # the other direction goes on

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        assert self.lane is not None
        self.lane.put_end("fin" if error is None else "rst")
        if self.into is not None:
            self.into.stop()

    def pause_writing(self) -> None:
        assert self.into is not None
        self.into.is_blocked = True

    def resume_writing(self) -> None:
        assert self.into is not None
        self.into.is_blocked = False
        self.into.go_on()


class Lane:
    """One direction of one connection.

    Attributes:
        carried: how many bytes have passed.
        is_blocked: the reader takes no more for now.
    """

    def __init__(self, faults: Faults, source: End, sink: End, chance: random.Random) -> None:
        self.carried = 0
        self.is_blocked = False
        self._faults = faults
        self._source = source
        self._sink = sink
        self._chance = chance
        self._loop = asyncio.get_running_loop()
        self._taken = 0  # bytes that have come in
        self._waiting: deque[tuple[float, bytes | Ending]] = deque()  # when it is due, and what
        self._bytes = 0
        self._free_at = 0.0  # when the lane has carried what it was given
        self._timer: asyncio.TimerHandle | asyncio.Handle | None = None
        self._has_end = False
        self.is_over = False

    def put(self, data: bytes) -> None:
        """Take what the writer writes."""
        faults = self._faults
        if self._has_end or faults.is_dark:
            return
        data = faults.flipped(data, self._taken)
        at_end = faults.cut_after is not None and self._taken + len(data) >= faults.cut_after
        if at_end:
            assert faults.cut_after is not None
            data = data[: max(0, faults.cut_after - self._taken)]
        self._taken += len(data)
        while data:
            size = len(data)
            if faults.segment:
                size = min(
                    size, self._chance.randint(1, faults.segment) if faults.is_random else faults.segment
                )
            if faults.bytes_per_s:  # it trickles, and does not come all at once when its time is over
                size = min(size, max(1, int(faults.bytes_per_s / 4)))
            self._queue(data[:size])
            data = data[size:]
        if at_end:
            self.put_end(faults.ending)
        elif self._bytes > WINDOW_BYTES and self._source.transport is not None:
            self._source.transport.pause_reading()
        self.go_on()

    def put_end(self, ending: Ending) -> None:
        """Take the end of what the writer writes."""
        if not self._has_end and not self._faults.is_dark:
            self._has_end = True
            self._queue(ending)
            self.go_on()

    def check_cut(self) -> None:
        """End it if it has carried as many bytes as it should."""
        faults = self._faults
        if faults.cut_after is not None and self._taken >= faults.cut_after:
            self.put_end(faults.ending)

    def _queue(self, item: bytes | Ending) -> None:
        faults = self._faults
        now = self._loop.time()
        due = now + faults.delay_s
        if faults.jitter_s:
            due += self._chance.random() * faults.jitter_s
        if isinstance(item, bytes):
            self._bytes += len(item)
            if faults.bytes_per_s:
                self._free_at = max(now, self._free_at) + len(item) / faults.bytes_per_s
                due = max(due, self._free_at)
        if self._waiting:
            due = max(due, self._waiting[-1][0])  # in order, whatever chance says
        self._waiting.append((due, item))

    def go_on(self) -> None:
        """Deliver what is due, one piece in a turn of the loop."""
        if self._timer is not None or not self._waiting or self.is_blocked or self._faults.is_held:
            return
        wait_s = self._waiting[0][0] - self._loop.time()
        if wait_s <= 0:
            self._timer = self._loop.call_soon(self._deliver)
        else:
            self._timer = self._loop.call_later(wait_s, self._deliver)

    def _deliver(self) -> None:
        self._timer = None
        if self._faults.is_dark:
            self._waiting.clear()
            return
        if self._faults.is_held or self.is_blocked or not self._waiting:
            return
        _, item = self._waiting.popleft()
        if isinstance(item, bytes):
            self._bytes -= len(item)
            self._pass(item)
            if self._bytes <= WINDOW_BYTES // 2 and self._source.transport is not None:
                self._source.transport.resume_reading()
            self.go_on()
        elif item == "rst":
            self._reset()
        else:
            self._finish()

    def _pass(self, data: bytes) -> None:
        self.carried += len(data)
        if self._sink.transport is not None and not self._sink.transport.is_closing():
            self._sink.transport.write(data)

    def _finish(self) -> None:
        self.is_over = True
        transport = self._sink.transport
        if transport is None or transport.is_closing():
            return
        if self._sink.lane is not None and self._sink.lane.is_over:
            transport.close()
        else:
            transport.write_eof()

    def _reset(self) -> None:
        self.is_over = True
        for end in (self._sink, self._source):
            if end.transport is not None:
                end.transport.abort()

    def stop(self) -> None:
        """Its reader has gone: nothing is delivered any longer, and its writer need not wait."""
        self.is_over = True
        self.is_blocked = False
        self._waiting.clear()
        self._bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        source = self._source.transport
        if source is not None:
            source.resume_reading()  # to hear of its end


class Nowhere:
    """The lane of a client whose server is not there yet, or never will be."""

    is_over = False

    def put(self, data: bytes) -> None:
        """Drop it; nothing is read before the server is there."""

    def put_end(self, ending: Ending) -> None:
        """Drop it; whether the client is still there is looked at when the server is."""


class Relay:
    """One connection through a network.

    Attributes:
        up, down: its lanes.
    """

    def __init__(self, client: End, server: End, up: Faults, down: Faults, chance: random.Random) -> None:
        self.up = Lane(up, client, server, chance)
        self.down = Lane(down, server, client, chance)
        client.lane = server.into = self.up
        server.lane = client.into = self.down
        self._ends = (client, server)
        self.up.check_cut()
        self.down.check_cut()

    @property
    def is_open(self) -> bool:
        """Whether either end still has its connection."""
        return any(end.transport is not None for end in self._ends)

    def end(self, ending: Ending) -> None:
        """End it at both ends, whatever is under way."""
        for end in self._ends:
            if end.transport is not None:
                if ending == "rst":
                    end.transport.abort()
                else:
                    end.transport.close()
