"""What the decoder promises beyond single values: depth to the last level, and order in what fails."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from msgpack import ExtType, packb

from jelly import Decoder, Encoder, InsecureJelly, MalformedJelly, Registry, Unjellyable

from .things import Frozen, Node, Point, Tables, make_registry


def nest(levels: int, wrap: Any) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = wrap(value)
    return value


def deep(levels: int) -> bytes:
    return b"\x91" * levels + b"\xc0"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (deep(63), 16),
        (b"\x92" + packb("test.Point") + b"\x81\xa1x" + deep(61), 8),
        (b"\x81\xa1a" + deep(62), 11),
    ],
    ids=["TUPLE", "COPY", "ERROR"],
)
def test_data_of_depth_sixty_four_and_no_more(data: bytes, code: int) -> None:
    """The Ext is the first level, what is in it are the others (spec 1.4)."""
    decoder = Decoder(make_registry())
    one_more = data.replace(b"\x91" * 20, b"\x91" * 21, 1)

    if code != 11:  # that one is no error map
        decoder.loads(packb(ExtType(code, data)))
    with pytest.raises(MalformedJelly, match="nests deeper"):
        decoder.loads(packb(ExtType(code, one_more)))
    if code == 16:
        with pytest.raises(MalformedJelly, match="nests deeper"):
            decoder.loads(packb(ExtType(20, packb([packb(ExtType(code, one_more))]))))


def test_frozen_copies_are_filled_past_their_setattr() -> None:
    """It refuses everybody else."""
    registry = make_registry()

    assert [Frozen(1, 2)] * 2 == Decoder(registry).loads(
        Encoder(registry).dumps([Frozen(1, 2), Frozen(1, 2)])
    )


def test_a_codec_may_make_a_list_that_counts_as_no_level_of_its_surroundings() -> None:
    """Its depth was counted as that of the copy."""
    registry = make_registry()
    registry.add_codec(Deep, "test.Deep", lambda value: 0, lambda state: [[[[state]]]])
    payload = Encoder(registry).dumps([Deep(), {"a": Deep()}])

    assert [[[[[0]]]], {"a": [[[[0]]]]}] == Decoder(registry).loads(payload)


class Deep:
    pass


class Unmakable:
    links: object

    def __new__(cls) -> Unmakable:
        if Unmakable.is_broken:
            raise ValueError("cannot be made")
        return super().__new__(cls)

    is_broken: ClassVar[bool] = False


class Unfillable:
    def get_state_to_copy(self) -> object:
        return {"links": self.links}

    def set_copyable_state(self, state: object) -> None:
        raise ValueError("cannot be filled")

    links: object = None


def test_copies_on_a_cycle_that_cannot_be_made_or_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The payload is refused with the first reason."""
    registry = make_registry()
    registry.add(Unmakable, "test.Unmakable")
    registry.add(Unfillable, "test.Unfillable")
    value = Unmakable()
    value.links = [value]
    payload = Encoder(registry).dumps(value)
    monkeypatch.setattr(Unmakable, "is_broken", True)
    one, two = Unfillable(), Unfillable()
    one.links, two.links = two, one

    with pytest.raises(InsecureJelly, match="cannot be made"):
        Decoder(registry).loads(payload)
    with pytest.raises(InsecureJelly, match="cannot be filled"):
        Decoder(registry).loads(Encoder(registry).dumps([one, two]))


@pytest.mark.parametrize("code", [1, 2])
def test_an_id_the_tables_refuse_fails_the_call(code: int) -> None:
    """With the type they gave."""
    for payload in (packb(ExtType(code, b"\x02\x9a")), packb([ExtType(code, b"\x02\x9a")])):
        with pytest.raises(InsecureJelly) as caught:
            Decoder(Registry()).loads(payload, Tables())
        assert caught.value.wire_type in ("pb.TooLarge", "pb.NoSuchObject")


def test_a_slice_of_a_tuple_that_waits() -> None:
    """The state is neither list nor map, and is finished only later."""
    ring: list[Any] = []
    state = packb(ExtType(16, b"\x91\x91" + packb(ExtType(21, b"\x00"))))
    payload = packb(ExtType(20, packb([b"\x91" + packb(ExtType(8, b"\x92" + packb("py.slice") + state))])))

    with pytest.raises(InsecureJelly):
        Decoder(Registry()).loads(payload)
    ring.append(slice(ring, (ring,)))
    value = Decoder(Registry()).loads(Encoder(Registry()).dumps(ring))
    assert value[0].start is value[0].stop[0] is value


def test_many_parts() -> None:
    """Their numbers take one byte, then two."""
    lists = [[number] for number in range(300)]

    value = Decoder(Registry()).loads(Encoder(Registry()).dumps([lists, lists[::-1]]))

    assert all(one is other for one, other in zip(value[0], value[1][::-1], strict=True))


def test_an_exception_group_without_exceptions_is_told_by_name() -> None:
    """It cannot be made."""
    payload = packb({"type": "py.ExceptionGroup", "msg": "m", "data": {"args": ["m"]}})

    assert "py.ExceptionGroup" == Decoder(make_registry()).loads_error(payload).remote_type  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        (nest(70, lambda inner: [inner]), "max_depth"),
        ({nest(70, lambda inner: (inner,))}, "max_depth"),
        (nest(33, lambda inner: (inner,)), "max_depth"),
        ((nest(40, lambda inner: [inner]), nest(15, lambda inner: (inner,))), "max_depth"),
        ([nest(40, lambda inner: [inner]), nest(15, lambda inner: (inner,))], "max_depth"),
        (nest(40, lambda inner: (inner, [])), "max_depth"),
    ],
    ids=["lists", "in a set", "tuples", "added up", "added up in a list", "more tuples"],
)
def test_depth_is_limited_where_something_is_shared_too(extra: object, text: str) -> None:
    """In a GRAPH, and before it is known that it will be one."""
    shared = [1]
    for value in ([shared, shared, extra], [extra, shared, shared], [Node("a", extra)], (extra,)):
        with pytest.raises(Unjellyable, match=text):
            Encoder(make_registry()).dumps(value)


def test_odd_things_beside_something_shared() -> None:
    """Empty tuples, tuples in keys, and states that are no map."""
    registry = make_registry()
    registry.add_codec(Deep, "test.Deep", lambda value: (1, 2), lambda state: state)
    shared = [1]

    value = Decoder(registry).loads(
        Encoder(registry).dumps([shared, shared, (), {(1, (2,)): 1}, Deep(), frozenset({(1, (2,))})])
    )

    assert value[0] is value[1]
    assert [(), {(1, (2,)): 1}, (1, 2), frozenset({(1, (2,))})] == value[2:]


def test_a_state_that_is_text_with_surrogates() -> None:
    """There is no field to name."""
    registry = make_registry()
    registry.add_codec(Deep, "test.Deep", lambda value: "\ud800", lambda state: state)

    with pytest.raises(Unjellyable, match=r"value: \[0\] is a str with surrogates"):
        Encoder(registry).dumps([Deep()])


def test_lists_of_copies_without_identity_take_the_long_way_too() -> None:
    """An empty tuple is not plain, and is found only while packing."""
    registry = make_registry()
    tree = Encoder(registry, identity="tree")

    assert [Point(()), Point(1)] == Decoder(registry).loads(tree.dumps([Point(()), Point(1)]))


class WithClassVar:
    x: int
    kind: ClassVar[str] = "k"


def test_what_belongs_to_the_class_does_not_cross() -> None:
    """An annotation says whose it is."""
    registry = Registry()
    registry.add(WithClassVar, "X")
    value = WithClassVar()
    value.x = 1

    assert {"x": 1} == vars(Decoder(registry).loads(Encoder(registry).dumps(value)))
    with pytest.raises(InsecureJelly, match="'kind' is not declared"):
        Decoder(registry).loads(packb(ExtType(8, packb(["X", {"x": 1, "kind": "other"}]))))
