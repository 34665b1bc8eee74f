"""WebSocket: one frame of the protocol is one binary message. What both ends have in common.

A link writes and reads a stream of frames; here their lengths are taken off and put back on. Knows nothing
of URLs and of what a frame means, except how a BYE begins. Spec: spec/2-frames.md, "Transports".
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import Any, Final

from websockets.exceptions import PayloadTooBig
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Protocol

from pb import messages
from pb.bounds.budget import Budget
from pb.errors import ProtocolError
from pb.limits import Limits

from . import logged
from .transports import peer_name, write_buffers

SUBPROTOCOL: Final = "pb.1"
_BYE: Final = bytes((0x94, messages.BYE))  # an array of four that begins with the code of BYE
_CLOSE_OFFSET: Final = 4000  # the close code is that of the BYE, plus this
_NORMAL: Final = 1000
_NO_BINARY: Final = 1003
_END_S: Final = 10  # for the other side to answer a close
_PONG: Final = 0x8A  # the first byte of one
_HEADER_BYTES: Final = 14  # the longest that WebSocket itself adds to a message
_TINY_BYTES: Final = 64  # a fragment below that is mostly work
_PIECE_BYTES: Final = 2048  # taken apart at once: the shortest frame has 2 bytes, so at most 1,024 of them
_TURN_FRAMES: Final = 256  # then others have their turn, at the end of a piece


class WebSocketTransport(asyncio.Transport):
    """What a link takes for the network: its writes become messages. The rest is the network's."""

    def __init__(self, socket: WebSocket) -> None:
        super().__init__()
        self._socket = socket

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the network knows of itself."""
        return self._socket.network.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send the frames that are complete with this; the beginning of another waits for its end."""
        self._socket.write(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set how many bytes may wait for the network."""
        self._socket.network.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait for the network."""
        size: int = self._socket.network.get_write_buffer_size()
        return size

    def pause_reading(self) -> None:
        """Deliver nothing for now."""
        self._socket.pause()

    def resume_reading(self) -> None:
        """Deliver again, from the next turn of the loop on."""
        self._socket.resume()

    def is_closing(self) -> bool:
        """Return whether the end has begun."""
        return self._socket.is_closing

    def close(self) -> None:
        """Say goodbye as WebSocket does it, with the code of the BYE that was sent; then close."""
        self._socket.close()

    def abort(self) -> None:
        """Close at once."""
        self._socket.network.abort()


class WebSocket(asyncio.Protocol):
    """One WebSocket connection, between the network and a link. Its subclasses do the handshake.

    Args:
        protocol: the sans-I/O half: what WebSocket itself is.
        limits: for the handshake, and for frames that say nothing.
    """

    def __init__(self, protocol: Protocol, limits: Limits) -> None:
        self.protocol = protocol
        self.network: Any = None
        self.link: Any = None  # once the handshake is over
        self.is_closing = False
        self._handshake_s = limits.hello_timeout_s
        self._drain_s = limits.drain_s
        self._ends_at = math.inf  # from our BYE on: a close of WebSocket is part of leaving (PB-L8)
        self._budget = Budget(asyncio.get_running_loop().time, limits)
        self._messages = 0  # complete ones, each of which earns 1 for the budget
        self._why: ProtocolError | None = None  # we have ended it
        self._timer: asyncio.TimerHandle | None = None
        self._unread: deque[bytes] = deque()  # pieces that wait for their turn
        self._is_due = False  # their turn comes
        self._is_held = False  # the network, until they have had it
        self._read_bytes = 0  # of what the pieces are of
        self._parts: list[bytes] = []  # of a message that comes in fragments
        self._arrived: deque[memoryview] = deque()  # frames, with their length, not delivered yet
        self._is_paused = False  # by the link, which has had its turn
        self._is_left = False  # by the link, which takes no more
        self._is_ending = False  # WebSocket has said its last
        self._is_stalled = False  # the network takes no more
        self._unfinished_bytes = 0  # at least what has come of a message that is not complete
        self._leaving = bytearray()  # the beginning of a frame that is being written
        self._close_code = _NORMAL
        self.is_late = False  # with the handshake, or with closing

    # --- for subclasses

    def receive_handshake(self, event: Any) -> None:
        """Take the other side's half of the handshake."""
        raise NotImplementedError

    def open(self, link: Any) -> None:
        """Begin to carry frames: the handshake is over."""
        self._set_timer(None)
        self.flush()
        self.link = link
        self.link.connection_made(WebSocketTransport(self))

    def flush(self) -> None:
        """Write what WebSocket has to say, and close where it has said its last."""
        leaving = []
        for data in self.protocol.data_to_send():
            if not data:  # the end of the stream
                self._is_ending = True
            elif not (self._is_stalled and data[0] == _PONG):  # or a flood of pings would fill the memory
                leaving.append(data)
        if leaving and not self.network.is_closing():  # else nobody hears it, and asyncio would complain
            write_buffers(self.network, leaving)
        if self.protocol.close_expected() and not self.is_closing:
            self.is_closing = True
            self._set_timer(None)
        self._end()

    def _end(self) -> None:
        """Close, once the link has all that came before the other side's goodbye."""
        if self._arrived and not self._is_left:
            return
        if self._is_ending and not self.network.is_closing():  # asyncio's TLS takes a second time badly
            self.network.close()
        if self.is_closing and self._timer is None:
            left_s = self._ends_at - asyncio.get_running_loop().time()
            self._set_timer(min(_END_S, max(0.0, left_s)))

    # --- what the network tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the handshake, but not for ever."""
        self.network = transport
        self._set_timer(self._handshake_s)

    def data_received(self, data: bytes) -> None:
        """Take bytes: the handshake, then messages."""
        if not self._unread:
            self._read_bytes = 0
        self._read_bytes += len(data)
        self._unread.extend(data[at : at + _PIECE_BYTES] for at in range(0, len(data), _PIECE_BYTES))
        self._work()

    def eof_received(self) -> None:
        """The other side says nothing more. Returning None closes."""
        while self._unread:
            self._read(self._unread.popleft())
        self.protocol.receive_eof()
        self._act()
        self.flush()
        self._deliver()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the link, and why, where the other side has said so."""
        self._set_timer(None)
        self.is_closing = True
        self._unread.clear()
        self._arrived.clear()
        link, self.link = self.link, None
        if link is not None:
            link.connection_lost(exc or self._why or self._why_closed())
        if self.protocol.parser_exc is not None:  # kept there; in Python 3.12 its frames lead back to this
            self.protocol.parser_exc.__traceback__ = None

    def pause_writing(self) -> None:
        """Pass it on."""
        self._is_stalled = True
        if self.link is not None:
            self.link.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._is_stalled = False
        if self.link is not None:
            self.link.resume_writing()

    # --- what the link does

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send each complete frame as a message."""
        leaving = self._leaving
        leaving += data
        start = 0
        while len(leaving) - start >= 4:
            end = start + 4 + int.from_bytes(leaving[start : start + 4], "big")
            if end > len(leaving):
                break
            body = bytes(memoryview(leaving)[start + 4 : end])
            if body.startswith(_BYE):
                self._close_code = _CLOSE_OFFSET + body[2]
                self._ends_at = asyncio.get_running_loop().time() + self._drain_s
            if self.protocol.state is OPEN:
                self.protocol.send_binary(body)
            start = end
        del leaving[:start]
        self.flush()

    def close(self) -> None:
        """Begin the end, where it has not begun; deliver no more."""
        self._is_left = True
        if self._unread:  # the other side's goodbye may be among it
            self._go_on()
        if self.protocol.state is OPEN:
            self.protocol.send_close(self._close_code)
            self.flush()
        else:  # the other side has begun, and what it said before was waited for until now
            self._end()

    def pause(self) -> None:
        """Deliver nothing for now, and let the network keep what comes."""
        self._is_paused = True
        self.network.pause_reading()

    def resume(self) -> None:
        """Deliver again, soon."""
        self._is_paused = False
        if not self._is_held:
            self.network.resume_reading()
        self._go_on()

    # --- inside

    def _go_on(self) -> None:
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._work)

    def _work(self) -> None:
        """Take apart what has been read, but not so much at once that others wait (PB-L6)."""
        self._is_due = False
        frames = 0
        while self._unread and frames < _TURN_FRAMES and (self._is_left or not self._is_paused):
            if self.network.is_closing():  # whoever sent it does not wait for it
                self._unread.clear()
                break
            frames += self._read(self._unread.popleft())
        self.flush()
        self._deliver()
        if self._unread:
            self._is_held = True
            self.network.pause_reading()
            if self._is_left or not self._is_paused:  # else the link resumes
                self._go_on()
        elif self._is_held:
            self._is_held = False
            if not self._is_paused:
                self.network.resume_reading()

    def _read(self, piece: bytes) -> int:
        """Take one piece apart; return how many frames ended in it."""
        self.protocol.receive_data(piece)
        self._unfinished_bytes += len(piece)
        frames = self._act()
        broken = self.protocol.parser_exc
        if broken is not None and not isinstance(broken, EOFError):
            code = messages.BYE_TOO_LARGE if isinstance(broken, PayloadTooBig) else messages.BYE_PROTOCOL
            self._note(ProtocolError(f"WebSocket: {ascii(str(broken)[:200])[1:-1]}", code))
        if self.link is not None and self._unfinished_bytes > self._read_bytes + self._longest():
            # A promise of much more than may be sent, as long as little may be: see FrameReader.
            self._break_off(messages.BYE_TOO_LARGE, "the message is longer than max_frame")
        return frames

    def _act(self) -> int:
        events = self.protocol.events_received()
        try:
            for event in events:
                if not isinstance(event, Frame):
                    self.receive_handshake(event)
                elif event.opcode == Opcode.TEXT:
                    self._note(ProtocolError("a text message: those of PB are binary", messages.BYE_PROTOCOL))
                    self.protocol.fail(_NO_BINARY, "messages are binary")
                elif event.opcode in (Opcode.BINARY, Opcode.CONT):
                    self._take(event)
                elif event.opcode in (Opcode.PING, Opcode.PONG):
                    self._budget.draw(self._messages, "a ping or pong of WebSocket")
                if not self._parts:
                    self._unfinished_bytes = 0
        except ProtocolError as error:
            self._break_off(error.code, "too many pings, pongs or tiny fragments", error)
        return len(events)

    def _take(self, part: Frame) -> None:
        if not part.fin and len(part.data) < _TINY_BYTES:
            self._budget.draw(self._messages, f"a fragment of {len(part.data)} bytes")
        self._parts.append(bytes(part.data))
        if part.fin:
            self._messages += 1
            body = b"".join(self._parts)
            self._parts.clear()
            self._arrived.append(memoryview(len(body).to_bytes(4, "big") + body))

    def _note(self, why: ProtocolError) -> None:
        """Log what ends the connection: the first, others follow from it."""
        if self._why is None:
            self._why = why
            logged.ends(peer_name(self.network), why, None if self.link is None else self.link.places)

    def _break_off(self, code: int, reason: str, error: ProtocolError | None = None) -> None:
        """End it with the close code that stands for that of a BYE, and hear no more."""
        self._unread.clear()
        self._parts.clear()
        self._unfinished_bytes = 0
        self._note(error or ProtocolError(reason, code))
        self.protocol.fail(_CLOSE_OFFSET + code, reason)

    def _deliver(self) -> None:
        """Give the link what has arrived, as much as it takes."""
        if self.link is None:
            return
        arrived = self._arrived
        while arrived and not self._is_paused and not self._is_left and self.link is not None:
            frame = arrived.popleft()
            room = self.link.get_buffer(-1)
            size = min(len(room), len(frame))
            room[:size] = frame[:size]
            if size < len(frame):
                arrived.appendleft(frame[size:])
            self.link.buffer_updated(size)
        self._end()

    def _longest(self) -> int:
        longest: int = self.link.broker.reader.max_frame
        return longest + _HEADER_BYTES

    def _why_closed(self) -> Exception | None:
        closed = self.protocol.close_rcvd
        if closed is None or closed.code in (_NORMAL, _CLOSE_OFFSET, _CLOSE_OFFSET + messages.BYE_GOING_AWAY):
            return None
        reason = f": {closed.reason}" if closed.reason else ""
        return ConnectionAbortedError(f"the peer closed with {closed.code}{ascii(reason)[1:-1]}")

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)

    def _expire(self) -> None:
        self.is_late = True
        self.network.abort()
