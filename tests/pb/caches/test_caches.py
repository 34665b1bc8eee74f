"""Caches at their owner: snapshots, counts, updates, and who is told of the end."""

from __future__ import annotations

import pytest

import jelly
import pb

from ..cached import REGISTRY, Keeper, Refusal, Room, Shop, Stock, left_over
from ..peers import ask
from ..pump import STEPS, Pump, send


def counts(pump):
    return {id: row.count for id, row in pump.server.broker.tables.exports.items() if id}


@STEPS
def test_a_replica_of_a_cacheable_arrives_with_its_state_and_follows_it(step):
    """A snapshot first, then every change, each once."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    replica = pump.call("get", "stock")
    before = vars(replica).copy()
    shop.stock.tell("set", 9)
    pump.run()

    assert (Stock, {"n": 1}, 9) == (type(replica), before, replica.n)
    assert replica is not shop.stock
    assert not pb.is_stale(replica)
    del replica
    assert [] == left_over(pump)


@STEPS
def test_an_update_comes_before_the_answer_that_follows_it(step):
    """Whoever changes something sees it changed when the answer is there."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    replica = pump.call("get", "stock")
    seen = []
    outcome = pump.root.tell("stock", "set", 9)
    outcome.set_result = lambda value: seen.append([value, replica.n])
    pump.run()

    assert [[9, 9]] == seen


@STEPS
def test_an_update_told_by_the_hook_follows_the_snapshot(step):
    """In the order in which it was told, and the state is that of the moment the hook returned (PB-C11)."""

    class Eager(Stock):
        def get_state_to_cache_and_observe_for(self, perspective, observer):
            state = super().get_state_to_cache_and_observe_for(perspective, observer)
            self._observers.send("add", 1)
            self._observers.send("add", 2)
            return state

    registry = jelly.Registry()
    registry.add(Eager, "shop.Eager")
    pump = Pump(Shop(stock=Eager(items=[0])), registry=registry, step=step)

    assert [0, 1, 2] == pump.call("get", "stock").items


@STEPS
def test_an_update_told_by_the_hook_of_another_cache_follows_the_snapshot(step):
    """The first waits for its payload while the second is asked for its state."""

    class Nosy(Stock):
        def get_state_to_cache_and_observe_for(self, perspective, observer):
            self._other.tell("add", "seen")
            return super().get_state_to_cache_and_observe_for(perspective, observer)

    registry = jelly.Registry()
    registry.include(REGISTRY)
    registry.add(Nosy, "shop.Nosy")
    nosy, stock = Nosy(n=1), Stock(items=[])
    nosy._other = stock
    pump = Pump(Shop(both=[stock, nosy]), registry=registry, step=step)
    first, second = pump.call("get", "both")

    # The state was taken before the other hook ran; the list itself is written after it.
    assert ["seen"] == first.items[:1]
    assert 1 == second.n
    stock.tell("set", 5)
    pump.run()
    assert 5 == first.n


@STEPS
@pytest.mark.parametrize("handler", ["get", "get_later"], ids=["method", "coroutine"])
def test_a_question_asked_by_the_hook_keeps_its_place_among_the_updates(step, handler):
    """It waits for the snapshot, and so does what comes after it, and both are sent."""

    class Curious(Stock):
        def get_state_to_cache_and_observe_for(self, perspective, observer):
            state = super().get_state_to_cache_and_observe_for(perspective, observer)
            self._reply = ask(observer, "add", 1)
            self._observers.send("add", 2)
            return state

    registry = jelly.Registry()
    registry.add(Curious, "shop.Curious")
    shop = Shop(stock=Curious(items=[]))
    shop.gate.open()
    pump = Pump(shop, registry=registry, step=step)
    replica = pump.call(handler, "stock")

    assert [1, 2] == replica.items
    assert None is shop.stock._reply.result()


def test_a_question_over_max_calls_is_not_overtaken():
    """It waits its turn, with all that is told after it, or is refused at once: never told late."""
    keeper = Keeper()
    shop = Shop(stock=Stock(items=[]))
    pump = Pump(shop, registry=REGISTRY)
    pump.server.broker.calls.peer_max_calls = 1
    replica = pump.call("get", "stock")
    pump.call("keep", keeper)
    waiting = shop.kept[0].wait()
    (observer,) = shop.stock._observers
    try:
        asked = ask(observer, "add", 1)
    except pb.Busy:
        asked = None
    shop.stock.tell("add", 2)
    pump.run()
    keeper.gate.open()
    pump.run()

    assert None is waiting.result()
    assert None is (asked and asked.result())
    assert ([2] if asked is None else [1, 2]) == replica.items


def test_changes_are_encoded_when_they_are_told():
    """What waits for its turn must not change meanwhile, or it would be told twice."""
    keeper, shop = Keeper(), Shop(stock=Stock(items=[]))
    pump = Pump(shop, registry=REGISTRY)
    pump.server.broker.calls.peer_max_calls = 1
    replica = pump.call("get", "stock")
    pump.call("keep", keeper)
    calls = [shop.kept[0].wait(), shop.kept[0].wait()]
    item = [1]
    shop.stock._observers.send("add", item)
    item.append(2)
    keeper.gate.open()
    pump.run()

    assert [None, None] == [each.result() for each in calls]
    assert [[1]] == replica.items


@STEPS
def test_identity_of_a_cacheable_is_that_of_its_replica(step):
    """In one payload and in the next, nested, in a dict and in a shared list."""
    shop = Shop()
    shop.shared = [shop.stock]
    shop.many = [shop.stock, [shop.stock], {"x": shop.stock}, (shop.stock,), {shop.stock}, {shop.stock: 1}]
    shop.graph = [shop.shared, shop.shared, shop.stock]
    pump = Pump(shop, registry=REGISTRY, step=step)
    many, graph, one = (pump.call("get", name) for name in ("many", "graph", "stock"))

    assert many[0] is many[1][0] is many[2]["x"] is many[3][0] is one
    assert [one] == list(many[4]) == list(many[5])
    assert graph[0] is graph[1]
    assert graph[0][0] is graph[2] is one
    assert {1: 9} == counts(pump)
    del many, graph, one
    assert [] == left_over(pump)
    assert 1 == len(shop.stock._stopped)


@STEPS
@pytest.mark.parametrize("place", ["argument", "keyword", "result", "error", "update", "send"])
def test_a_cache_crosses_wherever_a_value_does(step, place):
    """And is the same wherever it crossed."""
    keeper, shop = Keeper(), Shop(room=Room(other=None))
    pump = Pump(shop, registry=REGISTRY, step=step)
    room = pump.call("get", "room")
    pump.call("keep", keeper)
    (client,) = shop.kept
    if place == "argument":
        client.take(shop.stock)
    elif place == "keyword":
        assert None is client.echo(value=shop.stock).error
        client.take(shop.stock)
    elif place == "result":
        keeper.kept.append(pump.call("get", "stock"))
    elif place == "error":
        with pytest.raises(Refusal) as caught:
            pump.call("refuse", "stock")
        keeper.kept.append(caught.value.thing)
        del caught
    elif place == "update":
        shop.room.tell("put", "other", shop.stock)
        pump.run()
        keeper.kept.append(room.other)
    else:
        send(client, "take", shop.stock)
    pump.run()
    shop.stock.tell("set", 8)
    pump.run()

    (replica,) = keeper.kept
    assert (Stock, 8) == (type(replica), replica.n)
    assert pump.call("is", "stock", replica)


@STEPS
def test_identity_of_a_cacheable_is_kept_when_its_replica_comes_home(step):
    """From either side of a call, and inside of something."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    replica = pump.call("get", "stock")

    assert pump.call("is", "stock", replica)
    assert replica is pump.call("echo", [replica])[0]
    pump.call("keep", {"x": [replica]})
    assert [{"x": [shop.stock]}] == shop.kept
    del replica
    shop.kept.clear()
    assert [] == left_over(pump)


@STEPS
def test_rooms_and_players_may_know_each_other(step):
    """A cycle through two caches, met from either end, and one of a cache with itself."""
    room, ann, bob = Room(name="hall"), Stock(name="ann"), Stock(name="bob")
    room.players = [ann, bob]
    room.me = ann.room = bob.room = room
    pump = Pump(Shop(room=room, ann=ann), registry=REGISTRY, step=step)
    one = pump.call("get", "ann")
    hall = pump.call("get", "room")

    assert one.room is hall is hall.me
    assert hall.players[0] is one
    assert hall.players[1].room is hall
    assert ["ann", "bob"] == [each.name for each in hall.players]
    room.tell("set", 3)
    pump.run()
    assert 3 == one.room.n
    del one, hall
    assert [] == left_over(pump)
    assert [1, 1, 1] == [len(each._stopped) for each in (room, ann, bob)]


@STEPS
def test_caches_that_share_a_list_get_the_same_list(step):
    """Within one payload identity is kept, across the states of caches too."""
    shared = [1]
    one, two = Stock(items=shared), Stock(items=shared)
    one.me = one
    pump = Pump(Shop(both=[one, two, shared]), registry=REGISTRY, step=step)
    first, second, items = pump.call("get", "both")

    assert first.items is second.items is items
    assert first.me is first


@pytest.mark.parametrize("closes", ["client", "server"])
def test_an_update_reaches_the_holder_before_the_answers_of_a_closing_connection(closes):
    """A handler that still runs after BYE changes something, and then answers."""

    class Slow(Shop):
        async def remote_slow(self):
            await self.gate
            self.stock.tell("set", 7)
            return self.stock.n

    shop = Slow()
    pump = Pump(shop, registry=REGISTRY)
    replica = pump.call("get", "stock")
    outcome = pump.root.slow()
    pump.run()
    getattr(pump, closes).broker.close()
    pump.run()
    shop.gate.open()
    pump.run()

    assert (7, 7) == (outcome.result(), replica.n)
