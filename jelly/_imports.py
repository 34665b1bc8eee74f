"""References, streams and caches of a payload: the tables are told of every one, whatever else is in it.

Also of those in a payload that is refused already: otherwise they could never be released (PB-V36).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ._checks import check_id, read_uint
from ._ext import CONTAINERS
from .errors import InsecureJelly, MalformedJelly

if TYPE_CHECKING:
    from ._reading import Reading


class NoTables:
    """Refuse every id, where there is no connection that could have given one."""

    perspective = None

    def reference(self, *args: object) -> object:
        """Raise InsecureJelly."""
        raise InsecureJelly("a reference came where there is no connection", "pb.Unsupported")

    home = answer = stream = cache = cached = reference


NO_TABLES: Final = NoTables()


def resolve(reading: Reading, ask: Callable[..., Any], *args: Any) -> Any:
    """Return what the tables have for an id, or None if they refuse it."""
    reading.weight = reading.weight or 1
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
    content = reading.read_without_nodes(payload, "CACHE")
    if len(content) != 3 or type(content[1]) is not str:
        raise MalformedJelly("the data of CACHE are not [id, name, state]")
    return resolve_held(reading, "cache", check_id(content[0], "CACHE"), content[1], content[2])


def read_cached(reading: Reading, payload: bytes) -> Any:
    return resolve_uncounted(reading, reading.tables.cached, read_uint(payload, 1, "CACHED"))
