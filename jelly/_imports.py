"""References, streams and caches of a payload: the tables are told of every one, whatever else is in it.

Also of those in a payload that is refused already: otherwise they could never be released (PB-V36).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgpack

from ._cacheplan import CachePlan
from ._checks import blame, check_id, read_uint, too_deep
from ._depth import depth_of
from ._ext import CONTAINERS, quote
from .errors import InsecureJelly, MalformedJelly

if TYPE_CHECKING:
    from ._reading import Reading


class NoTables:
    """Refuse every id, where there is no connection that could have given one."""

    perspective = None

    def reference(self, *args: object) -> object:
        """Raise InsecureJelly."""
        raise InsecureJelly("a reference came where there is no connection", "pb.Unsupported")

    home = answer = stream = cache = cached = refuse_caches = reference


NO_TABLES: Final = NoTables()


def resolve(reading: Reading, ask: Callable[..., Any], *args: Any) -> Any:
    """Return what the tables have for an id, or None if they refuse it."""
    reading.weight = reading.weight or 1
    if reading.tables is NO_TABLES and reading.violation is not None:  # they refuse all, and count none
        return None
    try:
        made = ask(*args)
    except InsecureJelly as error:
        return reading.refuse(error)
    return reading.set_apart(made) if type(made) in CONTAINERS else made


def resolve_held(reading: Reading, name: str, *args: Any) -> Any:
    """Like resolve(), for streams and caches, which count even in a refused payload.

    Tables that refused one as pb.Unsupported hold none, so nothing goes uncounted if they are not asked
    for a million more; an exception for each would cost 15 times what reading does.
    """
    reading.weight = reading.weight or 1
    if name in reading.unheld:
        return None
    try:
        return getattr(reading.tables, name)(*args)
    except InsecureJelly as error:
        if error.wire_type == "pb.Unsupported":
            reading.unheld = (*reading.unheld, name)
        return reading.refuse(error)


def resolve_uncounted(reading: Reading, ask: Callable[..., Any], *args: Any) -> Any:
    """Like resolve(), for an id that only names what is held already: nothing to do once refused."""
    if reading.violation is not None:
        reading.weight = reading.weight or 1
        return None
    return resolve(reading, ask, *args)


def read_ref(reading: Reading, payload: bytes) -> Any:
    return resolve(reading, reading.tables.reference, read_uint(payload, 1, "REF"), None)


def read_refx(reading: Reading, payload: bytes) -> Any:
    content = reading.read_without_nodes(payload, "REFX")
    if len(content) != 2 or type(content[1]) is not dict:
        raise MalformedJelly("the data of REFX are not [id, meta]")
    return resolve(reading, reading.tables.reference, check_id(content[0], "REFX"), content[1])


def read_home(reading: Reading, payload: bytes) -> Any:
    return resolve_uncounted(reading, reading.tables.home, read_uint(payload, 0, "HOME"))


def read_answer(reading: Reading, payload: bytes) -> Any:
    return resolve_uncounted(reading, reading.tables.answer, read_uint(payload, 1, "ANSWER"))


def read_stream(reading: Reading, payload: bytes) -> Any:
    return resolve_held(reading, "stream", read_uint(payload, 1, "STREAM"))


def read_cache(reading: Reading, payload: bytes) -> Any:
    """Make the replica before its state is read, in which CACHED may name it."""
    outer, reading.weight = reading.weight, 0
    reading.level += 1
    reading.check_going_down(payload)
    unpacker = msgpack.Unpacker(ext_hook=reading.read_ext, timestamp=3, max_buffer_size=len(payload))
    unpacker.feed(payload)
    try:
        is_triple = unpacker.read_array_header() == 3
        id = unpacker.unpack() if is_triple else None
        name = unpacker.unpack() if is_triple else None
    except Exception as error:
        raise blame(error, reading.read_ext) from None
    if not is_triple or type(name) is not str:
        raise MalformedJelly("the data of CACHE are not [id, name, state]")
    plan, replica = _make_replica(reading, name)
    holes = reading.holes
    marks = 0 if holes is None else holes.marks
    _take_in(reading, check_id(id, "CACHE"), replica)
    try:
        content = [id, name, unpacker.unpack()]
    except Exception as error:
        raise blame(error, reading.read_ext) from None
    if unpacker.tell() != len(payload):
        raise MalformedJelly("CACHE has bytes after its end")
    reading.level -= 1
    weight = 1 + depth_of(payload, content, reading.apart, reading.max_depth) + reading.weight
    if weight > reading.max_depth:
        raise too_deep(reading.max_depth)
    reading.weight = outer if outer > weight else weight
    if holes is not None and holes.fresh:
        holes.collect(reading, content, True)
    if plan is None or replica is None or reading.violation is not None:
        return None
    if holes is not None and holes.marks != marks:
        holes.late.append((name, _fill_late(plan), replica, content))
    else:
        try:
            plan.fill(replica, content[2])
        except Exception as error:
            return reading.refuse_failed(name, error)
    if plan.finish is not None:
        reading.finish_later(plan.finish, replica)
    return replica


def _make_replica(reading: Reading, name: str) -> tuple[CachePlan | None, Any]:
    plan = reading.decoder.plans.get(name)
    if type(plan) is not CachePlan or not plan.makes_replicas:
        reading.refuse(
            InsecureJelly(f"{quote(name)} is not registered here as a RemoteCache", "pb.Unregistered")
        )
        return None, None
    if reading.decoder.serves and not plan.from_clients:
        reading.refuse(
            InsecureJelly(
                f"{quote(name)} is published by this side, and taken from no client unless from_clients=True",
                "pb.Unregistered",
            )
        )
        return None, None
    if reading.violation is not None:
        return None, None
    try:
        return plan, plan.allocate()
    except Exception as error:
        return None, reading.refuse_failed(name, error)


def _take_in(reading: Reading, id: int, replica: Any) -> None:
    if "cache" in reading.unheld:
        return
    try:
        reading.tables.cache(id, replica)
        reading.begun = (*reading.begun, id)
    except InsecureJelly as error:
        if error.wire_type == "pb.Unsupported":
            reading.unheld = (*reading.unheld, "cache")
        reading.refuse(error)


def _fill_late(plan: CachePlan) -> Callable[[Any, list[Any]], None]:
    return lambda replica, content: plan.fill(replica, content[2])


def read_cached(reading: Reading, payload: bytes) -> Any:
    return resolve_held(reading, "cached", read_uint(payload, 1, "CACHED"))
