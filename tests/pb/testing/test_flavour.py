"""`check_flavour` passes what is right and finds what is wrong, one wrong class at a time."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

import jelly
import pb
from pb.testing import check_flavour

from ..cached import Stock


@dataclass
class Point:
    x: int
    y: int


class Plain(jelly.Copyable, jelly.RemoteCopy):
    n: int

    def __init__(self, n):
        self.n = n


class Slots(jelly.Copyable, jelly.RemoteCopy):
    __slots__ = ("n",)
    n: int

    def __init__(self, n):
        self.n = n

    def get_state_to_copy(self):
        return {"n": self.n}


class Broke(Exception):
    pass


class Money:
    """Of somebody else's library."""

    def __init__(self, cents):
        self.cents = cents

    def __eq__(self, other):
        return type(other) is Money and self.cents == other.cents

    __hash__ = None


def registry(*entries, **options):
    made = jelly.Registry()
    for cls, name in entries:
        made.add(cls, name, **options)
    return made


def money(decode):
    made = jelly.Registry()
    made.add_codec(Money, "shop.Money", lambda money: money.cents, decode)
    return made


def cents(state):
    if type(state) is not int:
        raise ValueError("cents are an int")
    return Money(state)


@pytest.mark.parametrize(
    ("registry", "instances"),
    [
        (registry((Point, "geo.Point")), [Point(1, 2), Point(-1, 1 << 60)]),
        (registry((Plain, "a.Plain")), [Plain(3)]),
        (registry((Slots, "a.Slots")), [Slots(3)]),
        (registry((Stock, "a.Stock")), [Stock(n=1, items=[1, 2])]),
        (registry((Broke, "a.Broke")), [Broke("gone")]),
        (money(cents), [Money(5)]),
    ],
    ids=["dataclass", "copyable", "slots", "cache", "error", "codec"],
)
def test_what_is_right_passes(registry, instances):
    """Of each flavour."""
    check_flavour(registry, instances, attempts=60)


def test_two_classes_may_share_a_name():
    """One for each side; then somebody says what is the same."""

    class Seen(jelly.RemoteCopy):
        n: int

    check_flavour(
        registry((Plain, "a.Plain")),
        [Plain(3)],
        receiver=registry((Seen, "a.Plain")),
        same=lambda sent, got: (sent.n, Seen) == (got.n, type(got)),
    )


def test_what_arrives_as_another_is_found():
    """A codec that forgets."""
    with pytest.raises(AssertionError, match="Money arrives as another"):
        check_flavour(money(lambda state: Money(state + 1)), [Money(5)])


def test_half_an_object_is_found():
    """A class that takes any state, and then has not what its methods need."""

    class Careless(jelly.Copyable, jelly.RemoteCopy):
        def __init__(self, n):
            self.n = n

        def get_state_to_copy(self):
            return vars(self)

        def __repr__(self):
            return f"<Careless {self.n + 1}>"

        def set_copyable_state(self, state):
            vars(self).update(state)

    made = registry((Careless, "a.Careless"))
    with pytest.raises(
        AssertionError, match=r"Careless, seed 3, attempt \d+: .*of no use.*declare the fields"
    ):
        check_flavour(made, [Careless(1)], seed=3)


def test_without_instances_nothing_was_checked():
    """An empty list would pass for ever."""
    with pytest.raises(AssertionError, match="no instance"):
        check_flavour(jelly.Registry(), [])


def test_what_needs_no_registration_is_found():
    """It is no flavour of a class then."""
    with pytest.raises(AssertionError, match="without having been registered"):
        check_flavour(jelly.Registry(), [7])


def test_a_reference_is_not_sent_by_check_flavour_alone():
    """What is refused at the sender is its error."""
    with pytest.raises(pb.Unjellyable):
        check_flavour(jelly.Registry(), [object()])
