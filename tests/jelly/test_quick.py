"""Classes that are nothing but their fields: the short way gives what the long way gives."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
from functools import partial
from typing import Any

import attrs
import pytest
from msgpack import ExtType, packb

from jelly import Decoder, Encoder, InsecureJelly, Limits, MalformedJelly, Registry, Unjellyable
from jelly._quick import find_quick

FIELDS = ("number", "text", "ratio", "flag", "extra")


class Plain:
    def __init__(self, *values: object) -> None:
        for name, value in zip(FIELDS, values, strict=True):
            setattr(self, name, value)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(getattr(self, n) == getattr(other, n) for n in FIELDS)

    __hash__ = object.__hash__


class Slots(Plain):
    __slots__ = FIELDS


class OnlySlots:
    __slots__ = FIELDS
    __init__ = Plain.__init__
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return Plain.__eq__(self, other)  # type: ignore[arg-type]


MakeData = partial(dataclasses.make_dataclass, fields=FIELDS, namespace={"__hash__": object.__hash__})
CLASSES = [
    Plain,
    OnlySlots,
    Slots,
    MakeData("Data"),
    MakeData("SlottedData", slots=True),
    dataclasses.make_dataclass("FrozenData", FIELDS, frozen=True),
    dataclasses.make_dataclass("FrozenSlotted", FIELDS, frozen=True, slots=True),
    attrs.make_class("Attrs", list(FIELDS), slots=True),
    attrs.make_class("FrozenAttrs", list(FIELDS), slots=True, frozen=True),
]
NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
EXTRAS = [None, True, NOW, NOW.replace(tzinfo=None), decimal.Decimal("1.5"), [1, [2]], {"a": ()}, 1 << 70]


def admit(cls: type, **options: Any) -> tuple[Encoder, Decoder]:
    registry = Registry()
    registry.add(cls, "X", fields=FIELDS)
    return Encoder(registry, **options), Decoder(registry)


def one(cls: Any, extra: object = None, number: object = 1) -> Any:
    return cls(number, "text", 1.5, True, extra)


def state_of(extra: object = None, **more: object) -> dict[str, object]:
    return {"number": 1, "text": "text", "ratio": 1.5, "flag": True, "extra": extra, **more}


def copy(state: object) -> ExtType:
    return ExtType(8, packb(["X", state], datetime=True))


@pytest.mark.unmeasured
@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("extra", EXTRAS, ids=lambda extra: type(extra).__name__)
def test_many_give_the_bytes_that_each_gives_alone(cls: Any, extra: object) -> None:
    """What differs is the time."""
    encoder, decoder = admit(cls)
    values = [one(cls, extra, number) for number in range(3)]
    if type(extra) in (list, dict):
        encoder, decoder = admit(cls, identity="tree")

    payload = encoder.dumps(values)

    assert payload == b"\x93" + b"".join(encoder.dumps(value) for value in values)
    arrived = decoder.loads(payload)
    assert values == arrived
    assert {cls} == set(map(type, arrived))


HOSTILE = [
    {},
    state_of() | {"more": 1},
    state_of() | {"_x": 1},
    state_of() | {"__class__": 1},
    state_of() | {"__dict__": {}},
    state_of() | {"remote_x": 1},
    dict.fromkeys(FIELDS[1:], 1),
    dict.fromkeys((*FIELDS[1:], "__class__"), 1),
    dict.fromkeys((*FIELDS[1:], "__eq__"), 1),
    {name: [] for name in (*FIELDS[1:], "_extra")},
    [1, 2, 3, 4, 5],
    ["number", "text", "ratio", "flag", "extra"],
    "five5",
    b"five5",
    5,
    None,
    2.5,
]


@pytest.mark.unmeasured
@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("state", HOSTILE, ids=lambda state: repr(state)[-40:])
def test_a_hostile_state_is_refused_alone_and_among_good_ones(cls: Any, state: object) -> None:
    """The short way takes what has exactly the fields; all else gets the long way and its words."""
    _, decoder = admit(cls)
    before = dict(vars(cls))

    for payload in ([copy(state)], [copy(state_of()), copy(state), copy(state_of([]))]):
        with pytest.raises(InsecureJelly, match=f"{cls.__name__}: the "):
            decoder.loads(packb(payload))
    assert before == dict(vars(cls))


def test_good_copies_after_a_long_way_are_read_as_well() -> None:
    """One that holds an Ext or a list makes all after it take the long way."""
    _, decoder = admit(Plain)
    payload = packb([copy(state_of()), copy(state_of([1])), copy(state_of(NOW)), copy(state_of())])

    assert [None, [1], None] == [each.extra for each in decoder.loads(payload) if each.extra != NOW]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_one_of_many_that_cannot_be_sent_is_named(cls: Any) -> None:
    """A field that is not there, or one that does not cross."""
    encoder, _ = admit(cls)
    broken = cls.__new__(cls)

    with pytest.raises(Unjellyable, match=r"\[1\] is an? .* without"):
        encoder.dumps([one(cls), broken])
    with pytest.raises(Unjellyable, match=r"\[1\]\.extra is an object"):
        encoder.dumps([one(cls), one(cls, object())])


@pytest.mark.parametrize("cls", [Plain, OnlySlots])
def test_one_object_twice_among_many_stays_one(cls: Any) -> None:
    """The short way looks at identity too."""
    encoder, decoder = admit(cls)
    value = one(cls)

    arrived = decoder.loads(encoder.dumps([value, one(cls), value]))

    assert arrived[0] is arrived[2]
    assert arrived[0] is not arrived[1]


def test_attributes_beyond_the_fields_stay_here() -> None:
    """Of one object among many, or of all."""
    encoder, decoder = admit(Plain)
    values = [one(Plain), one(Plain)]
    values[1].password = "secret"

    assert b"secret" not in encoder.dumps(values)
    values[0].password = "secret"
    assert b"secret" not in encoder.dumps(values)
    assert values == decoder.loads(encoder.dumps(values))
    del values[0].text, values[1].text  # as many attributes as fields, but not the fields
    with pytest.raises(Unjellyable, match="without 'text'"):
        encoder.dumps(values)


def test_the_depth_limit_holds_on_the_short_way() -> None:
    """A copy has depth 3 by itself: its Ext, the array, and the state."""
    registry = Registry()
    registry.add(Plain, "X", fields=FIELDS)
    payload = packb([copy(state_of())])

    assert one(Plain) == Decoder(registry, Limits(max_depth=4)).loads(payload)[0]
    assert [[1]] == Decoder(registry, Limits(max_depth=6)).loads(packb([copy(state_of([[1]]))]))[0].extra
    for max_depth, extra in ((2, None), (3, None), (5, [[1]])):
        with pytest.raises(MalformedJelly, match="nests deeper"):
            Decoder(registry, Limits(max_depth=max_depth)).loads(packb([copy(state_of(extra))]))


def test_malformed_data_of_a_copy_are_malformed() -> None:
    """Whichever way found them first."""
    _, decoder = admit(Plain)

    for data in (b"", b"\x92", packb(["X"]), packb([1, {}]), packb({"X": 1}), packb(["X", {}]) + b"\xc0"):
        with pytest.raises(MalformedJelly):
            decoder.loads(packb([copy(state_of()), ExtType(8, data)]))


class Overridden:
    def __getattribute__(self, name: str) -> Any:
        return object.__getattribute__(self, name)


class Made:
    def __new__(cls) -> Made:
        return object.__new__(cls)


class OwnDict:
    __slots__ = ("__dict__",)


class DictHidden:
    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        return {"x": 1}


class Described:
    x = property(lambda self: 1, lambda self, value: None)


class Empty:
    __slots__ = ()


@pytest.mark.parametrize(
    ("cls", "names", "is_quick"),
    [
        (Overridden, ("x",), False),
        (Made, ("x",), False),
        (DictHidden, ("x",), False),
        (Described, ("x",), False),
        (Empty, ("x",), False),
        (Plain, (), False),
        (Slots, FIELDS, False),  # both a __dict__ and slots
        (OwnDict, ("x",), True),
        (Plain, ("x",), True),
        (OnlySlots, ("text",), True),
    ],
)
def test_only_what_is_nothing_but_its_fields_is_quick(cls: Any, names: Any, is_quick: bool) -> None:
    """Where code of the class has a say, it is asked."""
    assert is_quick == (find_quick(cls, names) is not None)


@pytest.mark.parametrize("cls", [Plain, OnlySlots])
def test_a_single_field_is_a_field_too(cls: Any) -> None:
    """attrgetter() of one name returns no tuple."""
    registry = Registry()
    registry.add(cls, "X", fields=["text"])
    value = cls.__new__(cls)
    value.text = "a"

    arrived = Decoder(registry).loads(Encoder(registry).dumps([value, one(cls)]))

    assert ["a", "text"] == [each.text for each in arrived]


@pytest.mark.unmeasured
@pytest.mark.parametrize("count", [1, 2, 15, 16, 0xFFFF, 0x10000])
def test_a_list_of_copies_is_written_as_msgpack_writes_it(count: int) -> None:
    """The header of the list, and for a few the Exts in it, are made without it."""
    note = dataclasses.make_dataclass("Note", ["a"])
    registry = Registry()
    registry.add(note, "N")
    encoder = Encoder(registry, Limits(max_exts=1 << 20, max_containers=1 << 20))
    texts = ["x" * (number if count < 300 else 3) for number in range(count)]

    payload = encoder.dumps([note(text) for text in texts])

    assert packb([ExtType(8, packb(["N", {"a": text}])) for text in texts]) == payload


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 240, 244, 245, 246, 250, 0xFFF0, 0x10000])
def test_the_head_of_each_copy_is_the_shortest(size: int) -> None:
    """Vectors, and bytes that are signed, know one form only (PB-V40)."""
    note = dataclasses.make_dataclass("Note", ["a"])
    registry = Registry()
    registry.add(note, "N")

    payload = Encoder(registry).dumps([note("x" * size)])

    assert packb([ExtType(8, packb(["N", {"a": "x" * size}]))]) == payload


def test_a_peer_that_takes_little_depth_gets_copies_up_to_it() -> None:
    """A list, the Ext, [name, state] and the state are four; a leaf in the state would be the fifth."""
    registry = Registry()
    registry.add(dataclasses.make_dataclass("Note", ["a"]), "N")
    (note,) = (plan.cls for plan in registry.snapshot().values() if plan.name == "N")

    assert Encoder(registry).dumps([note(1)]) == Encoder(registry, Limits(max_depth=4)).dumps([note(1)])
    for depth, value in ((3, 1), (4, decimal.Decimal(1))):
        with pytest.raises(Unjellyable, match=f"max_depth={depth}"):
            Encoder(registry, Limits(max_depth=depth)).dumps([note(value)])
