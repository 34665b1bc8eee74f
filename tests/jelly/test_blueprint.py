"""What is done with a state: factories, checks, codecs, hooks."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

import pytest
from msgpack import ExtType, packb

from jelly import Copyable, Decoder, Encoder, InsecureJelly, Registry, RemoteCopy, Unjellyable

from .things import Point


def copy(name: str, state: object) -> bytes:
    return packb(ExtType(8, packb([name, state])))


def admit(cls: type, **options: Any) -> tuple[Encoder, Decoder]:
    registry = Registry()
    registry.add(cls, "X", **options)
    return Encoder(registry), Decoder(registry)


def test_a_factory_makes_the_object() -> None:
    """It may return one that is there already (PB 109)."""
    known = Point(1, 2)
    encoder, decoder = admit(Point, factory=lambda state: known)

    assert decoder.loads(encoder.dumps([Point(5)]))[0] is known


def test_what_a_factory_raises_refuses_the_payload() -> None:
    """The text is the factory's own, cut and escaped."""

    def refuse(state: object) -> object:
        raise ValueError("x must be\npositive" + "!" * 1000)

    with pytest.raises(InsecureJelly, match=r"X: ValueError: 'x must be\\npositive") as caught:
        admit(Point, factory=refuse)[1].loads(copy("X", {"x": -1}))
    assert len(str(caught.value)) < 200


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def test_an_error_that_cannot_be_printed_refuses_the_payload_all_the_same() -> None:
    """F3 of the threats."""

    def refuse(state: object) -> object:
        raise Unprintable

    with pytest.raises(InsecureJelly, match="no text"):
        admit(Point, factory=refuse)[1].loads(copy("X", {"x": -1}))


def test_a_check_sees_the_state_first() -> None:
    """It is where types and ranges of fields are looked at."""
    seen: list[object] = []

    def check(state: Any) -> None:
        seen.append(state)
        if type(state["x"]) is not int:
            raise TypeError("x is no int")

    for cls in (Point, Pair2):
        decoder = admit(cls, check=check)[1]
        assert 1 == decoder.loads(copy("X", {"x": 1, "y": 2})).x
        with pytest.raises(InsecureJelly, match="x is no int"):
            decoder.loads(copy("X", {"x": "1", "y": 2}))
    assert 4 == len(seen)


class Pair2(NamedTuple):
    x: int
    y: int


def test_codecs_are_for_classes_of_others() -> None:
    """Their state is whatever encode() returns."""
    registry = Registry()
    registry.add_codec(Buffer, "test.Buffer", lambda value: list(value.items), Buffer)
    value = Buffer([1, [2]])

    arrived = Decoder(registry).loads(Encoder(registry).dumps([value, value]))

    assert [1, [2]] == arrived[0].items
    assert arrived[0] is arrived[1]


class Buffer:
    def __init__(self, items: Any) -> None:
        self.items = items


def test_attrs_classes_are_read_without_attrs() -> None:
    """By the table attrs leaves on the class; it need not be installed here."""

    class Factory:
        factory = list
        takes_self = False

    class SelfFactory:
        takes_self = True
        factory = list

    class Attribute:
        def __init__(self, name: str, default: object) -> None:
            self.name = name
            self.default = default

    nothing = enum.Enum("_Nothing", "NOTHING").NOTHING  # type: ignore[attr-defined]

    class Like:
        __attrs_attrs__ = (
            Attribute("a", nothing),
            Attribute("b", 3),
            Attribute("c", Factory()),
            Attribute("d", SelfFactory()),
        )

    decoder = admit(Like)[1]

    assert {"a": 1, "b": 3, "c": [], "d": 4} == vars(decoder.loads(copy("X", {"a": 1, "d": 4})))
    with pytest.raises(InsecureJelly, match="'d' is missing"):
        decoder.loads(copy("X", {"a": 1}))


def test_jelly_roundtrip_of_attrs_classes() -> None:
    """Where attrs is installed, its own classes."""
    attrs = pytest.importorskip("attrs")
    frozen = attrs.make_class(
        "Frozen", {"a": attrs.field(), "b": attrs.field(default=2)}, frozen=True, slots=True
    )
    encoder, decoder = admit(frozen)

    assert frozen(1) == decoder.loads(encoder.dumps(frozen(1)))


class Hooked(Copyable, RemoteCopy):
    def __init__(self) -> None:
        self.x = 1

    def get_state_to_copy(self) -> object:
        return super().get_state_to_copy()

    def set_copyable_state(self, state: object) -> None:
        super().set_copyable_state(state)

    def post_unjelly(self) -> None:
        self.x += 1


def test_hooks_of_the_flavours() -> None:
    """get_state_to_copy, set_copyable_state, and post_unjelly once all is there (PB 97, 99)."""
    encoder, decoder = admit(Hooked)

    assert {"x": 2} == vars(decoder.loads(encoder.dumps(Hooked())))
    assert {"x": 1} == Hooked().get_state_to_copy_for(None)


def test_an_instance_cannot_change_its_hooks() -> None:
    """They are looked up on the class, when it is registered."""
    encoder, decoder = admit(Hooked)
    value = Hooked()
    value.get_state_to_copy = 5  # type: ignore[method-assign,assignment]

    with pytest.raises(InsecureJelly):
        decoder.loads(encoder.dumps(value))  # the attribute is in the state, and may not be set


def test_a_subclass_is_another_class() -> None:
    """It may hold more than what was admitted."""
    encoder, _ = admit(Point)

    with pytest.raises(Unjellyable):
        encoder.dumps(type("Sub", (Point,), {})(1))
