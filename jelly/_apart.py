"""Large bytes that are left out of what is packed of a value, and come between its pieces at last.

Each Ext around them would copy them four times: its data is packed by itself, and then once more as its data.
What stands for them is an Ext that is never sent. Its bytes can stand in a value too, by chance or because a
peer sent them to be passed on; then there is one too many, and the value is written with all that is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from msgpack import ExtType

from ._bulk import BULK_BYTES, HOLE, Bulk, bin_header
from ._ext import make_ext

# No byte but the first begins another, so two of them never overlap but for an index that is none of ours.
_MARK: Final = b"\x00pb\x01"
_split: Final = re.compile(re.escape(b"\xd7\x80" + _MARK) + b"(....)", re.DOTALL).split

# What was left out, by index: by turns something small and something large, and small at both ends.
# Empty where it has been taken over into an Ext around it.
Apart = list[list[bytes]]


class MarkFound(Exception):
    """Say that a value holds by itself what would stand for large bytes."""


def holds_large(items: Iterable[Any]) -> bool:
    """Tell whether large bytes are among these."""
    for item in items:  # noqa: SIM110 - any() takes twice as long to begin
        if type(item) is bytes and len(item) >= BULK_BYTES:
            return True
    return False


def leave_out(apart: Apart, value: bytes) -> ExtType:
    """Return what stands for large bytes."""
    return _leave(apart, [bin_header(len(value)), value, b""])


def wrap(apart: Apart, since: int, code: int, data: bytes) -> ExtType:
    """Return what stands for an Ext in whose data stands what was left out since there were so many."""
    buffers = _fill(apart, since, data)
    size = sum(map(len, buffers))
    buffers[0] = b"\xc9" + size.to_bytes(4, "big") + bytes((code,)) + buffers[0]
    return _leave(apart, buffers)


def join(apart: Apart, payload: bytes) -> tuple[Bulk, bytes]:
    """Return the whole payload, and all that is in it beside large bytes, in which no head is missing."""
    buffers = _fill(apart, 0, payload)
    return Bulk(*filter(None, buffers)), b"".join(buffers[::2])


def _leave(apart: Apart, buffers: list[bytes]) -> ExtType:
    apart.append(buffers)
    return make_ext(HOLE, _MARK + (len(apart) - 1).to_bytes(4, "big"))


def _fill(apart: Apart, since: int, packed: bytes) -> list[bytes]:
    """Return what was packed with what was left out of it since then in its place, by turns as above."""
    pieces = _split(packed)
    found = [int.from_bytes(name, "big") for name in pieces[1::2]]
    if sorted(found) != [index for index in range(since, len(apart)) if apart[index]]:
        raise MarkFound
    buffers = pieces[:1]
    for index, piece in zip(found, pieces[2::2], strict=True):
        first, *rest = apart[index]
        apart[index] = []
        buffers[-1] += first
        buffers += rest
        buffers[-1] += piece
    return buffers
