"""Which keys and members have a hash that a peer can choose. spec/1-values.md PB-V18 and PB-V45."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Collection
from types import NoneType
from typing import Any, Final

# str, bytes and what hashes through bytes (date, and naive time and datetime) are keyed per process.
KEYED: Final = frozenset({NoneType, bool, str, bytes, datetime.date})
_ZONED: Final = frozenset({datetime.datetime, datetime.time})
INTS: Final = {int}
BOUND: Final = 1 << 32
# A table compares each of these with all before it: 1 MB of ints and Decimals in groups
# of this size costs 0.6 s, and 220 kB of one hash cost 23 s without.
# Honest keys do share a hash, such as powers of two.
MAX_SAME_HASH: Final = 32


def count_floodable(keys: Collection[Any]) -> int:
    """Count the keys whose place in a hash table a peer can choose."""
    types = set(map(type, keys))
    if types <= KEYED:
        return 0
    if types == INTS and -BOUND < min(keys) and max(keys) < BOUND:
        return 0
    return sum(map(_is_floodable, keys))


def share_a_hash(keys: Collection[Any]) -> bool:
    """Tell whether too many of these keys have one and the same hash. Raises what hash() raises."""
    if len(keys) <= MAX_SAME_HASH:
        return False
    hashes = [hash(key) for key in keys if _is_floodable(key)]
    if len(hashes) - len(set(hashes)) < MAX_SAME_HASH:
        return False
    return max(Counter(hashes).values()) > MAX_SAME_HASH


def _is_floodable(key: Any) -> bool:
    kind = type(key)
    if kind in KEYED:
        return False
    if kind is int:
        return not -BOUND < key < BOUND
    return kind not in _ZONED or key.tzinfo is not None
