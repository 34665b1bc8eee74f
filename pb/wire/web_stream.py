"""What one side of a captured WebSocket says: the head of HTTP, then the messages that are in the frames.

For `pb dump` only: it is lenient, and shows also what a peer would refuse. Messages that permessage-deflate
has made small are made large again. Knows nothing of what a message holds. Spec: spec/2-frames.md, 2.1.
"""

from __future__ import annotations

import zlib
from typing import Final

from .. import messages

_HEAD_BYTES: Final = 16 * 1024
_END_OF_HEAD: Final = b"\r\n\r\n"
_DEFLATED: Final = 0x40  # in the first byte of a frame, as negotiated with permessage-deflate
_FIN: Final = 0x80
_MASKED: Final = 0x80  # in the second
_CONTINUED, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_CONTROL: Final = {_PING: "ping", _PONG: "pong"}
_SHOWN: Final = 200
_CLOSE_OFFSET: Final = 4000  # the close code is that of the BYE, plus this (PB-F1)


class WebStream:
    """The frames of one side. Feed it with the bytes in their order, from the first.

    Args:
        has_head: whether they begin with a request or an answer of HTTP; else with a frame, since whoever
            captured them came late.
        max_bytes: of a message, also after it was made large again.

    Attributes:
        is_broken: whether something came that cannot be read; then nothing after it can be.
    """

    def __init__(self, has_head: bool, max_bytes: int = messages.MAX_FRAME) -> None:
        self.is_broken = False
        self._max_bytes = max_bytes
        self._has_head = has_head
        self._data = bytearray()
        self._message: bytearray | None = None  # that comes in fragments
        self._first = 0  # the first byte of its first frame
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)

    def feed(self, data: bytes | bytearray) -> list[bytes | str]:
        """Take the bytes that come next; return the binary messages that they complete, and notes as text."""
        found: list[bytes | str] = []
        self._data += data
        try:
            if self._has_head:
                self._read_head(found)
            while not self._has_head and self._read_frame(found):
                pass
        except _Unreadable as error:
            self.is_broken = True
            found.append(str(error))
        return found

    def finish(self) -> str | None:
        """Return what is to be said of the end of the stream, if anything is."""
        if self.is_broken or (not self._data and self._message is None):
            return None
        where = "the head of HTTP" if self._has_head else "a message of WebSocket"
        size = len(self._data) + len(self._message or b"")
        return f"the stream ends within {where}, of which {size} bytes have come"

    def _read_head(self, found: list[bytes | str]) -> None:
        end = self._data.find(_END_OF_HEAD)
        if end < 0:
            if len(self._data) > _HEAD_BYTES:
                raise _Unreadable(f"HTTP, whose head is longer than {_HEAD_BYTES} bytes")
            return
        first, *lines = self._data[:end].decode("latin-1").split("\r\n")
        del self._data[: end + len(_END_OF_HEAD)]
        self._has_head = False
        said = ascii(first[:_SHOWN])[1:-1]
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        is_refused = first.startswith("HTTP") and first.split(" ")[1:2] != ["101"]
        if headers.get("upgrade", "").lower() != "websocket" or is_refused:
            raise _Unreadable(f"HTTP, and no WebSocket: {said}")
        note = f"WebSocket: {said}"
        for name in ("origin", "sec-websocket-protocol", "sec-websocket-extensions"):
            if name in headers:
                note += f", {name.removeprefix('sec-websocket-')} {ascii(headers[name][:_SHOWN])[1:-1]}"
        found.append(note)

    def _read_frame(self, found: list[bytes | str]) -> bool:
        """Read one frame; tell whether there was one."""
        data = self._data
        if len(data) < 2:
            return False
        first, second = data[0], data[1]
        length, at = second & 0x7F, 2
        if length > 125:
            at = 4 if length == 126 else 10
            if len(data) < at:
                return False
            length = int.from_bytes(data[2:at], "big")
        if length > self._max_bytes:
            raise _Unreadable(f"WebSocket: a frame of {length} bytes; what follows cannot be read")
        mask = b""
        if second & _MASKED:
            mask = bytes(data[at : at + 4])
            at += 4
        if len(data) < at + length:
            return False
        content = bytes(data[at : at + length])
        del data[: at + length]
        self._take_frame(first, _unmasked(content, mask), found)
        return True

    def _take_frame(self, first: int, content: bytes, found: list[bytes | str]) -> None:
        kind = first & 0x0F
        if kind in _CONTROL:
            found.append(f"WebSocket {_CONTROL[kind]} of {len(content)} bytes")
        elif kind == _CLOSE:
            found.append(_close(content))
        elif kind in (_CONTINUED, _TEXT, _BINARY):
            if (kind == _CONTINUED) != (self._message is not None):
                raise _Unreadable(
                    "WebSocket: fragments that do not fit each other; nothing after can be read"
                )
            if self._message is None:
                self._message, self._first = bytearray(), first
            self._message += content
            if len(self._message) > self._max_bytes:
                raise _Unreadable(f"WebSocket: a message of more than {self._max_bytes} bytes")
            if first & _FIN:
                message, self._message = bytes(self._message), None
                self._take_message(message, found)
        else:
            raise _Unreadable(f"WebSocket: a frame of unknown kind {kind}; what follows cannot be read")

    def _take_message(self, message: bytes, found: list[bytes | str]) -> None:
        if self._first & _DEFLATED:
            message = self._inflated(message)
        if self._first & 0x0F == _BINARY:
            found.append(message)
        else:
            text = ascii(message[:_SHOWN].decode("utf-8", "replace"))
            found.append(f"WebSocket text, which no peer may send: {text}")

    def _inflated(self, message: bytes) -> bytes:
        # What permessage-deflate leaves out at the end of each message (RFC 7692, 7.2.2).
        data = message + b"\x00\x00\xff\xff"
        try:
            large = self._inflate.decompress(data, self._max_bytes + 1)
        except zlib.error:
            raise _Unreadable("WebSocket: a compressed message that cannot be read") from None
        if len(large) > self._max_bytes:
            raise _Unreadable(f"WebSocket: a compressed message of more than {self._max_bytes} bytes")
        if self._inflate.eof:  # each message may be compressed by itself
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        return large


class _Unreadable(Exception):
    """Nothing behind this can be read; the text says why."""


def _unmasked(content: bytes, mask: bytes) -> bytes:
    if not mask:
        return content
    size = len(content)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(content, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def _close(content: bytes) -> str:
    if len(content) < 2:
        return "WebSocket close, without a code"
    code = int.from_bytes(content[:2], "big")
    bye = f", of BYE {code - _CLOSE_OFFSET}" if _CLOSE_OFFSET <= code < 5000 else ""
    reason = ascii(content[2:].decode("utf-8", "replace"))[1:-1]
    return f"WebSocket close {code}{bye}" + (f": {reason}" if reason else "")
