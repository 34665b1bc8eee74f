"""memory://name: connections inside one process that look like asyncio transports to their protocols.

For tests, demos and services that share a process. Knows no broker. The table of listening names below is the
only process-wide table of the project: the URL has nowhere else to look.

What holds, beyond what asyncio's transports promise:

* Everything a protocol learns comes from ``loop.call_soon``, never from inside a call that the other end
  makes. Two exceptions, both as in asyncio: ``pause_writing`` is called by the write that goes over the
  high-water mark, and the client's ``connection_made`` has been called when connect() returns.
* A turn of the loop delivers one buffer or the end, so that a busy connection cannot starve others.
* The write buffer of one end is what the other has not read. close() waits until that is read, then comes
  ``connection_lost(None)``; abort() drops it, and the other end gets a ConnectionResetError.
* Bytes written to an end that was closed are dropped; what that end said before is not (TCP may lose it).

Both ends live on one loop. Another thread or loop is refused with the remedy: crossing over would need a lock
on every write, and a unix socket does it as well.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

from pb.aio.url import Address

__all__ = ["MemoryListener", "MemoryTransport", "connect", "listen"]

HIGH_WATER_BYTES: Final = 64 * 1024
MAX_READ_BYTES: Final = 256 * 1024
SHOWN_NAMES: Final = 5

ProtocolT = TypeVar("ProtocolT", bound=asyncio.BaseProtocol)
Factory = Callable[[], asyncio.BaseProtocol]

_LISTENERS: Final[dict[str, MemoryListener]] = {}


class MemoryListener:
    """Hold a name in the table of this process; connect() finds it there until close().

    Attributes:
        name: what follows ``memory://``.
        closed: True after close().
    """

    __slots__ = ("_factory", "_loop", "closed", "name")

    def __init__(self, name: str, protocol_factory: Factory, loop: asyncio.AbstractEventLoop) -> None:
        self.name = name
        self.closed = False
        self._factory = protocol_factory
        self._loop = loop

    def close(self) -> None:
        """Give the name back; connections that were accepted stay, those that were not are reset."""
        self.closed = True
        if _LISTENERS.get(self.name) is self:
            del _LISTENERS[self.name]

    def _accept(self, transport: MemoryTransport) -> None:
        if self.closed:
            transport.abort()
        elif not transport.is_closing():
            transport._start(self._factory)


def listen(name: str, protocol_factory: Factory, loop: asyncio.AbstractEventLoop) -> MemoryListener:
    """Listen on memory://name; each connection gets a protocol from the factory, in a later turn of the loop.

    A name whose loop was closed without closing the listener counts as free.

    Raises:
        BadURL: the name cannot stand in a URL.
        OSError: (EADDRINUSE) somebody in this process listens on the name.
        RuntimeError: called outside the thread in which the loop runs.
    """
    Address("memory", name)
    _check_thread(loop)
    for each in list(_LISTENERS.values()):
        if each._loop.is_closed():  # else the table keeps what it serves
            each.close()
    listener = MemoryListener(name, protocol_factory, loop)
    # One setdefault, because the table is shared by the threads of the process and this is atomic.
    if _LISTENERS.setdefault(name, listener) is not listener:
        raise OSError(
            errno.EADDRINUSE,
            f"memory://{name} is taken in this process; close its listener or choose another name",
        )
    return listener


def connect(
    name: str, protocol_factory: Callable[[], ProtocolT], loop: asyncio.AbstractEventLoop
) -> tuple[MemoryTransport, ProtocolT]:
    """Connect to memory://name and return the client's transport and protocol, ``connection_made`` already
    called.

    Raises:
        ConnectionRefusedError: nobody listens on the name, or only on another event loop.
        RuntimeError: called outside the thread in which the loop runs.
    """
    _check_thread(loop)
    listener = _LISTENERS.get(name)
    if listener is None or listener._loop.is_closed():
        raise ConnectionRefusedError(errno.ECONNREFUSED, _nobody_listens(name))
    if listener._loop is not loop:
        raise ConnectionRefusedError(
            errno.ECONNREFUSED,
            f"memory://{name} listens on another event loop, and memory:// does not cross loops or threads;"
            " connect on that loop, or listen on pb+unix:///path",
        )
    protocol = protocol_factory()
    client, server = MemoryTransport(loop, name), MemoryTransport(loop, name)
    client._peer, server._peer = server, client
    loop.call_soon(listener._accept, server)  # before connection_made, which may write
    client.set_protocol(protocol)
    try:
        protocol.connection_made(client)
    except BaseException:
        client.abort()
        raise
    return client, protocol


class MemoryTransport(asyncio.Transport):
    """One end of a connection. Its methods are those of asyncio.Transport; the module's text says how they
    differ.

    ``get_extra_info`` knows "peername" and "sockname", both the URL that was connected to.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        url = f"memory://{name}"
        super().__init__({"peername": url, "sockname": url})
        self._loop = loop
        self._context = contextvars.Context()  # what arrives is not done on behalf of who wrote it
        self._peer: MemoryTransport = self  # connect() joins the two
        self._protocol: Any = None  # None: not accepted yet, or told that the connection is lost
        self._buffered = False
        self._inbox: deque[bytes | memoryview] = deque()
        self._inbox_bytes = 0
        self._reading = True
        self._scheduled = False  # _receive is on the loop
        self._eof_sent = False
        self._eof_seen = False
        self._closing = False  # by close() or abort(), or the peer's abort(): nothing is read or written now
        self._lost = False  # connection_lost is on the loop, or was called
        self._high = HIGH_WATER_BYTES
        self._low = HIGH_WATER_BYTES // 4
        self._writing_paused = False

    # Writing

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Queue bytes for the other end; they are copied if the caller could change them."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data must be bytes, bytearray or memoryview, not {type(data).__name__}")
        if self._eof_sent and not self._closing:
            raise RuntimeError("write() after write_eof()")
        peer = self._peer
        if not data or self._closing or peer._closing:
            return
        chunk = bytes(data)
        peer._inbox.append(chunk)
        peer._inbox_bytes += len(chunk)
        peer._wake()
        self._pause_over_high_water()

    def write_eof(self) -> None:
        """End this direction; the other end's ``eof_received`` comes after what was written."""
        if not self._eof_sent:
            self._eof_sent = True
            self._peer._wake()

    def can_write_eof(self) -> bool:
        """Return True."""
        return True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the high-water and low-water marks in bytes; None: 64 KiB or 4 * low, and a quarter of high."""
        if high is None:
            high = HIGH_WATER_BYTES if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high={high} and low={low}, expected high >= low >= 0")
        self._high, self._low = high, low
        self._pause_over_high_water()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low-water and the high-water mark in bytes, in asyncio's order."""
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that the other end has not read."""
        return self._peer._inbox_bytes

    def _pause_over_high_water(self) -> None:
        if self._peer._inbox_bytes > self._high and not self._writing_paused and self._protocol is not None:
            self._writing_paused = True
            self._tell(self._protocol.pause_writing)

    def _drained(self) -> None:
        """Take notice that the other end has read, or dropped, some of what was written."""
        if self._closing:
            if not self._peer._inbox:
                self._lose(None)
        elif self._writing_paused and self._peer._inbox_bytes <= self._low:
            self._writing_paused = False
            self._tell(self._protocol.resume_writing)

    # Reading

    def is_reading(self) -> bool:
        """Return whether bytes are being delivered."""
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        """Deliver nothing until resume_reading(); what arrives counts as the other end's write buffer."""
        self._reading = False

    def resume_reading(self) -> None:
        """Deliver again, from the next turn of the loop on."""
        self._reading = True
        self._wake()

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol that is told what happens."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Tell another protocol from now on; its ``connection_made`` is not called."""
        self._protocol = protocol
        self._buffered = isinstance(protocol, asyncio.BufferedProtocol)

    def _start(self, protocol_factory: Factory) -> None:
        try:
            self.set_protocol(protocol_factory())
            self._protocol.connection_made(self)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fail(error, "accepting a memory connection failed")
        self._wake()

    def _ready(self) -> bool:
        if self._closing or self._protocol is None:
            return False
        if self._inbox:
            return self._reading
        # Where the other end is gone altogether, even who does not read must learn of it, or would never.
        return self._peer._eof_sent and not self._eof_seen and (self._reading or self._peer._closing)

    def _wake(self) -> None:
        if not self._scheduled and self._ready():
            self._scheduled = True
            self._loop.call_soon(self._receive, context=self._context)

    def _receive(self) -> None:
        self._scheduled = False
        if not self._ready():
            return
        at_end = not self._inbox
        try:
            if at_end:
                self._receive_eof()
            elif self._buffered:
                self._fill_buffer()
            else:
                self._protocol.data_received(self._take(MAX_READ_BYTES))
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fail(error, "a protocol failed to receive")
        if not at_end:
            self._peer._drained()
        self._wake()

    def _receive_eof(self) -> None:
        self._eof_seen = True
        half_open = self._protocol.eof_received()
        if not half_open or self._peer._closing:
            self.close()

    def _fill_buffer(self) -> None:
        buffer = memoryview(self._protocol.get_buffer(-1)).cast("B")
        if not len(buffer):
            raise RuntimeError("get_buffer() returned an empty buffer")
        piece = self._take(len(buffer))
        buffer[: len(piece)] = piece
        if piece:  # none if get_buffer() closed the transport
            self._protocol.buffer_updated(len(piece))

    def _take(self, limit: int) -> bytes:
        pieces: list[bytes | memoryview] = []
        while self._inbox and limit:
            piece = self._inbox.popleft()
            if len(piece) > limit:
                view = memoryview(piece)
                self._inbox.appendleft(view[limit:])
                piece = view[:limit]
            limit -= len(piece)
            self._inbox_bytes -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def _drop_inbox(self) -> None:
        self._inbox.clear()
        self._inbox_bytes = 0

    # The end

    def is_closing(self) -> bool:
        """Return whether close() or abort() was called, here or (abort) at the other end."""
        return self._closing

    def close(self) -> None:
        """Read no more; deliver what was written and then the end; then comes connection_lost(None)."""
        if self._closing:
            return
        self._closing = True
        self._eof_sent = True
        self._drop_inbox()
        # Later, because this may be called by one protocol and tells the other.
        self._loop.call_soon(self._peer._drained, context=self._peer._context)
        self._peer._wake()
        self._drained()

    def abort(self) -> None:
        """Drop what was written and not read; the other end gets connection_lost(ConnectionResetError)."""
        self._abort(None)

    def _abort(self, error: BaseException | None) -> None:
        if self._lost:
            return
        self._shut(error)
        self._peer._shut(ConnectionResetError(errno.ECONNRESET, "the other end aborted the connection"))

    def _shut(self, error: BaseException | None) -> None:
        self._closing = True
        self._eof_sent = True
        self._drop_inbox()
        self._lose(error)

    def _lose(self, error: BaseException | None) -> None:
        if not self._lost:
            self._lost = True
            self._loop.call_soon(self._call_connection_lost, error)

    def _call_connection_lost(self, error: BaseException | None) -> None:
        protocol, self._protocol = self._protocol, None
        self._peer = weakref.proxy(self)  # as before connect(): neither keeps the other, nor itself
        if protocol is not None:
            protocol.connection_lost(error)

    def _fail(self, error: BaseException, what: str) -> None:
        self._report(error, what)
        self._abort(error)

    def _tell(self, method: Callable[[], None]) -> None:
        try:
            method()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # as in asyncio, this does not end the connection
            self._report(error, "a protocol failed to pause or resume writing")

    def _report(self, error: BaseException, what: str) -> None:
        self._loop.call_exception_handler(
            {"message": what, "exception": error, "transport": self, "protocol": self._protocol}
        )


def _check_thread(loop: asyncio.AbstractEventLoop) -> None:
    try:
        running: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if loop.is_running() and running is not loop:
        raise RuntimeError(
            "memory:// was used outside the thread of its event loop, which it does not cross; call"
            " loop.call_soon_threadsafe, or use pb+unix:///path"
        )


def _nobody_listens(name: str) -> str:
    names = sorted(_LISTENERS)
    there = ", ".join(f"memory://{other}" for other in names[:SHOWN_NAMES]) or "none"
    more = " ..." if len(names) > SHOWN_NAMES else ""
    return (
        f"nothing listens on memory://{ascii(name[:60])[1:-1]} in this process (listening: {there}{more});"
        " listen before connecting, and in the same process: memory:// does not leave it"
    )
