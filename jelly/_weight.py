"""How much memory the value of a payload takes, for who bounds what is kept. spec/6-limits.md, PB-L17.

Not by its bytes: one may become 72. Nor by looking through the value, which may be of any class and hold
anything. The payload is unpacked once more, and of each container nothing is kept but what it takes.
"""

from __future__ import annotations

from itertools import chain
from sys import getsizeof
from typing import Any, Final

from msgpack import unpackb

from ._bulk import BULK_BYTES, HOLE, cut_bulk
from ._ext import CACHE, COPY, ERROR, FROZENSET, GRAPH, MAP, REFX, SET, TUPLE

# What one byte may become: so it is of empty dicts in a list.
MOST_PER_BYTE: Final = 72
# An object with its attributes; what is in it counts by itself.
_OBJECT: Final = 384
# An entry of a set, of a table of keys.
_ENTRY: Final = 64
_LIST: Final = 56
_SLOT: Final = 8
_DICT: Final = 64
_SCALAR: Final = 32
_NONE: Final = type(None)
_all: Final = chain.from_iterable
# What a text that is not ASCII takes beside its characters, and one that is.
_TEXT: Final = 80
_ASCII: Final = 56
_COMPOSITE: Final = frozenset({REFX, COPY, CACHE, ERROR, TUPLE, SET, FROZENSET, MAP, GRAPH})
_TABLES: Final = frozenset({SET, FROZENSET, MAP})

Payload = bytes | memoryview


def cut_large(payload: Payload) -> tuple[Payload, int]:
    """Return a payload without its large bytes, where they are easily found, and how many these are."""
    cut = cut_bulk(payload) if len(payload) > BULK_BYTES else None
    if cut is None:
        return payload, 0
    rest, spans = cut
    return rest, sum([end - start for start, end in spans])


def weight_of(payload: Payload) -> int:
    """Return about how many bytes of memory the value of a payload takes that has been decoded.

    Rather more than less: what many share, such as the keys of dicts, counts for each. It takes about twice
    as long as to decode it.
    """
    parts = _Parts()
    parts.unpack(payload)
    filled = list(filter(None, parts.dicts))
    found = parts.extra + _LIST * len(parts.lists) + _SLOT * sum(map(len, parts.lists))
    found += _DICT * (len(parts.dicts) - len(filled)) + sum(map(getsizeof, filled))
    values = map(dict.values, filled)
    return found + _weight_of_scalars([*_all(parts.lists), *_all(filled), *_all(values)])


class _Parts:
    """What a payload consists of, taken apart.

    Each container is set aside, by a function in C, and None stands in its place in the next one: so all that
    is in them can be looked at at once, and nothing twice.

    Attributes:
        extra: what else takes memory.
    """

    __slots__ = ("dicts", "extra", "lists")

    def __init__(self) -> None:
        self.lists: list[list[Any]] = []
        self.dicts: list[dict[Any, Any]] = []
        self.extra = 0

    def unpack(self, payload: Payload) -> None:
        """Set all aside that is in a payload, or in the data of an Ext."""
        rest = unpackb(
            payload, list_hook=self.lists.append, object_hook=self.dicts.append, ext_hook=self._unpack_ext
        )
        self.lists.append([rest])

    def _unpack_ext(self, code: int, data: bytes) -> bytes | None:
        if code == HOLE:  # bytes by themselves, and what is in them was counted where they were cut out
            return b""
        self.extra += _OBJECT + len(data)
        if code in _TABLES:
            self.extra += _ENTRY * _count(data)
        if code == GRAPH:
            for part in unpackb(data):
                self.unpack(part)
        elif code in _COMPOSITE:
            self.unpack(data)
        return None


def _weight_of_scalars(items: list[Any]) -> int:
    """Return what they take together. By their types: 30 ns each, by getsizeof 130."""
    kinds = list(map(type, items))
    found = _SCALAR * (len(kinds) - kinds.count(_NONE))
    if str in kinds:
        texts = [item for item in items if type(item) is str]
        # Joined, all are as wide as the widest: so wide text does not hide among the other.
        text = "".join(texts)
        found += getsizeof(text) + ((_ASCII if text.isascii() else _TEXT) - _SCALAR) * len(texts)
    if bytes in kinds:
        found += sum([_SCALAR + len(item) for item in items if type(item) is bytes])
    return found


def _count(data: bytes) -> int:
    """Return how many elements an array has, by its head."""
    head = data[0]
    if head == 0xDC:
        return int.from_bytes(data[1:3], "big")
    if head == 0xDD:
        return int.from_bytes(data[1:5], "big")
    return head & 0x0F
