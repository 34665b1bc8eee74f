"""A captured stream as text: what one side of a connection has said, message by message.

Sans-I/O and without any state of the protocol: it shows also what a peer would refuse. A WebSocket is seen by
how it begins, and looked into. The lines are those of the conversations under spec/vectors. Spec:
spec/2-frames.md, spec/3-messages.md.
"""

from __future__ import annotations

from typing import Any, Final

from . import messages
from .notation import show, show_value, unpack
from .wire.web_stream import WebStream

__all__ = ["Dump"]

_NAMES: Final = {message.code: message.name for message in messages.MESSAGES}
_FOREIGN: Final = {
    b"\x16\x03\x01": "TLS: what is in it can be seen at its ends only",
    b"\x16\x03\x03": "TLS: what is in it can be seen at its ends only",
}
# What a WebSocket begins with, and whether that is HTTP. The last is a frame of it: no length of ours has its
# top bits set.
_WEB: Final = {b"GET ": True, b"HTTP": True, b"\x82": False}


class Dump:
    """What one side says, as lines of text. Feed it with the bytes in their order.

    Args:
        max_chars: of a payload; what is longer is cut short.

    Attributes:
        is_broken: whether something came that is no frame; then nothing after it can be read.
    """

    def __init__(self, max_chars: int = 2000) -> None:
        self.is_broken = False
        self._max_chars = max_chars
        self._data = bytearray()
        self._is_first = True
        self._web: WebStream | None = None

    def feed(self, data: bytes) -> list[str]:
        """Take the bytes that come next and return the lines that they complete."""
        lines: list[str] = []
        if self.is_broken:
            return lines
        if self._web is not None:
            return self._in_web(data)
        self._data += data
        start = 0
        while not self.is_broken and len(self._data) - start >= 4:
            if self._is_first:
                lines += self._look_for_others()
                if self.is_broken or self._web is not None:
                    return lines
            length = int.from_bytes(self._data[start : start + 4], "big")
            if not 1 <= length <= messages.MAX_FRAME:
                self.is_broken = True
                lines.append(f"no frame: a length of {length} bytes; what follows cannot be read")
                break
            end = start + 4 + length
            if end > len(self._data):
                break
            lines += self.body(bytes(self._data[start + 4 : end]))
            start = end
            self._is_first = False
        del self._data[:start]
        return lines

    def finish(self) -> list[str]:
        """Return what is to be said of the end of the stream."""
        if self._web is not None:
            ending = self._web.finish()
            return [] if ending is None else [ending]
        if self.is_broken or not self._data:
            return []
        return [f"the stream ends within a frame, of which {len(self._data)} bytes have come"]

    def body(self, body: bytes) -> list[str]:
        """Return the lines of one frame body: one for each message in it."""
        found = unpack(body)
        frame = None if found is None else found[0]
        if isinstance(frame, list) and frame and isinstance(frame[0], list):
            first = f"batch of {len(frame)}"
            return [first, *("  " + self._line(envelope) for envelope in frame)]
        if not isinstance(frame, list):
            return [f"no message: {show(body, self._max_chars)}"]
        return [self._line(frame)]

    def _look_for_others(self) -> list[str]:
        for start, name in _FOREIGN.items():
            if self._data.startswith(start):
                self.is_broken = True
                return [f"not this protocol, but {name}"]
        for start, has_head in _WEB.items():
            if self._data.startswith(start):
                self._web = WebStream(has_head)
                data, self._data = self._data, bytearray()
                return self._in_web(data)
        return []

    def _in_web(self, data: bytes | bytearray) -> list[str]:
        assert self._web is not None
        lines: list[str] = []
        for part in self._web.feed(data):
            lines += self.body(part) if isinstance(part, bytes) else [part]
        self.is_broken = self._web.is_broken
        return lines

    def _line(self, envelope: Any) -> str:
        code = envelope[0] if isinstance(envelope, list) and envelope else None
        name = _NAMES.get(code) if isinstance(code, int) else None
        if name is None or code is None:  # the second for the type checker
            return f"unknown: {show_value(envelope, self._max_chars)}"
        payload_at = messages.PAYLOAD_INDEX.get(code)
        words = [name]
        for index, field in enumerate(envelope[1:], 1):
            if index == payload_at and isinstance(field, bytes):
                words.append(f"«{show(field, self._max_chars)}»")
            else:
                words.append(show_value(field, self._max_chars))
        return " ".join(words)
