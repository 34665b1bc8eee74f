"""How many arrays and maps a payload holds: spec/1-values.md, PB-V49.

Each takes one byte and becomes an object that the cyclic collector visits again and again: 4 MiB of empty
lists held a receiver for 1.2 s, 0.8 of them in the collector, where as many small ints take 0.06. So they
are counted while they are made, and what is too many is never made.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final

from msgpack import unpackb

from ._checks import PREFLIGHT_BYTES, blame, check_form, too_deep
from ._ext import CACHE, COPY, ERROR, FROZENSET, GRAPH, MAP, REFX, SET, TUPLE
from .errors import MalformedJelly
from .limits import Limits

# First bytes of every form of array and map.
_HEADS: Final = bytes([*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF])
_COMPOSITE: Final = frozenset({REFX, COPY, CACHE, ERROR, TUPLE, SET, FROZENSET, MAP, GRAPH})


def may_hold_more(payload: bytes | memoryview, most: int) -> bool:
    """Tell whether a payload may hold more containers than that; False is certain."""
    if len(payload) <= most:
        return False
    # Text, numbers and bytes hold such bytes too, so only few of them say anything. It takes one or two
    # nanoseconds a byte; unpacking takes fifteen, but of bytes less than one.
    content = bytes(payload)
    return len(content) - len(content.translate(None, _HEADS)) > most


def at_most(most: int, error: Callable[[], Exception]) -> Callable[[Any], Any]:
    """Return what gives back all it is given, and raises that error when it is called once more than `most`.

    For hooks of msgpack: it takes 40 ns, which is half of what a method takes.
    """
    passing = _pass(most, error)
    next(passing)
    return passing.send


def _pass(most: int, error: Callable[[], Exception]) -> Generator[Any, Any, None]:
    given = yield
    for _ in range(most):
        given = yield given
    raise error()


class Containers:
    """The containers of one payload, counted as they are unpacked: 100,000 dicts take a tenth longer.

    Those in Exts are counted by unpacking their data once more, so only where there can be too many in all.

    Attributes:
        count: counts one, and returns what it is given.
    """

    __slots__ = ("_is_needed", "_level", "_max_depth", "_most", "_payload", "count")

    def __init__(self, limits: Limits, payload: bytes | memoryview) -> None:
        self._most = most = limits.max_containers
        self.count = at_most(most, lambda: _too_many(most))
        self._max_depth = limits.max_depth
        self._level = 0
        self._payload = payload
        self._is_needed: bool | None = None  # not known yet

    def unpack(self, payload: bytes | memoryview, read_ext: Callable[[int, bytes], Any]) -> Any:
        """Unpack one object as `_checks.unpack` does. What is in its Exts is counted before they are read."""

        def count_and_read(code: int, data: bytes) -> Any:
            self._look_into(code, data)
            return read_ext(code, data)

        try:
            return unpackb(
                payload, ext_hook=count_and_read, list_hook=self.count, object_hook=self.count, timestamp=3
            )
        except Exception as error:
            raise blame(error, read_ext) from None

    def _look_into(self, code: int, data: bytes) -> None:
        """Count what is in the data of an Ext, those of the Exts in it too."""
        if code not in _COMPOSITE:
            return
        if self._is_needed is None:
            self._is_needed = may_hold_more(self._payload, self._most)
        if not self._is_needed:
            return
        self._level += 1
        if self._level > self._max_depth:
            raise too_deep(self._max_depth)
        parts = self._unpack_data(data)
        if code == GRAPH and type(parts) is list:
            for part in parts:
                if type(part) is bytes:
                    self._unpack_data(part)
        self._level -= 1

    def _unpack_data(self, data: bytes) -> Any:
        if len(data) > PREFLIGHT_BYTES:
            check_form(data, self._max_depth)
        try:
            return unpackb(
                data, ext_hook=self._look_into, list_hook=self.count, object_hook=self.count, timestamp=3
            )
        except Exception as error:
            raise blame(error, self._look_into) from None


def has_more_containers(payload: bytes, limits: Limits) -> bool:
    """Tell whether a payload of ours holds more containers than its receiver takes."""
    if not may_hold_more(payload, limits.max_containers):
        return False
    try:
        Containers(limits, payload).unpack(payload, _make_nothing)
    except MalformedJelly:
        return True
    return False


def _make_nothing(code: int, data: bytes) -> None:
    pass


def _too_many(most: int) -> MalformedJelly:
    return MalformedJelly(f"holds more than max_containers={most} arrays and maps", too_large=True)
