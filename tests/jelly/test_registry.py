"""What may be admitted, and what a peer may then do to it."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any, ClassVar, NamedTuple

import attrs
import pytest
from msgpack import ExtType, packb

from jelly import (
    BUILTIN_ERRORS,
    Decoder,
    Encoder,
    InsecureJelly,
    Referenceable,
    Registry,
    RemoteError,
)

from .things import Colour, Frozen, Level, Node, Overdrawn, Pair, Plain, Point, Rights, Slotted, Word


def copy(name: str, state: object) -> bytes:
    return packb(ExtType(8, packb([name, state])))


def admit(cls: type, **options: Any) -> tuple[Encoder, Decoder]:
    registry = Registry()
    registry.add(cls, "X", **options)
    return Encoder(registry), Decoder(registry)


@pytest.mark.parametrize(
    "value", [Colour.RED, Colour.GREEN, Level.HIGH, Word.HELLO, Rights.READ, Rights(0), Rights(3)]
)
def test_jelly_roundtrip_gives_the_member_of_an_enum_back_itself(value: Any) -> None:
    """`is` is how people compare them."""
    encoder, decoder = admit(type(value))

    assert decoder.loads(encoder.dumps([value, {value: 1}]))[0] is value


class Open(enum.IntFlag):
    A = 1
    B = 2


class Both(enum.Flag, boundary=enum.STRICT):
    A = 3

    @classmethod
    def _missing_(cls, value: object) -> Any:
        raise ValueError


@pytest.mark.parametrize(
    ("cls", "state"),
    [
        (Colour, "BLUE"),
        (Colour, 1),
        (Colour, "__class__"),
        (Colour, "mro"),
        (Rights, 4),
        (Rights, "READ"),
        (Rights, True),
        (Rights, -1),
        (Open, 4),
        (Open, -1),
        (Open, 1 << 60),
        (Both, 1),
        (Rights, {"value": 1}),
        (Level, 1),
        (Level, "remote_x"),
        (Level, {"_value_": 2}),
        (Word, "hello"),
        (Word, ["HELLO"]),
        (Word, None),
        (Colour, "__dict__"),
        (Colour, "_value_"),
    ],
)
def test_what_is_no_member_is_refused(cls: type, state: object) -> None:
    """Members only: not what getattr() would find."""
    with pytest.raises(InsecureJelly):
        admit(cls)[1].loads(copy("X", state))


BAD_STATES = [
    ({}, "'x' is missing"),
    ({"x": 1, "z": 2}, "'z' is not declared"),
    ({"x": 1, "_x": 2}, "'_x' is not declared"),
    ({"x": 1, "__class__": 2}, "'__class__' is not declared"),
    ({"x": 1, "__dict__": {}}, "'__dict__' is not declared"),
    ({"x": 1, "remote_x": 2}, "'remote_x' is not declared"),
    ({"x": 1, "a" * 10**6: 2}, "is not declared"),
    ({"x": 1, b"y": 2}, "not declared"),
    ([1, 2], "not a map"),
    (None, "not a map"),
]


class XY(NamedTuple):
    x: object
    y: object = 0


ByAttrs = attrs.make_class("ByAttrs", {"x": attrs.field(), "y": attrs.field(default=0)})


@pytest.mark.parametrize("cls", [Point, Frozen, Slotted, XY, ByAttrs])
@pytest.mark.parametrize(("state", "text"), BAD_STATES, ids=[text for _, text in BAD_STATES])
def test_only_declared_fields_are_set(cls: type, state: object, text: str) -> None:
    """A peer that may set any attribute can replace any method (threats A4, A5)."""
    with pytest.raises(InsecureJelly, match=text) as caught:
        admit(cls)[1].loads(copy("X", state))
    assert "pb.BadPayload" == caught.value.wire_type
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "key", ["_x", "__class__", "__dict__", "__traceback__", "remote_x", "with_traceback"]
)
def test_an_error_takes_its_declared_fields_and_ignores_the_rest(key: str) -> None:
    """Data of a class derived from this one hold more than is declared, so they are no reason to refuse."""
    registry = Registry()
    registry.add(Overdrawn, "X", fields=["balance"])
    decoder = Decoder(registry)

    def read(data: object) -> Any:
        return decoder.loads(packb(ExtType(11, packb({"type": "X", "msg": "text", "data": data}))))

    arrived = read({"balance": 3, key: "hostile"})

    assert (Overdrawn, 3, {"balance": 3}) == (type(arrived), arrived.balance, vars(arrived))
    for data in ([1], "x", {key: 3}):
        assert type(read(data)) is RemoteError


def test_fields_with_a_default_may_be_missing() -> None:
    """That is how a class grows without breaking older peers."""
    decoder = admit(Made)[1]

    first = decoder.loads(copy("X", {"name": "a"}))
    second = decoder.loads(copy("X", {"name": "b"}))

    assert ([], 1) == (first.tags, first.level)
    assert first.tags is not second.tags
    assert Pair(1, None) == admit(Pair)[1].loads(copy("X", {"left": 1}))


@dataclasses.dataclass
class Made:
    name: str
    tags: list[str] = dataclasses.field(default_factory=list)
    level: int = 1
    registry: ClassVar[int] = 0

    def __post_init__(self) -> None:
        raise AssertionError("never called")


def test_neither_init_nor_post_init_runs() -> None:
    """They are for whoever makes an object, not for whoever receives one (PB 98)."""
    made = Made.__new__(Made)
    made.name, made.tags, made.level = "a", ["b"], 3
    encoder, decoder = admit(Made)

    assert made == decoder.loads(encoder.dumps(made))


class NewCounts:
    x: object
    made = 0

    def __new__(cls, *args: object) -> NewCounts:
        NewCounts.made += 1
        self = super().__new__(cls)
        self.from_new = "kept"
        return self


def test_new_runs_and_what_it_sets_is_kept() -> None:
    """PB 107."""
    encoder, decoder = admit(NewCounts)
    value = NewCounts()
    value.x = 1

    arrived = decoder.loads(encoder.dumps(value))

    assert (1, "kept", 2) == (arrived.x, arrived.from_new, NewCounts.made)


class Annotated:
    x: int
    y: str = "b"
    kind: ClassVar[str] = "k"
    __slots__: tuple[str, ...] = ()


class Slots:
    __slots__ = ("x", "y")
    x: int
    y: int


def test_plain_classes_declare_fields_by_annotation_or_by_name() -> None:
    """Anything else would be guessing."""
    encoder, decoder = admit(Slots)
    value = Slots()
    value.x, value.y = 1, 2
    assert 2 == decoder.loads(encoder.dumps(value)).y

    encoder, decoder = admit(Plain, fields=["a"])
    plain = Plain()
    plain.a, plain.b = 1, 2  # type: ignore[attr-defined]
    assert {"a": 1} == vars(decoder.loads(encoder.dumps([plain]))[0])

    encoder, decoder = admit(Plain, fields=[])
    assert {} == vars(decoder.loads(encoder.dumps([plain]))[0])


class Shadow:
    save: int = 3


class HasMethod:
    def save(self) -> None: ...


class Shadows(HasMethod):
    save: int = 3  # type: ignore[assignment]


@dataclasses.dataclass
class CallableDefault:
    key: Any = len
    make: Any = lambda: 3


@dataclasses.dataclass
class Private:
    x: int
    _y: int = 0


class Hooks:
    def get_state_to_copy(self) -> object:
        return {}


class Setter:
    def set_copyable_state(self, state: object) -> None: ...


class MyDict(dict[str, int]):
    x: int


@pytest.mark.parametrize(
    ("cls", "options", "text"),
    [
        (Shadows, {}, r"hides HasMethod\.save"),
        (HasMethod, {"fields": ["save"]}, r"hides HasMethod\.save"),
        (Private, {}, "_y is private"),
        (Plain, {"fields": ["__dict__"]}, "private"),
        (Plain, {"fields": ["a.b"]}, "identifier"),
        (Plain, {}, "declares no fields"),
        (Hooks, {}, "define set_copyable_state"),
        (Setter, {}, "define get_state_to_copy"),
        (MyDict, {}, "holds more than its fields"),
        (type("Int", (int,), {}), {}, "holds more than its fields"),
        (type("Ref", (Referenceable,), {}), {}, "goes by reference"),
        (KeyboardInterrupt, {}, "must not be raised by a peer"),
        (SystemExit, {}, "must not be raised by a peer"),
        (3, {}, "a class is registered"),
    ],
)
def test_classes_that_cannot_cross_are_refused_when_they_are_registered(
    cls: Any, options: Any, text: str
) -> None:
    """At start, by whoever wrote the class; not at night, by a peer."""
    with pytest.raises(TypeError, match=text):
        Registry().add(cls, "X", **options)


def test_defaults_are_no_methods() -> None:
    """A function may be the default of a field."""
    encoder, decoder = admit(CallableDefault)
    value = CallableDefault(1, 2)

    assert value == decoder.loads(encoder.dumps(value))
    assert decoder.loads(copy("X", {})).key is len


def test_names_and_classes_are_taken_once() -> None:
    """Two classes under one name would be told apart by luck (threats A10)."""
    registry = Registry()
    registry.add(Point, "a.Point")

    with pytest.raises(ValueError, match=r"'a\.Point' is Point already and cannot be Node too"):
        registry.add(Node, "a.Point")
    with pytest.raises(ValueError, match=r"Point is 'a\.Point' already and cannot be 'b' too"):
        registry.add(Point, "b")
    with pytest.raises(ValueError, match=r"py\.complex"):
        registry.add(Node, "py.complex")
    assert Point in registry
    assert Node not in registry


@pytest.mark.parametrize("name", ["", "1a", ".a", "a b", "a" * 129, "ä", "a\n", "a:b", 3, b"a"])
def test_wire_names_are_plain(name: Any) -> None:
    """They stand in logs and URLs of others."""
    with pytest.raises(ValueError, match="no wire name"):
        Registry().add(Point, name)


def test_including_twice_is_as_good_as_once() -> None:
    """Two libraries may include a third."""
    base, both = Registry(), Registry()
    base.copyable("P")(Point)
    both.include(base)
    both.include(base)
    both.include(BUILTIN_ERRORS)
    other = Registry()
    other.add(Node, "P")

    with pytest.raises(ValueError, match="already"):
        both.include(other)
    assert Point in both


def test_a_frozen_registry_takes_nothing_more() -> None:
    """The one of the builtin errors is shared by everybody."""
    with pytest.raises(TypeError, match="frozen"):
        BUILTIN_ERRORS.add(Point, "P")


def test_copyable_without_a_name_says_so_at_once() -> None:
    """Used bare it would put a function in the place of the class."""
    with pytest.raises(TypeError, match="needs a wire name"):
        Registry().copyable(Word)  # type: ignore[arg-type]
