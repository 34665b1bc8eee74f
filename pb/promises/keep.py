"""Asking, after the fact, that the result of a call be kept: while its frame has not left yet.

So that an ordinary call, which is nearly every one, costs nothing: only who uses a promise pays.
Spec: spec/11-pipelining.md, "Keeping a result".
"""

from __future__ import annotations

from typing import Any, Final

import msgpack

from .. import messages

_WITHOUT_OPTIONS: Final = 0x95
_WITH_OPTIONS: Final = 0x96
_KEEP: Final[bytes] = msgpack.packb({"keep": True})


def ask_to_keep(batch: list[bytes], id: int) -> bool:
    """Put `keep` into the CALL of this id, if it is among the envelopes that wait; tell whether it is."""
    index = _find(batch, id)
    if index is None:
        return False
    envelope = batch[index]
    if envelope[0] == _WITHOUT_OPTIONS:
        batch[index] = bytes((_WITH_OPTIONS,)) + envelope[1:] + _KEEP
    else:
        *fields, options = msgpack.unpackb(envelope)
        batch[index] = msgpack.packb([*fields, {"keep": True, **options}])
    return True


def _find(batch: list[bytes], id: int) -> int | None:
    """Return the index of a CALL. Their ids increase, and others stand between them."""
    low, high = 0, len(batch)
    while low < high:
        middle = (low + high) // 2
        at = middle
        found = 0
        while at < high and not found:
            found = _id_of(batch[at])
            at += 1
        if not found or found > id:
            high = middle
        elif found < id:
            low = at
        else:
            return at - 1
    return None


def _id_of(envelope: bytes) -> int:
    """Return the id of a CALL or OBSERVE that wants an answer; 0 for all else."""
    if envelope[0] not in (_WITHOUT_OPTIONS, _WITH_OPTIONS) or envelope[1] not in (
        messages.CALL,
        messages.OBSERVE,
    ):
        return 0
    first = envelope[2]
    if first < 0x80:
        return first
    size: Any = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}[first]
    return int.from_bytes(envelope[3 : 3 + size], "big")
