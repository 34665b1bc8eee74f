"""Caches in payloads: what is written, in which order, and that both sides count alike."""

from __future__ import annotations

import pytest
from msgpack import ExtType

from jelly import (
    Cacheable,
    Decoder,
    Encoder,
    InsecureJelly,
    Limits,
    MalformedJelly,
    RemoteCache,
    Unjellyable,
)
from jelly._ext import CACHED

from .things import Node, Pair, Point, Thing, make_registry


class Cache(Cacheable, RemoteCache):
    """A cache whose state is whatever it is given."""

    def __init__(self, **state):
        self.state = state

    def set_copyable_state(self, state):
        if type(state) is not dict or "bad" in state:
            raise InsecureJelly("a bad state")
        vars(self).update(state)


class Owner:
    """The tables of an owner: ids, counts, and the payloads that were sealed."""

    perspective = None

    def __init__(self):
        self.rows = {}  # id -> [object, count]
        self.observed = []
        self.sealed = []

    def _number(self, value):
        for number, (known, _) in self.rows.items():
            if known is value:
                return number
        return 0

    def _count(self, value):
        number = self._number(value) or max(self.rows, default=0) + 1
        self.rows.setdefault(number, [value, 0])[1] += 1
        return number

    def refer(self, value):
        return ExtType(1, bytes([self._count(value)]))

    def observe(self, value):
        is_new = not self._number(value)
        ext = ExtType(CACHED, bytes([self._count(value)]))
        if not is_new:
            return ext, None
        self.observed.append(value)
        if value.state.get("fails"):
            self.undo([ext])
            raise Unjellyable("has no state")
        return ext, (value.state,)

    def count(self, ext):
        self.rows[ext.data[0]][1] += 1

    def undo(self, exts):
        for ext in exts:
            row = self.rows[ext.data[0]]
            row[1] -= 1
            if not row[1]:
                del self.rows[ext.data[0]]

    def seal(self, exts):
        self.sealed.append([ext.data[0] for ext in exts])

    @property
    def counts(self):
        return {number: row[1] for number, row in self.rows.items()}


class Holder:
    """The tables of a holder."""

    def __init__(self):
        self.counts = {}
        self.held = {}

    def reference(self, id, meta):
        self.counts[id] = self.counts.get(id, 0) + 1
        return ("ref", id)

    def cache(self, id, replica):
        if id in self.counts:
            raise MalformedJelly("a second CACHE")
        self.counts[id] = 1
        self.held[id] = replica

    def refuse_caches(self, ids):
        for id in ids:
            self.held.pop(id, None)

    def cached(self, id):
        self.counts[id] = self.counts.get(id, 0) + 1
        if id not in self.held:
            raise InsecureJelly(f"no cache {id}", "pb.NoSuchObject")
        return self.held[id]


def make():
    registry = make_registry()
    registry.add(Cache, "x.Cache")
    return registry


REGISTRY = make()
ENCODER, DECODER = Encoder(REGISTRY), Decoder(REGISTRY)


def carry(value, owner=None, holder=None, encoder=ENCODER):
    """Return what becomes of a value; both sides must have counted alike."""
    owner, holder = owner or Owner(), holder or Holder()
    made = DECODER.loads(encoder.dumps(value, owner), holder)
    assert owner.counts == holder.counts
    return made


def test_the_first_occurrence_brings_the_state_and_all_others_do_not():
    """In this payload and in later ones."""
    owner, holder, cache = Owner(), Holder(), Cache(n=1)
    first, second = carry([cache, cache], owner, holder)
    third = carry(cache, owner, holder)

    assert first is second is third
    assert {"n": 1} == vars(first)
    assert ({1: 3}, [cache], [[1]]) == (owner.counts, owner.observed, owner.sealed)


def test_the_bytes_are_those_of_the_specification():
    """CACHE [id, name, state], then CACHED."""
    payload = ENCODER.dumps([(cache := Cache(n=10)), cache], Owner())

    assert bytes.fromhex("92c70e099301a7782e436163686581a16e0ad40a01") == payload


def test_caches_may_know_each_other_without_a_graph():
    """CACHED is legal inside of the state."""
    room, ann = Cache(), Cache(name="ann")
    room.state["players"], ann.state["room"] = [ann], room
    owner = Owner()
    payload = ENCODER.dumps(room, owner)
    made = DECODER.loads(payload, holder := Holder())

    assert b"\x14" not in payload[:3]
    assert made.players[0].room is made
    assert {1: 2, 2: 1} == owner.counts == holder.counts


def test_a_cache_of_itself_is_itself():
    """Alone, in a tuple, in a key and in a copy."""
    cache = Cache()
    cache.state.update(
        me=cache, tuple=(cache,), keys={cache: 1, (cache, 1): 2}, copy=Point(cache), many={cache}
    )
    made = carry(cache)

    assert made is made.me is made.tuple[0] is made.copy.x
    assert [made, (made, 1)] == list(made.keys)
    assert {made} == made.many


@pytest.mark.parametrize(
    "place", ["list", "tuple", "dict", "key", "set", "frozenset", "copy", "pair", "node"]
)
def test_a_cache_stands_wherever_a_value_may(place):
    """And a second time in a list that is shared, which makes a GRAPH of it all."""
    cache, items = Cache(n=1), []
    value = {
        "list": lambda: [cache],
        "tuple": lambda: (cache,),
        "dict": lambda: {"x": cache},
        "key": lambda: {cache: 1},
        "set": lambda: {cache},
        "frozenset": lambda: frozenset([cache]),
        "copy": lambda: Point(cache),
        "pair": lambda: Pair(cache),
        "node": lambda: Node("n", cache),
    }[place]()
    items.append(cache)
    plain = carry([value, cache])
    shared = carry([items, value, items, cache])

    assert 1 == plain[1].n == shared[3].n
    assert shared[0] is shared[2]
    assert [shared[3]] == shared[0]
    for made, replica in ((plain[0], plain[1]), (shared[1], shared[3])):
        found = {
            "copy": lambda made=made: made.x,
            "pair": lambda made=made: made.left,
            "node": lambda made=made: made.links,
            "dict": lambda made=made: made["x"],
        }.get(place, lambda made=made: next(iter(made)))()
        assert found is replica


def test_what_states_share_is_shared():
    """Between two caches, and between a cache and what is around it, cycles too."""
    shared = [1]
    shared.append(shared)
    one, two = Cache(items=shared), Cache(items=shared, deep={"x": (shared,)})
    made = carry([one, shared, two, one])

    assert made[0].items is made[1] is made[2].items is made[2].deep["x"][0]
    assert made[1][1] is made[1]
    assert made[0] is made[3]


def test_positional_and_keyword_arguments_share_caches():
    """One payload, one identity."""
    owner, holder, cache, items = Owner(), Holder(), Cache(n=1), [1]
    args, kwargs = DECODER.loads_call(
        ENCODER.dumps_call((cache, items), {"x": cache, "y": items}, owner, "m"), holder
    )

    assert args[0] is kwargs["x"]
    assert args[1] is kwargs["y"]
    # In a GRAPH the new cache is a part of its own, and each of the two is one more.
    assert {1: 3} == owner.counts == holder.counts


@pytest.mark.parametrize("again", [False, True], ids=["tree", "graph"])
@pytest.mark.parametrize("last", [object(), Cache(fails=1), "\ud800", Cache(x=object())])
def test_what_cannot_be_sent_is_not_counted(last, again):
    """Neither new caches nor those that were there, nor references; and the next payload is right."""
    owner, holder, known, new, items = Owner(), Holder(), Cache(n=1), Cache(n=2), [1]
    carry(known, owner, holder)
    value = [known, new, Thing(), new, {"x": (known, {new})}, *([items, items] if again else []), last]
    with pytest.raises(Unjellyable):
        ENCODER.dumps(value, owner)

    assert {1: 1} == owner.counts
    assert [[1]] == owner.sealed
    first, second = carry([known, new], owner, holder)
    assert (1, 2) == (first.n, second.n)


def test_the_error_names_the_place_in_the_state():
    """As the sender knows it."""
    with pytest.raises(Unjellyable, match=r"value: \[1\]\.<state>\['x'\]\[0\] is an object") as caught:
        ENCODER.dumps([1, Cache(x=[object()])], Owner())

    assert "CACHE" not in str(caught.value)


def test_a_cache_needs_a_connection():
    """And one that is not registered, or came from nobody, does not travel."""

    class Unknown(Cacheable):
        pass

    class Foreign(RemoteCache):
        pass

    for value, tables, text in [
        (Cache(), None, "there is no connection"),
        (Unknown(), Owner(), "Cacheable and not registered"),
        (Foreign(), Owner(), "came from no peer"),
    ]:
        with pytest.raises(Unjellyable, match=text):
            ENCODER.dumps([value], tables)


def test_without_identity_caches_are_still_the_same():
    """A tree writes a list twice; a cache has an id."""
    cache, items = Cache(n=1), [1]
    encoder = Encoder(REGISTRY, identity="tree")
    made = carry([cache, items, cache, items], encoder=encoder)

    assert made[0] is made[2]
    assert made[1] is not made[3]


def test_depth_is_counted_through_states():
    """By the limit of the receiver, before anything is sent; nothing stays counted."""
    for depth, fits in [(18, True), (40, False)]:
        cache = Cache(n=1)
        for _ in range(depth):
            cache = Cache(n=cache)
        owner = Owner()
        if not fits:
            with pytest.raises(Unjellyable, match="max_depth"):
                Encoder(REGISTRY, Limits(max_depth=64)).dumps(cache, owner)
            assert {} == owner.counts
            continue
        payload = Encoder(REGISTRY, Limits(max_depth=64)).dumps(cache, owner)
        made = Decoder(REGISTRY, Limits(max_depth=64)).loads(payload, Holder())
        assert type(made.n) is Cache


def test_a_refused_payload_counts_what_it_holds():
    """New caches, known ones and references, before and after the reason."""
    owner = Owner()
    cache, known = Cache(n=1), Cache(n=2)
    ENCODER.dumps(known, owner)
    other = Decoder(make_registry())
    holder = Holder()
    with pytest.raises(InsecureJelly, match="not registered here as a RemoteCache"):
        other.loads(ENCODER.dumps([Thing(), cache, known, cache, [Thing()]], owner), holder)

    assert {1: 1, 2: 1, 3: 2, 4: 1} == holder.counts
    assert {1: 2, 2: 1, 3: 2, 4: 1} == owner.counts


def test_a_bad_state_refuses_the_payload():
    """And what comes after it is still counted."""
    owner, holder, bad = Owner(), Holder(), Cache(bad=1)
    with pytest.raises(InsecureJelly, match="a bad state"):
        carry([bad, Thing(), bad], owner, holder)

    assert owner.counts == holder.counts
