"""Values as the kit writes and reads them: msgpack, with every Ext left as it is. Spec: spec/1-values.md."""

from __future__ import annotations

from typing import Any, Final

import msgpack
from msgpack import ExtType as ExtType

REF: Final = 1
HOME: Final = 2
ANSWER: Final = 3
STREAM: Final = 5
COPY: Final = 8
CACHE: Final = 9
CACHED: Final = 10
TUPLE: Final = 16
SET: Final = 17
GRAPH: Final = 20
NODE: Final = 21


def pack(value: object) -> bytes:
    """Write a value; an ExtType stands for itself."""
    packed: bytes = msgpack.packb(value)
    return packed


def unpack(data: bytes) -> Any:
    """Read a value, Exts as msgpack.ExtType."""
    return msgpack.unpackb(
        data, ext_hook=msgpack.ExtType, strict_map_key=False, max_ext_len=len(data), timestamp=0
    )


def uint(number: int) -> bytes:
    """Return an id in the shortest of 1, 2, 4 and 8 bytes."""
    for size in (1, 2, 4, 8):
        if number < 1 << 8 * size:
            return number.to_bytes(size, "big")
    raise ValueError(number)


def ref(id: int) -> Any:
    """Return an object of the kit's."""
    return msgpack.ExtType(REF, uint(id))


def home(id: int) -> Any:
    """Return an object of the peer's, coming home."""
    return msgpack.ExtType(HOME, uint(id))


def answer(call: int) -> Any:
    """Return the result of a call of the kit's."""
    return msgpack.ExtType(ANSWER, uint(call))


def stream(id: int) -> Any:
    """Return a stream that the kit produces."""
    return msgpack.ExtType(STREAM, uint(id))


def copy(name: str, state: object) -> Any:
    """Return a copy."""
    return msgpack.ExtType(COPY, pack([name, state]))


def cache(id: int, name: str, state: object) -> Any:
    """Return a cache of the kit's, for the first time."""
    return msgpack.ExtType(CACHE, pack([id, name, state]))


def cached(id: int) -> Any:
    """Return a cache of the kit's, again."""
    return msgpack.ExtType(CACHED, uint(id))


def number_of(value: object, code: int) -> int | None:
    """Return the id in an Ext of that code, or None where it is something else."""
    if isinstance(value, msgpack.ExtType) and value.code == code:
        return int.from_bytes(value.data, "big")
    return None


def array_of(value: object, code: int) -> list[Any] | None:
    """Return the array in an Ext of that code, or None where it is something else."""
    if isinstance(value, msgpack.ExtType) and value.code == code:
        found = unpack(value.data)
        return found if isinstance(found, list) else None
    return None
