"""Observed lists and dicts: who replays what is told has what is there."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jelly.observed import ObservedDict, ObservedList

from ..sizes import exhaustive, sized


class Follower:
    """Replays what it is told on a plain list or dict."""

    def __init__(self, copied: Any) -> None:
        self.copy = copied
        self.told: list[Any] = []

    def spliced(self, start: int, removed: list[Any], items: list[Any]) -> None:
        self.told.append((start, removed, items))
        assert removed == self.copy[start : start + len(removed)]
        self.copy[start : start + len(removed)] = items

    def put(self, key: Any, value: Any, is_new: bool) -> None:
        self.told.append(("put", key, value))
        assert is_new == (key not in self.copy)
        self.copy[key] = value

    def dropped(self, key: Any) -> None:
        self.told.append(("dropped", key))
        del self.copy[key]

    def cleared(self) -> None:
        self.told.append(("cleared",))
        self.copy.clear()


class Refuser:
    """Takes no change."""

    def spliced(self, *change: Any) -> None:
        raise PermissionError("no")

    put = dropped = cleared = spliced


def watched(value: Any) -> tuple[Any, Follower]:
    follower = Follower(copy.copy(value))
    observed: Any = ObservedList if type(value) is list else ObservedDict
    return observed(value, follower), follower


def attempt(action: Any, target: Any) -> Any:
    """Return what an action gives, or the type of its error."""
    try:
        return action(target)
    except Exception as error:
        return type(error)


def iadd(target: Any, items: Any) -> Any:
    target += items
    return target


def imul(target: Any, count: Any) -> Any:
    target *= count
    return target


def ior(target: Any, items: Any) -> Any:
    target |= items
    return target


small = st.integers(-7, 7)
items = st.lists(st.integers(0, 9), max_size=5)
slices = st.builds(
    slice, st.none() | small, st.none() | small, st.none() | st.sampled_from([1, 2, 3, -1, -2])
)
LIST_ACTIONS = st.one_of(
    st.builds(lambda x: lambda t: t.append(x), small),
    st.builds(lambda x: lambda t: t.extend(iter(x)), items),
    st.just(lambda t: t.extend(t)),
    st.builds(lambda i, x: lambda t: t.insert(i, x), small, small),
    st.builds(lambda i, x: lambda t: t.__setitem__(i, x), small, small),
    st.builds(lambda i, x: lambda t: t.__setitem__(i, iter(x)), slices, items),
    st.builds(lambda i: lambda t: t.__setitem__(i, [n + 1 for n in t[i]]), slices),
    st.builds(lambda i: lambda t: t.__setitem__(i, t), slices),
    st.builds(lambda i: lambda t: t.__delitem__(i), small | slices),
    st.just(lambda t: t.pop()),
    st.builds(lambda i: lambda t: t.pop(i), small),
    st.builds(lambda x: lambda t: t.remove(x), small),
    st.just(lambda t: t.clear()),
    st.builds(lambda r: lambda t: t.sort(reverse=r), st.booleans()),
    st.just(lambda t: t.sort(key=lambda x: -x % 3)),
    st.just(lambda t: t.sort(key=lambda x: 1 // x)),
    st.just(lambda t: t.reverse()),
    st.builds(lambda x: lambda t: iadd(t, x), items),
    st.builds(lambda n: lambda t: imul(t, n), st.integers(-1, 3)),
    st.builds(lambda s: lambda t: random.Random(s).shuffle(t), st.integers(0, 9)),
)
keys = st.integers(0, 5)
maps = st.dictionaries(keys, small, max_size=4)
DICT_ACTIONS = st.one_of(
    st.builds(lambda k, v: lambda t: t.__setitem__(k, v), keys, small),
    st.builds(lambda k: lambda t: t.__delitem__(k), keys),
    st.builds(lambda k: lambda t: t.pop(k), keys),
    st.builds(lambda k, v: lambda t: t.pop(k, v), keys, small),
    st.just(lambda t: t.popitem()),
    st.builds(lambda k, v: lambda t: t.setdefault(k, v), keys, small),
    st.builds(lambda k: lambda t: t.setdefault(k), keys),
    st.builds(lambda m: lambda t: t.update(m), maps),
    st.builds(lambda m: lambda t: t.update(iter(m.items())), maps),
    st.builds(lambda v: lambda t: t.update({0: v}, a=v, self=v), small),
    st.just(lambda t: t.update()),
    st.just(lambda t: t.clear()),
    st.builds(lambda m: lambda t: ior(t, m), maps),
    st.builds(lambda m: lambda t: ior(t, list(m.items())), maps),
)


@exhaustive
@settings(max_examples=sized(150, 2_000), deadline=None)
@given(items, st.lists(LIST_ACTIONS, max_size=12))
def test_a_list_does_what_a_list_does_and_its_story_is_true(before: list[int], actions: list[Any]) -> None:
    """After every step the plain list, the observed one and the replayed one are equal."""
    plain = before[:]
    observed, follower = watched(before)

    for action in actions:
        unsorted = plain[:]
        expected = attempt(action, plain)
        if expected is ZeroDivisionError:
            plain = unsorted  # list.sort() would leave it half sorted
        assert expected == attempt(action, observed)
        assert plain == observed
        assert plain == follower.copy


@exhaustive
@settings(max_examples=sized(150, 2_000), deadline=None)
@given(maps, st.lists(DICT_ACTIONS, max_size=12))
def test_a_dict_does_what_a_dict_does_and_its_story_is_true(before: Any, actions: list[Any]) -> None:
    """The order of the keys is part of it."""
    plain = dict(before)
    observed, follower = watched(before)

    for action in actions:
        expected = attempt(action, plain)
        assert expected == attempt(action, observed)
        assert [*plain.items()] == [*observed.items()]
        assert [*plain.items()] == [*follower.copy.items()]


@exhaustive
@settings(max_examples=sized(100, 500), deadline=None)
@given(items, LIST_ACTIONS)
def test_a_list_whose_listener_refuses_stays_as_it_was(before: list[int], action: Any) -> None:
    """Else the list would hold what nobody was told of."""
    observed = ObservedList(before, Refuser())

    attempt(action, observed)

    assert before == observed


@exhaustive
@settings(max_examples=sized(100, 500), deadline=None)
@given(maps, DICT_ACTIONS)
def test_a_dict_whose_listener_refuses_stays_as_it_was(before: Any, action: Any) -> None:
    """Except for the order of its keys."""
    observed = ObservedDict(before, Refuser())

    attempt(action, observed)

    assert before == observed


@pytest.mark.parametrize(
    "action",
    [
        lambda t: t.append(9),
        lambda t: t.pop(),
        lambda t: t.sort(),
        lambda t: t.__setitem__(slice(None, None, 2), [8, 9]),
        lambda t: t.__imul__(0),
    ],
    ids=["append", "pop", "sort", "slice", "times"],
)
def test_the_error_of_a_listener_goes_to_who_made_the_change(action):
    """Nobody else could do anything about it."""
    with pytest.raises(PermissionError):
        action(ObservedList([3, 2, 1], Refuser()))


@pytest.mark.parametrize(
    "action",
    [lambda t: t.__setitem__(1, 9), lambda t: t.__setitem__(2, 9), lambda t: t.pop(1), lambda t: t.clear()],
    ids=["another value", "another key", "pop", "clear"],
)
def test_the_error_of_a_dicts_listener_goes_to_who_made_the_change(action):
    """As above."""
    with pytest.raises(PermissionError):
        action(ObservedDict({1: 1}, Refuser()))


def test_a_list_that_is_constructed_or_left_alone_tells_nothing():
    """What it starts with is no change."""
    observed, follower = watched([1, 2])

    [*observed, observed[0], observed[:1], observed + observed, observed * 2, observed.index(2)]

    assert [] == follower.told


@pytest.mark.parametrize(
    "action",
    [
        lambda t: t.extend([]),
        lambda t: t.sort(),
        lambda t: imul(t, 1),
        lambda t: t.__setitem__(slice(1, 1), []),
        lambda t: t.__delitem__(slice(5, 9)),
        lambda t: attempt(lambda t: t.pop(7), t),
        lambda t: attempt(lambda t: t.remove(7), t),
        lambda t: attempt(lambda t: t.extend(1 // n for n in (1, 0)), t),
        lambda t: attempt(lambda t: t.__setitem__(slice(None, None, 2), [1]), t),
        lambda t: attempt(lambda t: t.__setitem__(slice(9, None, 2), [1]), t),
        lambda t: attempt(lambda t: t.insert(None, 1), t),
        lambda t: attempt(lambda t: t.append(), t),
    ],
)
def test_what_fails_or_changes_nothing_in_a_list_tells_nothing(action):
    """A story without an event would be noise, one of an event that was not a lie."""
    observed, follower = watched([1, 2, 3])

    action(observed)

    assert [] == follower.told
    assert [1, 2, 3] == observed


@pytest.mark.parametrize(
    ("before", "empty"),
    [([], lambda t: t.clear()), ([1], lambda t: t.reverse()), ([], lambda t: imul(t, 5))],
    ids=["clear", "reverse", "times"],
)
def test_what_has_nothing_to_empty_or_turn_round_tells_nothing(before, empty):
    """As above."""
    observed, follower = watched(before)

    empty(observed)

    assert [] == follower.told


@pytest.mark.parametrize(
    "action",
    [
        lambda t: t.pop(7, None),
        lambda t: attempt(lambda t: t.pop(7), t),
        lambda t: attempt(lambda t: t.__delitem__(7), t),
        lambda t: t.setdefault(1, 9),
        lambda t: t.update({}),
        lambda t: attempt(lambda t: t.update([(1, 2), 3]), t),
        lambda t: attempt(lambda t: ior(t, None), t),
        lambda t: attempt(lambda t: t.__setitem__([], 1), t),
    ],
)
def test_what_fails_or_changes_nothing_in_a_dict_tells_nothing(action):
    """As above."""
    observed, follower = watched({1: "a"})

    action(observed)

    assert [] == follower.told
    assert {1: "a"} == observed


def test_an_empty_dict_cannot_be_cleared():
    """As above."""
    observed, follower = watched({})

    observed.clear()

    assert [] == follower.told


def test_an_item_assigned_again_is_told():
    """The way to tell of a change within it: the list cannot see that."""
    row = [1]
    lists, told_of_list = watched([row])
    dicts, told_of_dict = watched({"a": row})

    lists[0] = lists[0]
    dicts["a"] = dicts["a"]

    assert [(0, [row], [row])] == told_of_list.told
    assert [("put", "a", row)] == told_of_dict.told


def test_a_splice_holds_what_changed_and_little_else():
    """It is what goes over the wire: appending to a list of a million must not send it."""
    observed, follower = watched([5, 6, 7, 8, 9])

    observed.append(10)
    del observed[0]
    observed[1::2] = [0, 0]
    observed.remove(8)  # by its value, told by its place
    assert [(5, [], [10]), (0, [5], []), (1, [7, 8, 9], [0, 8, 0]), (2, [8], [])] == follower.told


def test_a_listener_may_be_replaced_and_taken_away():
    """An owner that got another list no longer hears of the old one."""
    observed, first = watched([1])
    second = Follower([1])
    both, also = watched({1: 1})

    observed.listener = second
    observed.append(2)
    observed.listener = None
    observed.append(3)
    both.listener = None
    both[2] = 2
    del both[1]
    both.clear()

    assert ([], [(1, [], [2])], []) == (first.told, second.told, also.told)
    assert ([1, 2, 3], {}) == (observed, both)


@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        *(
            lambda value, n=n: pickle.loads(pickle.dumps(value, n))
            for n in range(pickle.HIGHEST_PROTOCOL + 1)
        ),
        lambda value: value.copy(),
        lambda value: value[:] if isinstance(value, list) else value | {},
    ],
)
@pytest.mark.parametrize("value", [[1, [2]], {"a": [2]}], ids=["list", "dict"])
def test_copies_and_pickles_are_plain(value, duplicate):
    """A copy that told the listener of the original would lie."""
    observed, follower = watched(value)

    plain = duplicate(observed)

    assert type(value) is type(plain)
    assert value == plain
    plain.clear()
    assert [] == follower.told


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))], ids=["deepcopy", "pickle"]
)
def test_a_container_that_holds_itself_is_copied(duplicate):
    """As a plain one is."""
    lists, _ = watched([])
    lists.append(lists)
    dicts, _ = watched({})
    dicts["me"] = dicts

    copied, mapped = duplicate(lists), duplicate(dicts)

    assert copied is copied[0]
    assert mapped is mapped["me"]
    assert (list, dict) == (type(copied), type(mapped))


def test_one_takes_a_dataclass_apart_that_holds_them():
    """dataclasses.asdict makes an object of the same class from an iterator."""

    @dataclasses.dataclass
    class Board:
        players: list[str]
        score: dict[str, int]

    board = Board(ObservedList(["ann"], Refuser()), ObservedDict({"ann": 1}, Refuser()))

    assert {"players": ["ann"], "score": {"ann": 1}} == dataclasses.asdict(board)


def test_it_looks_like_what_it_is():
    """In a log nobody wants to read who observes."""
    assert ("[1]", "{1: 2}") == (repr(ObservedList([1])), repr(ObservedDict({1: 2})))
    assert ([], {}) == (ObservedList(), ObservedDict())
