"""Replicas that nobody holds: kept up to date until GONE, and given back where they are sent again."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

import jelly
import pb
from pb import messages

from ..cached import REGISTRY, Keeper, Room, Shop, Stock, cross, left_over
from ..pump import STEPS, Pump, messages_in


@STEPS
def test_a_dropped_replica_comes_back_as_it_was(step):
    """CACHED crossed the RELEASE: the state is not sent again, so it must be here still."""
    shop = Shop(stock=Stock(n=1, items=[1, [2]], door=Keeper()))
    pump = Pump(shop, registry=REGISTRY, step=step)
    box = [pump.call("get", "stock")]
    box[0].note = "of the holder's own"
    door = box[0].door
    (outcome,) = cross(pump, box.clear, ("get", "stock"))
    replica = outcome.result()

    assert (1, [1, [2]], "of the holder's own") == (replica.n, replica.items, replica.note)
    assert replica.door is door
    assert not pb.is_stale(replica)
    assert pump.call("is", "stock", replica)
    shop.stock.tell("set", 4)
    pump.run()
    assert 4 == replica.n


@STEPS
def test_the_second_end_of_a_replica_is_noticed_too(step):
    """And the third: each time it can come back, and the last time it is gone."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    box = [pump.call("get", "stock")]
    for n in range(3):
        (outcome,) = cross(pump, box.clear, ("get", "stock"))
        shop.stock.tell("set", n)
        pump.run()
        box.append(outcome.result())
        del outcome
        assert n == box[0].n
    assert [] == shop.stock._stopped
    box.clear()

    assert [] == left_over(pump)
    assert 1 == len(shop.stock._stopped)


@STEPS
@pytest.mark.parametrize("told", [True, False], ids=["crossing", "not yet told"])
@pytest.mark.parametrize("is_cyclic", [False, True], ids=["tree", "cycle"])
def test_a_zombie_is_kept_up_to_date(step, told, is_cyclic):
    """An update on its way when the last handle goes must not be missing when the replica comes back."""
    shop = Shop(stock=Stock(items=[]))
    if is_cyclic:
        shop.stock.me = shop.stock
    pump = Pump(shop, registry=REGISTRY, step=step)
    box = [pump.call("get", "stock")]
    shop.stock.tell("add", 1)
    outcomes = cross(pump, box.clear, ("get", "stock"), told=told)

    assert [1] == outcomes[0].result().items


def test_a_zombie_that_is_false_is_kept_up_to_date():
    """A replica may have a length, and the length be 0."""

    class Shelf(Stock):
        def __len__(self):
            return len(self.items)

    registry = jelly.Registry()
    registry.add(Shelf, "shop.Shelf")
    stock = Shelf(items=[])
    stock.me = stock  # collected as a cycle: then nothing weak knows it any more
    pump = Pump(Shop(stock=stock), registry=registry)
    box = [pump.call("get", "stock")]
    stock.tell("add", 1)
    (outcome,) = cross(pump, box.clear, ("get", "stock"))

    assert [1] == outcome.result().items


@STEPS
def test_an_update_that_arrives_long_after_the_release_is_applied(step):
    """Only GONE ends a zombie."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    replica = pump.call("get", "stock")
    state = vars(replica)
    del replica
    gc.collect()
    released = pump.client.output()
    shop.stock.tell("set", 5)
    pump.client.input(pump.server.output(), step)
    assert {"n": 5} == state
    pump.server.input(released, step)
    pump.client.input(pump.server.output(), step)
    shop.stock.tell("set", 6)
    pump.run()

    assert {"n": 5} == state
    assert [] == left_over(pump)


@STEPS
def test_a_replica_that_refers_to_itself_comes_back_with_the_state_it_shares(step):
    """Python ends an object once, so what comes back is another one; what they know is the same."""
    shop = Shop()
    shop.stock.me = shop.stock
    pump = Pump(shop, registry=REGISTRY, step=step)
    box = [pump.call("get", "stock")]
    (outcome,) = cross(pump, box.clear, ("get", "stock"))
    replica = outcome.result()
    shop.stock.tell("set", 5)
    pump.run()

    assert (5, 5) == (replica.n, replica.me.n)
    assert vars(replica) is vars(replica.me)
    del replica, outcome
    assert [] == left_over(pump)
    assert 1 == len(shop.stock._stopped)


@STEPS
def test_replicas_of_a_cycle_are_released(step):
    """The collector finds them, not the count of references."""
    room, ann = Room(name="hall"), Stock(name="ann")
    room.players, ann.room = [ann], room
    shop = Shop(room=room)
    pump = Pump(shop, registry=REGISTRY, step=step)
    hall = pump.call("get", "room")
    weak = [weakref.ref(hall), weakref.ref(hall.players[0])]
    del hall

    assert [] == left_over(pump)
    assert [None, None] == [each() for each in weak]
    assert [1, 1] == [len(each._stopped) for each in (room, ann)]


@STEPS
def test_a_replica_may_be_collected_in_another_thread(step):
    """It wakes the connection, which releases it in its own."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    replica = pump.call("get", "stock")
    replica.ring = [replica]
    pump.run()
    releases = pump.client.releases
    del replica
    thread = threading.Thread(target=gc.collect)
    thread.start()
    thread.join()

    assert releases + 1 == pump.client.releases
    up = pump.client.output()
    assert [[messages.RELEASE, [1, 1]]] == messages_in(up)
    pump.server.input(up, step)
    assert [] == left_over(pump)
    assert 1 == len(shop.stock._stopped)


def test_an_update_that_fails_at_a_zombie_is_not_hidden(caplog):
    """Who gets it back must be able to find out."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY)
    box = [pump.call("get", "stock")]
    shop.stock._observers.send("fail")
    (outcome,) = cross(pump, box.clear, ("get", "stock"))

    if outcome.error is None:
        assert pb.is_stale(outcome.result())
    else:
        assert isinstance(outcome.error, pb.NoSuchObject)
    assert 1 == len(shop.stock._stopped)
    del outcome
    caplog.clear()
    assert [] == left_over(pump)


def test_a_replica_that_is_dropped_after_the_end_is_nobodys():
    """No release, no zombie, no state kept."""
    pump = Pump(Shop(), registry=REGISTRY)
    replica = pump.call("get", "stock")
    weak = weakref.ref(replica)
    pump.lose()
    del replica
    gc.collect()

    assert None is weak()
    assert [] == left_over(pump)


def test_what_a_replica_refers_to_when_it_comes_back_is_followed_or_known_to_be_stale():
    """The collector ended both, and only one of them was sent again: nothing may go wrong unseen."""
    room, ann = Room(name="hall"), Stock(n=1)
    room.players = [ann]
    pump = Pump(Shop(room=room), registry=REGISTRY)
    hall = pump.call("get", "room")
    hall.ring = [hall]  # garbage that only the collector finds
    box = [hall]
    del hall
    (outcome,) = cross(pump, box.clear, ("get", "room"))
    ann.tell("set", 2)
    pump.run()
    replica = outcome.result()

    assert not pb.is_stale(replica)
    assert 2 == replica.players[0].n or pb.is_stale(replica.players[0])
