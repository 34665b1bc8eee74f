"""Reading rows with msgspec, where it is installed (extra `[speed]`): in half the time of msgpack.

Rows are what a query returns: a list of dicts of scalars, by itself or among the arguments of a call. For
others msgspec is not asked, for it takes more than we do (maps with any keys, timestamps that become a
datetime of its own making). What it finds wrong or is out of the ordinary is read again by msgpack, which
alone decides what is refused, and how. It is never asked for a payload whose headers were not checked before
(`jelly._depth.preflight`). Nor for writing: it would take a tuple or a set for a list, and to find out that
there is none takes longer than msgpack does for all.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import msgpack

from ._plain import are_flat

# What is read twice, because of an Ext at its end, takes at most 5 ms longer.
MOST: Final = 1 << 20
_MOST_OF_A_ROW: Final = 1024
# First bytes of arrays that are not empty -> how long the head is; of maps that are not empty.
_ARRAYS: Final = {**dict.fromkeys(range(0x91, 0xA0), 1), 0xDC: 3, 0xDD: 5}
_MAPS: Final = frozenset({*range(0x81, 0x90), 0xDE, 0xDF})
# How many arrays there are around the first row: of a value, and of a call's [args, kwargs].
_VALUE: Final = 1
_CALL: Final = 3
# The number of a timestamp, and what may stand before it: the head of a fixext, or a length of 4, 8 or 12.
_TIMESTAMP: Final = b"\xff"
_BEFORE_TIMESTAMPS: Final = frozenset({b"\xd6", b"\xd7", b"\x04", b"\x08", b"\x0c"})

Read = Callable[[bytes | memoryview], Any]


class _Special(Exception):
    """There is an Ext."""


@cache
def find_readers() -> dict[int, Read]:
    """Return what reads rows within so many arrays; nothing where msgspec is not installed."""
    try:
        from msgspec.msgpack import Decoder
    except ImportError:
        return {}

    def refuse(code: int, data: memoryview) -> object:
        raise _Special

    # With their types said, keys that are no str are found by msgspec, which spares us a look at each.
    row = dict[str, Any]
    value = Decoder(list[row], ext_hook=refuse)
    call = Decoder(tuple[list[list[row] | row | str | int | float | bool | None], row], ext_hook=refuse)
    return {_VALUE: value.decode, _CALL: call.decode}


def read_rows(payload: bytes | memoryview) -> Any:
    """Return the value of a checked payload that holds rows and scalars only; None of any other."""
    at = depth = 0
    while (step := _ARRAYS.get(payload[at])) is not None:
        at += step
        depth += 1
    read = find_readers().get(depth) if payload[at] in _MAPS else None
    if read is None or not _is_row(payload[at : at + _MOST_OF_A_ROW]) or _may_hold_a_timestamp(payload):
        return None
    try:
        value = read(payload)
    except Exception:  # msgpack finds it again, and says what it is
        return None
    if depth == _VALUE:
        return value if are_flat(value) else None
    args, kwargs = value
    dicts = [kwargs]
    for arg in args:
        if type(arg) is list:
            dicts += arg
        elif type(arg) is dict:
            dicts.append(arg)
    return [args, kwargs] if are_flat(dicts) else None


def _is_row(start: bytes | memoryview) -> bool:
    unpacker = msgpack.Unpacker(None, max_buffer_size=_MOST_OF_A_ROW)
    unpacker.feed(start)
    try:
        return are_flat([unpacker.unpack()])
    except Exception:  # longer than that, or out of the ordinary
        return False


def _may_hold_a_timestamp(payload: bytes | memoryview) -> bool:
    data = bytes(payload)
    if data.count(_TIMESTAMP) > len(data) >> 5:
        return True
    return not _BEFORE_TIMESTAMPS.isdisjoint([piece[-1:] for piece in data.split(_TIMESTAMP)])
