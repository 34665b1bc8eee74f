"""Large bytes inside a payload, written and read without copying them along with everything else.

1 MiB of bytes as an argument: packing copies it twice and unpacking twice; here it is written from where
it lies and copied once on arrival (tests/bench, "1 MiB bytes"). The payload is the same, byte for byte.
In an Ext each level would copy it four times more, and every look at the payload for what is bounded would
run over it: 20 MB in a tuple took 80 ms to read, and take 3 (writing them: jelly/_apart.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgpack

from ._depth import read_header
from ._ext import CACHE, COPY, ERROR, FROZENSET, MAP, SCALARS, SET, TUPLE

BULK_BYTES: Final = 64 * 1024
# An Ext that stands for large bytes inside this process. It is never sent, and nobody may send it.
HOLE: Final = -128
# What is so large has this form in any case.
_BIN_32: Final = 0xC6
_EXT_32: Final = 0xC9
_ENTERED: Final = frozenset({TUPLE, COPY, SET, FROZENSET, MAP, ERROR, CACHE})
_HOLE_HEAD: Final = b"\xd6\x80"
_HOLE_BYTES: Final = 6


class Bulk:
    """A payload in several buffers, to be written one after the other. Its length is that of them all."""

    __slots__ = ("_size", "buffers")

    def __init__(self, *buffers: bytes) -> None:
        self.buffers = buffers
        self._size = sum(map(len, buffers))

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return b"".join(self.buffers)


def bin_header(size: int) -> bytes:
    """Return the header of a bin of at least 64 KiB."""
    return b"\xc6" + size.to_bytes(4, "big")


def bulk_value(value: bytes) -> Bulk:
    """Return the payload that is one large bytes object."""
    return Bulk(bin_header(len(value)), value)


def bulk_call(args: tuple[Any, ...], kwargs: object, pack: Callable[[Any], bytes]) -> Bulk | None:
    """Return the payload of a call whose arguments are scalars, one of them large bytes; None for others.

    Args:
        args: not all small scalars; that was looked at before.
    """
    if kwargs or len(args) > 15 or not SCALARS.issuperset(map(type, args)):
        return None
    index = next(index for index, arg in enumerate(args) if type(arg) is bytes and len(arg) >= BULK_BYTES)
    arg = args[index]
    try:
        before, after = map(pack, args[:index]), [*map(pack, args[index + 1 :])]
        head = b"".join((bytes((0x92, 0x90 | len(args))), *before, bin_header(len(arg))))
    except Exception:  # a str that is no UTF-8, say: the walk finds it, and its place
        return None
    return Bulk(head, arg, b"".join(after) + b"\x80")


def hole_name(index: int) -> bytes:
    """Return the data of the HOLE that stands for the large bytes of that index."""
    return index.to_bytes(4, "big")


def _hole(index: int) -> bytes:
    return _HOLE_HEAD + hole_name(index)


def cut_bulk(payload: bytes | memoryview) -> tuple[bytes, list[tuple[int, int]]] | None:
    """Find the large bytes in a payload, those in Exts too, but not those in a GRAPH.

    What is left is a payload like any other: nothing but bytes, which hold nothing, went out of it. So every
    bound that it keeps is kept by the whole, and what is malformed is as malformed as it was.

    Returns:
        The payload with an Ext HOLE in the place of each, whose data is what `hole_name` says of its index,
        and where each starts and ends; None where none were found.
    """
    size = len(payload)
    spans: list[tuple[int, int]] = []
    kept: list[bytes | memoryview] = []
    exts: list[list[int]] = []  # for each that was entered: where it stands in what is left, and its length
    levels: list[tuple[int, int, list[int] | None]] = []
    # In what is looked at now: how many objects are still to come, where it ends, and the Ext it is.
    members, end, ext = 1, size, None
    at = copied = removed = 0
    try:
        # One step for each KiB: half a microsecond, where unpacking a KiB takes fifteen.
        for _ in range(size >> 10):
            while not members:
                if ext is not None:
                    if at != end:
                        raise LookupError
                    ext[1] -= removed
                    ext = None
                members, end, ext = levels.pop()
            members -= 1
            head = payload[at]
            width, inside = read_header(payload, at)
            if at + width > end:
                break
            if inside is not None:
                levels.append((members, end, ext))
                members, ext = inside, None
            elif head == _EXT_32 and width > BULK_BYTES and payload[at + 5] in _ENTERED:
                levels.append((members, end, ext))
                members, end, ext = 1, at + width, [at - removed, width - 6 + removed]
                exts.append(ext)
                width = 6
            elif head == _BIN_32 and width - 5 >= BULK_BYTES:
                kept += payload[copied:at], _hole(len(spans))
                spans.append((at + 5, at + width))
                copied = at + width
                removed += width - _HOLE_BYTES
            at += width
    except (LookupError, msgpack.FormatError):
        pass  # the end of it, or malformed: then what is left is, too
    if not spans:
        return None
    rest = bytearray(b"".join([*kept, payload[copied:]]))
    for open_ext in (ext, *(outer for _, _, outer in levels)):
        if open_ext is not None:
            open_ext[1] -= removed
    for place, length in exts:
        rest[place + 1 : place + 5] = length.to_bytes(4, "big")
    return bytes(rest), spans
