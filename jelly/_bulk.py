"""Large bytes inside a payload, written and read without copying them along with everything else.

1 MiB of bytes as an argument: packing copies it twice and unpacking twice; here it is written from where
it lies and copied once on arrival (tests/bench, "1 MiB bytes"). The payload is the same, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgpack

from ._ext import SCALARS

BULK_BYTES: Final = 64 * 1024
# How many containers may be around the bytes for them to be found; calls have two: [args, kwargs], args.
_MAX_LEVELS: Final = 6
_INT_WIDTH: Final = {0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9, 0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9, 0xCB: 9}
_CONSTANTS: Final = frozenset({0xC0, 0xC2, 0xC3})


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


def cut_bulk(payload: bytes | memoryview) -> tuple[bytes, int, int, list[Any]] | None:
    """Find large bytes near the start of a payload.

    Returns:
        The payload with empty bytes in their place, where they start and end, and the steps (index or
        key) from the value to them; None where the payload does not begin like that.
    """
    size = len(payload)
    steps: list[Any] = []
    counts: list[list[Any]] = []  # for each level: [is a map, members, position]
    at = 0
    while at + 5 < size:
        head = payload[at]
        if head == 0xC6:
            start = at + 5
            end = start + int.from_bytes(payload[at + 1 : start], "big")
            if end > size or end - start < BULK_BYTES or size - (end - start) > BULK_BYTES:
                return None
            return bytes(payload[:at]) + b"\xc4\x00" + bytes(payload[end:]), start, end, steps
        if 0x81 <= head <= 0x9F and head != 0x90:
            if len(counts) == _MAX_LEVELS:
                return None
            is_map = head < 0x90
            counts.append([is_map, head & 0x0F, 0])
            at += 1
        else:
            width = _scalar_width(payload, at)
            if width is None or not counts or width > 256:
                return None
            at += width
            counts[-1][2] += 1
        is_map, members, position = counts[-1]
        if position >= members:
            return None
        if is_map:
            width = _scalar_width(payload, at)
            if width is None or not 0xA0 <= payload[at] <= 0xDB or width > 256:
                return None
            try:
                step: Any = msgpack.unpackb(payload[at : at + width])
            except Exception:
                return None
            at += width
        else:
            step = position
        steps = [*steps[: len(counts) - 1], step]
    return None


def _scalar_width(payload: bytes | memoryview, at: int) -> int | None:
    """Return how many bytes a number, a constant or a short string takes; None for anything else."""
    head = payload[at]
    if head <= 0x7F or head >= 0xE0 or head in _CONSTANTS:
        return 1
    if 0xA0 <= head <= 0xBF:
        return 1 + (head & 0x1F)
    if head == 0xD9 and at + 1 < len(payload):
        return 2 + payload[at + 1]
    return _INT_WIDTH.get(head)


def put_bulk(value: Any, steps: list[Any], bulk: bytes) -> Any:
    """Put the bytes where `cut_bulk` found them; return the value."""
    if not steps:
        return bulk
    inside = value
    for step in steps[:-1]:
        inside = inside[step]
    inside[steps[-1]] = bulk
    return value
