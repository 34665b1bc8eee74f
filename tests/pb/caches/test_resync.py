"""Replicas that come back over the next connection: told what they missed, and nothing to anybody else."""

from __future__ import annotations

import gc

import pytest

import pb
from jelly.visibility import HIDDEN
from pb.caches import history

from ..boards import Board, House
from ..charts import Chart, come_back, fetch, join, offer, state, told
from ..pump import STEPS, messages_in


@STEPS
def test_a_replica_that_comes_back_is_told_what_it_missed(step):
    """The same object, and only the changes: a board of any size comes back in a few bytes."""
    chart = Chart(notes=list(range(1000)))
    house = House(board=chart)
    old = join(house, step=step)
    held = fetch(old)
    chart.title = "told"
    old.run()
    assert "told" == held.title and not pb.is_stale(held)
    old.lose()
    assert pb.is_stale(held)
    chart.notes.append("missed")
    chart.seats["north"] = "ann"
    chart.title = "missed too"

    new = come_back(old, house, lose=False, step=step)
    assert pb.is_stale(held) and "told" == held.title
    said = told(new)

    assert [2, "splice", "put", "set", "pb:key"] == said
    assert held is fetch(new)
    assert state(chart) == state(held) and not pb.is_stale(held)
    assert ["title", "notes", "seats", "title"] == held._seen
    chart.title = "goes on"
    new.run()
    assert "goes on" == held.title
    same = getattr(new.root, "is")("board", held)
    new.run()
    assert same.result() is True


def test_it_comes_back_again_and_again():
    """Each time under a new key, from where it was."""
    chart = Chart()
    house = House(board=chart)
    pump = join(house)
    held = fetch(pump)
    keys = set()
    for number in range(20):
        chart.notes.append(number)
        if number % 3:
            pump.run()
        pump.lose()
        keys |= {row.key for row in pump.client.broker.tables.lost}
        chart.seats[number] = number
        pump = come_back(pump, house, lose=False)
        assert held is fetch(pump)
        assert state(chart) == state(held)
    assert 20 == len(keys)
    assert 1 == len(chart._pb_followers._followers)
    assert 1 == len(chart._pb_followers.history._tickets)


def test_what_is_lost_under_way_is_sent_again():
    """Updates that were written and never arrived are among the missed ones."""
    chart = Chart()
    house = House(board=chart)
    old = join(house)
    held = fetch(old)
    chart.notes.append(1)
    chart.notes.append(2)
    first, _ = messages_in(old.server.output())
    old.client.broker.updates.receive_observe(first)
    assert [1] == held.notes
    new = come_back(old, house)

    assert [2, "splice", "pb:key"] == told(new)
    assert [1, 2] == held.notes


@pytest.mark.parametrize(
    "why", ["too many changes", "too much", "another server", "released", "revoked", "forged"]
)
def test_where_the_changes_are_not_known_the_state_is_sent(why):
    """All of it, and the program that gets it anew has a replica that is right."""
    chart = Chart()
    house = House(board=chart)
    old = join(house)
    held = fetch(old)
    if why == "revoked":
        old.server.broker.holdings.revoke_object(chart)
        old.run()
    if why == "released":
        del held
        gc.collect()
        old.run()
    old.lose()
    if why == "too many changes":
        for number in range(history.MAX_CHANGES + 1):
            chart.title = str(number)
    if why == "too much":
        chart.title = "x" * (history.MAX_WEIGHT + 1)
    if why == "another server":
        house.things["board"] = chart = Chart("b")
    new = join(house)
    lost = list(old.client.broker.tables.lost)
    assert (why in ("revoked", "released")) == (not lost)
    if why == "forged":
        lost[0].key = b"x" * 16
    offer(new, lost)
    fresh = fetch(new)

    assert state(chart) == state(fresh) and not pb.is_stale(fresh)
    if why.startswith("too"):
        assert fresh is held
    if why in ("another server", "forged"):
        assert fresh is not held and pb.is_stale(held)
        (row,) = (row for row in new.client.broker.tables.replicas.values() if row.object is fresh)
        row.pass_to(held)
        assert state(chart) == state(held) and not pb.is_stale(held)
        chart.title = "on"
        new.run()
        assert "on" == held.title == fresh.title and not pb.is_stale(fresh)
        again = fetch(new)
        assert again is held
        del fresh, again, row
        gc.collect()
        new.run()
        chart.title = "on and on"
        new.run()
        assert "on and on" == held.title


def test_a_replica_that_missed_an_update_is_not_offered():
    """Nobody knows what it has."""
    board = Board()
    house = House(board=board)
    old = join(house)
    held = fetch(old)
    board.title = "refused by the replica"
    old.run()
    assert pb.is_stale(held)
    old.lose()

    assert [] == list(old.client.broker.tables.lost)


def test_fields_that_some_do_not_see_are_cut_anew_for_who_comes_back():
    """Rights may have changed; and what was hidden before is not among the changes that are told."""
    board = Board(secret=["hush"], code=7)
    house = House(board=board)
    old = join(house)
    referee = old.call("enter", "referee")
    held = fetch(old, of=referee)
    assert ["hush"] == held.secret
    old.lose()
    board.secret.append("more")
    board.title = "b"
    house.users["referee"].roles.clear()

    new = come_back(old, house)
    referee = new.call("enter", "referee")
    assert held is fetch(new, of=referee)
    assert ("b", HIDDEN, HIDDEN) == (held.title, held.secret, held.code)
    new.lose()
    house.users["referee"].roles.append("referee")
    last = come_back(new, house, lose=False)
    assert held is fetch(last, of=last.call("enter", "referee"))
    assert (["hush", "more"], 7) == (held.secret, held.code)


def test_another_user_gets_a_replica_of_his_own():
    """Whoever offers a key: what is sent is what the program sends, cut for whom it sends it to."""
    board = Board(secret=["hush"])
    house = House(board=board)
    old = join(house)
    held = fetch(old, of=old.call("enter", "referee"))
    old.lose()
    new = come_back(old, house)

    guest = fetch(new, of=new.call("enter", "guest"))
    assert guest is not held and HIDDEN is guest.secret
    assert pb.is_stale(held) and ["hush"] == held.secret
    board.secret.append("more")
    new.run()
    assert HIDDEN is guest.secret and ["hush"] == held.secret
    assert held is fetch(new, of=new.call("enter", "referee"))
    assert ["hush", "more"] == held.secret


def test_what_the_program_does_not_send_stays_stale():
    """An offer by itself brings nothing, however right its key (PB-K15)."""
    chart = Chart()
    house = House(board=chart)
    old = join(house)
    held = fetch(old)
    new = come_back(old, house)
    chart.title = "not for everybody"
    new.run()

    assert "a" == held.title and pb.is_stale(held)
    with pytest.raises(Exception, match="no longer follows"):
        new.client.broker.scope.home_of(held)
    # and over the next connection it may be offered once more
    last = come_back(new, house)
    assert held is fetch(last) and "not for everybody" == held.title


def test_a_replica_that_is_dropped_while_it_waits_harms_nobody():
    """It is gone when the object is sent; a new object takes its place."""
    chart = Chart()
    house = House(board=chart)
    old = join(house)
    held = fetch(old)
    new = come_back(old, house)
    del held
    gc.collect()
    new.run()
    chart.title = "b"
    fresh = fetch(new)

    assert "b" == fresh.title and not pb.is_stale(fresh)
    del fresh
    gc.collect()
    new.run()
    assert {0} == set(new.server.broker.tables.exports)
    assert {} == new.client.broker.tables.replicas


def test_a_payload_that_is_not_sent_takes_nothing_up():
    """Nothing of it is told, and the holder is as before."""
    chart = Chart()
    house = House(board=chart)
    house.things["bad"] = [chart, object()]
    old = join(house)
    held = fetch(old)
    chart.title = "b"
    new = come_back(old, house)

    with pytest.raises(pb.RemoteError):
        fetch(new, "bad")
    assert "a" == held.title and pb.is_stale(held)
    assert [] == new.server.broker.tables.fresh
    assert None is new.server.broker.tables.late
    fresh = fetch(new)
    assert "b" == fresh.title and not pb.is_stale(fresh)
    assert {} == {key: row for key, row in chart._pb_followers._followers.items() if not row.hears}


def test_a_value_that_cannot_be_sent_any_more_gives_the_replica_up():
    """What was told before is encoded anew; its replica must not go on as if it had been told."""
    chart = Chart()
    house = House(board=chart)
    old = join(house)
    held = fetch(old)
    old.lose()
    chart.notes.append(object())
    chart.notes.pop()
    new = come_back(old, house, lose=False)
    fetch(new)

    assert pb.is_stale(held)
