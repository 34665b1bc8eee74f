"""Tracked objects: who is told what, and what if it cannot be sent."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Annotated

import pytest

import jelly
import pb
from jelly.visibility import HIDDEN, visible_if, visible_to
from pb.caches import tracking
from pb.limits import Limits
from pb.tracked import Tracked

from ..boards import Board, Door, House, Ticket, fetch, follow, join, make_registry, shown
from ..pump import Cancelled, Pump, run_all

# --- who sees what


def test_not_one_byte_of_a_hidden_field_goes_to_who_may_not_see_it():
    """Not even that it changed (PB-T11)."""
    board = Board(secret=["hush"], code=7)
    (one, two, three), (referee, guest, nobody) = follow(board, "referee", "guest", None)
    assert (["hush"], HIDDEN, HIDDEN) == (referee.secret, guest.secret, nobody.secret)
    assert (7, HIDDEN, HIDDEN) == (referee.code, guest.code, nobody.code)

    board.secret.append("more")
    board.secret = ["other"]
    board.code = 8

    assert b"" == two.server.output() == three.server.output()
    one.run()
    assert (["other"], 8) == (referee.secret, referee.code)


def test_a_role_that_is_given_or_taken_shows_and_hides():
    """The owner says when; the rules are asked again for the one whose roles changed."""
    board = Board(secret=["hush"])
    pumps, (referee, guest) = follow(board, "referee", "guest")
    users = [pump.server.broker.tables.exports[0].object.users for pump in pumps]
    assert users[0] is users[1]

    users[0]["guest"].roles.append("referee")
    users[0]["referee"].roles.clear()
    board.visibility_changed(users[0]["guest"])
    run_all(*pumps)
    assert (["hush"], ["hush"]) == (referee.secret, guest.secret)
    assert ["secret", "code"] == guest._seen
    board.secret.append("more")
    board.visibility_changed()
    run_all(*pumps)

    assert (HIDDEN, ["hush", "more"]) == (referee.secret, guest.secret)
    assert (HIDDEN, 0) == (referee.code, guest.code)
    assert not pb.is_stale(referee)
    board.visibility_changed()
    assert b"" == pumps[0].server.output() == pumps[1].server.output()


def test_a_change_of_a_field_that_came_into_sight_brings_the_whole():
    """A splice of a list that the replica never had would make it stale."""
    board = Board(secret=["hush"])
    (pump,), (guest,) = follow(board, "guest")
    user = pump.server.broker.tables.exports[0].object.users["guest"]

    user.roles.append("referee")
    board.secret.append("more")
    pump.run()
    assert ["hush", "more"] == guest.secret
    user.roles.clear()
    board.secret.append("and more")
    board.secret.append("and more")
    pump.run()

    assert HIDDEN is guest.secret
    assert ["secret", "secret"] == guest._seen


def test_a_rule_may_look_at_the_object():
    """And is asked with the value that the change made."""
    ticket = Ticket()
    ticket.price = 1
    pump = join(House(ticket=ticket))
    replica = fetch(pump, "ticket", "guest")
    assert HIDDEN is replica.seat

    ticket.show = True
    ticket.visibility_changed()
    ticket.seat = "2b"
    pump.run()

    assert "2b" == replica.seat


def test_a_rule_is_asked_once_for_each_perspective():
    """It may look into a database."""
    asked: list[str] = []
    rule = visible_if(lambda board, user: asked.append(user.roles[0]) is None)
    registry = make_registry(visible={"title": rule})
    board = Board()
    house = House(board=board)
    pumps = [Pump(house, registry=registry) for _ in range(3)]
    users = ["guest", "guest", "referee"]
    replicas = [fetch(pump, "board", user) for pump, user in zip(pumps, users, strict=True)]
    asked.clear()

    board.title = "b"
    run_all(*pumps)

    assert ["b", "b", "b"] == [replica.title for replica in replicas]
    assert ["guest", "referee"] == asked


def test_a_value_that_is_hidden_here_is_shown_to_nobody():
    """An owner made of somebody's replica has not got it."""
    board = Board()
    (pump,), (replica,) = follow(board, "guest")
    copied = copy.copy(replica)
    (pump,), (referee,) = follow(copied, "referee")
    assert HIDDEN is referee.secret

    copied.secret = ["found"]
    pump.run()
    assert ["found"] == referee.secret
    copied.secret = HIDDEN
    pump.run()

    assert HIDDEN is referee.secret
    assert not pb.is_stale(referee)


def test_rules_that_are_given_with_the_registration_hold_for_changes_too():
    """A snapshot without the field and updates with it would be a leak."""
    board = Board()
    registry = make_registry(visible={"title": visible_to("referee")})
    pump = Pump(House(board=board), registry=registry)
    replica = fetch(pump, "board", "guest")
    assert HIDDEN is replica.title

    board.title = "b"

    assert b"" == pump.server.output()


def test_a_rule_that_fails_undoes_the_change_and_nobody_is_told():
    """Nobody knows who may see it then."""

    class Broken(Tracked):
        title: Annotated[str, visible_if(lambda thing, perspective: bool(1 // len(thing.title)))] = "a"

    registry = jelly.Registry()
    registry.add(Broken, "game.Broken")
    thing = Broken()
    pump = Pump(House(thing=thing), registry=registry)
    replica = fetch(pump, "thing", "guest")

    with pytest.raises(jelly.Unjellyable):
        thing.title = ""

    assert "a" == thing.title == replica.title
    assert b"" == pump.server.output()


# --- what cannot be sent


@pytest.mark.parametrize(
    "change",
    [
        lambda board: setattr(board, "title", object()),
        lambda board: setattr(board, "players", [object()]),
        lambda board: setattr(board, "secret", [object()]),
        lambda board: board.players.append(object()),
        lambda board: board.players.append([Door(), object()]),
        lambda board: board.score.update(a=object()),
        lambda board: board.score.update(b=object()),
    ],
    ids=["field", "list", "hidden list", "append", "append with a reference", "new value", "new key"],
)
def test_a_change_that_cannot_be_sent_is_undone(change):
    """Else the owner would hold what its replicas never will."""
    board = Board(players=["ann"], score={"a": 1})
    before = shown(copy.deepcopy(board))
    pumps, replicas = follow(board, "referee", "referee")

    with pytest.raises(jelly.Unjellyable, match="object"):
        change(board)
    assert b"" == pumps[0].server.output() == pumps[1].server.output()
    assert before == shown(board)
    board.players.append("bob")
    run_all(*pumps)

    assert [["ann", "bob"]] * 2 == [replica.players for replica in replicas]


def test_a_first_value_that_cannot_be_sent_leaves_no_value():
    """The class default shows again, as before."""
    ticket = Ticket()
    ticket.price = 1
    pump = join(House(ticket=ticket))
    fetch(pump, "ticket")

    with pytest.raises(jelly.Unjellyable):
        ticket.owner = object()

    assert "nobody" == ticket.owner
    assert "owner" not in vars(ticket)


@pytest.mark.parametrize("users", [("guest",), ("guest", "referee")], ids=["alone", "and another"])
def test_a_peer_that_takes_little_cannot_keep_the_owner_from_changing(users, caplog):
    """Its own replica is given up. All it needs is to say max_frame=4096 (PB-C16)."""
    board = Board()
    house = House(board=board)
    small = join(house, client_limits=Limits(max_frame=4096))
    mean = fetch(small, "board", "guest")
    pumps, replicas = [], []
    for user in users[1:]:
        pumps.append(join(house))
        replicas.append(fetch(pumps[-1], "board", user))

    board.players.append("x" * 5000)
    run_all(small, *pumps)

    assert ["x" * 5000] == board.players
    assert all(board.players == replica.players for replica in replicas)
    assert pb.is_stale(mean)
    assert [] == mean.players
    assert "a replica of a Board is given up" in caplog.text
    assert len(replicas) == len(tracking.followers_of(board)._followers)
    board.title = "b"
    assert b"" == small.server.output()


def test_a_peer_that_holds_no_more_references_is_given_up():
    """What differs for each peer counts as the peer's where the error says so."""
    board = Board()
    (pump,), (replica,) = follow(board, None, client_limits=Limits(max_refs=1))

    board.title = Door()
    pump.run()

    assert pb.is_stale(replica)


def test_what_is_too_large_for_this_side_too_is_undone():
    """A program that outgrows its own limit must hear of it."""
    board = Board()
    _, (replica,) = follow(board, None, limits=Limits(max_frame=4096))

    with pytest.raises(pb.TooLarge):
        board.players.append("x" * 5000)

    assert [] == board.players == replica.players
    assert not pb.is_stale(replica)


def test_what_one_peer_was_told_stands():
    """Where classes are registered for one connection only, the others are given up."""

    @dataclass
    class Point:
        x: int

    more = make_registry()
    more.add(Point, "geo.Point")
    board = Board()
    house = House(board=board)
    rich, poor = Pump(house, registry=more), join(house)
    told, untold = fetch(rich, "board"), fetch(poor, "board")

    board.title = Point(1)
    run_all(rich, poor)

    assert Point(1) == told.title == board.title
    assert (False, True) == (pb.is_stale(told), pb.is_stale(untold))


def test_what_some_were_told_stands_though_a_hook_is_cancelled():
    """A CancelledError would else undo at the owner what a replica has already."""

    @dataclass
    class Fickle:
        text: str

        def get_state_to_copy_for(self, perspective):
            if "referee" in perspective.roles:
                raise Cancelled
            return {"text": self.text}

    more = make_registry()
    more.add(Fickle, "x.Fickle", factory=lambda state: state["text"])
    board = Board()
    house = House(board=board)
    one, two = Pump(house, registry=more), Pump(house, registry=more)
    told, untold = fetch(one, "board", "guest"), fetch(two, "board", "referee")
    board.title = Fickle("b")
    run_all(one, two)

    assert (Fickle("b"), "b") == (board.title, told.title)
    assert (False, True) == (pb.is_stale(told), pb.is_stale(untold))


def test_keys_whose_hash_a_peer_can_choose_do_not_flood_a_replica():
    """In a large map such a key is not put: the whole map is sent, which the receiver bounds."""
    most = tracking.MAX_FLOODABLE_PUT
    board = Board(score={str(n): n for n in range(most - 1)})
    (pump,), (replica,) = follow(board, None)

    sizes = []
    for key, value in [((1, 2), 0), ((3, 4), 0), ((1, 2), 1), ("new", 1)]:
        board.score[key] = value
        data = pump.server.output()
        sizes.append(len(data) > 4096)
        pump.client.input(data)

    assert [False, True, False, False] == sizes
    assert board.score == replica.score
    assert not pb.is_stale(replica)
