"""Frames: from a byte stream to envelopes, with every length checked before it is believed.

Knows nothing of what an envelope means. Spec: spec/2-frames.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import msgpack

from jelly import preflight
from jelly._containers import at_most

from .. import messages
from ..errors import ProtocolError

# A frame that has not arrived whole is collected in its own buffer. That is at first this long and four
# times what has arrived, and four times as long whenever it is full, so that a promise of 4 MiB does not
# make us commit 4 MiB.
_FIRST_PART = 64 * 1024
# Below this a frame is unpacked in one go; from here on its payload is cut out by hand and decoded
# where it lies: 1 MiB of bytes is then copied once instead of twice (tests/bench, "1 MiB bytes").
_LARGE = 32 * 1024
# A batch around it included; the rest is room for later options (PB-F6).
_ENVELOPE_DEPTH = 8
PREFLIGHT_FROM = 1024
_LENGTH = struct.Struct(">I").unpack_from

_PAYLOAD_INDEX: Final = messages.PAYLOAD_INDEX
_ARRAY_WIDTH: Final = {0xDC: 3, 0xDD: 5}
_BIN: Final = (0xC4, 0xC5, 0xC6)
_LONGEST_INT: Final = 9
_INT_WIDTH: Final = {0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9, 0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9}

Envelope = list[object]


class FrameReader:
    """Cuts the stream of one connection into frame bodies, on demand.

    Feed it with `feed`, or let the transport write straight into `room` and tell it with `filled`;
    then take bodies with `next_body` until it returns None. What was not taken stays, after `hold`.
    """

    __slots__ = ("_begun", "_data", "_have", "_length", "_offset", "frame", "left", "max_frame")

    def __init__(self) -> None:
        self.max_frame = messages.HELLO_MAX_FRAME
        self.left = 0  # bytes that were fed and not taken yet
        self._data: bytes | memoryview = b""
        self._offset = 0
        self.frame: bytearray | None = None  # a frame that is arriving, as far as there is room for it
        self._length = 0
        self._have = 0
        self._begun = 0

    def allow(self, max_frame: int) -> None:
        """Take frames of so many bytes from here on; never more than a length can say (PB-F2)."""
        self.max_frame = min(max_frame, messages.MAX_FRAME)

    @property
    def arriving(self) -> tuple[int, int] | None:
        """Which frame has begun to arrive, and how many bytes of it are there; None between frames."""
        return None if self.frame is None else (self._begun, self._have)

    def room(self) -> memoryview | None:
        """Return the rest of the buffer of a long frame that is arriving, or None to read elsewhere."""
        if self.frame is None or len(self.frame) - self._have < _LARGE or self.left:
            return None
        return memoryview(self.frame)[self._have :]

    def filled(self, size: int) -> None:
        """Tell that `size` bytes were written at the start of what `room` returned."""
        self._have += size

    def feed(self, data: bytes | memoryview) -> None:
        """Give the bytes that come next; the reader refers to `data` until `hold` or its end."""
        if self.left:
            data = bytes(self._data[self._offset :]) + bytes(data)
        self._data = data if len(data) < _LARGE else memoryview(data)  # whose parts are no copies
        self._offset = 0
        self.left = len(data)

    def hold(self) -> None:
        """Copy what is left of the last `feed`, because its buffer is about to be used again."""
        self._data = bytes(self._data[self._offset :])
        self._offset = 0

    def next_body(self) -> bytes | bytearray | memoryview | None:
        """Return the next whole frame body, or None where more bytes are needed.

        Raises:
            ProtocolError: the length is 0, over `max_frame`, or uses the reserved bits.
        """
        if self.frame is not None:
            return self._continue_frame()
        available = self.left - 4
        if available < 0:
            return None
        data = self._data
        start = self._offset + 4
        (length,) = _LENGTH(data, self._offset)
        if not 1 <= length <= self.max_frame:
            raise _bad_length(length, self.max_frame)
        if length > available:
            self._begin_frame(length, data[start:])
            return None
        self._offset = stop = start + length
        self.left = available - length
        return data[start:stop]

    def _begin_frame(self, length: int, beginning: bytes | memoryview) -> None:
        have = len(beginning)
        self._begun += 1
        # With much there already, what comes next can be read straight into its place.
        self.frame = bytearray(min(length, _FIRST_PART + 4 * have))
        self.frame[:have] = beginning
        self._length = length
        self._have = have
        self._data = b""
        self._offset = self.left = 0

    def _continue_frame(self) -> bytearray | None:
        frame = self.frame
        assert frame is not None
        while True:
            size = min(len(frame) - self._have, self.left)
            if size:
                frame[self._have : self._have + size] = self._data[self._offset : self._offset + size]
                self._have += size
                self._offset += size
                self.left -= size
            if self._have == self._length:
                self.frame = None
                return frame
            if self._have < len(frame):
                return None
            larger = bytearray(min(self._length, 4 * len(frame)))
            larger[: self._have] = frame
            self.frame = frame = larger


def _bad_length(length: int, limit: int) -> ProtocolError:
    if length == 0:
        return ProtocolError("a frame of 0 bytes; a frame holds at least one byte", messages.BYE_TOO_LARGE)
    hint = _looks_like(length.to_bytes(4, "big"))
    return ProtocolError(f"a frame of {length} bytes exceeds max_frame={limit}{hint}", messages.BYE_TOO_LARGE)


def _looks_like(start: bytes) -> str:
    """Name the protocol that a stray peer seems to speak, for the one line in the log."""
    if start[:2] in (b"\x15\x03", b"\x16\x03"):  # an alert, or a handshake
        return "; this looks like TLS: use pbs:// on both sides"
    if start == b"SSH-":
        return "; this looks like SSH"
    is_text = start.isalpha() or start in (b"GET ", b"PUT ")
    if is_text or start[:3].isdigit() or start[:1] == b"<":  # 220 says who is there, <htm that it is the web
        return "; this looks like HTTP or another text protocol"
    return ""


def unpack_frame(body: bytes | bytearray | memoryview, is_first: bool = False) -> Iterator[Envelope]:
    """Return the envelopes of one frame body, in order. Their fields are not checked yet.

    Args:
        is_first: whether the frame must hold a single envelope, as the one with HELLO must.

    Raises:
        ProtocolError: not one msgpack object, or neither an envelope nor a batch of envelopes.
    """
    size = len(body)
    count = None
    if size > PREFLIGHT_FROM:
        if size > _LARGE:
            envelope = _unpack_large(memoryview(body))
            if envelope is not None:
                return iter((envelope,))
            if size > messages.MAX_ENVELOPE_BYTES:
                check_envelopes(memoryview(body))
                # A batch of 1 MiB of empty lists took 0.4 s. What is shorter cannot hold too many.
                count = at_most(messages.MAX_BATCH_CONTAINERS, _too_many_containers)
        problem = preflight(body, _ENVELOPE_DEPTH)
        if problem is not None:
            raise ProtocolError(f"frame: {problem}", messages.BYE_MALFORMED)
    try:
        if count is None:
            frame = msgpack.unpackb(body, ext_hook=_refuse_ext)
        else:
            frame = msgpack.unpackb(body, ext_hook=_refuse_ext, list_hook=count, object_hook=count)
    except ProtocolError:
        raise
    except Exception as error:  # at least eight types come out of msgpack
        raise ProtocolError(f"frame: not msgpack ({type(error).__name__})", messages.BYE_MALFORMED) from None
    if type(frame) is list and frame:
        first = frame[0]
        if type(first) is int:
            return iter((frame,))
        if type(first) is list and not is_first:
            _checked_batch(len(frame))
            return iter(frame)
    raise _neither()


def check_envelopes(body: memoryview) -> None:
    """Look how much of a long frame is outside of payloads, before anything of it is made (PB-F48).

    Only what is not msgpack is left to who unpacks it, and who sees that before anything is made too.

    Raises:
        ProtocolError: it is more than envelopes may take, or no array.
    """
    if not _is_array(body[0]):
        raise _neither()
    unpacker = msgpack.Unpacker(max_buffer_size=len(body))
    unpacker.feed(body)
    count, total = 1, 0
    if _is_array(body[_ARRAY_WIDTH.get(body[0], 1)]):
        count = _checked_batch(unpacker.read_array_header())
    for _ in range(count):
        start = unpacker.tell()
        try:
            unpacker.skip()
        except Exception:  # at least eight types come out of msgpack
            return
        outside = _outside(body[start : unpacker.tell()])
        _check_bytes(outside, messages.MAX_ENVELOPE_BYTES, "a message")
        total += outside
    _check_bytes(total, messages.MAX_BATCH_BYTES, "a batch")


def _neither() -> ProtocolError:
    return ProtocolError("a frame that is neither a message nor a batch of messages", messages.BYE_MALFORMED)


def _check_bytes(found: int, most: int, what: str) -> None:
    if found > most:
        raise ProtocolError(
            f"{what} of {found} bytes beside payloads; at most {most} are allowed", messages.BYE_TOO_LARGE
        )


def _too_many_containers() -> ProtocolError:
    return ProtocolError(
        f"a batch of more than {messages.MAX_BATCH_CONTAINERS} arrays and maps beside payloads; at most so "
        "many are allowed",
        messages.BYE_TOO_LARGE,
    )


def _checked_batch(count: int) -> int:
    if count > messages.MAX_BATCH:
        raise ProtocolError(
            f"a batch of {count} messages; at most {messages.MAX_BATCH} are allowed", messages.BYE_TOO_LARGE
        )
    return count


def _is_array(head: int) -> bool:
    return 0x90 <= head <= 0x9F or head in _ARRAY_WIDTH


def _outside(body: memoryview) -> int:
    """Return how many bytes of an envelope are not its payload: all, where none is in its place.

    So too where it is no array, or has fewer elements than its code asks for: that is found out later, and
    until then whatever it holds would have been made.
    """
    unpacker = msgpack.Unpacker(max_buffer_size=len(body))
    unpacker.feed(body)
    try:
        count = unpacker.read_array_header()
        start = unpacker.tell()
        unpacker.skip()
        stop = unpacker.tell()
        code = msgpack.unpackb(body[start:stop]) if stop - start <= _LONGEST_INT else None
    except Exception:  # no array, an empty one, or a code that is no value at all
        return len(body)
    index = _PAYLOAD_INDEX.get(code) if type(code) is int else None
    if index is None or index >= count:
        return len(body)
    for _ in range(index - 1):
        unpacker.skip()
    start = unpacker.tell()
    unpacker.skip()
    return len(body) - (unpacker.tell() - start if body[start] in _BIN else 0)


def head_of(code: int, size: int) -> int:
    """Return the first two bytes of a message of so many elements, as everybody packs it, as one number."""
    return (0x90 | size) << 8 | code


def _refuse_ext(code: int, content: bytes) -> object:
    raise ProtocolError("an Ext outside a payload", messages.BYE_MALFORMED)


def _unpack_large(body: memoryview) -> Envelope | None:
    """Unpack one envelope with its payload left where it is, as a memoryview; None if it has none."""
    if not 0x93 <= body[0] <= 0x96:
        return None
    index = _PAYLOAD_INDEX.get(body[1])
    if index is None:
        return None
    offset = 2
    for _ in range(index - 1):
        head = body[offset]
        if head <= 0x7F or head >= 0xE0:
            offset += 1
        elif head in _INT_WIDTH:
            offset += _INT_WIDTH[head]
        elif 0xA0 <= head <= 0xBF:
            offset += 1 + (head & 0x1F)
        elif head == 0xD9:
            offset += 2 + body[offset + 1]
        else:
            return None
    width = {0xC5: 2, 0xC6: 4}.get(body[offset])
    if width is None:
        return None
    start = offset + 1 + width
    end = start + int.from_bytes(body[offset + 1 : start], "big")
    if end > len(body):
        return None  # the ordinary way finds the right words for it
    rest = bytes(body[:offset]) + b"\xc4\x00" + bytes(body[end:])
    if len(rest) > _LARGE:
        return None
    envelope = next(unpack_frame(rest))
    envelope[index] = body[start:end]
    return envelope
