"""What is told of calls whose promise did not become an object: errors as bytes, ready to be sent.

Kept as bytes, so that no error of a handler is held on to, with all that its frames hold, for as long as the
peer likes. Spec: spec/11-pipelining.md, "Results that are no objects".
"""

from __future__ import annotations

from typing import Any, Final

import msgpack
from msgpack import ExtType

from jelly import Bulk

from ..wire.ids import REF, REFX

_BROKEN: Final = "pb.BrokenPromise"
NOT_PIPELINABLE: Final[bytes] = msgpack.packb(
    {"type": "pb.NotPipelinable", "msg": "the result of the call named is no object of the callee's"}
)
_MOST_BYTES: Final = 2048
_MOST_DEPTH: Final = 2  # of data; a cause stands one level deeper, and every peer takes four
_MOST_CHARS: Final = 512
# From fixext 1 to fixext 16, and ext 8: how the payload of a bare reference begins.
_EXT_HEADS: Final = frozenset((0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xC7))


def row_id_of(payload: bytes | Bulk) -> int | None:
    """Return the id of the one reference that a payload consists of, None for any other value."""
    if type(payload) is not bytes or payload[0] not in _EXT_HEADS:
        return None
    ext = msgpack.unpackb(payload)
    if type(ext) is not ExtType:
        return None
    if ext.code == REFX:
        number: int = msgpack.unpackb(ext.data)[0]
        return number
    return int.from_bytes(ext.data, "big") if ext.code == REF else None


def broken_by(payload: bytes) -> bytes:
    """Return the error of calls on the result of a call that failed, as the payload of ERROR.

    Args:
        payload: the error that the call failed with.
    """
    error: dict[str, Any] = msgpack.unpackb(payload, strict_map_key=False, timestamp=0)
    if error["type"] == _BROKEN:
        return payload  # a chain has one cause, however long it is
    if error["type"] == "pb.NotPipelinable" and payload == NOT_PIPELINABLE:
        pass  # that call was made on no object: it is a cause like others
    if len(payload) > _MOST_BYTES or not _is_flat(error, _MOST_DEPTH):
        error = {key: error[key][:_MOST_CHARS] for key in ("type", "msg")}
    told = {"type": _BROKEN, "msg": "the call whose result was named has failed", "cause": error}
    broken: bytes = msgpack.packb(told)
    return broken


def _is_flat(value: object, levels: int) -> bool:
    """Whether a value holds nothing that counts, and does not nest deeper than that."""
    if type(value) is ExtType:
        return False
    if type(value) is dict:
        return levels > 0 and all(_is_flat(each, levels - 1) for pair in value.items() for each in pair)
    if type(value) is list:
        return levels > 0 and all(_is_flat(each, levels - 1) for each in value)
    return True
