"""Lists and dicts of replicas: read like any, and changed by nobody who does not mean to."""

from __future__ import annotations

import copy
import dataclasses
import json
import operator
import pickle
from typing import Any

import pytest

from jelly import Decoder, Encoder, Registry
from jelly.observed import ObservedDict, ObservedList
from jelly.replicated import DICTS, LISTS, ReplicaDict, ReplicaList, hold


class Board:
    """What has the fields."""


LIST_CHANGES = [
    lambda held: held.append(3),
    lambda held: held.extend([3]),
    lambda held: held.insert(0, 3),
    lambda held: held.pop(),
    lambda held: held.pop(0),
    lambda held: held.remove(1),
    lambda held: held.clear(),
    lambda held: held.sort(),
    lambda held: held.sort(key=str, reverse=True),
    lambda held: held.reverse(),
    lambda held: operator.setitem(held, 0, 3),
    lambda held: operator.setitem(held, slice(0, 1), [3]),
    lambda held: operator.delitem(held, 0),
    lambda held: operator.iadd(held, [3]),
    lambda held: operator.imul(held, 2),
]
DICT_CHANGES = [
    lambda held: operator.setitem(held, "b", 3),
    lambda held: operator.delitem(held, "a"),
    lambda held: held.pop("a"),
    lambda held: held.pop("none", None),
    lambda held: held.popitem(),
    lambda held: held.setdefault("b", 3),
    lambda held: held.setdefault("a"),
    lambda held: held.update(b=3),
    lambda held: held.update({"b": 3}),
    lambda held: held.clear(),
    lambda held: operator.ior(held, {"b": 3}),
]


@pytest.mark.parametrize(
    ("value", "change"),
    [*[([1, 2], change) for change in LIST_CHANGES], *[({"a": 1}, change) for change in DICT_CHANGES]],
)
def test_whatever_would_change_it_is_refused(value, change):
    """It says whose it is, and what can be done instead."""
    held = hold(value, Board, "thing")

    with pytest.raises(AttributeError) as caught:
        change(held)

    assert (
        "Board.thing is a field of a replica; only its owner can change it: call a method there that does, "
        f"or change a copy of your own, {type(value).__name__}(...)"
    ) == str(caught.value)
    assert value == held


@pytest.mark.parametrize(("plain", "held"), [(list, ReplicaList), (dict, ReplicaDict)])
def test_every_method_that_changes_a_plain_one_is_meant(plain, held):
    """Python may get new ones: those that a tuple, or a view of a dict, has not."""
    reading = {
        *dir(tuple), *dir(type({}.keys())), "copy", "get", "items", "keys", "values", "fromkeys",
        "__class_getitem__", "__getitem__", "__reversed__", "__init__", "__or__", "__ror__",
    }  # fmt: skip

    for name in set(dir(plain)) - reading:
        assert held._refuse is getattr(held, name), name


def test_updates_go_past_the_methods():
    """The object stays the same: whoever keeps it sees each change."""
    players, score = hold(["ann"], Board, "x"), hold({"ann": 1}, Board, "x")

    list.append(players, "bob")
    dict.update(score, bob=2)

    assert (["ann", "bob"], {"ann": 1, "bob": 2}) == (players, score)


def test_only_lists_and_dicts_are_held():
    """The rest cannot be changed in place, or nothing follows it."""
    given: list[Any] = [1]
    for value in ("text", None, (1,), {1}):
        assert value is hold(value, Board, "x")

    held = hold(given, Board, "x")
    given.append(2)

    assert (ReplicaList, [1]) == (type(held), held)
    assert ReplicaDict is type(hold({}, Board, "x"))


@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        lambda value: pickle.loads(pickle.dumps(value)),
        lambda value: value.copy(),
        lambda value: value[:] if isinstance(value, list) else value | {},
        lambda value: type(value)(value),
    ],
)
@pytest.mark.parametrize("value", [[1, [2]], {"a": [2]}], ids=["list", "dict"])
def test_copies_and_pickles_are_plain(value, duplicate):
    """They are what one changes instead."""
    held = hold(value, Board, "x")

    plain = duplicate(held)
    plain.clear()

    assert type(value) is type(plain)
    assert value == held


def test_it_is_used_as_what_it_is():
    """By json, by dataclasses, by prints, and by whoever compares, sorts or joins."""

    @dataclasses.dataclass
    class Shown:
        players: list[str]
        score: dict[str, int]

    board = Shown(hold(["b", "a"], Board, "x"), hold({"a": 1}, Board, "y"))

    assert '{"players": ["b", "a"], "score": {"a": 1}}' == json.dumps(dataclasses.asdict(board))
    assert '[["b", "a"], {"a": 1}]' == json.dumps([board.players, board.score])
    assert [list, dict] == [type(each) for each in dataclasses.asdict(board).values()]
    assert "['b', 'a'] {'a': 1}" == f"{board.players} {board.score!r}"
    assert ["a", "b"] == sorted(board.players)
    assert ["b", "a", "c"] == [*board.players, "c"]
    assert isinstance(board.players, list) and isinstance(board.score, dict)
    assert (["b", "a"], {"a": 1}) == (board.players, board.score)
    assert {"a": 1, "b": 2} == {**board.score, "b": 2}


def test_reading_is_that_of_a_list_and_of_a_dict():
    """None of the methods that read is one of ours, which would cost ten times as much."""
    for held, plain in ((ReplicaList, list), (ReplicaDict, dict)):
        for name in ("__iter__", "__getitem__", "__len__", "__contains__", "__eq__", "__repr__", "copy"):
            assert getattr(plain, name) is getattr(held, name)


def shared(item):
    return [item, {"again": item}]


@pytest.mark.parametrize("value", [[1, [2]], [1, 2], {"a": [1]}, {"a": 1}, {1: 2, (3, 4): [5]}], ids=repr)
@pytest.mark.parametrize(
    "around", [lambda item: item, lambda item: [item, 0], shared], ids=["", "in", "shared"]
)
def test_it_has_the_bytes_of_a_plain_one(value, around):
    """Whoever passes it on need not know where it came from."""
    encoder = Encoder(Registry())
    payload = encoder.dumps(around(hold(value, Board, "x")))

    assert encoder.dumps(around(value)) == payload
    assert encoder.encode_call((around(value),), {}) == encoder.encode_call(
        (around(hold(value, Board, "x")),), {}
    )
    assert around(value) == Decoder(Registry()).loads(payload)


def test_what_crosses_as_a_list_or_a_dict():
    """In one place, for those who have to know."""
    assert ({list, ObservedList, ReplicaList}, {dict, ObservedDict, ReplicaDict}) == (LISTS, DICTS)
