"""What a hostile owner or holder of caches may try: refused, counted, and nobody else's affair."""

from __future__ import annotations

import gc

import msgpack
import pytest

import pb
from pb import messages

from ...counting import calls_in
from ..cached import REGISTRY, Shop, Stock, messages_of
from ..pump import STEPS, Script, packed

INFO = {"features": ["cache"]}
OBSERVE, CALL, ANSWER, ERROR = messages.OBSERVE, messages.CALL, messages.ANSWER, messages.ERROR
RELEASE, GONE, BYE = messages.RELEASE, messages.GONE, messages.BYE
NAME = "shop.Stock"


def ext(code, value):
    return msgpack.ExtType(code, value if isinstance(value, bytes) else packed(value))


def cache(number=1, state=None, name=NAME):
    return ext(9, [number, name, {"n": 10} if state is None else state])


def cached(number=1):
    return ext(10, bytes([number]))


def graph(*parts):
    return ext(20, [packed(part) for part in parts])


def node(number):
    return ext(21, bytes([number]))


def arguments(*args):
    return packed([[*args], {}])


def observe(number, method, *args, id=0):
    return [OBSERVE, id, number, method, arguments(*args)]


class Holder:
    """A side that holds caches of a peer whose every message the test writes."""

    def __init__(self, step=None, **options):
        self.shop = Shop()
        self.script = Script(self.shop, registry=REGISTRY, info=INFO, step=step, **options)
        self.id = 0

    def give(self, *values):
        """Send values as arguments; return what was kept of them, or the type of the error."""
        self.id += 1
        self.shop.kept.clear()
        self.script.say([CALL, self.id, 0, "keep", arguments([*values])])
        heard = self.script.heard()
        self.released = released_in(heard)
        if self.script.side.has_ended:
            return "BYE", messages_of(heard, BYE)[0][1]
        (answer,) = [message for message in heard if message[0] in (ANSWER, ERROR)]
        return type_of(answer) if answer[0] == ERROR else self.shop.kept[0]

    def say(self, *messages):
        self.script.say(*messages)
        heard = self.script.heard()
        self.released = released_in(heard)
        return heard

    @property
    def is_alive(self):
        self.script.say([messages.PING, 1])
        return [messages.PONG, 1] in self.script.heard()

    @property
    def rows(self):
        return self.script.broker.tables.replicas


def type_of(error):
    return msgpack.unpackb(error[2])["type"]


def released_in(heard):
    found = {}
    for message in messages_of(heard, RELEASE):
        for id, count in zip(message[1][::2], message[1][1::2], strict=True):
            found[id] = found.get(id, 0) + count
    return found


@STEPS
@pytest.mark.parametrize("step_back", [0, 1])
def test_a_second_cache_of_a_live_id_ends_the_connection(step, step_back):
    """Replica or zombie: the holder would have two states for one id."""
    holder = Holder(step)
    kept = holder.give(cache())
    if step_back:
        kept = holder.shop.kept = []
        gc.collect()

    assert ("BYE", 4) == holder.give(cache(1, {"n": 11}))
    assert [10] * (1 - step_back) == [each.n for each in kept]


def test_a_cache_inside_its_own_state_ends_the_connection():
    """The id is known from the moment its state begins."""
    assert ("BYE", 4) == Holder().give(cache(1, {"n": cache(1)}))


@pytest.mark.parametrize("id", [0, -1, 2**53, 2**64 - 1, 1.0, "1", None, True, [1]])
def test_a_cache_whose_id_is_none_ends_the_connection(id):
    """Ids are whole numbers from 1 to 2^53-1."""
    assert ("BYE", 4) == Holder().give(cache(id))


@pytest.mark.parametrize(
    "data", [[], [1, NAME], [1, NAME, {}, 1], {"x": 1}, b"", packed([1, NAME, {}]) + b"\0", [1, 2, {}]]
)
def test_a_cache_of_another_form_ends_the_connection(data):
    """Its data are [id, name, state] and nothing else."""
    assert ("BYE", 4) == Holder().give(ext(9, data))


@STEPS
@pytest.mark.parametrize("name", ["no.Such", "shop.Ware", "shop.Refusal", "", "x" * 5000])
def test_a_cache_of_a_class_that_makes_no_replicas_is_refused(step, name):
    """Unknown, or registered for something else; its count is given back."""
    holder = Holder(step)

    assert "pb.Unregistered" == holder.give(cache(1, name=name))
    assert {1: 1} == holder.released
    assert {} == holder.rows
    assert holder.is_alive


def test_a_cache_is_no_copy_and_a_copy_is_no_cache():
    """The name of a class does not choose how its object travels."""
    assert "pb.Unregistered" == Holder().give(ext(8, [NAME, {"n": 1}]))


@pytest.mark.parametrize(
    "state",
    [
        {"__class__": 1},
        {"__dict__": {"n": 1}},
        {"_jelly_row": None},
        {"_stopped": 1},
        {"observe_set": 1},
        {"stopped_observing": 1},
        {"set_copyable_state": 1},
        {"__del__": 1},
        [1, 2],
        None,
        7,
    ],
    ids=repr,
)
@STEPS
def test_a_state_that_would_change_what_a_replica_is_is_refused(step, state):
    """Private names and whatever the class defines; the connection lives."""
    holder = Holder(step)
    made = holder.give(ext(9, [1, NAME, state]))

    assert "pb.BadPayload" == made
    gc.collect()
    holder.say([messages.PING, 2])
    assert holder.is_alive
    holder.say([GONE, [1]])
    assert {} == holder.rows


@pytest.mark.parametrize("key", [1, None, True, 1.5])
def test_a_state_whose_keys_are_no_text_is_malformed(key):
    """As a map with such keys is everywhere."""
    assert ("BYE", 4) == Holder().give(ext(9, [1, NAME, {key: 1}]))


def test_a_state_whose_keys_are_bytes_is_refused():
    """They are no names of attributes."""
    assert "pb.BadPayload" == Holder().give(ext(9, [1, NAME, {b"n": 1}]))


def test_a_state_cannot_multiply_without_end():
    """Each part holds the one before it ten times: 10^8 leaves in a few hundred bytes."""
    parts = [[1] * 10]
    for number in range(7):
        parts.append([node(number)] * 10)
    parts.append({"n": node(7)})
    parts.append(cache(1, node(8)))
    holder = Holder()

    calls = calls_in(holder.script.say, [CALL, 1, 0, "keep", packed(graph(*parts, [[node(9)], {}]))])
    heard = holder.script.heard()

    assert calls < 2000
    assert [ANSWER] == [message[0] for message in heard]
    assert 10 == len(holder.shop.kept[0].n)


def test_deep_states_are_refused_and_do_not_recurse():
    """By the limit max_depth, counted through the Ext."""
    state = 1
    for _ in range(200):
        state = [state]
    inner = cache(1, {"n": 1})
    for number in range(2, 200):
        inner = cache(number, {"n": inner})

    assert ("BYE", 5) == Holder().give(cache(1, {"n": state}))
    assert ("BYE", 5) == Holder().give(inner)


@STEPS
def test_every_occurrence_counts_though_the_payload_is_refused(step):
    """Before and after what it is refused for."""
    holder = Holder(step)
    (replica,) = holder.give(cache(3))
    unknown = ext(8, ["no.Such", {}])
    made = holder.give(cached(3), cache(1), cached(1), unknown, cached(3), cache(2), cached(2), cached(9))
    gc.collect()
    given = holder.released
    holder.say([messages.PING, 1])
    for id, count in holder.released.items():
        given[id] = given.get(id, 0) + count

    assert "pb.Unregistered" == made
    assert 1 == given[9]
    assert (2, 2) == (given[1], given[2])
    del replica
    holder.shop.kept.clear()
    gc.collect()
    holder.say([messages.PING, 1])
    assert 3 == given.get(3, 0) + holder.released.get(3, 0)


def test_a_holder_takes_no_more_than_max_refs():
    """Replicas and references together; refused with its count, and room comes back with GONE only."""
    holder = Holder(limits=pb.Limits(max_refs=3))
    kept = holder.give(cache(1), msgpack.ExtType(1, b"\2"))
    third = holder.give(cache(3))
    assert "pb.TooLarge" == holder.give(cache(4))
    assert {4: 1} == holder.released
    holder.shop.kept.clear()
    del third
    gc.collect()
    holder.say([messages.PING, 1])
    assert {3: 1} == holder.released
    assert "pb.TooLarge" == holder.give(cache(5))
    holder.say([GONE, [3]])

    assert 10 == holder.give(cache(6))[0].n
    assert 2 == len(kept)


def test_a_flood_of_caches_in_refused_payloads_is_bounded():
    """A holder keeps no more zombies than it would hold replicas."""
    holder = Holder(limits=pb.Limits(max_refs=10))
    for number in range(1, 50):
        holder.give(cache(number), ext(8, ["no.Such", {}]))
        gc.collect()

    assert 10 >= len(holder.rows)
    assert holder.is_alive


@pytest.mark.parametrize(
    "parts",
    [
        [cache(1, node(1)), {"n": [cached(1)]}, [[cached(1)], {}]],
        [cache(1, node(2)), cache(2, node(3)), {"n": cached(2)}, {"n": cached(1)}, [[cached(1)], {}]],
    ],
    ids=["cycle", "two caches"],
)
@STEPS
def test_the_state_of_a_cache_may_come_later_in_a_graph(step, parts):
    """It is taken over after the last part."""
    holder = Holder(step)
    holder.script.say([CALL, 1, 0, "keep", packed(graph(*parts))])
    heard = holder.script.heard()

    assert [ANSWER] == [message[0] for message in heard]
    (replica,) = holder.shop.kept
    found = replica.n[0] if type(replica.n) is list else replica.n.n
    assert found is replica


@pytest.mark.parametrize("state", [node(7), node(1), [node(1)]], ids=["beyond", "itself", "no map"])
def test_a_state_that_is_no_state_in_a_graph_is_refused(state):
    """Named but not there, the cache itself, or of another form."""
    holder = Holder()
    holder.script.say([CALL, 1, 0, "keep", packed(graph(1, cache(1, state), [[cached(1)], {}]))])
    heard = holder.script.heard()

    assert ("pb.BadPayload", []) == (type_of(heard[0]), holder.shop.kept)
    assert {1: 2} == released_in(heard)


def test_a_stock_is_what_it_says():
    """The class of these tests takes what it is given, so what they refuse is refused by the library."""
    holder = Holder()
    (replica,) = holder.give(cache(1, {"n": 1, "anything": [1]}))

    assert (Stock, [1]) == (type(replica), replica.anything)
