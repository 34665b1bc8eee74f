"""Tracked objects: what threads, rules, hooks and broken connections do while a change is told."""

from __future__ import annotations

import tracemalloc
from typing import Annotated, Any

import pytest

import jelly
import pb
from jelly.visibility import HIDDEN, visible_if
from pb import messages
from pb.caches import tracking
from pb.tracked import Tracked

from ..boards import Board, Door, House, fetch, follow, join, make_registry, move_away, shown
from ..pump import Pump, messages_in, run_all

CHANGES = pytest.mark.parametrize(
    "change",
    [
        lambda board: setattr(board, "title", "b"),
        lambda board: setattr(board, "players", ["b"]),
        lambda board: board.players.append("b"),
        lambda board: board.score.update(b=1),
        lambda board: board.secret.append("b"),
        lambda board: board.visibility_changed(),
    ],
    ids=["field", "list", "append", "key", "hidden", "rules"],
)


@CHANGES
@pytest.mark.parametrize("foreign", [0, 1])
def test_in_another_thread_nothing_is_changed_and_nobody_is_told(change, foreign):
    """Whichever of the replicas it is whose connection lives elsewhere."""
    board = Board()
    pumps, replicas = follow(board, "referee", "referee")
    house = pumps[0].server.broker.tables.exports[0].object
    house.users["referee"].roles.clear()
    before = shown(board)
    move_away(pumps[foreign], lambda: None)

    with pytest.raises(RuntimeError, match="in another thread"):
        change(board)

    assert before == shown(board)
    assert b"" == pumps[0].server.output() == pumps[1].server.output()
    assert [False, False] == [pb.is_stale(replica) for replica in replicas]


@CHANGES
@pytest.mark.parametrize("closed", [0, 1])
def test_a_replica_whose_loop_is_closed_keeps_nobody_from_changing(change, closed, caplog):
    """It has ended, and the log says so; the other is told."""
    board = Board()
    pumps, _ = follow(board, "referee", "referee")
    house = pumps[0].server.broker.tables.exports[0].object
    house.users["referee"].roles.clear()
    move_away(pumps[closed], lambda: None)
    pumps[closed].server.is_over = True

    change(board)
    change(board)

    told = [pump.server.output() != b"" for pump in pumps]
    assert [closed == 1, closed == 0] == told
    assert ["a replica of a Board is given up: in another thread"] == caplog.messages


def test_a_field_is_not_changed_before_the_thread_is_known_to_be_the_right_one():
    """The loop could make a snapshot with a value that is taken back."""
    board = Board()
    (pump,), _ = follow(board, None)
    seen: list[str] = []
    move_away(pump, lambda: seen.append(board.title))

    with pytest.raises(RuntimeError):
        board.title = "b"
    board.title = "a"
    pump.lose()
    board.title = "b"

    assert ["a"] == seen
    assert "b" == board.title


# --- rules


class Guarded(Tracked):
    """Its rule calls what the test puts there."""

    text: Annotated[str, visible_if(lambda thing, user: thing._ask(user))] = "a"
    title: str = "a"

    def _ask(self, user: Any) -> bool:
        return True


class Sized(Guarded):
    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> Any:
        return super().get_state_to_cache_and_observe_for(perspective, observer) | {"text": "always"}


REGISTRY = jelly.Registry()
REGISTRY.add(Guarded, "game.Guarded")
REGISTRY.add(Sized, "game.Sized")


class Hall(House):
    """A house that keeps its attachments."""

    def remote_enter(self, name: str) -> Any:
        self.held.append(super().remote_enter(name))
        return self.held[-1]


def enter(thing: Any, *users: str) -> tuple[Hall, list[Pump], list[Any]]:
    hall = Hall(thing=thing)
    pumps = [Pump(hall, registry=REGISTRY) for _ in users]
    return hall, pumps, [fetch(pump, "thing", user) for pump, user in zip(pumps, users, strict=True)]


def test_a_rule_is_asked_once_for_a_first_state():
    """It may look into a database, and might answer otherwise the second time."""
    thing = Guarded()
    asked: list[Any] = []
    thing._ask = lambda user: asked.append(user) is None and len(asked) == 1

    hall, _, (replica,) = enter(thing, "guest")

    assert [hall.users["guest"]] == asked
    assert "a" == replica.text


def test_what_a_class_adds_to_its_state_is_under_the_rules():
    """They were asked about what is in the base."""
    thing = Sized()
    thing._ask = lambda user: False

    _, _, (replica,) = enter(thing, "guest")

    assert (HIDDEN, "a") == (replica.text, replica.title)


@pytest.mark.parametrize("asked", ["guest", "referee"])
@pytest.mark.parametrize("change", [lambda t: setattr(t, "text", "b"), lambda t: t.visibility_changed()])
def test_a_rule_may_end_an_attachment(asked, change):
    """Of the user it is asked about, or of one that was asked about before."""
    thing = Guarded()
    hall, pumps, (guest, referee) = enter(thing, "guest", "referee")
    users = hall.users

    def ask(user: Any) -> bool:
        if user is users[asked]:
            hall.held[0].detach()
        return change is None

    thing._ask = ask
    change(thing)
    run_all(*pumps)

    assert (True, False) == (pb.is_stale(guest), pb.is_stale(referee))
    assert ("a", HIDDEN) == (guest.text, referee.text)
    assert 1 == len(tracking.followers_of(thing)._followers)


@pytest.mark.parametrize("value", ["b", Door()], ids=["same for all", "a reference"])
def test_who_has_ended_while_another_was_asked_about_is_not_told(value, caplog):
    """Nothing is told after GONE, and nothing is to be given up any more."""
    thing = Guarded()
    hall, pumps, (_, referee) = enter(thing, "guest", "referee")
    thing._ask = lambda user: user is hall.users["guest"] or hall.held[0].detach() is None
    thing.text = value
    codes = [message[0] for message in messages_in(pumps[0].server.output())]
    pumps[1].run()

    assert {messages.GONE} == set(codes)
    assert "a" != referee.text
    assert "" == caplog.text


def test_a_rule_may_end_the_attachment_a_replica_would_begin_under():
    """Then it does not begin."""
    thing = Guarded()
    hall = Hall(thing=thing)
    pump = Pump(hall, registry=REGISTRY)
    user = pump.call("enter", "guest")
    thing._ask = lambda user: hall.held[0].detach() is None

    outcome = user.thing("thing")
    pump.run()
    with pytest.raises(pb.Error):
        outcome.result()

    assert {} == tracking.followers_of(thing)._followers
    thing.text = "b"


def test_a_rule_may_begin_a_replica():
    """Which has the change in its first state, and is not told of it again."""
    thing = Board()
    hall = House(thing=thing)
    pumps = [join(hall), join(hall)]
    replicas = [fetch(pumps[0], "thing", "referee")]
    roles = hall.users["referee"].roles

    class Roles(list):
        def __iter__(self):
            if len(replicas) == 1:
                replicas.append(None)
                replicas[1] = fetch(pumps[1], "thing")
            return iter(roles)

    hall.users["referee"].roles = Roles()
    thing.secret.append(1)
    thing.players.append(2)
    run_all(*pumps)

    assert ([1], HIDDEN) == (replicas[0].secret, replicas[1].secret)
    assert [[2], [2]] == [replica.players for replica in replicas]


def test_a_change_of_a_restricted_list_does_not_copy_it():
    """Only who comes to see it needs the whole."""
    board = Board(secret=[0] * 100_000, players=[0] * 100_000)
    (pump,), _ = follow(board, "referee")

    tracemalloc.start()
    try:
        board.secret.append(1)
        board.visibility_changed()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    # A copy takes 800 kB; growing the list itself, which may move it, is not counted beyond that.
    assert peak < 700_000 or peak - board.secret.__sizeof__() < 700_000
    assert pump.server.output()


# --- what fails


class Ware(jelly.Copyable, jelly.RemoteCopy):
    """Something that counts how often its state was asked for."""

    n: Any

    def __init__(self, n: Any) -> None:
        self.n = n
        self._asked = 0

    def get_state_to_copy(self) -> Any:
        self._asked += 1
        return {"n": self.n}


def follow_with_one_codec(board: Board, count: int) -> tuple[list[Pump], list[Any]]:
    """As on one server."""
    registry = make_registry()
    registry.add(Ware, "game.Ware")
    house = House(board=board)
    pumps = [Pump(house, registry=registry, greet=False) for _ in range(count)]
    for pump in pumps:
        pump.server.broker.codec = pumps[0].server.broker.codec
        pump.run()
    return pumps, [fetch(pump, "board") for pump in pumps]


def test_what_is_the_same_for_all_is_encoded_once():
    """A thousand viewers cost one encoding."""
    board = Board()
    pumps, replicas = follow_with_one_codec(board, 3)
    ware = Ware(5)

    board.title = ware
    run_all(*pumps)

    assert 1 == ware._asked
    assert [5, 5, 5] == [replica.title.n for replica in replicas]


def test_what_cannot_be_sent_is_taken_apart_once():
    """Not once for each replica."""

    def tell(count: int) -> int:
        board = Board()
        _, replicas = follow_with_one_codec(board, count)
        ware = Ware("\ud800")
        with pytest.raises(jelly.Unjellyable):
            board.title = ware
        assert ["a"] * count == [replica.title for replica in replicas]
        return ware._asked

    assert tell(1) == tell(5)


@pytest.mark.parametrize("value", ["b", Door()], ids=["same for all", "a reference"])
@pytest.mark.parametrize("users", [("guest",), ("guest", "referee")], ids=["alone", "and another"])
def test_a_connection_that_breaks_while_it_is_told_does_not_undo_the_change(users, value, caplog):
    """Whatever comes out of it, and also where not even its replica can be revoked."""
    board = Board()
    pumps, replicas = follow(board, *users)
    outbox = pumps[0].server.broker.outbox
    outbox.take()

    def wake() -> None:
        outbox.due = False
        raise RuntimeError("event loop is closed")

    outbox.wake = wake
    board.title = value
    run_all(*pumps[1:])

    assert value is board.title
    assert "a" == replicas[0].title
    assert all(replica.title != "a" for replica in replicas[1:])
    assert "a replica of a Board is given up: event loop is closed" in caplog.text
    assert "giving up a replica of a Board failed" in caplog.text
    assert len(users) - 1 == len(tracking.followers_of(board)._followers)
