"""Tracked objects: what an owner does is what its replicas show."""

from __future__ import annotations

import copy
import gc
import pickle
from dataclasses import dataclass
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pb
from jelly.observed import ObservedDict, ObservedList
from jelly.replicated import ReplicaList
from jelly.visibility import HIDDEN
from pb.caches import tracking
from pb.tracked import Tracked

from ..sizes import exhaustive, sized
from .boards import Board, House, Ticket, fetch, follow, join, shown
from .pump import STEPS, Gate, Pump, run_all


@STEPS
def test_a_replica_follows_the_fields_lists_and_dicts_of_its_owner(step):
    """Nothing but plain assignments and methods of list and dict at the owner."""
    board = Board(players=["ann"])
    (pump,), (replica,) = follow(board, "referee", step=step)
    assert shown(board) == shown(replica)

    board.title = "b"
    board.players.append("bob")
    board.players[0:1] = ["cy", "di"]
    board.score["ann"] = 1
    board.score["bob"] = 2
    del board.score["ann"]
    board.secret += [7]
    board.secret.clear()
    board.score.clear()
    pump.run()

    assert {"title": "b", "players": ["cy", "di", "bob"], "score": {}, "secret": [], "code": 0} == (
        shown(replica)
    )
    assert ["title", *["players"] * 2, *["score"] * 3, "secret", "secret", "score"] == replica._seen
    assert not pb.is_stale(replica)


values = st.one_of(st.none(), st.integers(0, 3), st.sampled_from(["x", 0.0, -0.0, b"x", True]))
CHANGES = st.one_of(
    st.builds(lambda v: lambda b: setattr(b, "title", v), values),
    st.builds(lambda v: lambda b: setattr(b, "code", v), values),
    st.builds(lambda v: lambda b: setattr(b, "players", [v]), values),
    st.builds(lambda v: lambda b: setattr(b, "score", {1: v}), values),
    st.builds(lambda v: lambda b: setattr(b, "secret", b.players), values),
    st.builds(lambda v: lambda b: b.players.insert(1, v), values),
    st.builds(lambda v: lambda b: b.secret.append(v), values),
    st.just(lambda b: b.secret.clear()),
    st.just(lambda b: b.players.reverse()),
    st.just(lambda b: b.players.pop() if b.players else None),
    st.builds(lambda k, v: lambda b: b.score.__setitem__(k, v), st.integers(0, 3), values),
    st.builds(lambda k: lambda b: b.score.pop(k, None), st.integers(0, 3)),
    st.just(lambda b: b.score.clear()),
    st.just(lambda b: b.users["guest"].roles.append("referee")),
    st.just(lambda b: b.users["guest"].roles.clear()),
    st.just(lambda b: b.visibility_changed()),
    st.just(lambda b: b.join()),
)


@exhaustive
@settings(max_examples=sized(30, 300), deadline=None)
@given(st.lists(CHANGES, max_size=12))
def test_whatever_happens_replicas_show_what_their_users_may_see(changes):
    """Also while roles come and go, and with replicas of one user that begin at different times."""
    board = Board()
    house = House(board=board)
    board.users = house.users
    replicas: list[tuple[str, Any]] = []
    pumps: list[Pump] = []

    def enter() -> None:
        for user in ("referee", "guest"):
            pumps.append(join(house))
            replicas.append((user, fetch(pumps[-1], "board", user)))

    board.join = enter
    enter()
    for change in changes:
        change(board)
    board.visibility_changed()
    run_all(*pumps)

    for user, replica in replicas:
        expected = shown(board)
        if "referee" not in house.users[user].roles:
            expected |= {"secret": HIDDEN, "code": HIDDEN}
        assert repr(expected) == repr(shown(replica))  # repr tells 0.0 from -0.0, and True from 1
        assert not pb.is_stale(replica)


def test_an_object_nobody_observes_is_an_ordinary_one():
    """A program that has no peer yet must not notice."""
    board = Board("b", ["ann"])
    ticket = Ticket()

    board.players.append("bob")
    board.score.update(ann=1)
    board.visibility_changed()
    ticket.price = 5
    ticket.anything = 1

    assert Board("b", ["ann", "bob"], {"ann": 1}) == board
    assert "players=['ann', 'bob'], score={'ann': 1}, secret=[]" in repr(board)
    assert (5, "nobody", 1) == (ticket.price, ticket.owner, ticket.anything)


def test_private_and_undeclared_attributes_do_not_cross():
    """They are the owner's own affair, and the replica's."""
    board = Board()
    (pump,), (replica,) = follow(board, None)

    board._note = "x"
    board.extra = 1
    replica._mine = 2
    replica.more = 3

    assert b"" == pump.server.output()
    assert {"title", "players", "score", "secret", "code", "_mine", "more"} == vars(replica).keys()


@pytest.mark.parametrize(
    ("before", "value"),
    [(None, None), ("x", "".join("x")), (1000, int("1000")), (True, True), (b"x", bytes([120]))],
)
def test_an_equal_scalar_is_not_told(before, value):
    """Programs assign what they have computed, changed or not."""
    board = Board(before)
    (pump,), _ = follow(board, None)

    board.title = value

    assert b"" == pump.server.output()


@pytest.mark.parametrize(
    ("before", "value"),
    [(1, True), (0.0, -0.0), (1, 1.0), ("x", b"x"), (float("nan"), float("nan")), ((1,), (1,))],
)
def test_what_only_looks_equal_is_told(before, value):
    """1 and True are two things at the receiver; equal objects may differ inside."""
    board = Board(before)
    (pump,), (replica,) = follow(board, None)

    board.title = value
    pump.run()

    assert repr(value) == repr(replica.title)
    assert ["title"] == replica._seen


def test_adding_to_a_list_in_place_is_told_once():
    """`board.players += x` changes the list, and then assigns the list that is there."""
    board = Board(players=["ann"], score={"ann": 1})
    (pump,), (replica,) = follow(board, None)

    board.players += ["bob"]
    board.score |= {"bob": 2}
    pump.run()

    assert ["players", "score"] == replica._seen
    assert (["ann", "bob"], {"ann": 1, "bob": 2}) == (replica.players, replica.score)


def test_a_list_that_was_replaced_or_passed_in_tells_nothing():
    """Only the list that is the field now speaks for it."""
    mine = ["ann"]
    board = Board(players=mine, score={"a": 1})
    other = Board()
    (pump,), _ = follow(board, None)
    old, old_score = board.players, board.score

    board.players = other.players
    board.score = {}
    pump.server.output()
    mine.append(1)
    old.append(2)
    old_score["b"] = 2
    other.players.append(3)

    assert b"" == pump.server.output()
    assert [] == board.players


def test_a_list_may_outlive_its_owner():
    """It is a list, after all."""
    board = Board()
    players, score = board.players, board.score
    del board
    gc.collect()

    players.append(1)
    score["a"] = 1

    assert ([1], {"a": 1}) == (players, score)


def test_the_state_in_flight_is_that_of_its_moment():
    """What is told is encoded at once, and the snapshot is no view of the living list."""
    board = Board()
    board.players = ["ann"]
    (pump,), (replica,) = follow(board, None)

    board.players = ["bob"]
    board.players.append("cy")
    pump.run()

    assert ["bob", "cy"] == replica.players
    assert ReplicaList is type(replica.players)
    assert ["players", "players"] == replica._seen


def test_a_field_without_value_cannot_be_sent_yet():
    """A replica would not know what to do without it; nobody observes then."""
    ticket = Ticket()
    house = House(ticket=ticket)
    pump = join(house)

    with pytest.raises(Exception, match="internal error"):
        fetch(pump, "ticket")
    ticket.price = 5

    assert 5 == fetch(pump, "ticket").price


def test_a_field_cannot_be_deleted():
    """There is no update for that, and a replica has the field or does not."""
    board = Board()
    board.extra = 1

    del board.extra
    with pytest.raises(AttributeError, match=r"Board\.title is a field"):
        del board.title

    assert "a" == board.title
    assert not hasattr(board, "extra")


def test_observers_come_and_go():
    """The owner keeps nothing of a replica that is gone."""
    board = Board()
    pumps, replicas = follow(board, "referee", "guest")
    followers = tracking.followers_of(board)._followers
    assert 2 == len(followers)

    replicas.pop()
    gc.collect()
    run_all(*pumps)
    assert 1 == len(followers)
    pumps[0].lose()
    board.title = "b"

    assert 0 == len(followers)
    assert pb.is_stale(replicas[0])


def test_what_changes_while_a_connection_drains_is_told():
    """An answer that still comes must not overtake the change that came before it."""

    class Slow(House):
        async def remote_rename(self, title):
            await gate
            self.things["board"].title = title
            return title

    gate = Gate()
    board = Board()
    pump = join(Slow(board=board))
    replica = fetch(pump, "board")
    outcome = pump.root.rename("b")
    pump.run()
    pump.server.broker.close()
    pump.run()
    gate.open()
    pump.server.run_tasks()
    pump.client.input(pump.server.output())

    assert ("b", "b") == (outcome.result(), replica.title)
    board.title = "c"
    board.visibility_changed()
    pump.lose()
    board.title = "d"
    assert "d" == board.title


def test_one_tracked_object_may_hold_another():
    """Each is followed on its own, and home is home."""
    board = Board(players=[Ticket()])
    board.players[0].price = 5
    (pump,), (replica,) = follow(board, None)
    pump.server.broker.tables.exports[0].object.things["ticket"] = board.players[0]

    board.players[0].price = 6
    board.score["best"] = board.players[0]
    pump.run()

    assert 6 == replica.players[0].price
    assert replica.players[0] is replica.score["best"]
    assert pump.call("is", "ticket", replica.players[0])


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda board: pickle.loads(pickle.dumps(board))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_is_an_owner_that_nobody_observes(duplicate):
    """Copies of owner and replica alike."""
    board = Board(players=["ann"], score={"a": 1})
    (pump,), (replica,) = follow(board, "referee")

    copies = [duplicate(board), duplicate(replica)]
    for each in copies:
        each.title = "copy"
        each.players.append("copy")
        each.score["copy"] = 1
        each.visibility_changed()

    assert b"" == pump.server.output()
    assert ("a", ["ann"], {"a": 1}) == (board.title, board.players, board.score)
    assert ("a", ["ann"], {"a": 1}) == (replica.title, replica.players, replica.score)
    for each in copies:
        (pump,), (other,) = follow(each, None)
        each.players.append("more")
        pump.run()
        assert ["ann", "copy", "more"] == other.players


# --- the class


def make_method_field() -> type:
    class Wrong(Tracked):
        changed: int

    return Wrong


def make_mutable_default() -> type:
    class Wrong(Tracked):
        players: list[str] = []

    return Wrong


def make_frozen() -> type:
    return dataclass(frozen=True)(type("Wrong", (Tracked,), {"__annotations__": {"title": str}}))


def make_attrs() -> type:
    return attrs.define(slots=False)(type("Wrong", (Tracked,), {"__annotations__": {"title": str}}))


@pytest.mark.parametrize("make", [make_method_field, make_mutable_default, make_frozen, make_attrs])
def test_a_class_whose_changes_could_not_be_noticed_is_refused(make):
    """At the first instance: dataclass() has not run when the class is made."""
    with pytest.raises(TypeError, match="Wrong"):
        Tracked.__setattr__(make().__new__(make()), "title", 1)


def test_lists_and_dicts_are_stored_as_observed_ones():
    """And nothing else is touched."""
    board = Board(title=(1,), players=ObservedList([1]), score=ObservedDict({1: 1}))

    assert [tuple, ObservedList, ObservedDict] == [type(x) for x in (board.title, board.players, board.score)]
