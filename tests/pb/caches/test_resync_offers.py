"""Offers of replicas and their keys, right and wrong, byte by byte."""

from __future__ import annotations

import msgpack
import pytest

import pb
from pb.caches import history, resync
from pb.caches.offering import RESYNC, Offering

from ..boards import House
from ..charts import Chart, fetch, join, offer, registry, state, told
from ..peers import ask
from ..pump import Outcome, Pump, Script, packed


def test_who_does_not_come_back_is_told_no_key():
    """Nothing of a feature goes to who did not announce it."""
    house = House(board=Chart())
    plain = Script(house, registry=registry(), info={"features": ["cache"]})
    plain.say([1, 1, 0, "thing", packed([["board"], {}])])
    assert [2] == [message[0] for message in plain.heard()]
    other = Script(house, registry=registry(), info={"features": ["cache", "resync"]})
    other.say([1, 1, 0, "thing", packed([["board"], {}])])
    answer, key = other.heard()
    assert [2, 7] == [answer[0], key[0]]
    assert [0, 1, "pb:key"] == key[1:4]
    assert 1 == len(house.things["board"]._pb_followers.history._tickets)


@pytest.mark.parametrize(
    "key", [b"", b"x" * 15, b"x" * 65, "x" * 16, None, 7], ids=lambda key: repr(key)[:12]
)
def test_a_key_that_is_none_makes_the_replica_stale(key):
    """As every update that cannot be applied does."""
    side = Script(registry=registry(), info={"features": ["cache"]})
    root = side.broker.root_reference()
    outcome = root.thing()
    side.heard()
    cache = msgpack.ExtType(9, packed([1, "game.Chart", {"title": "a"}]))
    side.say([2, 1, packed(cache)])
    held = outcome.result()
    side.say([7, 0, 1, "pb:key", packed([[b"k" * 16], {}])])
    assert b"k" * 16 == side.broker.tables.replicas[1].key
    side.say([7, 0, 1, "set", packed([["title", "b"], {}])], [7, 5, 1, "set", packed([["title", "c"], {}])])
    assert 2 == side.broker.tables.replicas[1].version
    side.say([7, 0, 1, "pb:key", packed([[key], {}])])

    assert pb.is_stale(held)
    assert [[2, 5], [6, [1, 1]]] == [message[:2] for message in side.heard()]


OFFERS = [
    (),
    (1, 2),
    (7,),
    ([7],),
    ([[b"x" * 16]],),
    ([[b"x" * 16, 1, 2]],),
    ([[b"x" * 15, 1]],),
    ([["x" * 16, 1]],),
    ([[b"x" * 16, -1]],),
    ([[b"x" * 16, True]],),
    ([[b"x" * 16, "1"]],),
    ([[b"x" * 16, 1], 7],),
    ([[number.to_bytes(16), 1] for number in range(resync.MAX_OFFERS + 1)],),
]


@pytest.mark.parametrize("args", OFFERS, ids=lambda args: repr(args)[:60])
def test_offers_that_are_none_are_refused(args):
    """All of them, where one is."""
    pump = join(House())
    outcome = ask(pump.root, RESYNC, *args)
    pump.run()

    with pytest.raises(pb.BadArguments):
        outcome.result()
    assert None is pump.server.broker.tables.offers


def test_offers_are_answered_alike_whether_they_are_known_or_not():
    """Nobody finds out by them what is there; and nobody can make very many."""
    chart = Chart()
    house = House(board=chart)
    old = join(house)
    held = fetch(old)
    old.lose()
    new = join(house)
    (row,) = old.client.broker.tables.lost
    outcome = ask(new.root, RESYNC, [[row.key, 0], [b"x" * 16, None], [row.key, 5]])
    new.run()
    assert [1, 2, None] == outcome.result()
    many = ask(new.root, RESYNC, [[number.to_bytes(16, "big"), 0] for number in range(resync.MAX_OFFERS)])
    new.run()
    assert 2 == many.result().count(None)
    assert [None, None] == many.result()[-2:]
    assert "a" == held.title


@pytest.mark.parametrize("version", [None, 3, 1 << 60])
def test_a_version_that_cannot_be_gets_the_state(version):
    """What was never told cannot have been applied."""
    chart = Chart()
    house = House(board=chart)
    old = join(house)
    held = fetch(old)
    old.lose()
    chart.title = "b"
    (row,) = old.client.broker.tables.lost
    new = join(house)
    ids = ask(new.root, RESYNC, [[row.key, version]])
    new.run()
    tables = new.client.broker.tables
    tables.expect_replica(*ids.result(), held, row.key, 0, new.client.broker.scope)

    assert [2, "set", "set", "set", "pb:key"] == told(new)
    assert ("b", [], {}) == state(held)


@pytest.mark.parametrize("ids", [None, 7, [], [1, 2], ["1"], [True], [None], [-1], [0], [1 << 60]], ids=repr)
def test_an_answer_that_makes_no_sense_lets_nothing_wait(ids):
    """A server that answers nonsense has a client whose replicas stay stale."""
    chart = Chart()
    house = House(board=chart)
    old = join(house)
    held = fetch(old)
    old.lose()
    side = Script(registry=registry())
    outcome = Outcome()
    offering = Offering(old.client.broker.tables.lost, side.broker.scope, outcome)
    offering.call_started(1)
    assert not offering.done()
    offering.set_result(ids)

    assert None is outcome.result()
    assert {} == side.broker.tables.replicas and pb.is_stale(held)


def test_offers_that_are_refused_or_lost_are_told_so():
    """An older server has no such method; then the replicas are had anew."""
    chart = Chart()
    house = House(board=chart)
    old = join(house)
    held = fetch(old)
    old.lose()
    side = Script(registry=registry())
    outcome = Outcome()
    root = side.broker.root_reference()._pb_import
    offering = Offering(old.client.broker.tables.lost, side.broker.scope, outcome)
    side.broker.calls.make(root, RESYNC, (offering.offers,), {}, offering)
    side.broker.connection_lost("lost")

    with pytest.raises(pb.NotExecuted):
        outcome.result()
    assert offering.done() and pb.is_stale(held)


def test_a_class_that_makes_its_own_state_is_sent_as_ever():
    """What its hook adds is not among the changes."""

    class Special(Chart):
        def get_state_to_cache_and_observe_for(self, perspective, observer):
            return super().get_state_to_cache_and_observe_for(perspective, observer)

    chart = Special()
    house = House(board=chart)
    made = registry()
    made.add(Special, "game.Special")
    old = Pump(house, registry=made)
    held = fetch(old)
    old.lose()
    new = Pump(house, registry=made)
    offer(new, old.client.broker.tables.lost)

    assert held is not fetch(new) and pb.is_stale(held)


def test_an_answer_that_came_too_late_lets_nothing_wait():
    """The connection has ended meanwhile."""
    chart = Chart()
    house = House(board=chart)
    old = join(house)
    held = fetch(old)
    old.lose()
    new = join(house)
    outcome = Outcome()
    offering = Offering(old.client.broker.tables.lost, new.client.broker.scope, outcome)
    new.lose()
    offering.set_result([1])

    assert {} == new.client.broker.tables.replicas and pb.is_stale(held)


def test_a_chart_remembers_only_so_many_that_may_come_back():
    """Those that were told longest ago get the state."""
    chart = history.History(["title"])
    for number in range(history.MAX_TICKETS + 1):
        chart.begin(number.to_bytes(16, "big"), None, True)
    chart.end(None)

    assert None is chart.match({(0).to_bytes(16, "big"): None}, None)
    assert (1).to_bytes(16, "big") == chart.match({(1).to_bytes(16, "big"): None}, None)


def test_users_are_the_same_by_name_or_by_being_the_same_object():
    """A perspective that is made anew for each attachment is the same user all the same."""

    class Service:
        name = "chat"

    class Named:
        def __init__(self, name):
            self.perspective_name = name
            self.service = Service()

    alice, again, bob = Named("alice"), Named("alice"), Named("bob")
    ticket = history.Ticket(0, alice, True)
    assert [True, True, False, False] == [ticket.is_of(who) for who in (alice, again, bob, None)]
    bare = history.Ticket(0, ("no", "weak", "reference"), True)
    assert [False, False] == [bare.is_of(who) for who in (None, alice)]
