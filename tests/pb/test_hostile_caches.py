"""What a hostile owner or holder of caches may try: refused, counted, and nobody else's affair."""

from __future__ import annotations

import gc
import time

import msgpack
import pytest

import pb
from pb import messages

from .cached import REGISTRY, Shop, Stock, messages_of
from .pump import STEPS, Script, packed

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
def test_updates_of_unknown_caches_are_ignored_and_their_references_released(step):
    """Their release may be on its way; what they bring counts all the same."""
    holder = Holder(step)
    holder.say(observe(7, "set", msgpack.ExtType(1, b"\5"), msgpack.ExtType(1, b"\5"), cache(6)))
    assert {5: 2, 6: 1} == holder.released
    (error,) = [
        each for each in holder.say(observe(7, "set", msgpack.ExtType(1, b"\5"), id=1)) if each[0] == ERROR
    ]

    assert "pb.NoSuchObject" == type_of(error)
    assert {5: 1} == holder.released
    assert holder.is_alive


@STEPS
@pytest.mark.parametrize("number", [0, -1, 2**53])
def test_an_update_of_an_impossible_id_is_a_violation(step, number):
    """No owner gave it."""
    holder = Holder(step)
    bye = holder.say(observe(number, "set", 1))[-1]

    assert [BYE, 3] == bye[:2]


@STEPS
def test_an_update_of_a_reference_is_one_of_an_unknown_cache(step):
    """An id of the one kind is none of the other."""
    holder = Holder(step)
    (reference,) = holder.give(msgpack.ExtType(1, b"\5"))
    assert [] == holder.say(observe(5, "who"))

    assert "NoSuchObject" in holder.give(cached(5))
    assert {5: 1} == holder.released
    assert 5 == reference._pb_import.id
    assert 1 == reference._pb_import.count


@pytest.mark.parametrize(
    "name",
    ["__class__", "_set", "set_", "observe_set", "remote_x", "get_state_to_cache", "", "s e t", "n", "ä", "x" * 200],
)
@STEPS
def test_only_observe_methods_are_run(step, name):
    """The name a peer sends is put behind observe_, and is an identifier; else the replica is stale."""

    holder = Holder(step)
    (replica,) = holder.give(cache())
    holder.say(observe(1, name))

    assert {1: 1} == holder.released
    assert pb.is_stale(replica)
    assert {"n": 10} == vars(replica)
    assert holder.is_alive


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
    code, bye = Holder().give(cache(id))

    assert ("BYE", True) == (code, bye in (3, 4))


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


@pytest.mark.parametrize("key", [1, None, True, b"n", 1.5])
def test_a_state_whose_keys_are_no_text_is_refused(key):
    """As a map with such keys is everywhere."""
    made = Holder().give(ext(9, [1, NAME, {key: 1}]))

    assert made in ("pb.BadPayload", ("BYE", 4))


def test_a_state_cannot_multiply_without_end():
    """Each part holds the one before it ten times: 10^8 leaves in a few hundred bytes."""
    parts = [[1] * 10]
    for number in range(7):
        parts.append([node(number)] * 10)
    parts.append({"n": node(7)})
    parts.append(cache(1, node(8)))
    holder = Holder()
    started = time.process_time()
    holder.script.say([CALL, 1, 0, "keep", packed(graph(*parts, [[node(9)], {}]))])
    heard = holder.script.heard()

    assert 1.0 > time.process_time() - started
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
    code, bye = Holder().give(inner)
    assert ("BYE", True) == (code, bye in (4, 5))


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


@STEPS
def test_gone_for_a_live_replica_makes_it_stale(step):
    """It is a revocation; what comes for it later is for nobody."""
    holder = Holder(step)
    (replica,) = holder.give(cache())
    holder.say([GONE, [1, 99, 0]], observe(1, "set", 5))

    assert (10, True) == (replica.n, pb.is_stale(replica))
    assert {} == holder.released
    assert "pb.NoSuchObject" == holder.give(cached())
    del replica
    holder.shop.kept.clear()
    gc.collect()
    assert holder.is_alive


@STEPS
def test_a_holder_that_releases_too_much_ends_the_connection(step):
    """More than was sent, an id it has not, or none at all; the observer is told of the end once."""
    for owed in ([1, 2], [1, 1, 1, 1], [2, 1], [0, 1], [1, 0], [1, -1]):
        shop = Shop()
        script = Script(shop, registry=REGISTRY, info=INFO, step=step)
        script.say([CALL, 1, 0, "get", arguments("stock")])
        script.heard()
        script.say([RELEASE, owed])

        assert [BYE, 3] == script.heard()[-1][:2], owed
        assert 1 == len(shop.stock._stopped)


@STEPS
def test_a_cache_publishes_nothing_to_calls(step):
    """Not its observe_ methods and not the hooks; revoked, it is gone."""
    shop = Shop()
    script = Script(shop, registry=REGISTRY, info=INFO, step=step)
    script.say([CALL, 1, 0, "get", arguments("stock")])
    script.heard()
    names = ["set", "observe_set", "get_state_to_cache_and_observe_for", "stopped_observing", "tell"]
    for id, name in enumerate(names, 2):
        script.say([CALL, id, 1, name, arguments(5)])
    assert ["pb.NoSuchMethod"] * 5 == [type_of(each) for each in script.heard()]
    script.broker.holdings.revoke_object(shop.stock)
    script.heard()
    script.say([CALL, 9, 1, "set", arguments(5)])

    assert ["pb.Gone"] == [type_of(each) for each in script.heard()]
    assert 1 == shop.stock.n


@STEPS
def test_a_holder_may_not_observe_what_it_holds(step):
    """OBSERVE goes from owner to holder: of its own ids the owner holds no cache."""
    shop = Shop()
    script = Script(shop, registry=REGISTRY, info=INFO, step=step)
    script.say([CALL, 1, 0, "get", arguments("stock")])
    script.heard()
    script.say(observe(1, "set", 5), observe(1, "set", 5, id=2))

    assert ["pb.NoSuchObject"] == [type_of(each) for each in script.heard()]
    assert 1 == shop.stock.n


@pytest.mark.parametrize(
    "message",
    [
        [OBSERVE],
        [OBSERVE, 0, 1, "set"],
        [OBSERVE, "0", 1, "set", arguments(1)],
        [OBSERVE, 0, "1", "set", arguments(1)],
        [OBSERVE, 0, 1, b"set", arguments(1)],
        [OBSERVE, 0, 1, "set", "text"],
        [OBSERVE, 0, 1, "set", arguments(1), 5],
        [OBSERVE, -1, 1, "set", arguments(1)],
        [OBSERVE, 1, 1, "set", arguments(1)],
        [OBSERVE, 2**53, 1, "set", arguments(1)],
        [OBSERVE, 0, True, "set", arguments(1)],
    ],
    ids=repr,
)
def test_an_update_of_another_form_ends_the_connection(message):
    """Ids increase, CALL and OBSERVE together."""
    holder = Holder()
    (replica,) = holder.give(cache())
    heard = holder.say(message)

    assert [BYE, True] == [heard[-1][0], heard[-1][1] in (3, 4)]
    assert pb.is_stale(replica)


def test_a_malformed_payload_of_an_update_ends_the_connection():
    """As everywhere."""
    holder = Holder()
    (replica,) = holder.give(cache())

    assert [BYE, 4] == holder.say([OBSERVE, 0, 1, "set", b"\x92\x91"])[-1][:2]
    assert (10, True) == (replica.n, pb.is_stale(replica))


@pytest.mark.parametrize(
    "parts",
    [
        [cache(1, node(1)), {"n": 1}, [[cached(1), node(0)], {}]],
        [cache(1, node(1)), {"n": [cached(1)]}, [[cached(1)], {}]],
        [cache(1, node(2)), cache(2, node(3)), {"n": cached(2)}, {"n": cached(1)}, [[cached(1)], {}]],
    ],
    ids=["node of a cache", "cycle", "two caches"],
)
@STEPS
def test_the_state_of_a_cache_may_come_later_in_a_graph(step, parts):
    """It is taken over after the last part."""
    holder = Holder(step)
    holder.script.say([CALL, 1, 0, "keep", packed(graph(*parts))])
    heard = holder.script.heard()

    if node(0) in parts[-1][0]:
        assert ERROR == heard[0][0] or heard == []
        return
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

    assert heard[0][0] in (ERROR, BYE)
    assert [] == holder.shop.kept


def test_a_stock_is_what_it_says():
    """The class of these tests takes what it is given, so what they refuse is refused by the library."""
    holder = Holder()
    (replica,) = holder.give(cache(1, {"n": 1, "anything": [1]}))

    assert (Stock, [1]) == (type(replica), replica.anything)
