"""Corners of the caches in payloads that ordinary use does not come to."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import jelly
from jelly import Decoder, Encoder, InsecureJelly, Registry, Unjellyable, visible_if

from .test_caches import DECODER, ENCODER, Cache, Holder, Owner, carry
from .things import Thing, make_registry


def test_fields_are_refused_where_the_replica_takes_over_its_state_itself():
    """They would look like a restriction and restrict nothing."""
    with pytest.raises(TypeError, match=r"takes over its state itself .* fields= would restrict nothing"):
        Registry().add(Cache, "x.Cache", fields=["n"])


def test_fields_are_refused_where_only_originals_are_made():
    """The original's own hook chooses the state."""

    class Original(jelly.Cacheable):
        pass

    with pytest.raises(TypeError, match="chooses its state itself, so fields= would restrict nothing"):
        Registry().add(Original, "x.Original", fields=["n"])


def test_a_rule_that_fails_keeps_the_whole_payload_back():
    """Nobody knows who may see the field; what was counted for the payload is given back."""

    def ask(cache, perspective):
        raise ZeroDivisionError("of the rule")

    registry = make_registry()
    registry.add(Cache, "x.Cache", visible={"pay": visible_if(ask)})
    owner, cache = Owner(), Cache(n=1, pay=2)
    owner.perspective = SimpleNamespace()
    with pytest.raises(
        Unjellyable, match=r"value: \[0\] is a Cache; who is shown Cache\.pay .*of the rule"
    ) as caught:
        Encoder(registry).dumps([cache], owner)

    assert isinstance(caught.value.__cause__, Unjellyable)
    assert ({}, []) == (owner.counts, owner.sealed)


def test_text_that_utf_8_does_not_have_is_found_in_the_state_of_a_cache():
    """The message names the place as the sender knows it, not the parts of the Ext."""
    with pytest.raises(Unjellyable, match=r"value: \[0\]\.<state>\['x'\] is a str with surrogates"):
        ENCODER.dumps([Cache(x="\ud800")], Owner())


class Plain(jelly.Cacheable, jelly.RemoteCache):
    """A cache whose state need not be a map."""

    def set_copyable_state(self, state):
        self.value = state


class PlainOwner(Owner):
    """Gives the state as it is, whatever it is."""

    def observe(self, value):
        state, value.state = value.state, {}
        ext, states = super().observe(value)
        return ext, None if states is None else (state,)


@pytest.mark.parametrize(("state", "value"), [((), ()), (Thing(), ("ref", 2))], ids=["empty", "reference"])
def test_a_state_that_cannot_be_shared_needs_no_part_in_a_graph(state, value):
    """The cache is written all the same, once."""
    registry = make_registry()
    registry.add(Plain, "x.Plain")
    owner, holder, cache, items = PlainOwner(), Holder(), Plain(), [1]
    cache.state = state
    made = Decoder(registry).loads(Encoder(registry).dumps([items, cache, items, cache], owner), holder)

    assert made[0] is made[2]
    assert made[1] is made[3]
    assert value == made[1].value
    # The new cache is a part of its own, and each of the two places is one more.
    assert 3 == owner.counts[1]
    assert owner.counts == holder.counts


class Finished(Cache):
    """Notes what it held when it was told that it is complete."""

    def post_unjelly(self):
        self.seen = (self.n, self.friend.n)


def test_post_unjelly_of_a_replica_runs_when_all_states_are_there():
    """Also those that come after it in the payload."""
    registry = make_registry()
    registry.add(Finished, "x.Finished")
    one, two = Finished(n=1), Finished(n=2)
    one.state["friend"], two.state["friend"] = two, one
    made = Decoder(registry).loads(Encoder(registry).dumps([one, two], Owner()), Holder())

    assert [(1, 2), (2, 1)] == [each.seen for each in made]


class Unmakable(Cache):
    """A replica that cannot be made."""

    def __new__(cls, *args, **state):
        if not state:
            raise ZeroDivisionError("of __new__")
        return super().__new__(cls)


def test_a_replica_that_cannot_be_made_is_refused_and_counted():
    """And so is what comes after it: the owner has counted them."""
    registry = make_registry()
    registry.add(Unmakable, "x.Unmakable")
    owner, holder, bad = Owner(), Holder(), Unmakable(n=1)
    payload = Encoder(registry).dumps([bad, Unmakable(n=2), bad], owner)
    with pytest.raises(InsecureJelly, match=r"x\.Unmakable"):
        Decoder(registry).loads(payload, holder)

    assert {1: 2, 2: 1} == owner.counts == holder.counts
    assert not any(holder.held.values())


class Holdless(Holder):
    """Tables that hold no caches, and count how often they are asked."""

    asked = 0

    def cache(self, id, replica):
        self.asked += 1
        raise InsecureJelly("no caches are held here", "pb.Unsupported")


def test_tables_without_caches_are_asked_once_for_a_payload():
    """An exception for each of a million would cost far more than reading them."""
    payload = ENCODER.dumps([Cache(n=n) for n in range(5)], Owner())
    holder = Holdless()
    with pytest.raises(InsecureJelly, match="no caches are held here") as caught:
        DECODER.loads(payload, holder)

    assert "pb.Unsupported" == caught.value.wire_type
    assert 1 == holder.asked
    assert 1 == carry(Cache(n=1)).n
