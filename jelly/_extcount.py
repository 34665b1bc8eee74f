"""How many Exts one payload may hold: spec/1-values.md, PB-V48.

Python looks at each of them, a few microseconds long. So 4 MiB of empty sets cost 2 s to read, where
msgpack by itself needs 0.3 s for as many empty lists, and nobody else is served meanwhile.
"""

from __future__ import annotations

from typing import Any, Final

from msgpack import unpackb

from ._ext import CACHE, COPY, ERROR, FROZENSET, GRAPH, MAP, REFX, SET, TUPLE
from ._reading import Reading
from .errors import MalformedJelly

# First bytes of every form of Ext, and of the bins that are the parts of a GRAPH.
EXT_HEADS: Final = bytes([0xC7, 0xC8, 0xC9, *range(0xD4, 0xD9)])
_HEADS: Final = EXT_HEADS + b"\xc4\xc5\xc6"
# No Ext and no part is shorter than its head and its code or length.
LEAST_BYTES: Final = 2
_COMPOSITE: Final = frozenset({REFX, COPY, CACHE, ERROR, TUPLE, SET, FROZENSET, MAP})


class CountedReading(Reading):
    """The state of reading a payload that is long enough to hold too many.

    A class of its own, because the ordinary payload is not: counting would cost it 4 % of its time.
    """

    exts = 0

    def count(self, number: int) -> None:
        self.exts += number
        most = self.limits.max_exts
        if self.exts > most:
            raise MalformedJelly(f"holds more than max_exts={most} Exts", too_large=True)

    def read_ext(self, code: int, payload: bytes) -> Any:
        self.count(1)
        return Reading.read_ext(self, code, payload)


class _Exceeded(Exception):
    pass


def has_more_exts(payload: bytes, most: int) -> bool:
    """Tell whether a payload of ours holds more Exts than that, parts of a GRAPH included."""
    # Text and numbers hold such bytes too, so this only says that there is nothing to be counted. It takes
    # a nanosecond a byte; packing took eight.
    if len(payload) - len(payload.translate(None, _HEADS)) <= most:
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
