"""Corners that only hooks which end things, other threads and unusual orders come to."""

from __future__ import annotations

import logging
from unittest.mock import Mock

import pytest

import jelly
import pb
from pb.errors import ProtocolError
from pb.security import Security

from ..cached import REGISTRY, Door, Keeper, Shop, Stock, User, left_over
from ..pump import Gate, Pump, send


class Trap(jelly.Copyable):
    """A copy that does something when its state is asked for."""

    def __init__(self, spring):
        self._spring = spring

    def get_state_to_copy(self):
        self._spring()
        return {"n": 1}


class Hooked(Stock):
    """A cache that does something when its state is asked for; `_hook` is given the observer."""

    _hook = staticmethod(lambda observer: None)

    def get_state_to_cache_and_observe_for(self, perspective, observer):
        state = super().get_state_to_cache_and_observe_for(perspective, observer)
        self._hook(observer)
        return state


THINGS = jelly.Registry()
THINGS.add(Stock, "shop.Stock", from_clients=True)
THINGS.add(Hooked, "shop.Hooked", from_clients=True)
THINGS.add(Trap, "shop.Trap", fields=["n"])


def end(side):
    """End the connection as a peer that reads too slowly does."""
    side.broker.fail(ProtocolError("the peer reads too slowly"))


def test_what_is_no_exception_leaves_the_hook_as_it_is():
    """A KeyboardInterrupt is not the peer's affair; the table forgets the cache, and it can be sent later."""
    shop, cache = Shop(), Hooked(n=3)
    pump = Pump(shop, registry=THINGS)
    cache._hook = Mock(side_effect=KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        send(pump.root, "keep", cache)
    assert {} == pump.client.broker.tables.exports
    del cache._hook
    send(pump.root, "keep", cache)
    pump.run()
    assert 3 == shop.kept[0].n


def test_nothing_is_given_back_to_a_table_that_a_hook_has_closed():
    """The payload is refused after the end: its references are forgotten already."""
    pump = Pump(Shop(), registry=THINGS)
    with pytest.raises(jelly.Unjellyable, match="is an object"):
        send(pump.root, "keep", Keeper(), Trap(lambda: end(pump.client)), object())

    assert {} == pump.client.broker.tables.exports
    assert pump.client.has_ended


def test_a_cache_that_stands_twice_around_the_end_of_the_connection_is_stopped_once():
    """The second place has nothing left to be counted at, and the call was not sent."""
    pump = Pump(Shop(), registry=THINGS)
    cache = Stock(n=1)
    with pytest.raises(pb.DeadReference, match="the peer reads too slowly"):
        send(pump.root, "keep", cache, Trap(lambda: end(pump.client)), cache)

    assert {} == pump.client.broker.tables.exports
    assert (1, 0) == (len(cache._stopped), len(cache._observers))


def test_a_replica_that_begins_after_a_hook_has_ended_the_connection_is_stale():
    """Nobody would ever tell it of a change."""
    made = []

    class Ending(Stock):
        def set_copyable_state(self, state):
            made.append(self)
            end(pump.client)

    registry = jelly.Registry()
    registry.add(Ending, "shop.Ending")
    pump = Pump(Shop(things=[Ending(n=1), Ending(n=2)]), registry=registry)
    outcome = pump.root.get("things")
    pump.run()

    assert isinstance(outcome.error, pb.ConnectionLost)
    assert [True, True] == [pb.is_stale(replica) for replica in made]
    assert {} == pump.client.broker.tables.replicas


def test_the_end_of_one_call_ends_only_its_own_attachments():
    """Another call that is still running may yet hand its perspective out."""

    class Slow(Shop):
        async def remote_enter_later(self, name, gate):
            self.attachments.append(pb.current_call().attach(User(name, self)))
            await self.gates[gate]
            return self.attachments[0] if name == "ann" else None

    shop = Slow(gates=[Gate(), Gate()])
    pump = Pump(shop, registry=REGISTRY)
    ann, bob = pump.root.enter_later("ann", 0), pump.root.enter_later("bob", 1)
    pump.run()
    shop.gates[1].open()
    pump.run()
    assert bob.result() is None
    assert [False, True] == [attachment.is_over for attachment in shop.attachments]

    shop.gates[0].open()
    pump.run()
    name = ann.result().name()
    pump.run()
    assert "ann" == name.result()


def test_an_attachment_made_outside_of_a_call_is_ended_by_no_answer():
    """It belongs to whoever made it."""
    shop, ended = Shop(), []
    pump = Pump(shop, registry=REGISTRY)
    attachment = pump.server.broker.holdings.attach(User("ann", shop), lambda: ended.append(1))
    assert 1 == pump.call("get", "stock").n
    assert (False, []) == (attachment.is_over, ended)

    pump.lose()
    assert (True, [1]) == (attachment.is_over, ended)


def test_a_call_without_answer_attaches_nobody():
    """The reference to the perspective would reach no one."""
    caught = []

    class Quiet(Shop):
        def remote_try(self):
            with pytest.raises(ValueError, match="wants no answer") as error:
                pb.current_call().attach(User("ann", self))
            caught.append(error.value)

    pump = Pump(Quiet(), registry=REGISTRY)
    send(pump.root, "try")
    pump.run()

    assert 1 == len(caught)
    assert {} == pump.server.broker.tables.scopes


def test_a_dead_reference_cannot_be_adopted():
    """There is nothing that a call under the perspective could reach."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY)
    door = Door()
    pump.call("keep", door)
    attachment = pump.server.broker.holdings.attach(User("ann", shop))
    pump.client.broker.holdings.revoke_object(door)
    pump.run()
    with pytest.raises(pb.DeadReference, match="the reference to adopt"):
        attachment.adopt(shop.kept[0])


def test_an_adopted_reference_that_is_given_back_owes_nothing():
    """The peer sent it once, and that count stands at the reference it was adopted from."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY)
    pump.call("keep", Door())
    tables = pump.server.broker.tables
    adopted = pump.server.broker.holdings.attach(User("ann", shop)).adopt(shop.kept[0])
    tables.drop_now(adopted._pb_import)
    assert [] == tables.take_dropped()
    with pytest.raises(pb.DeadReference):
        adopted.who().result()
    who = shop.kept[0].who()
    pump.run()
    assert who.result() is None


def test_a_replica_that_is_given_back_is_stale_and_released_at_once():
    """Though it is still about here."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY)
    replica = pump.call("get", "stock")
    pump.client.broker.tables.drop_now(replica._jelly_row)
    assert pb.is_stale(replica)

    pump.run()
    pump.client.broker.holdings.release_dropped()
    pump.run()
    assert 1 == len(shop.stock._stopped)


def test_a_login_may_run_where_any_fact_makes_it_private():
    """Each is enough; without any of them there is none."""
    facts = ["is_local", "is_loopback", "is_encrypted", "is_allowed"]
    assert [True] * 4 == [Security(**{fact: True}).is_private for fact in facts]
    assert not Security(address="192.0.2.1").is_private


def meet(late):
    """Return a pump whose client follows `stock`; `late` tells of it while `room` is being sent."""
    shop = Shop(room=Hooked(n=5), stock=Stock(n=1))
    pump = Pump(shop, registry=THINGS)
    replica = pump.call("get", "stock")
    (observer,) = shop.stock._observers
    shop.room._hook = lambda _: late(observer, shop)
    return shop, pump, replica


def test_a_question_that_holds_a_new_cache_starts_it():
    """It waited for the snapshot; what is new in it is a snapshot too, and can be told of changes then."""
    asked, new = [], Stock(n=8)
    _, pump, replica = meet(lambda observer, shop: asked.append(observer.put("new", new)))
    assert 5 == pump.call("get", "room").n
    assert asked[0].result() is None
    new.tell("set", 9)
    pump.run()

    assert 9 == replica.new.n
    assert not pb.is_stale(replica)


def test_a_question_that_cannot_be_sent_when_its_turn_comes_tells_who_asked():
    """It is encoded only then; the replica has missed no change."""
    asked = []
    shop, pump, replica = meet(lambda observer, shop: asked.append(observer.double(object())))
    assert 5 == pump.call("get", "room").n
    with pytest.raises(jelly.Unjellyable):
        asked[0].result()

    assert not pb.is_stale(replica)
    assert [] == shop.stock._stopped


def test_a_change_that_cannot_be_sent_when_its_turn_comes_gives_the_replica_up(caplog):
    """Nobody waits for it who could be told, and the replica would be wrong from then on."""
    shop, pump, replica = meet(lambda observer, shop: shop.stock._observers.send("put", "x", object()))
    with caplog.at_level(logging.WARNING, "pb"):
        assert 5 == pump.call("get", "room").n

    assert "an update could not be sent; its replica is given up" in caplog.text
    assert pb.is_stale(replica)
    assert 1 == len(shop.stock._stopped)


def test_a_question_to_a_replica_that_is_given_up_meanwhile_is_not_sent():
    """It was revoked after the question, and before its turn."""
    asked = []

    def late(observer, shop):
        asked.append(observer.double(4))
        pump.server.broker.holdings.revoke_object(shop.stock)

    _, pump, replica = meet(late)
    assert 5 == pump.call("get", "room").n
    with pytest.raises(pb.NotExecuted, match="the replica that was to be asked is not there"):
        asked[0].result()

    assert pb.is_stale(replica)


def test_a_question_that_was_given_up_meanwhile_is_not_sent():
    """Nobody waits for its answer."""
    asked = []

    def late(observer, shop):
        asked.append(observer.double(4))
        asked[0].is_given_up = True

    _, pump, replica = meet(late)
    assert 5 == pump.call("get", "room").n

    assert not pb.is_stale(replica)
    assert (0, 0) == (asked[0].id, asked[0].settled)
    assert {} == pump.server.broker.calls.pending


def test_a_question_about_a_cache_that_never_came_to_be_is_settled():
    """Its own hook asked, and failed then."""
    asked = []

    def hook(observer):
        asked.append(observer.double(4))
        raise ZeroDivisionError("of the hook")

    shop = Shop(room=Hooked(n=5))
    shop.room._hook = hook
    pump = Pump(shop, registry=THINGS)
    with pytest.raises(pb.RemoteError, match="internal error"):
        pump.call("get", "room")
    with pytest.raises(pb.NotExecuted, match="the replica that was to be asked is not there"):
        asked[0].result()


def test_what_waits_for_a_snapshot_is_settled_when_the_connection_ends():
    """A question is answered with an error; a change is forgotten with its replica."""
    asked = []

    def late(observer, shop):
        asked.append(observer.double(4))
        shop.stock._observers.send("set", 3)
        end(pump.server)

    shop, pump, replica = meet(late)
    pump.root.get("room")
    pump.run()
    with pytest.raises(pb.NotExecuted, match="the replica that was to be asked is not there"):
        asked[0].result()

    assert pb.is_stale(replica)
    assert pump.server.broker.tables.late is None
    assert 1 == len(shop.stock._stopped)


def test_a_question_is_refused_while_answers_are_held_back():
    """The peer does not read; the question would only add to what waits for it."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY)
    replica = pump.call("get", "stock")
    (observer,) = shop.stock._observers
    pump.client.broker.serving.hold()
    asked = observer.double(4)
    shop.stock.tell("set", 6)
    pump.run()
    with pytest.raises(pb.Busy):
        asked.result()

    assert 6 == replica.n
    assert not pb.is_stale(replica)


def test_updates_that_cross_our_bye_are_applied_and_questions_are_not():
    """An answer may follow the update; of the question our BYE says that it did not run."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY)
    replica = pump.call("get", "stock")
    waiting = pump.root.wait()
    pump.run()
    (observer,) = shop.stock._observers
    shop.stock.tell("set", 6)
    asked = observer.put("n", 7)
    down = pump.server.output()
    pump.client.broker.close()
    pump.client.input(down)
    assert 6 == replica.n

    shop.gate.open(1)
    pump.run()
    assert 1 == waiting.result()
    assert 6 == replica.n
    with pytest.raises(pb.NotExecuted):
        asked.result()


def test_an_update_of_a_replica_that_is_just_being_collected_gives_it_up():
    """It could not be applied, and what comes back from the collector must not pass for current."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY)
    replica = pump.call("get", "stock")
    row = replica._jelly_row
    row.held = lambda: None  # as while another thread collects it: no object, and not yet back
    shop.stock.tell("set", 6)
    pump.run()

    assert (True, 0) == (row.is_stale, row.count)
    assert 1 == replica.n
    pump.client.broker.holdings.release_dropped()
    pump.run()
    assert 1 == len(shop.stock._stopped)


def test_a_replica_that_is_just_being_collected_cannot_be_received_again():
    """Its count is owed back with the others when it comes out of the collector."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY)
    replica = pump.call("get", "stock")
    row = replica._jelly_row
    row.held = lambda: None  # as while another thread collects it: no object, and not yet back
    with pytest.raises(pb.NoSuchObject, match="is being given up"):
        pump.call("get", "stock")

    assert 2 == row.count
    assert [] == shop.stock._stopped
    del replica
    assert [] == left_over(pump)
    assert 1 == len(shop.stock._stopped)
