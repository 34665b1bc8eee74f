"""The report of who holds which of our objects: what a leak is found by. Nothing of it is on the wire.

Where an object was made is known while `tracemalloc` runs (`python -X tracemalloc=5`): that makes a program
slower, so nobody else turns it on.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from .hooks import names_of

# Instances of classes written in Python 3.11 begin two pointers further behind the head of the garbage
# collector than that version's tracemalloc looks.
_MANAGED_DICT: Final = 1 << 4
_BEFORE_OBJECT: Final = 4


@dataclass(frozen=True, slots=True)
class HeldReference:
    """An object of ours that a peer holds.

    Attributes:
        holder: the peer, as the transport tells it.
        identity, service, perspective: under which it was handed out; "" where that is nobody's.
        type: the class of the object; "" of one that was revoked.
        kind: "remote", "perspective", "view", "cache", "proxy"; "gone": revoked, and not released yet.
        id: of the object on this connection.
        count: occurrences that the peer has not released.
        age_s: seconds since it was handed out.
        made_at: the lines that made it, the innermost first; "" where tracemalloc was not running then.
    """

    holder: str
    identity: str
    service: str
    perspective: str
    type: str
    kind: str
    id: int
    count: int
    age_s: float
    made_at: str


def references_of(brokers: Iterable[Any]) -> list[HeldReference]:
    """Return what the peers of some connections hold, the oldest first; no roots, which nobody counts."""
    found = [
        HeldReference(
            broker.tables.peer_name,
            *names_of(export.scope.direct),
            "" if export.is_gone else type(export.object).__name__,
            export.kind.name.lower(),
            export.id,
            export.count,
            broker.face.clock() - export.since,
            made_at(export.object),
        )
        for broker in brokers
        for export in broker.tables.exports.values()
        if export.id
    ]
    return sorted(found, key=lambda held: -held.age_s)


def made_at(value: object) -> str:
    """Return where an object was made, such as "shop.py:12 < main.py:3"; "" where nobody has noted that."""
    if not tracemalloc.is_tracing():
        return ""
    trace = tracemalloc.get_object_traceback(value) or _behind_its_head(value)
    return "" if trace is None else " < ".join(f"{each.filename}:{each.lineno}" for each in reversed(trace))


def _behind_its_head(value: object) -> tracemalloc.Traceback | None:
    """Return the trace that tracemalloc of Python 3.11 has and does not find."""
    if sys.version_info >= (3, 12) or not type(value).__flags__ & _MANAGED_DICT:
        return None  # pragma: no cover - depends on the version of Python
    import ctypes

    find = ctypes.pythonapi._PyTraceMalloc_GetTraceback
    find.argtypes, find.restype = (ctypes.c_uint, ctypes.c_size_t), ctypes.py_object
    # Only looks the address up in its table.
    frames = find(0, id(value) - _BEFORE_OBJECT * ctypes.sizeof(ctypes.c_void_p))
    return None if frames is None else tracemalloc.Traceback(frames)
