"""Classes of others, that adapters speak for, and other types the encoder asks about once."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from zope.interface import implementedBy, implementer, providedBy
from zope.interface.adapter import AdapterRegistry
from zope.interface.interface import adapter_hooks

from jelly import (
    Decoder,
    Encoder,
    ICopyable,
    InsecureJelly,
    IReferenceable,
    Referenceable,
    RemoteError,
    Unjellyable,
)

from .things import Point, Tables, make_registry

registry = make_registry()
encoder = Encoder(registry)
decoder = Decoder(registry)


class Foreign:
    """A class of others, that adapters speak for."""

    def __init__(self, text: str = "") -> None:
        self.text = text


class ForeignRoom(Foreign):
    pass


class ForeignBad(Foreign):
    pass


class Silent(Foreign):
    pass


@implementer(ICopyable)
class AsCopy:
    def __init__(self, adapted: Foreign) -> None:
        self.adapted = adapted

    def get_type_to_copy(self) -> str:
        return "test.Point" if type(self.adapted) is Foreign else "no name"

    def get_state_to_copy_for(self, perspective: object) -> object:
        return {"x": self.adapted.text, "y": perspective}


@pytest.fixture
def adapters() -> Any:
    """Register adapters with zope.interface for the time of a test."""
    table = AdapterRegistry()
    asked: list[object] = []

    def hook(provided: Any, value: object) -> Any:
        asked.append(value)
        factory = table.lookup1(providedBy(value), provided)
        return None if factory is None else factory(value)

    table.register(
        [implementedBy(Foreign)], ICopyable, "", lambda v: None if type(v) is Silent else AsCopy(v)
    )
    adapter_hooks.append(hook)
    yield asked
    adapter_hooks.remove(hook)


def test_an_adapter_makes_a_class_of_others_travel_by_copy(adapters: Any) -> None:
    """Nobody has to own a class to send it."""
    foreign = Foreign("a")

    arrived = decoder.loads(Encoder(registry).dumps([foreign, {"k": foreign}], Tables("eve")))

    assert Point("a", "eve") == arrived[0]
    assert arrived[0] is arrived[1]["k"]


def test_a_failing_adapter_is_an_error_at_the_sender(adapters: Any) -> None:
    """Here: one that gives a name which is none."""
    with pytest.raises(Unjellyable, match="adapter to ICopyable failed"):
        Encoder(registry).dumps(ForeignBad())


def test_that_a_type_has_no_adapter_is_remembered(adapters: Any) -> None:
    """An adapter look-up costs five dict look-ups, and a refusal must not cost more each time."""
    one = Encoder(registry)
    for _ in range(3):
        with pytest.raises(Unjellyable):
            one.dumps(Silent())

    assert 2 == len(adapters)


@implementer(IReferenceable)
class Door(Referenceable):
    pass


def test_an_adapter_makes_a_class_of_others_travel_by_reference() -> None:
    """The adapter is what the peer calls."""
    door, tables = Door(), Tables()

    def hook(provided: Any, value: object) -> Any:
        if provided is IReferenceable and type(value) is ForeignRoom:
            return door if value.text else "no reference"
        return None

    adapter_hooks.append(hook)
    try:
        one = Encoder(registry)
        one.dumps([ForeignRoom("a"), ForeignRoom("b")], tables)
        with pytest.raises(Unjellyable, match="no ByReference"):
            one.dumps(ForeignRoom(), tables)
    finally:
        adapter_hooks.remove(hook)

    assert [door] == tables.exports
    assert {1: 2} == tables.counts


def test_refused_types_are_not_kept_alive() -> None:
    """An encoder lives as long as its connections."""
    one = Encoder(registry)
    kind = type("Temporary", (), {})
    with pytest.raises(Unjellyable):
        one.dumps(kind())
    watch = weakref.ref(kind)
    del kind
    gc.collect()

    assert watch() is None


def test_errors_as_values_and_what_they_need() -> None:
    """An error in a list is a value like any other."""
    with pytest.raises(Unjellyable, match="an error that is not registered"):
        encoder.dumps([KeyboardInterrupt()])
    arrived = decoder.loads(encoder.dumps([RemoteError("x.Y", "text", data={"a": 1}), InsecureJelly("no")]))
    assert ["x.Y", "pb.BadPayload"] == [error.remote_type for error in arrived]
    assert {"a": 1} == arrived[0].data
