"""How many Exts a payload of ours holds, where that is not known from writing it: spec/1-values.md, PB-V48.

Python looks at each of them, a few microseconds long. So 4 MiB of empty sets cost 2 s to read, where
msgpack by itself needs 0.3 s for as many empty lists, and nobody else is served meanwhile.
"""

from __future__ import annotations

from typing import Final

from msgpack import unpackb

from ._ext import CACHE, COPY, ERROR, FROZENSET, GRAPH, MAP, REFX, SET, TUPLE

# First bytes of every form of Ext, and of the bins that are the parts of a GRAPH.
EXT_HEADS: Final = bytes([0xC7, 0xC8, 0xC9, *range(0xD4, 0xD9)])
_HEADS: Final = EXT_HEADS + b"\xc4\xc5\xc6"
# No part of a GRAPH is shorter than its two bytes of head, and no Ext is. Up to here nobody counts.
LEAST_BYTES: Final = 2
_COMPOSITE: Final = frozenset({REFX, COPY, CACHE, ERROR, TUPLE, SET, FROZENSET, MAP})


class _Exceeded(Exception):
    pass


def _may_have_more(payload: bytes, most: int) -> bool:
    # Text and numbers hold such bytes too, so few of them only say that there is nothing to be counted. It
    # takes a nanosecond a byte; packing takes eight, and unpacking twenty.
    return len(payload) - len(payload.translate(None, _HEADS)) > most


def has_more_exts(payload: bytes, most: int) -> bool:
    """Tell whether a payload of ours holds more Exts than that, parts of a GRAPH included."""
    if not _may_have_more(payload, most):
        return False
    found = 0

    def see(code: int, data: bytes) -> None:
        nonlocal found
        parts = unpackb(data) if code == GRAPH else ()
        found += 1 + len(parts)
        if found > most:
            raise _Exceeded
        if code in _COMPOSITE:
            unpackb(data, ext_hook=see, timestamp=3)
        for part in parts:
            unpackb(part, ext_hook=see, timestamp=3)

    try:
        unpackb(payload, ext_hook=see, timestamp=3)
    except _Exceeded:
        return True
    return False
