"""What a hostile peer may try with updates of caches, with their ids, and with giving them back."""

from __future__ import annotations

import gc

import msgpack
import pytest

import pb
from pb.messages import BYE, ERROR, GONE

from ..cached import REGISTRY, Shop
from ..pump import STEPS, Gate, Script
from .test_hostile_caches import (
    CALL,
    INFO,
    OBSERVE,
    RELEASE,
    Holder,
    arguments,
    cache,
    cached,
    observe,
    type_of,
)


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
    [
        "__class__",
        "_set",
        "set_",
        "observe_set",
        "remote_x",
        "get_state_to_cache",
        "",
        "s e t",
        "n",
        "ä",
        "x" * 200,
    ],
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
def test_a_value_that_has_the_name_of_a_method_is_none(step):
    """The program may have put it there, no peer can."""
    holder = Holder(step)
    assert isinstance(holder.give(cache(2, {"observe_n": 5})), str)
    (replica,) = holder.give(cache())
    vars(replica)["observe_n"] = 5
    holder.say(observe(1, "n"))

    assert {1: 1} == holder.released
    assert pb.is_stale(replica)
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

    assert [BYE, 3] == heard[-1][:2]
    assert pb.is_stale(replica)


def test_a_malformed_payload_of_an_update_ends_the_connection():
    """As everywhere."""
    holder = Holder()
    (replica,) = holder.give(cache())

    assert [BYE, 4] == holder.say([OBSERVE, 0, 1, "set", b"\x92\x91"])[-1][:2]
    assert (10, True) == (replica.n, pb.is_stale(replica))


def test_updates_that_wait_are_bounded():
    """An owner that wants no answers must not fill the holder with methods that never end."""
    holder = Holder(limits=pb.Limits(max_calls=10))
    (replica,) = holder.give(cache())
    replica.gate = Gate()
    type(replica).observe_hang = hang
    try:
        holder.say(*[observe(1, "hang") for _ in range(50)])
        assert 10 >= holder.script.broker.serving.count
        assert pb.is_stale(replica)
        replica.gate.open()
    finally:
        del type(replica).observe_hang


async def hang(self):
    await self.gate


@STEPS
def test_an_update_with_options_is_an_update(step):
    """Unknown ones are ignored; one that is too late is not lost unseen; a busy holder follows."""
    holder = Holder(step, limits=pb.Limits(max_calls=1))
    (replica,) = holder.give(cache())
    holder.say([OBSERVE, 0, 1, "set", arguments(2), {"trace": {}, "unknown": 1}])
    assert (2, False) == (replica.n, pb.is_stale(replica))
    holder.say([CALL, 2, 0, "wait", arguments()], [OBSERVE, 0, 1, "set", arguments(3), {}])
    assert (3, False) == (replica.n, pb.is_stale(replica))
    holder.shop.gate.open()
    holder.say([OBSERVE, 0, 1, "set", arguments(4), {"ttl": 0}])
    assert replica.n == 4 or pb.is_stale(replica)
