"""Updates of observers: what threads, choices and hooks do while one is told."""

from __future__ import annotations

import pytest

import jelly
import pb
from pb import messages

from ..boards import move_away
from ..cached import REGISTRY, Shop, Stock, Tag, Ware
from ..pump import Cancelled, Pump, messages_in, run_all
from ..test_observers import several


def test_an_observer_of_another_thread_does_not_keep_the_others():
    """And whoever tells is told that this was not the place."""
    shop = Shop()
    pumps, replicas = several(shop, 3)
    move_away(pumps[1], lambda: None)
    with pytest.raises(RuntimeError, match="in another thread"):
        shop.stock._observers.send("set", 5)
    run_all(*pumps)

    assert [5, 1, 5] == [each.n for each in replicas]
    assert not pb.is_stale(replicas[1])


@pytest.mark.parametrize("level", ["ERROR", "WARNING"])
def test_an_observer_whose_loop_is_closed_is_given_up(level, caplog):
    """Once: nobody could do anything about it, and whoever tells is not disturbed by it any more."""
    caplog.set_level(level, "pb")
    shop = Shop()
    pumps, replicas = several(shop, 3)
    closed = list(shop.stock._observers)[1]
    move_away(pumps[1], lambda: None)
    pumps[1].server.is_over = True
    for n in (5, 6):
        shop.stock._observers.send("set", n)
        run_all(*pumps)

    assert [6, 1, 6] == [each.n for each in replicas]
    assert [[None, closed]] == shop.stock._stopped
    assert 2 == len(shop.stock._observers)
    with pytest.raises(pb.DeadReference):
        closed.set(7).result()
    said = "a replica of a Stock is given up: in another thread"
    assert [said] * (level == "WARNING") == caplog.messages


def test_a_choice_that_fails_does_not_keep_the_others():
    """Who could not be chosen is not told."""
    shop = Shop()
    pumps, replicas = several(shop, 3)
    answers = iter([True, None, True])
    with pytest.raises(ZeroDivisionError):
        shop.stock._observers.tell("set", (5,), shows=lambda perspective: next(answers) or 1 // 0)
    run_all(*pumps)

    assert [5, 1, 5] == [each.n for each in replicas]


@pytest.mark.parametrize("ready", [False, True])
def test_a_choice_may_end_an_attachment(ready):
    """Nothing is told after GONE, whether or not it is encoded already."""
    shop = Shop()
    pumps, _ = several(shop, 2)
    users = [pump.call("enter", name) for pump, name in zip(pumps, ["ann", "bob"], strict=True)]
    outcomes = [user.get("stock") for user in users]
    run_all(*pumps)
    ann, bob = (each.result() for each in outcomes)
    last = shop.attachments[ready]
    shop.stock._observers.tell(
        "set", (5,), shows=lambda user: user is not last.perspective or last.detach() is None
    )
    sent = pumps[ready].server.output()
    pumps[ready].client.input(sent)
    run_all(*pumps)

    (gone,) = (message[1] for message in messages_in(sent) if message[0] == messages.GONE)
    told = [message[2] for message in messages_in(sent) if message[0] == messages.OBSERVE]
    assert [] == [id for id in told if id in gone]
    assert [not ready, ready] == [pb.is_stale(each) for each in (ann, bob)]
    assert [5 if ready else 1, 1 if ready else 5] == [ann.n, bob.n]


def test_a_hook_may_revoke_what_it_is_encoded_for():
    """Nothing is told after GONE."""

    class Last(Ware):
        def get_state_to_copy(self):
            pump.server.broker.holdings.revoke_object(shop.stock)
            return {"n": 1}

    shop = Shop()
    registry = jelly.Registry()
    registry.add(Stock, "shop.Stock")
    registry.add(Last, "shop.Last")
    pump = Pump(shop, registry=registry)
    replica = pump.call("get", "stock")
    shop.stock._observers.send("put", "x", Last(1))
    codes = [message[0] for message in messages_in(pump.server.output())]

    assert [messages.GONE] == codes
    assert not hasattr(replica, "x")


def test_what_cannot_be_sent_is_taken_apart_once():
    """Not once for each observer, and the traceback does not grow with them."""

    def tell(count):
        shop = Shop()
        _, replicas = several(shop, count)
        ware = Ware("\ud800")
        with pytest.raises(pb.Unjellyable) as caught:
            shop.stock._observers.send("put", "x", ware)
        assert count == len(replicas)
        return ware._asked, len(caught.traceback)

    assert tell(2) == tell(6)


def test_a_hook_that_is_cancelled_does_not_keep_the_others():
    """A CancelledError is no Exception, and comes out of every future that was cancelled."""

    class Fickle(Tag):
        def get_state_to_copy_for(self, perspective):
            if perspective.name == "ann":
                raise Cancelled
            return {"text": perspective.name}

    registry = jelly.Registry()
    registry.include(REGISTRY)
    registry.add(Fickle, "x.Fickle")
    shop = Shop()
    pumps = [Pump(shop, registry=registry) for _ in range(3)]
    users = [pump.call("enter", name) for pump, name in zip(pumps, ["zoe", "ann", "bob"], strict=True)]
    outcomes = [user.get("stock") for user in users]
    run_all(*pumps)
    replicas = [each.result() for each in outcomes]
    with pytest.raises(Cancelled):
        shop.stock._observers.send("put", "tag", Fickle("x"))
    run_all(*pumps)

    assert ["zoe", None, "bob"] == [getattr(vars(each).get("tag"), "text", None) for each in replicas]
