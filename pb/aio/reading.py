"""What comes from the transport: as bytes, or made into its place, and acted on as it comes.

Spec: none; any split of the stream will do.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ._thread import shared
from .writing import write_one

if TYPE_CHECKING:
    from pb.broker import Broker
    from pb.wire.frames import FrameReader
    from pb.wire.outbox import Outbox


class Reading(asyncio.BufferedProtocol):
    """The half of a link that reads.

    It is the protocol of its transport, which asks it where to read to. From uvloop's sockets a second one,
    `Pieces`, takes short reads in its place.
    """

    __slots__ = (
        "_buffer",
        "_pieces",
        "_reader",
        "_room",
        "_transport",
        "broker",
        "dropped",
        "loop",
        "outbox",
    )

    loop: asyncio.AbstractEventLoop
    broker: Broker
    outbox: Outbox
    dropped: Any  # references that were dropped and not released yet
    _reader: FrameReader
    _transport: Any

    def __init__(self) -> None:
        self._buffer = shared.buffer
        self._room: memoryview | None = None
        self._pieces: Pieces | None = None

    def read_from(self, transport: Any) -> None:
        """Choose how to read, before reading begins."""
        if _hands_over_bytes(transport):
            self._pieces = Pieces(self)
            transport.set_protocol(self._pieces)

    def reads_no_more(self) -> None:
        """Leave the protocol of the transport as it is: another takes what comes from here on."""
        self._pieces = None

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to read to: the frame that is arriving if it is long, else the shared buffer."""
        if self._reader.frame is None:
            return self._buffer
        self._room = self._reader.room()
        return self._room or self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Act on what was read to where `get_buffer` said."""
        if self._room is None:
            self.data_received(self._buffer, nbytes)
            # Only now, and not when the long frame was complete: who sends one often sends the next.
            if self._pieces is not None and self._reader.frame is None and self._transport is not None:
                self._transport.set_protocol(self._pieces)
        else:
            self._room = None
            self._reader.filled(nbytes)
            self.data_received(b"")

    def data_received(self, data: bytes | memoryview, size: int | None = None) -> None:
        """Act on what was read, and write all that comes of it at once."""
        outbox = self.outbox
        outbox.due = True  # the flush below
        self.broker.receive_data(data, size)
        if outbox.batch or outbox.frames or self.dropped:
            write_one(self)  # type: ignore[arg-type]  # it is a Link
        elif outbox.follows:
            # Answers have come, or handlers have begun, and woken tasks are about to run: what they say is
            # written behind them, in the same turn of the loop and as one frame. Not sooner: what is called
            # on a promise in the expression that made it must find that call unsent (spec/11-pipelining.md).
            outbox.follows = False
            self.loop.call_soon(write_one, self)  # type: ignore[arg-type]
        else:
            outbox.due = False  # no answer has come, nobody was woken: whoever wakes later will say so
            if self._reader.frame is not None and self._pieces is not None:
                self._read_into_place()

    def _read_into_place(self) -> None:
        if self._reader.room() is not None and self._transport is not None:
            self._transport.set_protocol(self)


class Pieces(asyncio.Protocol):
    """The protocol while short reads are handed over as bytes: all that it is told it tells its link.

    A read into a buffer of the protocol's own costs a call that asks for it and two views of it, a twentieth
    of what is done with one short message; bytes cost one copy.
    """

    __slots__ = ("_link", "data_received")

    def __init__(self, link: Reading) -> None:
        self._link: Any = link
        self.data_received = link.data_received  # type: ignore[method-assign]  # no call in between

    def connection_lost(self, exc: Exception | None) -> None:
        """Settle everything."""
        self._link.connection_lost(exc)

    def eof_received(self) -> Any:
        """Close."""
        return self._link.eof_received()

    def pause_writing(self) -> None:
        """Let new calls wait."""
        self._link.pause_writing()

    def resume_writing(self) -> None:
        """Let them go."""
        self._link.resume_writing()


def _hands_over_bytes(transport: Any) -> bool:
    """Whether bytes cost a transport less than a buffer to read to, as with uvloop's sockets.

    asyncio allocates as much as could come for each read, 256 KiB, and so does TLS.
    """
    is_secure = transport.get_extra_info("sslcontext") is not None
    return type(transport).__module__ == "uvloop.loop" and not is_secure
