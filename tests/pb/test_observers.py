"""Observers: who is told of a change, how often it is encoded, and in which order it arrives."""

from __future__ import annotations

import gc

import pytest

import jelly
import pb
from pb.limits import Limits
from pb.observers import Observers
from pb.wire.codec import Codec
from pb.wire.flushed import Flushed

from .cached import REGISTRY, Door, Keeper, Shop, Stock, Tag, Ware
from .peers import ask
from .pump import STEPS, Pump, run_all, send


def several(shop, count=3, **options):
    """Return pumps of clients that hold one stock, with one codec at their server, and the replicas."""
    pumps = [Pump(shop, registry=REGISTRY, greet=False, **options) for _ in range(count)]
    codec = Codec(REGISTRY)
    for pump in pumps:
        pump.server.broker.codec = codec
        pump.run()
    return pumps, [pump.call("get", "stock") for pump in pumps]


def test_a_group_holds_each_observer_once():
    """In the order in which they came; discarding is forgiving, adding anything else is not."""
    shop = Shop()
    pumps, replicas = several(shop, 2)
    first, second = shop.stock._observers
    group = Observers()
    for observer in (first, second, first):
        group.add(observer)

    assert [first, second] == list(group)
    assert (2, True) == (len(group), first in group)
    assert first != second
    assert {first: 1, second: 2} == dict(zip(group, [1, 2], strict=True))
    group.discard(first)
    group.discard(first)
    assert ([second], False) == (list(group), first in group)
    for wrong in (None, "x", replicas[0], pumps[0].root):
        with pytest.raises(TypeError, match="an observer is expected"):
            group.add(wrong)
        assert wrong not in group


def test_a_group_may_change_while_it_is_gone_through():
    """Whoever tells is often told of an end by it."""
    shop = Shop()
    _pumps, replicas = several(shop, 3)
    for observer in shop.stock._observers:
        shop.stock._observers.discard(observer)

    assert 0 == len(shop.stock._observers)
    assert 3 == len(replicas)


def test_who_is_about_to_be_written_is_not_woken():
    """The first wakes its face; the others join it, as long as it waits."""
    shop = Shop()
    pumps, replicas = several(shop, 4)
    waiting, woken = Flushed(), []
    for box in (pump.server.broker.outbox for pump in pumps):
        box.flushed, box.wake = waiting, lambda: woken.append("face")
    shop.stock._observers.send("set", 2)
    assert (4, []) == (len(woken), waiting)
    run_all(*pumps)
    waiting.append("somebody")
    shop.stock._observers.send("set", 3)
    shop.stock._observers.send("set", 4)
    assert (5, ["somebody", *(pump.server for pump in pumps[1:])]) == (len(woken), waiting)
    run_all(*pumps)
    assert [4] * 4 == [each.n for each in replicas]


@STEPS
def test_what_is_the_same_for_all_is_encoded_once(step):
    """A thousand viewers cost one encoding."""
    shop = Shop()
    pumps, replicas = several(shop, step=step)
    ware = Ware(5)
    shop.stock._observers.send("put", "ware", ware)
    shop.stock._observers.send("put", "wares", [Ware(1), [ware]])
    run_all(*pumps)

    assert 2 == ware._asked
    assert [5, 5, 5] == [each.ware.n for each in replicas]
    assert [5, 5, 5] == [each.wares[1][0].n for each in replicas]


def test_a_thousand_observers_of_a_cacheable_cost_one_encoding():
    """Not one for each connection, nor for each user of it."""
    shop = Shop()
    pumps, replicas = several(shop, 10, limits=Limits(max_refs=4096))
    for pump in pumps:
        outcomes = [pump.root.enter(f"user {number}") for number in range(99)]
        pump.run()
        users = [outcome.result() for outcome in outcomes]
        outcomes = [user.get("stock") for user in users]
        pump.run()
        replicas += [outcome.result() for outcome in outcomes]
    ware = Ware(5)
    shop.stock._observers.send("put", "ware", ware)

    assert 1_000 == len(shop.stock._observers) == len({*map(id, replicas)})
    assert 1 == ware._asked
    run_all(*pumps)
    assert {5} == {each.ware.n for each in replicas}


def test_a_plain_list_of_observers_of_a_cacheable_leaks_none():
    """Observers of several clients are told apart, found again, and removed, as any object in a list."""

    class Listed(Stock):
        def __init__(self, **state):
            super().__init__(**state)
            self._list = []

        def get_state_to_cache_and_observe_for(self, perspective, observer):
            self._list.append(observer)
            return {"n": self.n}

        def stopped_observing(self, perspective, observer):
            self._list.remove(observer)

    registry = jelly.Registry()
    registry.add(Listed, "x.Listed")
    stock = Listed(n=1)
    pumps = [Pump(Shop(stock=stock), registry=registry) for _ in range(3)]
    replicas = [pump.call("get", "stock") for pump in pumps]
    first, second, third = stock._list
    assert (3, True) == (len({first, second, third}), second == second)
    assert first != second != third

    del replicas[1]
    gc.collect()
    run_all(*pumps)
    assert [first, third] == stock._list
    pumps[0].lose()
    assert [third] == stock._list
    pumps[2].server.broker.close()
    run_all(*pumps)
    pumps[2].lose()

    assert [] == stock._list


@STEPS
def test_what_goes_by_reference_is_encoded_for_each(step):
    """Ids differ between connections, though what is around them is the same."""
    shop = Shop()
    pumps, replicas = several(shop, step=step)
    door, other = Door(), Stock(n=2)
    shop.stock._observers.send("put", "x", [door, other])
    run_all(*pumps)
    outcomes = [each.x[0].who() for each in replicas]
    run_all(*pumps)

    assert [None] * 3 == [each.result() for each in outcomes]
    assert [2, 2, 2] == [each.x[1].n for each in replicas]
    assert 3 == len(other._observers)


@STEPS
def test_what_differs_between_perspectives_is_encoded_for_each(step):
    """The update is cut for the same eyes as the snapshot."""
    shop = Shop()
    pumps, _ = several(shop, 2, step=step)
    users = [pump.call("enter", name) for pump, name in zip(pumps, ["ann", "bob"], strict=True)]
    outcomes = [user.get("stock") for user in users]
    run_all(*pumps)
    mine = [each.result() for each in outcomes]
    shop.stock._observers.send("put", "tag", Tag("hello"))
    run_all(*pumps)

    assert ["hello for ann", "hello for bob"] == [each.tag.text for each in mine]


@STEPS
def test_views_in_updates_are_those_of_the_perspective(step):
    """And where there is no perspective, that one is told of nothing."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    user = pump.call("enter", "ann")
    outcome = user.get("stock")
    nobody = pump.call("get", "stock")
    mine = outcome.result()
    with pytest.raises(pb.Unjellyable, match="no perspective"):
        shop.stock._observers.send("put", "weapon", shop.weapon)
    pump.run()
    swing = mine.weapon.plain()
    pump.run()

    assert "ann" == swing.result()
    assert not hasattr(nobody, "weapon")
    assert mine is not nobody


@STEPS
def test_shows_chooses_by_perspective(step):
    """It is asked for each, with None where there is none."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    users = [pump.call("enter", name) for name in ("ann", "bob")]
    outcomes = [user.get("stock") for user in users]
    nobody = pump.call("get", "stock")
    ann, bob = (each.result() for each in outcomes)
    asked = []

    def shows(perspective):
        asked.append(perspective)
        return perspective is shop.users["ann"]

    shop.stock._observers.tell("set", (5,), shows=shows)
    shop.stock._observers.tell("put", (), {"name": "x", "value": 1})
    pump.run()

    assert [shop.users["ann"], shop.users["bob"], None] == asked
    assert [5, 1, 1] == [each.n for each in (ann, bob, nobody)]
    assert [1, 1, 1] == [each.x for each in (ann, bob, nobody)]


@STEPS
@pytest.mark.parametrize("size", [10_000, 20_000, 70_000])
def test_large_updates_arrive(step, size):
    """Bytes and text, of which the first are not copied."""
    if step == 1 and size > 10_000:
        pytest.skip("the same code as by 7, and slow")
    shop = Shop(stock=Stock(items=[]))
    pumps, replicas = several(shop, 2, step=step)
    shop.stock._observers.send("add", bytes(size))
    shop.stock._observers.send("add", "x" * size)
    shop.stock._observers.send("add", [Door(), "x" * size])
    run_all(*pumps)

    assert [[size, size]] * 2 == [[len(item) for item in each.items[:2]] for each in replicas]
    assert [bytes(size)] * 2 == [each.items[0] for each in replicas]
    assert [size] * 2 == [len(each.items[2][1]) for each in replicas]


@STEPS
def test_a_large_update_told_by_the_hook_waits_for_the_snapshot(step):
    """Also one whose bytes are not copied."""

    class Eager(Stock):
        def get_state_to_cache_and_observe_for(self, perspective, observer):
            state = super().get_state_to_cache_and_observe_for(perspective, observer)
            self._observers.send("add", bytes(40_000))
            send(observer, "add", [Door(), bytes(40_000)])
            return state

    registry = jelly.Registry()
    registry.add(Eager, "shop.Eager")
    pump = Pump(Shop(stock=Eager(items=[])), registry=registry, step=step and 1000 * step)
    first, (_, second) = pump.call("get", "stock").items

    assert bytes(40_000) == first == second


def test_a_failure_for_one_does_not_keep_the_others():
    """It is raised when all have been told."""
    shop = Shop()
    pumps, replicas = several(shop, 2)
    narrow = Pump(shop, registry=REGISTRY, client_limits=pb.Limits(max_frame=4096))
    replicas.insert(1, narrow.call("get", "stock"))
    first, second, last = shop.stock._observers
    group = Observers()
    for observer in (first, last, second):
        group.add(observer)
    with pytest.raises(pb.TooLarge):
        group.send("put", "x", "x" * 5000)
    run_all(*pumps, narrow)

    assert [True, False, True] == [hasattr(each, "x") for each in replicas]
    assert 3 == len(group)


def test_what_nobody_can_be_sent_fails_at_once():
    """And leaves every replica as it was."""
    shop = Shop()
    pumps, replicas = several(shop, 2)
    with pytest.raises(pb.Unjellyable):
        shop.stock._observers.send("put", "x", [Stock(n=1), object()])
    run_all(*pumps)

    assert [False, False] == [pb.is_stale(each) for each in replicas]
    assert [[1], [1]] == [
        [number for number in pump.server.broker.tables.exports if number] for pump in pumps
    ]


def test_the_dead_are_skipped_and_forgotten():
    """Whether released, stale or cut off; the others are told."""
    shop = Shop()
    pumps, replicas = several(shop, 4)
    group = Observers()
    for observer in shop.stock._observers:
        group.add(observer)
    replicas[0] = None
    gc.collect()
    pumps[0].run()
    pumps[1].lose()
    send(list(group)[2], "fail")
    pumps[2].run()
    assert 4 == len(group)
    group.send("set", 5)
    run_all(*pumps)

    assert 1 == len(group)
    assert [1, 1, 5] == [each.n for each in replicas[1:]]


@STEPS
def test_updates_keep_their_order_under_pressure(step):
    """While the network takes no more, calls wait; changes of a replica must not change places."""
    shop = Shop(stock=Stock(items=[]))
    pump = Pump(shop, registry=REGISTRY, step=step)
    replica = pump.call("get", "stock")
    pump.call("keep", Keeper())
    client = shop.kept[0]
    pump.server.broker.calls.hold()
    waiting = client.echo("waits")
    shop.stock.tell("add", 1)
    pump.root.tell("stock", "add", 2)  # from a handler, which serves this very peer
    pump.run()
    shop.stock.tell("add", 3)
    shop.stock._observers.send("add", [Door(), 4])
    pump.run()
    pump.server.broker.calls.start_waiting()
    shop.stock.tell("add", 5)
    pump.run()

    assert "waits" == waiting.result()
    assert [1, 2, 3, 4, 5] == [item[1] if type(item) is list else item for item in replica.items]


@STEPS
def test_a_question_and_changes_keep_their_order_under_pressure(step):
    """All that is told to one replica is one row."""
    shop = Shop(stock=Stock(items=[]))
    pump = Pump(shop, registry=REGISTRY, step=step)
    replica = pump.call("get", "stock")
    (observer,) = shop.stock._observers
    pump.server.broker.calls.hold()
    shop.stock.tell("add", 1)
    asked = ask(observer, "add", 2)
    shop.stock.tell("add", 3)
    pump.run()
    pump.server.broker.calls.start_waiting()
    pump.run()

    assert None is asked.result()
    assert [1, 2, 3] == replica.items


def test_an_update_that_waits_for_nobody_is_told_once():
    """Of the calls that wait, none is lost and none is sent twice."""
    shop = Shop(stock=Stock(items=[]))
    pumps, replicas = several(shop, 2)
    pumps[0].call("keep", Keeper())
    pumps[0].server.broker.calls.hold()
    waiting = shop.kept[0].echo(1)
    for n in range(5):
        shop.stock.tell("add", n)
    run_all(*pumps)
    pumps[0].server.broker.calls.start_waiting()
    run_all(*pumps)

    assert 1 == waiting.result()
    assert [[0, 1, 2, 3, 4]] * 2 == [each.items for each in replicas]


def test_an_observer_is_not_adopted():
    """It stands for a cache of this side, not for an object of the peer's."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY)
    replica = pump.call("get", "stock")
    user = pump.call("enter", "ann")
    (observer,) = shop.stock._observers
    with pytest.raises(TypeError, match="remote reference"):
        shop.attachments[0].adopt(observer)
    assert (1, False) == (replica.n, user is None)


def test_an_observer_is_not_sent():
    """The Cacheable is what others are given."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY)
    replica = pump.call("get", "stock")
    (shop.observer,) = shop.stock._observers
    with pytest.raises(pb.Forbidden):
        pump.call("get", "observer")

    assert not pb.is_stale(replica)
