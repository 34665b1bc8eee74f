"""What the log of this side says about a call that it refused."""

from __future__ import annotations

import pytest

import pb
from pb.calling import why
from pb.calling.why import note_prefix, why_bad_arguments, why_no_method

from ..pump import Outcome, Pump


class Room(pb.Root):
    """A root with what newcomers write."""

    remote_size = 5

    def remote_enter(self, guest, _door=None, *, quietly=False):
        """Be published."""

    def remote_leave(self):
        """Be published too."""

    def clean(self):
        """Be nobody's business but ours."""


class Cupboard(pb.Referenceable):
    """Publishes nothing."""


@pytest.mark.parametrize(
    ("target", "name", "text"),
    [
        (Room(), "entre", "Room has no method remote_entre; it has remote_enter"),
        (
            Room(),
            "remote_enter",
            "Room has no method remote_remote_enter; the caller leaves the prefix out: enter",
        ),
        (Room(), "remote_fly", "Room has no method remote_remote_fly"),
        (Room(), "clean", "Room has no method remote_clean; clean without the prefix is not published"),
        (Room(), "size", "Room.remote_size is an int, which cannot be called"),
        (Room(), "xyz", "Room has no method remote_xyz"),
        (Room(), "a\nb", "Room has no method remote_a\\nb"),
        (Cupboard(), "open", "Cupboard has no method remote_open, nor any other that starts with remote_"),
    ],
    ids=["typo", "prefix", "prefix and typo", "unpublished", "no method", "alien", "hostile", "empty"],
)
def test_why_there_is_no_such_method(target, name, text):
    """Class, name and what comes close."""
    assert text == why_no_method(target, "remote_", name)


def test_a_long_name_costs_a_bounded_comparison_with_a_bounded_number(monkeypatch):
    """The peer chooses the name, and how often it asks."""
    seen = []
    monkeypatch.setattr(
        why.difflib, "get_close_matches", lambda name, names: seen.append((len(name), len(names))) or []
    )
    crowded = type("Crowded", (), {f"remote_a{number}": None for number in range(1000)})

    assert len(why_no_method(crowded(), "remote_", 100_000 * "a")) < 300
    assert [(64, 50)] == seen


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no method 'remote_buy'", "no method 'remote_buy'; callers leave the prefix out: 'buy'"),
        ("no method 'perspective_buy'", "no method 'perspective_buy'; callers leave the prefix out: 'buy'"),
        ("no method 'view_buy'", "no method 'view_buy'; callers leave the prefix out: 'buy'"),
        ("no method 'buy'", "no method 'buy'"),
        ("no method 'remote_'", "no method 'remote_'"),
        ("no method of that name", "no method of that name"),
        ("no method 'view_buy'; callers leave the prefix out: 'buy'",) * 2,
    ],
)
def test_a_prefix_in_a_refused_name_is_pointed_out_to_its_caller(text, shown):
    """Once, even where the refusal is passed on by one that has noted it; the rest stays as it came."""
    error = pb.NoSuchMethod(text)
    note_prefix(error)

    assert shown == str(error)


def test_who_calls_with_the_prefix_is_told_so():
    """The hint is made here, of the name alone: the peer tells nobody what it has."""
    outcome = Outcome()
    pump = Pump(pb.Root())
    pump.client.broker.calls.make(pump.root._pb_import, "remote_buy", (), {}, outcome)
    pump.run()

    with pytest.raises(
        pb.NoSuchMethod, match=r"^no method 'remote_buy'; callers leave the prefix out: 'buy'$"
    ):
        outcome.result()


@pytest.mark.parametrize(
    ("function", "count", "keywords", "text"),
    [
        (
            Room().remote_enter,
            0,
            [],
            "Room.remote_enter(guest, *, quietly=...) was given 0 positional arguments",
        ),
        (Room().remote_leave, 1, [], "Room.remote_leave() was given 1 positional argument"),
        (Room().remote_leave, 0, ["a\n"], "Room.remote_leave() was given 0 positional arguments and a\\n"),
        (
            Room().remote_leave,
            0,
            list("abcdefg"),
            "Room.remote_leave() was given 0 positional arguments and a, b, c, d, e and 2 more",
        ),
        (lambda *a, **b: None, 0, [], "(*a, **b) was given 0 positional arguments"),
        (dict.update, 2, [], "dict.update(...) was given 2 positional arguments"),
        (Cupboard(), 0, [], "Cupboard(...) was given 0 positional arguments"),
    ],
    ids=["too few", "too many", "keyword", "keywords", "stars", "builtin", "no function"],
)
def test_why_the_arguments_do_not_fit(function, count, keywords, text):
    """What it takes and what it was given, and no value of either side."""
    assert why_bad_arguments(function, count, keywords).endswith(text)
