"""Fields with a rule where no perspective is known: hidden from strangers, not lost on the way to servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from jelly import Decoder, Encoder, Registry, Unjellyable
from jelly.visibility import DIALED, HIDDEN, OWNER, visible_if, visible_to

from .things import Tables

BOSS = type("Boss", (), {"roles": {"boss"}})()


@dataclass
class Item:
    name: str
    price: Annotated[Any, visible_to("boss")] = 0
    note: Annotated[Any, visible_if(lambda item, perspective: True, to_server=True)] = "n"


@dataclass
class Twice:
    """Two rules, of which only one lets it through."""

    price: Annotated[int, visible_to("boss", to_server=True)] = 1


@dataclass
class Hooked:
    """Its hook is never given what stands for nobody."""

    price: Annotated[int, visible_to("boss", to_server=True)] = 1

    def get_state_to_copy_for(self, perspective):
        return {"price": 5 if perspective is None else 6}

    def set_copyable_state(self, state):
        self.price = state["price"]


REGISTRY = Registry()
REGISTRY.add(Item, "x.Item")
REGISTRY.add(Twice, "x.Twice", visible={"price": visible_to("boss")})
REGISTRY.add(Hooked, "x.Hooked")


def sent(value, unknown, tables=None):
    return Decoder(REGISTRY).loads(Encoder(REGISTRY, unknown=unknown).dumps(value, tables), tables)


def test_a_stranger_is_shown_no_field_with_a_rule():
    """Whatever else the rule says: who has dialed here is nobody's server."""
    assert Item("lamp", HIDDEN, HIDDEN) == sent(Item("lamp", 42), None)


def test_who_has_dialed_does_not_lose_a_field_in_silence():
    """A program that saves what it has changed would wipe it, and nobody would know."""
    with pytest.raises(
        Unjellyable, match=r"Item\.price has a rule .* to_server=True .* send the value itself"
    ):
        sent(Item("lamp", 42), DIALED)
    with pytest.raises(Unjellyable, match=r"Twice\.price has a rule"):
        sent([Twice()], DIALED)


def test_what_is_hidden_here_is_left_out_for_a_server_too():
    """It was not shown to this side, or was taken out by hand; and what may go goes."""
    assert Item("lamp", HIDDEN, "n") == sent(Item("lamp", HIDDEN), DIALED)


def test_the_owner_is_shown_all():
    """As where it keeps its own state."""
    assert [Item("lamp", 42), Twice(), Hooked(5)] == sent([Item("lamp", 42), Twice(), Hooked()], OWNER)


def test_hooks_are_given_a_perspective_or_none():
    """They know nothing of what stands for nobody."""
    assert Hooked(5) == sent(Hooked(), DIALED)


def test_where_a_perspective_is_known_it_decides():
    """The side that has dialed may have users too."""
    tables = Tables()
    tables.perspective = BOSS

    assert Item("lamp", 42) == sent(Item("lamp", 42), DIALED, tables)
