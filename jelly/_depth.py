"""How deep a msgpack object nests, found without building it. spec/1-values.md 1.4 has the definition."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection
from typing import Any, Final

import msgpack

from ._ext import CONTAINERS, SCALARS

# The C unpacker keeps its position on a stack of this many entries and raises StackError beyond.
_STACK: Final = 1024
_LEVELS: Final = b"\x91" * _STACK
_SMALL: Final = 1024
# First bytes of arrays and maps that are not empty; only these nest.
_OPENERS: Final = bytes([*range(0x81, 0x90), *range(0x91, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF])
_HEADS: Final = _OPENERS + b"\x80\x90"


def _has_fixed_stack() -> bool:
    """Find out whether this msgpack has the C unpacker, whose stack does the counting for us."""
    if msgpack.Unpacker.__module__ == "msgpack.fallback":
        return False
    try:
        _skip(_LEVELS[1:], b"\x91\xc0")
        _skip(_LEVELS, b"\x91\xc0")  # one more than there is room for
    except msgpack.StackError:
        return True
    except ValueError:  # pragma: no cover - the stack is not what we know: count by hand
        return False
    return False  # pragma: no cover - as above


def _skip(levels: bytes, payload: bytes | bytearray | memoryview) -> int:
    """Run over one object inside these levels, building nothing; return how many bytes were left."""
    unpacker = msgpack.Unpacker(None, max_buffer_size=len(levels) + len(payload))
    unpacker.feed(levels)
    unpacker.feed(payload)
    unpacker.skip()
    return len(levels) + len(payload) - int(unpacker.tell())


def preflight(payload: bytes | bytearray | memoryview, max_depth: int) -> str | None:
    """Say what is wrong with the form of a payload, or None, before anything is allocated for it.

    5 kB of nested array headers cost 31 ms and 47 MiB to refuse while unpacking and 7 us here; an honest
    payload costs about 3 us and a nanosecond a byte. The data of extensions is not looked into.
    """
    try:
        left = _skip(_LEVELS[max_depth:], payload) if _FIXED_STACK else _walk(bytes(payload), max_depth)
    except msgpack.StackError:
        return f"nests deeper than {max_depth}"
    except Exception as error:  # at least eight types come out of msgpack
        return f"is not msgpack ({type(error).__name__})"
    return f"has {left} bytes after its end" if left else None


def count_openers(payload: bytes) -> int:
    """Return a number the native nesting, without empty containers, cannot exceed."""
    return len(payload) - len(payload.translate(None, _OPENERS))


def depth_of(payload: bytes, content: object, apart: Collection[int] | None, most: int) -> int:
    """Return how deep the arrays and maps of an object nest, without what is in its Exts.

    A number above `most` says only that it is deeper than that.

    Args:
        content: what was unpacked of it.
        apart: as in native_depth().
    """
    if len(payload) <= _SMALL:
        # Most are one container of no other, which their bytes say in a tenth of the time.
        heads = len(payload) - len(payload.translate(None, _HEADS))
        if not heads or (heads == 1 and payload[0] in _HEADS):
            return heads
        return native_depth(content, apart, most)
    # Running over the bytes a few times takes 20 ms for 4 MiB of lists in lists. A look at each takes 2 s.
    return bisect_left(range(most + 1), True, key=lambda depth: preflight(payload, depth) is None)


# From here on a look at all types at once, at C speed, is worth its 0.2 us.
_MANY: Final = 8
_holds_none: Final = CONTAINERS.isdisjoint


def native_depth(content: object, apart: Collection[int] | None = None, most: int = _STACK) -> int:
    """Return how deep the lists and dicts of an unpacked object nest.

    Args:
        apart: ids of lists and dicts that came out of extensions and are not part of this object. With
            them known no cycle is ever entered: only NODEs make cycles.
        most: beyond this nothing is looked at; more is returned then.
    """
    if type(content) not in CONTAINERS or (apart and id(content) in apart):
        return 0
    depth = 0
    layer: list[Any] = [content]
    # Plain loops: these are small, and a comprehension or a generator for each layer takes longer to begin.
    while layer and depth <= most:
        depth += 1
        below: list[Any] = []
        for each in layer:
            inside: Collection[Any] = each.values() if type(each) is dict else each
            if len(each) > _MANY and _holds_none(map(type, inside)):
                continue
            for item in inside:
                if type(item) in CONTAINERS and not (apart and id(item) in apart):
                    below.append(item)
        layer = below
    return depth


def all_scalars(values: Collection[object]) -> bool:
    """Tell, at C speed, whether no value is more than a scalar."""
    return SCALARS.issuperset(map(type, values))


def _walk(payload: bytes, max_depth: int) -> int:
    """Do what _skip does where the unpacker is written in Python and nests without a stack of its own."""
    ends: list[int] = []  # for each open container, how many objects it still waits for
    at = 0
    while True:
        if at >= len(payload):
            raise msgpack.OutOfData
        size, members = read_header(payload, at)
        at += size
        if members is not None:
            if members > len(payload) - at:
                raise msgpack.OutOfData
            if len(ends) >= max_depth:
                raise msgpack.StackError
            if members:
                ends.append(members)
                continue
        while ends:
            ends[-1] -= 1
            if ends[-1]:
                break
            ends.pop()
        if not ends:
            if at > len(payload):
                raise msgpack.OutOfData
            return len(payload) - at


# Where the length of a string, bin or ext stands: first byte -> (bytes of length, bytes beside the data).
_SIZED: Final = {
    **{0xC4 + n: (1 << n, 1) for n in range(3)},
    **{0xC7 + n: (1 << n, 2) for n in range(3)},
    **{0xD9 + n: (1 << n, 1) for n in range(3)},
}
_FIXED: Final = {
    **{0xCC + n: 1 + (1 << n) for n in range(4)},
    **{0xD0 + n: 1 + (1 << n) for n in range(4)},
    **{0xD4 + n: 2 + (1 << n) for n in range(5)},
    0xC0: 1,
    0xC2: 1,
    0xC3: 1,
    0xCA: 5,
    0xCB: 9,
}


def read_header(payload: bytes | memoryview, at: int) -> tuple[int, int | None]:
    """Return how many bytes an object takes by itself, and how many are in it, None if it is no container."""
    first = payload[at]
    if first < 0x80 or first >= 0xE0:
        return 1, None
    if first < 0x90:
        return 1, 2 * (first & 15)
    if first < 0xA0:
        return 1, first & 15
    if first < 0xC0:
        return 1 + (first & 31), None
    if first in _FIXED:
        return _FIXED[first], None
    if first in _SIZED:
        width, beside = _SIZED[first]
        return width + beside + int.from_bytes(payload[at + 1 : at + 1 + width], "big"), None
    if first == 0xC1:
        raise msgpack.FormatError
    width = 2 if first in (0xDC, 0xDE) else 4
    members = int.from_bytes(payload[at + 1 : at + 1 + width], "big")
    return 1 + width, members * (2 if first >= 0xDE else 1)


_FIXED_STACK: Final = _has_fixed_stack()
