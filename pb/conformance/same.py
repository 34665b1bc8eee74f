"""Whether two payloads say the same, although their bytes differ where page 1 leaves a sender the choice.

Which choices there are: int formats and headers, forms of a time, the order of keys and members, and how a
GRAPH is cut into parts; and the bits of a NaN. Everything else is told apart: 1 from 1.0, float 32 from
float 64, an id in two bytes from the same in one. Spec: spec/1-values.md, spec/vectors/README.md.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from typing import Any, Final

from . import values

# Exts whose data is msgpack too; those whose members have no order, and those that are pairs.
_NESTING: Final = frozenset((4, 8, 9, 11, 16, 17, 18, 19, 20))
_UNORDERED: Final = frozenset((17, 18))
_MAP: Final = 19
_TIME: Final = -1
# First byte -> how many bytes of a length follow; of numbers, their format.
_STR: Final = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_BIN: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_ARRAY: Final = {0xDC: 2, 0xDD: 4}
_MAPS: Final = {0xDE: 2, 0xDF: 4}
_EXT: Final = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_INTS: Final = {
    0xCC: ">B",
    0xCD: ">H",
    0xCE: ">I",
    0xCF: ">Q",
    0xD0: ">b",
    0xD1: ">h",
    0xD2: ">i",
    0xD3: ">q",
}
_FLOATS: Final = {0xCA: 4, 0xCB: 8}
_SINGLE: Final = {0xC0: "nil", 0xC2: "false", 0xC3: "true"}


@dataclass(slots=True, eq=False)
class _Said:
    """One value as it was said: its kind, and its content or its members in an order that says nothing."""

    kind: object
    content: object = None
    members: list[_Said] = field(default_factory=list)

    def key(self) -> str:
        """Return what orders members whose order says nothing; there are no NODEs among them."""
        return f"{self.kind}{self.content}[{','.join(each.key() for each in self.members)}]"


class _Reader:
    """The values of one payload, one after another."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        found = self.data[self.at : self.at + count]
        if len(found) < count:
            raise ValueError("the payload ends too early")
        self.at += count
        return found

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def whole(self) -> _Said:
        """Return the one value that there is.

        Raises:
            ValueError: there is another number of them.
        """
        found = self.value()
        if self.at < len(self.data):
            raise ValueError("there are bytes after the value")
        return found

    def value(self) -> _Said:
        """Return the next value."""
        first = self.number(1)
        if first < 0x80 or first >= 0xE0:
            return _Said("int", first if first < 0x80 else first - 0x100)
        if first < 0x90:
            return self.map_of(first & 0x0F)
        if first < 0xA0:
            return self.array_of(first & 0x0F)
        if first < 0xC0:
            return _Said("str", self.take(first & 0x1F))
        if first in _SINGLE:
            return _Said(_SINGLE[first])
        if first in _INTS:
            form = _INTS[first]
            return _Said("int", struct.unpack(form, self.take(struct.calcsize(form)))[0])
        if first in _FLOATS:
            size = _FLOATS[first]
            data = self.take(size)
            is_nan = math.isnan(struct.unpack(">f" if size == 4 else ">d", data)[0])
            return _Said(f"float {8 * size}", "NaN" if is_nan else data)
        return self.sized(first)

    def sized(self, first: int) -> _Said:
        if first in _STR:
            return _Said("str", self.take(self.number(_STR[first])))
        if first in _BIN:
            return _Said("bin", self.take(self.number(_BIN[first])))
        if first in _ARRAY:
            return self.array_of(self.number(_ARRAY[first]))
        if first in _MAPS:
            return self.map_of(self.number(_MAPS[first]))
        if first in _EXT:
            size = self.number(_EXT[first])
        elif 0xD4 <= first <= 0xD8:
            size = 1 << (first - 0xD4)
        else:
            raise ValueError(f"{first:#x} begins no value")
        code = int.from_bytes(self.take(1), "big", signed=True)
        return _ext(code, self.take(size))

    def array_of(self, count: int) -> _Said:
        return _Said("array", None, [self.value() for _ in range(count)])

    def map_of(self, count: int) -> _Said:
        pairs = [(self.value(), self.value()) for _ in range(count)]
        pairs.sort(key=lambda pair: pair[0].key())
        return _Said("map", None, [each for pair in pairs for each in pair])


def _ext(code: int, data: bytes) -> _Said:
    if code == _TIME:
        return _Said(("ext", code), _moment(data))
    if code not in _NESTING:
        return _Said(("ext", code), data)
    inside = _Reader(data).whole()
    if code in _UNORDERED:
        inside.members.sort(key=_Said.key)
    elif code == _MAP and len(inside.members) % 2 == 0:
        pairs = [inside.members[at : at + 2] for at in range(0, len(inside.members), 2)]
        inside.members = [each for pair in sorted(pairs, key=lambda pair: pair[0].key()) for each in pair]
    if code == values.GRAPH:
        parts = [_Reader(part.content).whole() for part in inside.members if isinstance(part.content, bytes)]
        return _Said(("ext", code), None, parts)
    return _Said(("ext", code), None, [inside])


def _moment(data: bytes) -> tuple[int, int]:
    """Return the seconds and nanoseconds of a point in time."""
    if len(data) == 4:
        return int.from_bytes(data, "big"), 0
    if len(data) == 8:
        both = int.from_bytes(data, "big")
        return both & (1 << 34) - 1, both >> 34
    return int.from_bytes(data[4:], "big", signed=True), int.from_bytes(data[:4], "big")


class _Pair:
    """Two payloads side by side: what is one thing in this one must be one thing in the other."""

    def __init__(self, one: _Said, other: _Said) -> None:
        self.parts = (_parts_of(one), _parts_of(other))
        self.met: tuple[dict[_Said, _Said], dict[_Said, _Said]] = ({}, {})

    def is_same(self, one: _Said, other: _Said) -> bool:
        one, other = self.meant(0, one), self.meant(1, other)
        if one in self.met[0] or other in self.met[1]:
            return self.met[0].get(one) is other and self.met[1].get(other) is one
        if (one.kind, one.content) != (other.kind, other.content) or len(one.members) != len(other.members):
            return False
        if one.members:
            self.met[0][one], self.met[1][other] = other, one
        return all(map(self.is_same, one.members, other.members))

    def meant(self, side: int, said: _Said) -> _Said:
        """Follow a GRAPH to its last part, and a NODE to its part."""
        parts = self.parts[side]
        for _ in range(len(parts) + 1):
            if said.kind == ("ext", values.GRAPH) and said.members:
                said = said.members[-1]
            elif said.kind == ("ext", values.NODE) and isinstance(said.content, bytes):
                index = int.from_bytes(said.content, "big")
                if index >= len(parts):
                    return said
                said = parts[index]
        return said


def _parts_of(said: _Said) -> list[_Said]:
    return said.members if said.kind == ("ext", values.GRAPH) else []


def say_the_same(one: bytes, other: bytes) -> bool:
    """Tell whether two payloads are the same value; what cannot be read is the same as its own bytes only."""
    if one == other:
        return True
    try:
        said: list[Any] = [_Reader(each).whole() for each in (one, other)]
    except ValueError:
        return False
    return _Pair(*said).is_same(*said)
