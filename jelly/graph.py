"""Writing values in which something is shared or cyclic: the GRAPH of spec/1-values.md 1.6.

First a survey finds what occurs twice and what lies on a cycle, then the parts are put into an order in
which every forward reference stands where one may stand, then each part is written once.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from msgpack import ExtType

from ._blueprint import Blueprint
from ._errormap import data_of
from ._exports import NewCache, count_again, find_cache, fit_cache, settled_value, take_cache
from ._ext import CACHE, GRAPH, NODE, SCALARS, STR_ONLY, make_ext, pack_uint
from ._unfit import Unfit
from ._walk import Walk
from .flavours import Promising
from .replicated import DICTS, LISTS

_IDENTITY_LOST: Final = "has an identity, and is in a key or a set and elsewhere too, which has no wire form"

# Members of a container: where a forward reference may stand, where not, and keys.
_Members = tuple[Iterable[Any], Iterable[Any], Iterable[Any]]


class _Spot:
    """What the survey knows of one container."""

    __slots__ = ("count", "found", "group", "hard", "left", "low", "soft", "value")

    def __init__(self, value: object, found: int) -> None:
        self.value = value
        self.count = 0
        self.found = found
        self.low = found
        self.group = -1
        self.left = -1
        self.soft: list[_Spot] = []
        self.hard: list[_Spot] = []


class Survey:
    """Visit every container once; group those that lie on a common cycle (Tarjan's algorithm)."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._spots: dict[int, _Spot] = {}
        self._pinned: set[int] = set()
        self._caches: list[NewCache] = list(walk.caches.values())
        self._open: list[_Spot] = []
        self._left = 0
        self.groups: list[list[_Spot]] = []

    def visit(self, value: object, level: int) -> _Spot | None:
        """Visit a value and all below it; return its spot, or None for what has no identity."""
        if isinstance(value, Promising):
            try:
                value = settled_value(self._walk, value)
            except Unfit:  # found again where its place is known
                return None
            if type(value) is ExtType:  # its name: nothing is in it
                return None
        parts = self._members(value)
        if parts is None:
            return None
        spot = self._spots.get(id(value))
        if spot is not None:
            spot.count += 1
            return spot
        if id(value) in self._pinned:
            raise Unfit(_IDENTITY_LOST)
        if level > self._walk.max_depth:
            raise Unfit(f"nests deeper than max_depth={self._walk.max_depth}")
        spot = self._spots[id(value)] = _Spot(value, len(self._spots))
        spot.count = 1
        self._open.append(spot)
        for members, edges in ((parts[0], spot.soft), (parts[1], spot.hard)):
            for member in members:
                below = None if type(member) in SCALARS else self.visit(member, level + 1)
                if below is not None:
                    edges.append(below)
                    if below.group < 0:
                        spot.low = min(spot.low, below.low)
        self._walk.hashed += 1
        for member in parts[2]:
            self._pin(member, level + 1)
        self._walk.hashed -= 1
        spot.left = self._left = self._left + 1
        if spot.low == spot.found:
            at = self._open.index(spot)
            group = self._open[at:]
            del self._open[at:]
            for each in group:
                each.group = len(self.groups)
            self.groups.append(group)
        return spot

    def _pin(self, value: object, level: int) -> None:
        """Visit a key or member: it is written out in full, so what is in it must not be shared."""
        if isinstance(value, Promising):
            try:
                value = settled_value(self._walk, value)
            except Unfit:  # as above
                return
            if type(value) is ExtType:
                return
        parts = None if type(value) in SCALARS else self._members(value)
        if parts is None:
            return
        if level > self._walk.max_depth:
            raise Unfit(f"nests deeper than max_depth={self._walk.max_depth}")
        self._walk.expand()
        if not self._is_value(value):
            if id(value) in self._pinned or id(value) in self._spots:
                raise Unfit(_IDENTITY_LOST)
            self._pinned.add(id(value))
        for members in parts:
            for member in members:
                self._pin(member, level + 1)

    def _is_value(self, value: object) -> bool:
        if type(value) in (tuple, frozenset):
            return True
        plan = self._walk.encoder.plans.get(type(value))
        return type(plan) is Blueprint and plan.is_value

    def _members(self, value: Any) -> _Members | None:
        """Return what a container holds: where a forward reference may stand, where not, and keys."""
        kind = type(value)
        if kind in LISTS:
            return value, (), ()
        if kind in DICTS:
            if STR_ONLY.issuperset(map(type, value)):
                return value.values(), (), ()
            return (), value.values(), value
        if kind is tuple:
            if not value:
                return None
            return (value, (), ()) if self._walk.encoder.tuples_as_lists else ((), value, ())
        if kind is set or kind is frozenset:
            return ((), (), value) if value else None
        return self._object_members(value)

    def _find_cache(self, value: object) -> None:
        """Note a cache; if this payload is the first to hold it, its state is to be visited too."""
        walk = self._walk
        is_met = id(value) in walk.caches
        found = find_cache(walk, value)
        if is_met:
            return
        # Counted already, and written later: the first that is written takes this count over.
        walk.spare.setdefault(id(value), []).append(walk.given[id(value)].pop())
        if isinstance(found, NewCache):
            self._caches.append(found)

    def visit_caches(self) -> None:
        """Visit the state of every new cache: it becomes a part of its own, whatever holds the cache."""
        for new in self._caches:  # grows meanwhile
            spot = None if type(new.state) in SCALARS else self.visit(new.state, 1)
            if spot is not None:
                spot.count = max(spot.count, 2)

    def _object_members(self, value: Any) -> _Members | None:
        walk = self._walk
        kind = type(value)
        take = walk.takers.get(kind) or walk.find_taker(value)
        is_late = False
        if take is take_cache:
            self._find_cache(value)
            return None
        if take is Walk.take_copy:
            plan: Any = walk.encoder.plans[kind]
            state = walk.state_of(value, plan)
            is_late = plan.allocate is not None
        elif take is Walk.take_relayed:
            state = value.state
        elif take is Walk.take_adapted:
            state = walk.adapted_state_of(value)[1]
        elif take is Walk.take_error:
            return (), data_of(walk, value), ()
        else:
            return None
        if type(state) is list or (type(state) is dict and STR_ONLY.issuperset(map(type, state))):
            inside: Any = state.values() if type(state) is dict else state
            return (inside, (), ()) if is_late else ((), inside, ())
        return (), (state,), ()


def order(survey: Survey) -> list[object]:
    """Return the values that become parts, each after those it needs finished."""
    parts: list[object] = []
    for group in survey.groups:
        spot = group[0]
        is_cyclic = len(group) > 1 or spot in spot.soft or spot in spot.hard
        if not is_cyclic:
            if spot.count > 1:
                parts.append(spot.value)
            continue
        # All that cannot hold a forward reference become parts, so that only soft places are left between.
        chosen = {each.left: each for each in group if each.count > 1 or each.hard}
        waiting = sorted(chosen)
        done: set[int] = set()
        while waiting:
            for left in waiting:
                needs = {below.left for below in chosen[left].hard if below.group == spot.group}
                if all(need in done for need in needs if need in chosen):
                    break
            else:
                raise Unfit("is on a cycle of tuples, keyed maps or such, which has no wire form")
            waiting.remove(left)
            done.add(left)
            parts.append(chosen[left].value)
    return parts


class GraphWalk(Walk):
    """Write one payload as a GRAPH."""

    def __init__(self, before: Walk) -> None:
        super().__init__(before.encoder, before.tables)
        self.seen = None
        self.quick = {}
        self.states = before.states
        self.caches = before.caches
        self.referred = before.referred
        self.spare = before.given
        self.names_promises = before.names_promises
        self.floodable = 0
        self._numbers: dict[int, int] = {}
        self._depths: list[int] = []

    def enter(self, value: object) -> None:
        """Do nothing: what is shared has become a part."""

    def write(self, root: object) -> bytes:
        """Return the payload whose value is this container."""
        survey = Survey(self)
        survey.visit(root, 1)
        survey.visit_caches()
        values = order(survey)
        # New caches come first, each with a state that comes later: so CACHED may stand anywhere.
        first = len(self.caches)
        self._numbers = {id(value): number for number, value in enumerate(values, first)}
        parts = [self._write_cache(new) for new in self.caches.values()]
        parts += [self._write_part(value, is_node=False) for value in values]
        if not values or values[-1] is not root:
            parts.append(self._write_part(root, is_node=id(root) in self._numbers))
        return self.pack(make_ext(GRAPH, self.pack(parts)))

    def _write_cache(self, new: NewCache) -> bytes:
        count_again(self, new)
        self.base = self.top = self.weight = 0
        self._depths.append(1)  # no NODE stands for it
        return self.pack_checked(self.compose(CACHE, 0, partial(fit_cache, self), new))

    def _write_part(self, value: object, is_node: bool) -> bytes:
        self.base = self.top = self.weight = 0
        # The part itself must not become a NODE, what is in it may.
        tree = self.fit_hard(value, 0) if is_node else super().fit(value, 0)
        depth = self.top + self.weight
        if depth > self.max_depth:
            raise Unfit(f"nests deeper than max_depth={self.max_depth}")
        self._depths.append(depth)
        return self.pack_checked(tree)

    def fit(self, value: Any, level: int) -> Any:
        if not self.hashed:
            number = self._numbers.get(id(value))
            if number is not None:
                return self._refer_to(number)
        return super().fit(value, level)

    def fit_hard(self, value: Any, level: int) -> Any:
        if not self.hashed:
            number = self._numbers.get(id(value))
            if number is not None:
                assert number < len(self._depths), "order() lets no forward reference stand here"
                return self._refer_to(number)
        return super().fit(value, level)

    def _refer_to(self, number: int) -> ExtType:
        weight = self._depths[number] if number < len(self._depths) else 1
        self.weight = max(self.weight, weight)
        return make_ext(NODE, pack_uint(number))
