"""One class under several names: peers of different age understand each other."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import pytest
from msgpack import ExtType, packb

from jelly import (
    Cacheable,
    Copyable,
    Decoder,
    Encoder,
    InsecureJelly,
    Referenceable,
    Registry,
    RemoteCache,
)
from jelly.visibility import HIDDEN, visible_to

from .things import Colour, Node, Point, Tables


@dataclasses.dataclass
class Old:
    """What is called a.Point in old programs."""

    x: int
    y: int


@dataclasses.dataclass
class New:
    """What is called a.Point.2 in new ones."""

    at: list[int]
    unit: str = "m"


def up(state: Any) -> object:
    return {"at": [state["x"], state["y"]], "unit": "mm"}


def down(state: Any) -> object:
    return {"x": state["at"][0], "y": state["at"][1]}


def old() -> Registry:
    registry = Registry()
    registry.add(Old, "a.Point")
    return registry


def new(*, sends_old: bool = False) -> Registry:
    registry = Registry()
    downgrade = ("a.Point", down) if sends_old else None
    registry.add(New, "a.Point.2", upgrades={"a.Point": up}, downgrade=downgrade)
    return registry


def copy(name: str, state: object) -> bytes:
    return packb(ExtType(8, packb([name, state])))


def pass_on(value: object, sender: Registry, receiver: Registry) -> Any:
    return Decoder(receiver).loads(Encoder(sender).dumps([value, value]))[0]


def test_what_an_old_peer_sends_arrives_as_the_newest() -> None:
    """The upgrade makes its state."""
    assert New([1, 2], "mm") == pass_on(Old(1, 2), old(), new())


def test_an_old_peer_is_sent_what_it_knows() -> None:
    """As long as downgrade= says so."""
    assert Old(1, 2) == pass_on(New([1, 2]), new(sends_old=True), old())


@pytest.mark.parametrize("sends_old", [False, True])
def test_new_peers_understand_each_other_whatever_they_send(sends_old: bool) -> None:
    """Some will have been told to send the newest before others."""
    for receiver in (new(), new(sends_old=True)):
        arrived = pass_on(New([1, 2]), new(sends_old=sends_old), receiver)
        assert New([1, 2], "mm" if sends_old else "m") == arrived


def test_many_at_once_are_sent_under_the_old_name_too() -> None:
    """The short way for many copies knows versions."""
    payload = Encoder(new(sends_old=True)).dumps([New([1, 2]), New([3, 4])])

    assert [Old(1, 2), Old(3, 4)] == Decoder(old()).loads(payload)


@pytest.mark.parametrize(
    ("upgrade", "text"),
    [
        (lambda state: state["nothing"], "KeyError"),
        (lambda state: 1 / 0, "ZeroDivisionError"),
        (lambda state: [1], "not a map"),
        (lambda state: {**up(state), "_at": 1}, "'_at' is not declared"),  # type: ignore[dict-item]
        (lambda state: {**up(state), "__class__": New}, "not declared"),  # type: ignore[dict-item]
        (lambda state: {"unit": "m"}, "'at' is missing"),
        (lambda state: New([1, 2]), "not a map"),
    ],
    ids=["raises", "fails", "no map", "private", "dunder", "missing", "made it itself"],
)
def test_an_upgrade_that_fails_refuses_its_payload_only(upgrade: Any, text: str) -> None:
    """What it returns is looked at like any state."""
    registry = Registry()
    registry.add(New, "a.Point.2", upgrades={"a.Point": upgrade})
    decoder = Decoder(registry)

    with pytest.raises(InsecureJelly, match=text):
        decoder.loads(copy("a.Point", {"x": 1, "y": 2}))
    assert New([1]) == decoder.loads(copy("a.Point.2", {"at": [1]}))


@pytest.mark.parametrize("state", [None, 5, [1, 2], {"x": 1}, {}])
def test_a_hostile_old_state_is_refused(state: object) -> None:
    """The upgrade is given whatever the peer sent."""
    with pytest.raises(InsecureJelly):
        Decoder(new()).loads(copy("a.Point", state))


def test_the_old_state_must_not_come_under_the_new_name_nor_the_other_way() -> None:
    """The name says which it is."""
    for name, state in (("a.Point.2", {"x": 1, "y": 2}), ("a.Point", {"at": [1, 2]})):
        with pytest.raises(InsecureJelly):
            Decoder(new()).loads(copy(name, state))


def test_a_name_that_is_only_sent_is_not_taken() -> None:
    """A downgrade says nothing of how to come back."""
    registry = Registry()
    registry.add(New, "a.Point.2", downgrade=("a.Point", down))

    assert Old(1, 2) == pass_on(New([1, 2]), registry, old())
    with pytest.raises(InsecureJelly, match="not registered") as caught:
        Decoder(registry).loads(copy("a.Point", {"x": 1, "y": 2}))
    assert "pb.Unregistered" == caught.value.wire_type


def test_older_versions_can_be_on_a_cycle() -> None:
    """The object is there before the state it is given."""
    first, second = Registry(), Registry()
    first.add(Node, "a.Node")
    second.add(
        Node,
        "a.Node.2",
        upgrades={"a.Node": lambda state: {"name": state["name"] + "!", "links": state["links"]}},
    )
    node = Node("a")
    node.links = [node]

    arrived = Decoder(second).loads(Encoder(first).dumps(node))

    assert "a!" == arrived.name
    assert arrived.links[0] is arrived
    shared = Decoder(second).loads(Encoder(second).dumps(node))
    assert ("a", shared) == (shared.name, shared.links[0])


class Chosen(Copyable):
    def get_state_to_copy_for(self, perspective: object) -> object:
        return {"x": perspective}


@dataclasses.dataclass
class Paid:
    salary: Annotated[int, visible_to("hr")]


def test_what_depends_on_the_perspective_still_does() -> None:
    """A downgrade gets the state after rules and hooks."""
    registry = Registry()
    registry.add(Chosen, "C.2", factory=lambda state: state, downgrade=("C", lambda state: [state]))
    registry.add(Paid, "P.2", downgrade=("P", lambda state: [*state]), upgrades={"P": lambda state: {}})
    encoder, decoder = Encoder(registry), Decoder(registry)

    assert encoder.dumps(Chosen(), Tables("eve")) == copy("C", [{"x": "eve"}])
    assert encoder.dumps(Paid(5), Tables("eve")) == copy("P", [])
    assert decoder.loads(copy("P", [])).salary is HIDDEN


def test_enums_have_versions_too() -> None:
    """Members are renamed now and then."""
    registry = Registry()
    registry.add(Colour, "Colour.2", upgrades={"Colour": lambda state: {"ROUGE": "RED"}[state]})

    assert Decoder(registry).loads(copy("Colour", "ROUGE")) is Colour.RED
    assert Decoder(registry).loads(copy("Colour.2", "GREEN")) is Colour.GREEN


def test_a_registry_knows_a_class_by_all_its_names() -> None:
    """Snapshots keep the one to send last, whatever they went through."""
    registry = new(sends_old=True)
    before = Registry().version
    both = Registry()
    both.add(Point, "Point")
    both.include(registry)
    both.include(registry)

    assert New in registry
    assert before + 2 == registry.version
    assert before + 3 == both.version
    for each in (registry, both):
        plans = [plan for plan in each.snapshot().values() if plan.cls is New]
        assert ["a.Point.2", "a.Point"] == [plan.name for plan in plans]
    assert Old(1, 2) == pass_on(New([1, 2]), both, old())
    three = Registry()
    three.add(New, "v3", upgrades={"v2": up, "v1": up}, downgrade=("v1", down))
    plans = [plan for plan in three.snapshot().values() if plan.cls is New]
    assert ["v2", "v3", "v1"] == [plan.name for plan in plans]


def test_a_class_is_admitted_under_all_its_names_or_under_none() -> None:
    """Otherwise a refused registration would leave half of it behind."""
    registry = old()
    version = registry.version

    with pytest.raises(ValueError, match=r"'a\.Point' is Old already and cannot be New too"):
        registry.add(New, "a.Point.2", upgrades={"a.Point.1": up, "a.Point": up})
    with pytest.raises(ValueError, match="no wire name"):
        registry.add(New, "a.Point.2", upgrades={"": up})
    assert version == registry.version
    assert New not in registry
    registry.add(New, "a.Point.2")
    with pytest.raises(ValueError, match=r"New is 'a\.Point\.2' already"):
        registry.add(New, "b")


@pytest.mark.parametrize(
    ("cls", "options", "error"),
    [
        (New, {"upgrades": {"a": 3}}, TypeError),
        (New, {"downgrade": ("a", 3)}, TypeError),
        (New, {"downgrade": ("a",)}, TypeError),
        (New, {"downgrade": down}, TypeError),
        (New, {"upgrades": {"X": up}}, ValueError),
        (New, {"downgrade": ("X", down)}, ValueError),
        (New, {"downgrade": ("no name", down)}, ValueError),
        (ValueError, {"upgrades": {"a": up}}, TypeError),
        (ValueError, {"downgrade": ("a", down)}, TypeError),
        (Cacheable, {"upgrades": {"a": up}}, TypeError),
        (RemoteCache, {"downgrade": ("a", down)}, TypeError),
        (RemoteCache, {"factory": up}, TypeError),
    ],
)
def test_what_is_no_version_is_refused_at_once(cls: Any, options: Any, error: Any) -> None:
    """At start, by whoever wrote it."""
    registry = Registry()
    with pytest.raises(error):
        registry.add(cls, "X", **options)
    assert cls not in registry


def test_cacheable_is_for_caches_and_copyable_for_all_else() -> None:
    """Who mistakes one for the other learns it at start."""
    registry = Registry()

    @registry.cacheable("Stock")
    class Stock(Cacheable): ...

    @registry.cacheable("Replica")
    class Replica(RemoteCache): ...

    assert Stock in registry
    assert Replica in registry
    assert [("Stock", Stock), ("Replica", Replica)] == [
        (plan.name, plan.cls) for plan in registry.snapshot().values() if plan.cls in (Stock, Replica)
    ]
    with pytest.raises(TypeError, match=r"Stock is a cache; @registry\.cacheable"):
        registry.copyable("Other")(Stock)
    for cls in (Point, type("Ref", (Referenceable,), {})):
        with pytest.raises(TypeError, match=r"is no Cacheable and no RemoteCache; @registry\.copyable"):
            registry.cacheable("Other")(cls)
    with pytest.raises(TypeError, match="cacheable needs a wire name"):
        registry.cacheable(Stock)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a class is registered"):
        registry.cacheable("Other")(3)  # type: ignore[arg-type]
    assert Point not in registry
