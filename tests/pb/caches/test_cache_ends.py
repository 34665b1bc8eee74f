"""How caches end at their owner: refused payloads, releases, and lost connections; who is told."""

from __future__ import annotations

import gc
import weakref

import pytest

import jelly
import pb
from pb import messages

from ..cached import REGISTRY, Keeper, Shop, Stock, Unregistered, cross, left_over
from ..pump import STEPS, Pump, Script, messages_in, packed, send


def counts(pump):
    return {id: row.count for id, row in pump.server.broker.tables.exports.items() if id}


@STEPS
@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("shared", [False, True], ids=["tree", "graph"])
def test_a_payload_that_cannot_be_sent_leaves_nothing_behind(step, where, shared):
    """The hook has run, so the end is told; the id was never sent, so no GONE; and the next one goes."""
    shop = Shop()
    again = [1]
    things = [[again, again] if shared else 1, shop.stock]
    shop.bad = [*things, object()] if where == "after" else [object(), *things]
    pump = Pump(shop, registry=REGISTRY, step=step)
    with pytest.raises(pb.RemoteError):
        pump.call("get", "bad")
    assert {} == counts(pump)
    assert (1 if where == "after" or shared else 0) >= len(shop.stock._stopped)
    assert 0 == len(shop.stock._observers)
    stopped = len(shop.stock._stopped)
    replica = pump.call("get", "stock")
    shop.stock.tell("set", 4)
    pump.run()

    assert 4 == replica.n
    assert stopped == len(shop.stock._stopped)
    del replica
    assert [] == left_over(pump)
    assert stopped + 1 == len(shop.stock._stopped)


def test_no_gone_is_sent_for_what_was_never_sent():
    """The peer would be told of an id it never heard of."""
    shop = Shop()
    shop.bad = [shop.stock, object()]
    script = Script(shop, registry=REGISTRY, info={"features": ["cache"]})
    script.say([messages.CALL, 1, 0, "get", packed([["bad"], {}])])

    assert [messages.ERROR] == [message[0] for message in script.heard()]
    assert [[None]] == [stopped[:1] for stopped in shop.stock._stopped]


def test_no_gone_is_sent_where_the_hook_that_is_told_of_the_end_ends_the_connection():
    """The peer has given the cache back, and would be told so behind the BYE."""

    class Leaving(Stock):
        def stopped_observing(self, perspective, observer):
            super().stopped_observing(perspective, observer)
            script.broker.fail(pb.ProtocolError("enough"))

    shop = Shop(stock=Leaving(n=1))
    registry = jelly.Registry()
    registry.add(Leaving, "shop.Leaving")
    script = Script(shop, registry=registry, info={"features": ["cache"]})
    script.say([messages.CALL, 1, 0, "get", packed([["stock"], {}])])
    (number,) = [number for number in script.broker.tables.exports if number]
    script.heard()
    script.say([messages.RELEASE, [number, 1]])

    assert [messages.BYE] == [message[0] for message in script.heard()]
    assert 1 == len(shop.stock._stopped)


def test_a_hook_that_raises_fails_the_call_alone():
    """It may keep the observer already, and so is told of the end, once (PB-C21)."""

    class Broken(Stock):
        def get_state_to_cache_and_observe_for(self, perspective, observer):
            kept.append(observer)
            super().get_state_to_cache_and_observe_for(perspective, observer)
            if self.n:
                raise ZeroDivisionError("broken")
            return {"n": 0}

    kept = []
    registry = jelly.Registry()
    registry.add(Broken, "shop.Broken")
    shop = Shop(stock=Broken(n=1))
    pump = Pump(shop, registry=registry)
    with pytest.raises(pb.RemoteError):
        pump.call("get", "stock")
    assert {} == counts(pump)
    (observer,) = kept
    assert [[None, observer]] == shop.stock._stopped
    assert 0 == len(shop.stock._observers)
    with pytest.raises(pb.DeadReference):
        send(observer, "set", 1)
    shop.stock.tell("set", 0)

    assert 0 == pump.call("get", "stock").n


def test_an_unregistered_cacheable_fails_its_call_and_no_other():
    """What one call may not send is that call's error."""
    shop = Shop(stock=Unregistered(n=1))
    pump = Pump(shop, registry=REGISTRY)
    waiting = pump.root.wait()
    with pytest.raises(pb.RemoteError):
        pump.call("get", "stock")
    shop.gate.open(5)
    pump.run()

    assert 5 == waiting.result()
    assert 0 == len(shop.stock._observers)


def test_a_peer_without_the_feature_is_sent_no_cache():
    """It could not be told of changes. The hook is not even asked."""
    shop = Shop()
    script = Script(shop, registry=REGISTRY)
    script.say([messages.CALL, 1, 0, "get", packed([["stock"], {}])])
    (error,) = script.heard()

    assert [messages.ERROR, 1] == error[:2]
    assert b"pb.Unsupported" in error[2]
    assert 0 == len(shop.stock._observers)


@pytest.mark.parametrize("side", ["owner", "holder"])
def test_no_more_caches_than_max_refs_are_live(side):
    """Refused by the owner, who knows what the holder said and what itself gives."""
    few = pb.Limits(max_refs=2)
    limits, told = (few, pb.Limits()) if side == "owner" else (pb.Limits(), few)
    shop = Shop(three=[Stock(n=n) for n in range(3)], two=[Stock(n=n) for n in range(2)])
    pump = Pump(shop, registry=REGISTRY, limits=limits, client_limits=told)
    with pytest.raises(pb.TooLarge):
        pump.call("get", "three")
    assert {} == counts(pump)
    replicas = pump.call("get", "two")
    with pytest.raises(pb.TooLarge):
        pump.call("get", "stock")
    del replicas
    gc.collect()
    pump.run()

    assert 1 == pump.call("get", "stock").n
    assert [1, 1, 0] == [len(each._stopped) for each in shop.three]


@STEPS
def test_dropping_a_replica_of_a_cacheable_stops_the_observer_once_and_is_confirmed(step):
    """RELEASE, stopped_observing, GONE; after that the state is gone too."""
    shop = Shop(stock=Stock(n=1, door=Keeper()))
    pump = Pump(shop, registry=REGISTRY, step=step)
    replica = pump.call("get", "stock")
    inner = weakref.ref(replica.door)
    del replica
    gc.collect()
    (release,) = messages_in(up := pump.client.output())
    assert [messages.RELEASE, [1, 1]] == release
    assert inner() is not None  # what a zombie refers to is kept
    pump.server.input(up, step)
    (gone,) = messages_in(down := pump.server.output())
    assert [messages.GONE, [1]] == gone
    assert [None] == [perspective for perspective, _ in shop.stock._stopped]
    pump.client.input(down, step)
    gc.collect()

    assert None is inner()
    assert {} == pump.client.broker.tables.replicas
    assert [] == left_over(pump)


@pytest.mark.parametrize("how", ["lose", "client closes", "server closes"])
def test_every_observer_of_a_cacheable_is_stopped_when_the_connection_ends(how, caplog):
    """Once each, and one that raises does not keep the others from it."""

    class Broken(Stock):
        def stopped_observing(self, perspective, observer):
            super().stopped_observing(perspective, observer)
            raise ZeroDivisionError("broken")

    registry = jelly.Registry()
    registry.include(REGISTRY)
    registry.add(Broken, "shop.Broken")
    shop = Shop(all=[Stock(n=1), Broken(n=2), Stock(n=3)])
    pump = Pump(shop, registry=registry)
    replicas = pump.call("get", "all")
    observers = [next(iter(each._observers)) for each in shop.all]
    if how == "lose":
        pump.lose()
    else:
        (pump.client if how == "client closes" else pump.server).broker.close()
        pump.run()
        pump.lose()

    assert [[[None, observer]] for observer in observers] == [each._stopped for each in shop.all]
    assert [True] * 3 == [pb.is_stale(each) for each in replicas]
    assert ["stopped_observing of a Broken failed"] == [record.message for record in caplog.records]
    assert [] == left_over(pump)
    with pytest.raises(pb.DeadReference):
        send(observers[0], "set", 1)


def test_a_failing_stopped_observing_does_not_keep_the_release_from_being_confirmed(caplog):
    """What is the program's fault is logged; the protocol goes on."""

    class Broken(Stock):
        def stopped_observing(self, perspective, observer):
            raise ZeroDivisionError("broken")

    registry = jelly.Registry()
    registry.add(Broken, "shop.Broken")
    pump = Pump(Shop(stock=Broken(n=1)), registry=registry)
    replica = pump.call("get", "stock")
    del replica

    assert [] == left_over(pump)
    assert 1 == len(caplog.records)
    assert 1 == pump.call("get", "stock").n


def test_what_stopped_observing_sends_over_the_ended_connection_observes_nothing():
    """Nobody would ever tell that cache of its end."""

    class Farewell(Stock):
        def stopped_observing(self, perspective, observer):
            super().stopped_observing(perspective, observer)
            with pytest.raises((pb.ConnectionLost, pb.DeadReference)):
                send(self._client, "take", self._other)

    registry = jelly.Registry()
    registry.include(REGISTRY)
    registry.add(Farewell, "shop.Farewell")
    other = Stock(n=1)
    shop = Shop(stock=Farewell(n=1))
    pump = Pump(shop, registry=registry)
    pump.call("keep", Keeper())
    shop.stock._client, shop.stock._other = shop.kept[0], other
    replica = pump.call("get", "stock")
    pump.lose()

    assert pb.is_stale(replica)
    assert 0 == len(other._observers) - len(other._stopped)
    assert {} == pump.server.broker.tables.exports


def test_a_cache_may_not_be_sent_while_it_is_being_sent():
    """Its snapshot has no place before that other payload; told at the sender, and nothing is left."""

    class Loud(Stock):
        def get_state_to_cache_and_observe_for(self, perspective, observer):
            send(self._client, "take", self)
            return super().get_state_to_cache_and_observe_for(perspective, observer)

    registry = jelly.Registry()
    registry.add(Loud, "shop.Loud")
    keeper, shop = Keeper(), Shop(stock=Loud(n=1))
    pump = Pump(shop, registry=registry)
    pump.call("keep", keeper)
    shop.stock._client = shop.kept[0]
    with pytest.raises(pb.RemoteError):
        pump.call("get", "stock")
    pump.run()

    assert [] == keeper.kept
    assert 0 == len(shop.stock._observers)


@STEPS
@pytest.mark.parametrize(("told", "count"), [(True, 1), (False, 2)], ids=["crossing", "not yet told"])
def test_a_release_that_crosses_the_cache_stops_nobody(step, told, count):
    """The owner stops only when nothing that it sent is left."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    box = [pump.call("get", "stock")]
    (outcome,) = cross(pump, box.clear, ("get", "stock"), told=told)

    assert [] == shop.stock._stopped
    assert {1: count} == counts(pump)
    assert 1 == outcome.result().n
    del outcome
    assert [] == left_over(pump)
    assert 1 == len(shop.stock._stopped)
