"""Revocation: an object is withdrawn, wherever it was given, and can be given anew."""

from __future__ import annotations

import gc
import weakref

import pytest

import jelly
import pb
from pb import messages

from ..cached import REGISTRY, Door, Shop, Stock, left_over, messages_of
from ..peers import ask
from ..pump import STEPS, Pump, messages_in, send


def call(pump, reference, name, *args):
    outcome = getattr(reference, name)(*args)
    pump.run()
    return outcome.result()


def revoke(pump, value):
    return pump.server.broker.holdings.revoke_object(value)


@STEPS
def test_a_revoked_cache_is_stale_and_followed_no_more(step):
    """GONE comes; the holder still gives back its counts; a second one gets no second GONE."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    replica = pump.call("get", "stock")
    (observer,) = shop.stock._observers
    assert 1 == revoke(pump, shop.stock)
    assert 0 == revoke(pump, shop.stock)
    shop.stock.tell("set", 5)
    with pytest.raises(pb.DeadReference):
        send(observer, "set", 5)
    down = pump.server.output()
    assert [[messages.GONE, [1]]] == messages_in(down)
    pump.client.input(down, step)

    assert (1, True) == (replica.n, pb.is_stale(replica))
    assert [[None, observer]] == shop.stock._stopped
    with pytest.raises(pb.Unjellyable):
        pump.call("is", "stock", replica)
    assert [1] == [number for number in pump.server.broker.tables.exports if number]
    del replica
    gc.collect()
    up = pump.client.output()
    assert [[messages.RELEASE, [1, 1]]] == messages_in(up)
    pump.server.input(up, step)
    assert b"" == pump.server.output()
    assert [] == left_over(pump)
    assert 1 == len(shop.stock._stopped)


@STEPS
def test_a_revoked_cache_that_is_sent_again_is_a_fresh_one(step):
    """Beside the tombstone, under a new id, with a new snapshot."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    old = pump.call("get", "stock")
    revoke(pump, shop.stock)
    shop.stock.n = 6
    new = pump.call("get", "stock")
    shop.stock.tell("set", 7)
    pump.run()

    assert (1, True, 7, False) == (old.n, pb.is_stale(old), new.n, pb.is_stale(new))
    assert pump.call("is", "stock", new)
    del old, new
    assert [] == left_over(pump)
    assert 2 == len(shop.stock._stopped)


@STEPS
def test_a_revocation_that_crosses_the_release_of_a_replica_is_harmless(step):
    """For a zombie it is the confirmation; the counts are released once."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    replica = pump.call("get", "stock")
    del replica
    gc.collect()
    released = pump.client.output()
    revoke(pump, shop.stock)
    pump.client.input(pump.server.output(), step)
    assert {} == pump.client.broker.tables.replicas
    pump.server.input(released, step)

    assert b"" == pump.server.output()
    assert [] == left_over(pump)
    assert 1 == len(shop.stock._stopped)


@STEPS
def test_what_comes_home_after_its_revocation_is_refused(step):
    """The holder had not heard of it yet."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    replica = pump.call("get", "stock")
    outcome = pump.root.keep(replica)
    up = pump.client.output()
    revoke(pump, shop.stock)
    pump.server.input(up, step)
    pump.run()

    with pytest.raises(pb.Gone):
        outcome.result()
    assert [] == shop.kept


@STEPS
def test_revoking_a_perspective_takes_everything_with_it(step):
    """Its methods, its views, its caches, what others saw of it; other users keep theirs."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    ann, bob = (pump.call("enter", name) for name in ("ann", "bob"))
    mine = [call(pump, ann, "get", "weapon"), call(pump, ann, "door")]
    mine_stock, his_stock = (call(pump, user, "get", "stock") for user in (ann, bob))
    seen, his = call(pump, bob, "user", "ann"), call(pump, bob, "get", "weapon")
    assert 2 == revoke(pump, shop.users["ann"])
    down = pump.server.output()
    assert 5 == sum(len(message[1]) for message in messages_of(messages_in(down), messages.GONE))
    pump.client.input(down, step)

    for reference in (ann, seen, *mine):
        with pytest.raises(pb.Gone):
            call(pump, reference, "plain")
    assert (True, False) == (pb.is_stale(mine_stock), pb.is_stale(his_stock))
    assert ["ann"] == shop.ended
    assert ["bob", "bob"] == [call(pump, bob, "name"), call(pump, his, "plain")]
    shop.stock.tell("set", 3)
    pump.run()
    assert (1, 3) == (mine_stock.n, his_stock.n)
    # It may come back: that is another attachment, and other references.
    again = pump.call("enter", "ann")
    assert "ann" == call(pump, again, "name")
    assert again is not ann
    del ann, bob, mine, mine_stock, his_stock, seen, his, again, reference
    assert [] == left_over(pump)
    assert ["ann", "ann", "bob"] == sorted(shop.ended)


@STEPS
def test_a_viewable_is_revoked_under_every_perspective(step):
    """Each view had an id of its own."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    users = [pump.call("enter", name) for name in ("ann", "bob")]
    views = [call(pump, user, "get", "weapon") for user in users]
    assert 2 == revoke(pump, shop.weapon)

    for view in views:
        with pytest.raises(pb.Gone):
            call(pump, view, "plain")
    assert ["ann", "bob"] == [call(pump, user, "name") for user in users]
    assert [] == shop.ended


@STEPS
def test_who_watches_an_object_of_the_peers_is_told_that_it_was_revoked(step):
    """Once, and nobody who watches another, or has changed his mind."""
    shop = Shop(door=Door(), other=Door())
    pump = Pump(shop, registry=REGISTRY, step=step)
    door, other = pump.call("get", "door"), pump.call("get", "other")
    told = []

    def watch(reference, name):
        row = reference._pb_import
        watch_gone = pump.client.broker.holdings.watch_gone
        return watch_gone(row.id, lambda: told.append(name), weakref.ref(reference))

    watch(other, "another")
    watch(door, "first")
    take_back = watch(door, "taken back")
    watch(door, "second")
    take_back()
    assert 1 == revoke(pump, shop.door)
    pump.run()
    assert ["first", "second"] == told

    assert 1 == revoke(pump, shop.other)
    pump.run()
    assert ["first", "second", "another"] == told


def test_what_nobody_holds_is_revoked_nowhere():
    """Nothing is sent for it."""
    pump = Pump(Shop(), registry=REGISTRY)

    assert [0, 0, 0] == [revoke(pump, value) for value in (Stock(n=1), Door(), "text")]
    assert b"" == pump.server.output()


@STEPS
def test_many_are_withdrawn_at_once(step):
    """More than one GONE holds."""
    shop = Shop(doors=[Door() for _ in range(900)])
    pump = Pump(shop, registry=REGISTRY, step=step and 7 * step)
    ann = pump.call("enter", "ann")
    doors = call(pump, ann, "get", "doors")
    shop.attachments[0].detach()
    gone = messages_of(messages_in(down := pump.server.output()), messages.GONE)
    pump.client.input(down, step and 7 * step)

    assert {*range(1, 902)} == {number for message in gone for number in message[1]}
    assert 901 == sum(len(message[1]) for message in gone)
    with pytest.raises(pb.Gone):
        call(pump, doors[899], "who")


def test_a_question_under_way_is_still_answered_after_a_revocation():
    """The call was made when it could be; what comes after it cannot be."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY)
    replica = pump.call("get", "stock")
    (observer,) = shop.stock._observers
    outcome = ask(observer, "double", 4)
    revoke(pump, shop.stock)
    pump.run()

    assert 8 == outcome.result()
    assert pb.is_stale(replica)
    with pytest.raises(pb.DeadReference):
        ask(observer, "double", 4)


@pytest.mark.parametrize("what", ["the cache", "the perspective"])
def test_a_cache_that_is_revoked_while_it_is_being_sent_arrives_stale_or_not_at_all(what):
    """GONE must not come before what it is about: the holder would wait for ever for updates."""

    class Fickle(Stock):
        def get_state_to_cache_and_observe_for(self, perspective, observer):
            state = super().get_state_to_cache_and_observe_for(perspective, observer)
            revoke(pump, self if what == "the cache" else perspective)
            return state

    registry = jelly.Registry()
    registry.add(Fickle, "shop.Fickle")
    shop = Shop(stock=Fickle(n=1))
    pump = Pump(shop, registry=registry)
    ann = pump.call("enter", "ann")
    outcome = ann.get("stock")
    pump.run()

    assert outcome.error is not None or pb.is_stale(outcome.result())
    assert 0 == len(shop.stock._observers)
    del outcome, ann
    assert [] == left_over(pump)


def test_the_end_of_an_attachment_goes_through_what_was_handed_out_once():
    """To look for the first row of a table again and again takes 4 s for the 80,000 that a user may hold."""

    class Counted(dict):
        """Counts how often somebody looks for its first row."""

        begun = 0

        def __iter__(self):
            self.begun += 1
            return super().__iter__()

    shop = Shop()
    pump = Pump(shop, registry=REGISTRY)
    ann = pump.call("enter", "ann")
    doors = [call(pump, ann, "door") for _ in range(20)]
    scope = shop.attachments[0].scope
    held = scope.exports = Counted(scope.exports)
    assert 21 == len(held)
    shop.attachments[0].detach()
    pump.run()

    assert 1 == held.begun
    assert {} == held
    for door in (ann, *doors):
        with pytest.raises(pb.Gone):
            call(pump, door, "who")


def test_what_a_hook_withdraws_at_the_end_of_its_attachment_is_told_once():
    """It may close another connection, and what this one passes on of that goes with it."""
    told = []

    class Linked(Stock):
        def stopped_observing(self, perspective, observer):
            super().stopped_observing(perspective, observer)
            broker = pump.server.broker
            broker.holdings.revoke(broker.tables.exports[3])
            told.append("withdrawn")

    registry = jelly.Registry()
    registry.add(Linked, "shop.Linked")
    shop = Shop(stock=Linked(n=1))
    pump = Pump(shop, registry=registry)
    ann = pump.call("enter", "ann")
    held = [call(pump, ann, "get", "stock"), call(pump, ann, "get", "weapon")]
    shop.attachments[0].detach()
    gone = [each[1] for each in messages_in(pump.server.output()) if each[0] == messages.GONE]

    assert ["withdrawn"] == told
    assert [1, 2, 3] == sorted(id for ids in gone for id in ids)
    del held
