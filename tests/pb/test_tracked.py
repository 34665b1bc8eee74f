"""Tracked objects, from an owner's assignment to the replicas of those who may see it."""

from __future__ import annotations

import copy
import gc
import pickle
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jelly
import pb
from jelly.observed import ObservedDict, ObservedList
from jelly.visibility import HIDDEN, visible_if, visible_to
from pb import _tracking
from pb.limits import Limits
from pb.tracked import Tracked

from .pump import STEPS, Pump, run_all


@dataclass
class Board(Tracked):
    title: str = "a"
    players: list[Any] = field(default_factory=list)
    score: dict[Any, Any] = field(default_factory=dict)
    secret: Annotated[list[Any], visible_to("referee")] = field(default_factory=list)
    code: Annotated[int, visible_to("referee")] = 0
    log: ClassVar[list[str]] = []
    _note: str = "never sent"

    def changed(self, field: str) -> None:
        vars(self).setdefault("_seen", []).append(field)
        if self.title == "refused by the replica":
            raise ValueError(field)


class Ticket(Tracked):
    """Plain annotations, no constructor, and one field without a value."""

    price: int
    owner: str = "nobody"
    show: bool = False
    seat: Annotated[str, visible_if(lambda ticket, perspective: ticket.show)] = "1a"


class Door(pb.Referenceable):
    pass


class User:
    def __init__(self, house: House, *roles: str) -> None:
        self.house = house
        self.roles = list(roles)

    def perspective_thing(self, name: str) -> Any:
        return self.house.things[name]


class House(pb.Root):
    def __init__(self, **things: Any) -> None:
        self.things = things
        self.users = {name: User(self, name) for name in ("referee", "guest")}
        self.held: list[Any] = []

    def remote_enter(self, name: str) -> Any:
        return pb.current_call().attach(self.users[name])

    def remote_thing(self, name: str) -> Any:
        return self.things[name]

    def remote_is(self, name: str, thing: Any) -> bool:
        return thing is self.things[name]


def make_registry(**options: Any) -> jelly.Registry:
    registry = jelly.Registry()
    registry.add(Board, "game.Board", **options)
    registry.add(Ticket, "game.Ticket")
    return registry


def join(house: House, **options: Any) -> Pump:
    return Pump(house, registry=make_registry(), **options)


def fetch(pump: Pump, name: str, user: str | None = None) -> Any:
    """Return a thing of the house as a user sees it; without one, as nobody in particular."""
    if user is None:
        return pump.call("thing", name)
    outcome = pump.call("enter", user).thing(name)
    pump.run()
    return outcome.result()


def shown(thing: Any) -> dict[str, Any]:
    """Return the fields of a board."""
    return {name: vars(thing)[name] for name in ("title", "players", "score", "secret", "code")}


def follow(board: Board, *users: str | None, **options: Any) -> tuple[list[Pump], list[Any]]:
    """Return for each user a connection and a replica of the board."""
    house = House(board=board)
    pumps = [join(house, **options) for _ in users]
    return pumps, [fetch(pump, "board", user) for pump, user in zip(pumps, users, strict=True)]


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
    pump.run()

    assert {"title": "b", "players": ["cy", "di", "bob"], "score": {"bob": 2}, "secret": [7], "code": 0} == (
        shown(replica)
    )
    assert ["title", "players", "players", "score", "score", "score", "secret"] == replica._seen
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


@settings(max_examples=60, deadline=None)
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


# --- the owner


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
    assert "Board(title='b', players=['ann', 'bob'], score={'ann': 1}, secret=[], code=0, _note='never sent')" == (
        repr(board)
    )
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
    assert list is type(replica.players)
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
    followers = _tracking.followers_of(board)._followers
    assert 2 == len(followers)

    replicas.pop()
    gc.collect()
    run_all(*pumps)
    assert 1 == len(followers)
    pumps[0].lose()
    board.title = "b"

    assert 0 == len(followers)
    assert pb.is_stale(replicas[0])


def test_nothing_is_told_on_a_connection_that_is_closing():
    """Its replicas are stale in a moment, and the owner goes on."""
    board = Board()
    (pump,), (replica,) = follow(board, "referee")
    pump.server.broker.close()
    pump.server.output()

    board.title = "b"
    board.visibility_changed()

    assert b"" == pump.server.output()


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


# --- who sees what


def test_not_one_byte_of_a_hidden_field_goes_to_who_may_not_see_it():
    """Not even that it changed."""
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
    """Its own replica is given up. All it needs is to say max_frame=4096."""
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
    assert len(replicas) == len(_tracking.followers_of(board)._followers)
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
    (pump,), (replica,) = follow(board, None, limits=Limits(max_frame=4096))

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


def test_keys_whose_hash_a_peer_can_choose_do_not_flood_a_replica():
    """In a large map such a key is not put: the whole map is sent, which the receiver bounds."""
    most = _tracking.MAX_FLOODABLE_PUT
    board = Board(score={str(n): n for n in range(most)})
    (pump,), (replica,) = follow(board, None)

    board.score[1, 2] = 0
    assert most > len(pump.server.output()) > 1  # not a put: 1,024 names take more
