"""Sets and keyed maps out of the members a peer sent. spec/1-values.md PB-V16 to PB-V18 and PB-V45."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._flood import BOUND, INTS, KEYED, MAX_SAME_HASH, count_floodable, share_a_hash
from .errors import InsecureJelly, MalformedJelly

if TYPE_CHECKING:
    from ._reading import Reading


def make_set(reading: Reading, members: list[Any], make: Callable[[Any], Any]) -> Any:
    """Return the set of these members, unless it is refused."""
    try:
        if is_flood(reading, members):
            return None
        made = make(members)
    except Exception as error:
        return reading.refuse_failed("a member of a set cannot be hashed", error)
    return made if len(made) == len(members) else refuse_twice(reading)


def make_map(reading: Reading, items: list[Any]) -> Any:
    """Return the dict of these keys and values, which take turns, unless it is refused."""
    if len(items) & 1:
        raise MalformedJelly("MAP has a key without a value")
    if reading.violation is not None:
        return None
    keys = items[::2]
    try:
        kinds = set(map(type, keys))
        # Small ints are looked at here too: two calls less, a third of what a MAP of one of them takes.
        if (
            not kinds <= KEYED
            and not (kinds == INTS and -BOUND < min(keys) and max(keys) < BOUND)
            and is_flood(reading, keys)
        ):
            return None
        made = dict(zip(keys, items[1::2], strict=False))
    except Exception as error:
        return reading.refuse_failed("a key cannot be hashed", error)
    return reading.set_apart(made) if len(made) == len(keys) else refuse_twice(reading)


def refuse_twice(reading: Reading) -> Any:
    """Refuse what other languages may tell apart and Python does not, such as 1 and True."""
    return reading.refuse(InsecureJelly("a key or a member of a set is there twice"))


def is_flood(reading: Reading, keys: list[Any]) -> bool:
    """Count keys whose hash the peer chose; tell whether building a table of them is refused.

    Raises whatever hash() of a key raises.
    """
    if reading.violation is not None:
        return True
    count = count_floodable(keys)
    if not count:
        return False
    reading.floodable += count
    most = reading.limits.max_floodable_keys
    if reading.floodable > most:
        problem = f"more than max_floodable_keys={most} keys and members have a hash that can be chosen"
    elif share_a_hash(keys):
        problem = f"more than {MAX_SAME_HASH} keys or members have the same hash"
    else:
        return False
    reading.refuse(InsecureJelly(f"{problem}; send a list of pairs", "pb.TooLarge"))
    return True
