"""Plans of caches: which classes may be replicas, and what fills one."""

from __future__ import annotations

import dataclasses

import pytest

from jelly import Cacheable, Copyable, InsecureJelly, Registry, RemoteCache
from jelly._cacheplan import CachePlan, plan_cache
from jelly.flavours import row_of, set_row


class Owner(Cacheable):
    pass


class Replica(RemoteCache):
    def observe_x(self):
        """Take a change."""


class Both(Cacheable, RemoteCache):
    pass


@dataclasses.dataclass
class Declared(RemoteCache):
    n: int
    text: str = "default"


class Own(RemoteCache):
    def set_copyable_state(self, state):
        self.taken = state


def test_a_class_is_planned_by_its_flavour():
    """Only a RemoteCache is built here; its name goes out for a Cacheable."""
    registry = Registry()
    for cls in (Owner, Replica, Both):
        registry.add(cls, f"x.{cls.__name__}")
    known = registry.snapshot()
    plans = [known[f"x.{name}"] for name in ("Owner", "Replica", "Both")]

    assert {CachePlan} == {type(plan) for plan in plans}
    assert [False, True, True] == [plan.makes_replicas for plan in plans]


def test_a_replica_is_made_without_its_constructor():
    """Which might want arguments, or do something."""

    class Busy(RemoteCache):
        def __init__(self, argument):
            raise AssertionError("a constructor ran")

    made = plan_cache(Busy, "x.Busy").allocate()

    assert (Busy, {}, None) == (type(made), vars(made), row_of(made))


def test_a_state_becomes_attributes():
    """By the rule of copies; the object it is given to is the one there was."""
    plan = plan_cache(Replica, "x.Replica")
    made = plan.allocate()
    plan.fill(made, {"n": 1, "items": [2]})

    assert {"n": 1, "items": [2]} == vars(made)


@pytest.mark.parametrize(
    "state", [None, [1], "text", {1: 2}, {"_n": 1}, {"__class__": 1}, {"observe_x": 1}, {"__del__": 1}]
)
def test_a_state_that_may_not_be_taken_is_refused(state):
    """What is private, and what the class defines, is not a peer's to set."""
    plan = plan_cache(Replica, "x.Replica")

    with pytest.raises(InsecureJelly):
        plan.fill(plan.allocate(), state)


@pytest.mark.parametrize("key", ["observe_other", "remote_x", "view_x", "perspective_x"])
def test_a_state_publishes_no_methods(key):
    """What is called is looked up on the instance too, and what came may be a callable object of ours."""
    plan = plan_cache(Replica, "x.Replica")
    made = plan.allocate()
    with pytest.raises(InsecureJelly, match="may not be set"):
        plan.fill(made, {"n": 1, key: print})

    assert not hasattr(made, key)


def test_declared_fields_are_the_only_ones():
    """Missing ones are missing, or have their default; others are refused."""
    plan = plan_cache(Declared, "x.Declared")
    made = plan.allocate()
    plan.fill(made, {"n": 1, "text": "x"})
    assert {"n": 1, "text": "x"} == vars(made)

    for state in ({"n": 1, "text": "x", "more": 1}, {"text": "x"}):
        with pytest.raises(InsecureJelly):
            plan.fill(plan.allocate(), state)


def test_a_class_may_take_its_state_itself():
    """Whatever it is."""
    plan = plan_cache(Own, "x.Own")
    made = plan.allocate()
    plan.fill(made, [1, 2])

    assert [1, 2] == made.taken


def test_a_check_sees_the_state_before_it_is_taken():
    """And what it raises refuses it."""

    def check(state):
        if state["n"] < 0:
            raise ValueError("fewer than none")

    plan = plan_cache(Replica, "x.Replica", check=check)
    made = plan.allocate()
    with pytest.raises((ValueError, InsecureJelly)):
        plan.fill(made, {"n": -1})
    assert {} == vars(made)
    plan.fill(made, {"n": 1})
    assert 1 == made.n


def test_replicas_with_slots_are_refused():
    """Their state could not be handed on when they come back; a base of slots counts too."""

    class Slotted(RemoteCache):
        __slots__ = ("n",)

    class Empty(RemoteCache):
        __slots__ = ()

    class Below(Slotted):
        pass

    class One(RemoteCache):
        __slots__ = "n"

    for cls in (Slotted, Empty, Below, One):
        with pytest.raises(TypeError, match="__slots__"):
            Registry().add(cls, "x.X")


def test_replicas_that_name_their_dict_are_taken():
    """It is where the state lives."""

    class Named(RemoteCache):
        __slots__ = ("__dict__",)

    plan = plan_cache(Named, "x.Named")
    made = plan.allocate()
    plan.fill(made, {"n": 1})

    assert 1 == made.n


def test_replicas_define_no_finalizer():
    """It is how the library learns of their end."""

    class Final(RemoteCache):
        def __del__(self):
            pass

    with pytest.raises(TypeError, match="__del__"):
        Registry().add(Final, "x.Final")


def test_an_owner_may_have_slots():
    """Nothing is built of it."""

    class Slotted(Cacheable):
        __slots__ = ("n",)

    assert not plan_cache(Slotted, "x.X").makes_replicas


def test_flavours_that_exclude_each_other_are_refused():
    """An object travels one way only."""
    for other in (Copyable,):
        with pytest.raises(TypeError, match="mixes"):
            type("Mixed", (Cacheable, other), {})


def test_the_end_of_a_replica_is_told_to_its_row_once():
    """And an object without one tells nobody."""

    class Row:
        ends = 0

        def let_go(self, replica):
            self.ends += 1

    row = Row()
    made = plan_cache(Replica, "x.Replica").allocate()
    set_row(made, row)
    assert row_of(made) is row
    del made
    plan_cache(Replica, "x.Replica").allocate()

    assert 1 == row.ends


def test_an_owner_must_say_what_its_state_is():
    """There is no default: it would show everything, and follow nothing."""
    with pytest.raises(NotImplementedError, match="Owner must define"):
        Owner().get_state_to_cache_and_observe_for(None, None)
    assert None is Owner().stopped_observing(None, None)
