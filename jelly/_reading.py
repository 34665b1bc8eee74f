"""Reading one payload: what each Ext becomes. spec/1-values.md 1.3, 1.6 and 1.7.

Malformed data raise at once. Unacceptable ones never do: the first is noted, None takes its place, and
reading goes on to the end, so that every reference in the payload is counted.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from msgpack import unpackb

from . import _imports
from ._bulk import HOLE, hole_name
from ._checks import PREFLIGHT_BYTES, blame, check_form, cut_text, read_uint, too_deep, too_many, unpack
from ._copyreading import read_copy
from ._depth import depth_of
from ._errormap import build_error
from ._ext import (
    ANSWER,
    CACHE,
    CACHED,
    CONTAINERS,
    COPY,
    ERROR,
    FROZENSET,
    GRAPH,
    HOME,
    MAP,
    NODE,
    OPAQUE,
    REF,
    REFX,
    SCALARS,
    SET,
    STREAM,
    TUPLE,
)
from ._flood import BOUND, INTS, KEYED
from ._holes import Holes
from ._inert import Opaque
from ._keyed import make_map, make_set, refuse_twice
from ._plain import _SEES_TRACKING, is_flat
from .builtins_ import LEAF_READERS
from .errors import InsecureJelly, MalformedJelly

if TYPE_CHECKING:
    from ._containers import Containers
    from ._decoder import Decoder

unpack_state: Final[Callable[[bytes], Any]] = functools.partial(unpackb, timestamp=3)
_new: Final[Any] = object.__new__
# A call of ours for each copy would be 6 % of what receiving it takes.
_is_tracked: Final[Callable[[Any], bool]] = (
    gc.is_tracked if _SEES_TRACKING else lambda fields: not is_flat(fields)
)


class Reading:
    """The state of reading one payload.

    Attributes:
        violation: the first reason to refuse the payload, or None.
        level: how many Exts are around the one being read.
        weight: the largest weight of an Ext met in the object being read (spec/1-values.md 1.4).
        apart: the lists and dicts which came out of Exts, by id; they are no part of the object around.
        holes: of a GRAPH, else None.
        quick: what needs nothing but its fields to be made, by name; none once anything is special.
        begun: ids of the caches that this payload brought.
        unheld: names of what the tables refused because they do not hold such things.
        finishers: (post_unjelly, object) of the copies made so far.
        bulk: large bytes that were cut out of the payload and not put back yet, by the data of their HOLE.
        containers: counts them, where there can be too many; else None.
        left: how many more Exts, and parts of a GRAPH, there may be.
        unpack_copy: reads the data of a COPY while `hurries`; raises for what it cannot read.
        hurries: True until a copy was met that holds an Ext or is not of the usual form.
    """

    # Defaults of the class, not set for each payload: a small one takes a microsecond in all.
    violation: InsecureJelly | None = None
    level = 0
    floodable = 0
    unheld: tuple[str, ...] = ()
    begun: tuple[int, ...] = ()
    apart: dict[int, object] | None = None
    holes: Holes | None = None
    bulk: dict[bytes, bytes] | None = None
    containers: Containers | None = None
    finishers: list[tuple[Callable[[Any], object], Any]] | None = None

    def __init__(self, decoder: Decoder, tables: Any) -> None:
        self.decoder = decoder
        self.quick = decoder.quick
        self.limits = decoder.limits
        self.max_depth = decoder.limits.max_depth
        # Not among the defaults: what the class has too is looked up slowly, and these are for each copy.
        self.weight = 0
        self.left = decoder.limits.max_exts
        self.hurries = True
        self.unpack_copy = decoder.unpack_copy
        self.tables = _imports.NO_TABLES if tables is None else tables

    # --- the msgpack objects

    def read_ext(self, code: int, payload: bytes) -> Any:
        """Return what an Ext stands for. Called by msgpack."""
        # One by one: looking for their first bytes in the payload took longer, 11 instructions a byte.
        left = self.left = self.left - 1
        if left < 0:
            raise too_many(self.limits.max_exts)
        if code == COPY:
            # Copies are what bulk consists of. Most hold no Ext, so first they are read without counting
            # levels and weights, which is a tenth of the time.
            if self.hurries and len(payload) <= PREFLIGHT_BYTES:
                unpack_copy = self.unpack_copy
                try:
                    # An Ext in it becomes an ExtType, which is tracked.
                    name, state = unpack_copy(payload)
                    if not _is_tracked(state):
                        quick = self.quick.get(name)
                        if quick is None:
                            # Once refused, there is nothing to do with what holds no Ext.
                            if self.violation is not None and type(name) is str and type(state) is dict:
                                if self.weight < 3:
                                    self.weight = 3
                                return None
                        elif len(state) == quick.count and quick.covers(state):  # Quick.make, without a call
                            made = _new(quick.cls)
                            put = quick.put
                            if put is None:
                                made.__dict__ = state
                            else:
                                put(made, state)
                            if self.weight < 3:
                                self.weight = 3
                            return made
                except Exception:  # whatever it is, read_copy() says so
                    if unpack_copy is not unpack_state:  # bytes in it, say: msgpack reads this and the rest
                        self.unpack_copy = unpack_state
                        self.left = left + 1
                        return self.read_ext(code, payload)
                self.hurries = False
            return read_copy(self, payload)
        holes = self.holes
        if holes is not None:
            # Most NODEs name what was named before: a fourth of the time that read_node() takes.
            known = holes.known.get(payload) if code == NODE and not holes.closed else None
            if known is not None:
                if self.weight < known[0]:
                    self.weight = known[0]
                return known[1]
        make = _ARRAYS.get(code) if holes is None else None
        if make is not None:
            # The same for the other small things a payload can hold by the hundred thousand.
            outer = self.weight
            self.weight = 0
            level = self.level = self.level + 1
            if level > self.max_depth or len(payload) > PREFLIGHT_BYTES:
                self.check_going_down(payload)
            try:
                content = unpackb(payload, ext_hook=self.read_ext, timestamp=3)
            except Exception as error:
                raise blame(error, self.read_ext) from None
            self.level = level - 1
            if type(content) is not list:
                raise MalformedJelly(f"the data of Ext {code} are no array")
            kinds = set(map(type, content))
            weight = self.weight + 2
            if not kinds.isdisjoint(CONTAINERS):
                weight += depth_of(payload, content, self.apart, self.max_depth) - 1
            if weight > self.max_depth:
                raise too_deep(self.max_depth)
            self.weight = outer if outer > weight else weight
            if make is tuple:
                return tuple(content)
            if self.violation is not None:
                return None
            if make is dict:
                return make_map(self, content) if content else self.set_apart({})
            if kinds <= KEYED or (kinds == INTS and -BOUND < min(content) and max(content) < BOUND):
                made = make(content)
                return made if len(made) == len(content) else refuse_twice(self)
            return make_set(self, content, make)
        leaf = LEAF_READERS.get(code)
        if leaf is not None:
            if not self.weight:
                self.weight = 1
            if self.violation is not None:
                return None
            try:
                return leaf(payload, self.limits)
            except InsecureJelly as error:
                return self.refuse(error)
        read = _READERS.get(code)
        if read is None:
            if self.violation is not None:  # an exception for each would cost 15 times what the Ext does
                self.weight = self.weight or 1
                return None
            return self.refuse_unknown(code)
        return read(self, payload)

    def count(self, number: int) -> None:
        """Count parts as Exts."""
        self.left -= number
        if self.left < 0:
            raise too_many(self.limits.max_exts)

    def refuse(self, error: InsecureJelly) -> Any:
        """Note that the payload is unacceptable; the first reason counts. Return what stands in for it."""
        if self.violation is None:
            self.violation = error
            self.quick = {}
            self.hurries = True
        return None

    def refuse_failed(self, what: str, error: Exception) -> Any:
        """Refuse the payload because code that builds values failed on it."""
        if isinstance(error, InsecureJelly):
            return self.refuse(error)
        refusal = InsecureJelly(f"{what}: {type(error).__name__}: {cut_text(error)}")
        refusal.__cause__ = error
        return self.refuse(refusal)

    def read_data(self, payload: bytes, kind: type, name: str, *, direct: bool = False) -> Any:
        """Unpack the data of an Ext: one array or map.

        Args:
            direct: whether forward references may stand in that array or map itself.
        """
        outer, self.weight = self.weight, 0
        self.level += 1
        self.check_going_down(payload)
        holes = self.holes
        content: Any
        if holes is not None and name == "MAP" and b"\x15" in payload:
            content = holes.unpack_pairs(self, payload)
        else:
            content = unpack(payload, self.read_ext)
        self.level -= 1
        if type(content) is not kind:
            raise MalformedJelly(f"the data of {name} are no {'array' if kind is list else 'map'}")
        inside: Any = content.values() if type(content) is dict else content
        depth = (
            1
            if SCALARS.issuperset(map(type, inside))
            else depth_of(payload, content, self.apart, self.max_depth)
        )
        weight = 1 + depth + self.weight
        if weight > self.max_depth:
            raise too_deep(self.max_depth)
        if holes is not None and holes.fresh:
            holes.collect(self, content, direct)
        self.weight = outer if outer > weight else weight
        return content

    def check_going_down(self, payload: bytes) -> None:
        """Refuse to unpack data too far inside, or whose headers promise what is not there."""
        if self.level > self.max_depth:
            raise too_deep(self.max_depth)
        if len(payload) > PREFLIGHT_BYTES:
            check_form(payload, self.max_depth)

    def read_array(self, payload: bytes, name: str) -> list[Any]:
        """Unpack the array that is the data of an Ext."""
        return self.read_data(payload, list, name)  # type: ignore[no-any-return]

    # --- containers

    def read_without_nodes(self, payload: bytes, name: str) -> list[Any]:
        """Unpack an array that is used at once, so that nothing in it may wait for its place."""
        if self.holes is None:
            return self.read_array(payload, name)
        self.holes.closed += 1
        content = self.read_array(payload, name)
        self.holes.closed -= 1
        return content

    def read_tuple(self, payload: bytes) -> Any:
        return tuple(self.read_array(payload, "TUPLE"))

    def read_set(self, payload: bytes) -> Any:
        return make_set(self, self.read_without_nodes(payload, "SET"), set)

    def read_frozenset(self, payload: bytes) -> Any:
        return make_set(self, self.read_without_nodes(payload, "FROZENSET"), frozenset)

    def read_map(self, payload: bytes) -> Any:
        return make_map(self, self.read_array(payload, "MAP"))

    def set_apart(self, value: Any) -> Any:
        """Remember a list or dict that is not part of the msgpack object it stands in."""
        if self.apart is None:
            self.apart = {}
        # Kept, not only its id: a map may drop the value of a key that comes twice.
        self.apart[id(value)] = value
        return value

    # --- large bytes

    def put_holes(self, bulk: list[bytes]) -> None:
        """Take over what was cut out of the payload; HOLEs stand in its place (jelly/_bulk.py)."""
        self.bulk = {hole_name(index): each for index, each in enumerate(bulk)}
        self.left += len(bulk)  # none of these is an Ext of the peer's

    def read_hole(self, payload: bytes) -> Any:
        """Return the bytes that a HOLE stands for, each once.

        A peer that sends one takes it from ours, which then finds nothing: so the payload is refused, as it
        is for every Ext that nobody knows.
        """
        bulk = None if self.bulk is None else self.bulk.pop(payload, None)
        return self.refuse_unknown(HOLE) if bulk is None else bulk

    def refuse_unknown(self, code: int) -> None:
        """Refuse the payload for an Ext that nobody knows."""
        self.weight = self.weight or 1
        if self.violation is None:
            self.refuse(InsecureJelly(f"Ext {code} is not known here"))

    # --- copies

    def finish_later(self, finish: Callable[[Any], object], made: object) -> None:
        """Remember to call a post_unjelly hook once the whole payload is there."""
        if self.finishers is None:
            self.finishers = []
        self.finishers.append((finish, made))

    # --- errors and the rest

    def read_error(self, payload: bytes) -> Any:
        marks = 0 if self.holes is None else self.holes.marks
        content = self.read_data(payload, dict, "ERROR", direct=True)
        if self.holes is not None and self.holes.marks != marks:
            self.refuse(InsecureJelly("an error cannot be part of a cycle", "pb.Unsupported"))
        return build_error(self, content)

    def read_opaque(self, payload: bytes) -> Opaque:
        self.weight = self.weight or 1
        try:
            return Opaque(payload.decode())
        except UnicodeDecodeError:
            raise MalformedJelly("OPAQUE is no UTF-8") from None

    def read_node(self, payload: bytes) -> Any:
        if self.holes is None:
            read_uint(payload, 0, "NODE")
            self.weight = self.weight or 1
            return self.refuse(InsecureJelly("NODE outside a GRAPH"))
        return self.holes.read_node(self, payload)

    def read_graph(self, payload: bytes) -> Any:
        raise MalformedJelly("GRAPH is not the root of the payload")


# What the array in these makes, where there are no NODEs to look after.
_ARRAYS: Final[dict[int, Any]] = {TUPLE: tuple, SET: set, FROZENSET: frozenset, MAP: dict}
_READERS: Final[dict[int, Callable[[Reading, bytes], Any]]] = {
    REF: _imports.read_ref,
    HOME: _imports.read_home,
    ANSWER: _imports.read_answer,
    REFX: _imports.read_refx,
    STREAM: _imports.read_stream,
    CACHE: _imports.read_cache,
    CACHED: _imports.read_cached,
    ERROR: Reading.read_error,
    OPAQUE: Reading.read_opaque,
    TUPLE: Reading.read_tuple,
    SET: Reading.read_set,
    FROZENSET: Reading.read_frozenset,
    MAP: Reading.read_map,
    GRAPH: Reading.read_graph,
    HOLE: Reading.read_hole,
    NODE: Reading.read_node,
}
