"""Caches at their owner: snapshots, counts, updates, and who is told of the end."""

from __future__ import annotations

import gc
import weakref

import pytest

import jelly
import pb
from pb import messages

from .cached import REGISTRY, Keeper, Refusal, Room, Shop, Stock, Unregistered, cross, left_over
from .peers import ask
from .pump import STEPS, Pump, Script, messages_in, packed, send


def counts(pump):
    return {id: row.count for id, row in pump.server.broker.tables.exports.items() if id}


@STEPS
def test_a_cache_arrives_with_its_state_and_follows_its_original(step):
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
    """In the order in which it was told, and the state is that of the moment the hook returned."""

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
def test_the_same_cache_is_the_same_replica(step):
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
def test_a_replica_comes_home_as_its_original(step):
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


def test_a_hook_that_raises_fails_the_call_alone():
    """It observes nothing then, and is not told of an end either."""

    class Broken(Stock):
        def get_state_to_cache_and_observe_for(self, perspective, observer):
            super().get_state_to_cache_and_observe_for(perspective, observer)
            if self.n:
                raise ZeroDivisionError("broken")
            return {"n": 0}

    registry = jelly.Registry()
    registry.add(Broken, "shop.Broken")
    shop = Shop(stock=Broken(n=1))
    pump = Pump(shop, registry=registry)
    with pytest.raises(pb.RemoteError):
        pump.call("get", "stock")
    assert {} == counts(pump)
    assert [] == shop.stock._stopped
    (observer,) = shop.stock._observers
    with pytest.raises(pb.DeadReference):
        send(observer, "set", 1)
    shop.stock.tell("set", 0)  # a dead observer is skipped, and forgotten

    assert 0 == len(shop.stock._observers)
    assert 0 == pump.call("get", "stock").n


def test_an_unregistered_cache_fails_its_call_and_no_other():
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
def test_dropping_a_replica_stops_the_observer_once_and_is_confirmed(step):
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
def test_every_observer_is_stopped_when_the_connection_ends(how, caplog):
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
