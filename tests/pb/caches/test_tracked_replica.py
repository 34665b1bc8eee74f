"""Tracked objects: what a replica takes from its owner, honest or not."""

from __future__ import annotations

import copy
import logging
import operator
from typing import Any

import pytest

import jelly
import pb
from jelly.visibility import HIDDEN
from pb.caches import tracking

from ..boards import Board, House, Ticket, fetch, follow, join, make_registry, shown
from ..pump import Pump


def test_a_field_of_a_replica_is_not_for_its_holder_to_change():
    """It would differ from the original, and nobody would notice."""
    _, (replica,) = follow(Board(), "guest")

    for name, value in [("title", "mine"), ("title", "a"), ("secret", [])]:
        with pytest.raises(AttributeError, match=f"Board.{name} is a field of a replica"):
            setattr(replica, name, value)
    with pytest.raises(AttributeError):
        del replica.title

    assert ("a", HIDDEN) == (replica.title, replica.secret)


def test_a_list_or_dict_of_a_replica_is_not_for_its_holder_to_change():
    """It would differ from then on, and the next update would be applied to something else."""
    board = Board(players=["ann"], score={"ann": 1})
    (pump,), (replica,) = follow(board, "guest")
    players, score = replica.players, replica.score

    for field, change in [
        ("players", lambda: players.append("mine")),
        ("players", lambda: operator.setitem(players, 0, "mine")),
        ("players", lambda: setattr(replica, "players", operator.iadd(players, ["mine"]))),
        ("score", lambda: operator.setitem(score, "x", "mine")),
        ("score", lambda: score.update(x=1)),
    ]:
        with pytest.raises(AttributeError, match=f"Board.{field} is a field of a replica; only its owner"):
            change()
    board.players.append("bob")
    board.players[0] = "al"
    board.score["bob"] = 2
    del board.score["ann"]
    pump.run()

    assert (["al", "bob"], {"bob": 2}) == (replica.players, replica.score)
    assert players is replica.players and score is replica.score
    assert not pb.is_stale(replica)


def test_what_the_owner_assigns_is_not_for_its_holder_to_change_either():
    """Whatever brings it: an update, the first state, or a default that fills in for what was not sent."""
    board = Board()
    (pump,), (replica,) = follow(board, "guest")
    old = replica.players
    board.players = ["cy"]
    board.score = {1: 2}
    pump.run()

    for change in (lambda: replica.players.clear(), lambda: replica.score.clear(), lambda: old.append(1)):
        with pytest.raises(AttributeError):
            change()
    assert (["cy"], {1: 2}) == (replica.players, replica.score)
    _, short = believe(Liar(title="a", players=[]))
    with pytest.raises(AttributeError, match=r"Board.score .* change a copy of your own, dict\(...\)"):
        short.score["x"] = 1


def test_an_owner_may_take_over_what_it_has_from_a_replica():
    """As a list of its own, which tells of its changes; the replica stays what it was."""
    board = Board(players=["ann"], score={"ann": 1})
    _, (replica,) = follow(board, "guest")
    mine = Board(players=replica.players, score=replica.score)
    (pump,), (followed,) = follow(mine, "guest")

    mine.players.append("me")
    mine.score["me"] = 2
    twin = copy.deepcopy(replica)
    twin.players.append("twin")
    pump.run()

    assert (["ann", "me"], {"ann": 1, "me": 2}) == (followed.players, followed.score)
    assert (["ann"], ["ann", "twin"]) == (replica.players, twin.players)


def test_a_plain_list_that_the_class_itself_has_put_there_is_followed():
    """As by a set_copyable_state of its own, which makes of the state what it likes."""
    board = Board(players=["ann"], score={"ann": 1})
    (pump,), (replica,) = follow(board, "guest")
    vars(replica).update(players=["ann"], score={"ann": 1})

    board.players[0] = "bob"
    board.score["bob"] = 2
    pump.run()

    assert (["bob"], {"ann": 1, "bob": 2}) == (replica.players, replica.score)
    assert not pb.is_stale(replica)


class Liar(pb.Cacheable):
    """An owner that says what it likes."""

    def __init__(self, **state: Any) -> None:
        self.state = state
        self.observers = pb.Observers()

    def get_state_to_cache_and_observe_for(self, perspective: object, observer: Any) -> Any:
        self.observers.add(observer)
        return self.state

    def stopped_observing(self, perspective: object, observer: Any) -> None:
        self.observers.discard(observer)


def believe(liar: Liar) -> tuple[Pump, Any]:
    registry = jelly.Registry()
    registry.add(Liar, "game.Board")
    pump = Pump(House(board=liar), registry=registry, client_registry=make_registry())
    return pump, fetch(pump, "board")


HONEST: dict[str, Any] = {"title": "a", "players": [1, 2], "score": {"a": 1}}


@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("set", ("_note", 1)),
        ("set", ("_seen", 1)),
        ("set", ("__class__", 1)),
        ("set", ("__dict__", {})),
        ("set", ("log", [])),
        ("set", ("changed", 1)),
        ("set", ("observe_set", 1)),
        ("set", ("other", 1)),
        ("set", (["title"], 1)),
        ("set", ("title",)),
        ("set", ("title", 1, 2)),
        ("splice", ("title", 0, 0, [])),
        ("splice", ("score", 0, 0, [])),
        ("splice", ("secret", 0, 0, [])),
        ("splice", ("_note", 0, 0, [])),
        ("splice", ("_seen", 0, 0, [3])),
        ("splice", ("players", -1, 0, [3])),
        ("splice", ("players", 0, -1, [3])),
        ("splice", ("players", 0, 3, [])),
        ("splice", ("players", 3, 0, [3])),
        ("splice", ("players", 2, 1, [3])),
        ("splice", ("players", False, 0, [3])),
        ("splice", ("players", 0, True, [3])),
        ("splice", ("players", 0.0, 0, [3])),
        ("splice", ("players", 0, 0, (3,))),
        ("splice", ("players", 0, 0, "x")),
        ("put", ("players", 0, 3)),
        ("put", ("title", "a", 3)),
        ("put", ("__dict__", "title", 3)),
        ("put", ("score", [1], 3)),
        ("drop", ("players", 0)),
        ("drop", ("score", "b")),
        ("drop", ("score", [1])),
        ("drop", ("_seen", 0)),
        ("hide", ("title",)),
        ("hide", ("_note",)),
        ("hide", ("changed",)),
    ],
)
def test_an_update_that_breaks_the_rules_changes_nothing_and_makes_the_replica_stale(method, args, caplog):
    """PB-T4. The field names come from a peer: only what the class declares may be reached by them."""
    liar = Liar(**HONEST)
    pump, replica = believe(liar)
    replica._seen = []
    before = copy.deepcopy(vars(replica))

    with caplog.at_level(logging.INFO):
        liar.observers.send(method, *args)
        pump.run()

    (record,) = caplog.records
    assert ("INFO", None, "replica.stale") == (record.levelname, record.exc_info, record.pb_event)
    assert "a Board, is stale from now on: an update of it failed with " in record.getMessage()
    assert pb.is_stale(replica)
    assert before == vars(replica)
    assert type(replica) is Board
    assert 0 == len(liar.observers)


@pytest.mark.parametrize(
    ("method", "args", "field", "value"),
    [
        ("set", ("title", [1]), "title", [1]),
        ("set", ("secret", 1), "secret", 1),
        ("splice", ("players", 2, 0, [3]), "players", [1, 2, 3]),
        ("splice", ("players", 0, 2, []), "players", []),
        ("put", ("score", (1, 2), 3), "score", {"a": 1, (1, 2): 3}),
        ("drop", ("score", "a"), "score", {}),
        ("hide", ("secret",), "secret", HIDDEN),
    ],
)
def test_an_update_by_the_rules_is_applied_and_told(method, args, field, value):
    """From whatever owner, in whatever language."""
    liar = Liar(**HONEST)
    pump, replica = believe(liar)

    liar.observers.send(method, *args)
    pump.run()

    assert value == vars(replica)[field]
    assert [field] == replica._seen
    assert not pb.is_stale(replica)


class Anything:
    """Equal to all, as a peer's copy may be."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__


@pytest.mark.parametrize(
    ("method", "args"), [("drop", ("score", "b")), ("set", (Anything(), 1)), ("put", (Anything(), 1, 1))]
)
def test_a_refusal_says_nothing_of_what_the_peer_sent(method, args):
    """A KeyError would hold the key, and go to the log."""
    _, replica = believe(Liar(**HONEST))

    with pytest.raises(pb.BadArguments):
        getattr(replica, f"observe_{method}")(*args)


def test_a_replica_bounds_the_keys_whose_hash_its_owner_can_choose():
    """Two million such keys, one after the other, would cost their square."""
    liar = Liar(**HONEST | {"score": {str(n): n for n in range(tracking.MAX_FLOODABLE_PUT - 1)}})
    pump, replica = believe(liar)

    for key in [1 << 61, 1 << 61]:
        liar.observers.send("put", "score", key, 1)
    pump.run()
    assert not pb.is_stale(replica)
    liar.observers.send("put", "score", 2 << 61, 1)
    pump.run()

    assert pb.is_stale(replica)
    assert (2 << 61) not in replica.score


@pytest.mark.parametrize(
    "state",
    [
        {**HONEST, "_note": 1},
        {**HONEST, "changed": 1},
        {**HONEST, "__class__": 1},
        {**HONEST, "other": 1},
        {1: 1},
        [1],
    ],
    ids=["private", "method", "dunder", "undeclared", "no str", "no map"],
)
def test_a_state_with_anything_but_declared_fields_is_refused(state):
    """As for copies (PB-T10)."""
    liar = Liar()
    liar.state = state

    with pytest.raises(pb.BadPayload):
        believe(liar)


def test_what_is_missing_in_a_state_is_hidden_or_has_its_default():
    """Or is refused, if it has neither rule nor default."""
    _, replica = believe(Liar(title="b"))
    assert ("b", [], {}, HIDDEN, HIDDEN) == tuple(shown(replica).values())
    registry = jelly.Registry()
    registry.add(Liar, "game.Ticket")
    pump = Pump(House(ticket=Liar(owner="x")), registry=registry, client_registry=make_registry())

    with pytest.raises(pb.BadPayload, match="price"):
        fetch(pump, "ticket")


def test_a_replica_whose_hook_fails_is_stale_and_the_log_says_which(caplog):
    """The update is applied then, but what follows from it is not, and no later one is."""
    board = Board()
    (pump,), (replica,) = follow(board, None)

    board.title = "refused by the replica"
    pump.run()
    board.title = "no more"
    pump.run()

    assert pb.is_stale(replica)
    assert "refused by the replica" == replica.title
    (record,) = caplog.records
    assert ("ERROR", "replica.stale", "ValueError") == (record.levelname, record.pb_event, record.pb_error)
    assert ValueError is record.exc_info[0]
    assert record.getMessage() == (
        f"replica 1 of {record.pb_peer}, a Board, is stale from now on: "
        "an update of it failed with ValueError"
    )


def test_without_a_hook_nothing_happens_after_an_update():
    """`changed` is for those who want it."""
    ticket = Ticket()
    ticket.price = 1
    pump = join(House(ticket=ticket))
    replica = fetch(pump, "ticket")

    ticket.price = 2
    pump.run()

    assert 2 == replica.price


def test_a_state_can_be_set_without_a_connection():
    """For tests of a class; no registration, so no rule, and nothing may be missing."""
    board = Board.__new__(Board)

    with pytest.raises(jelly.InsecureJelly, match="other"):
        board.set_copyable_state({"other": 1})
    board.set_copyable_state({"title": "b"})

    assert ("b", [], 0) == (board.title, board.secret, board.code)
