"""What the encoder promises beyond single values: places in errors, counts given back, hooks."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from msgpack import ExtType, packb

from jelly import (
    Cacheable,
    Copyable,
    Decoder,
    Encoder,
    InsecureJelly,
    Limits,
    MalformedJelly,
    Oversized,
    Referenceable,
    Registry,
    RemoteCopy,
    Unjellyable,
)

from .things import Node, Overdrawn, Plain, Point, Tables, Thing, make_registry, name_of

registry = make_registry()
encoder = Encoder(registry)
decoder = Decoder(registry)


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        (
            ([1, {"x": Point(Plain())}],),
            {},
            "argument 0 of save: [1]['x'].x is a Plain, which is not registered; "
            'Registry.add(Plain, "name", fields=[...]) or Registry.add_codec(Plain, "name", encode, decode)',
        ),
        ((1, Plain()), {}, "argument 1 of save is a Plain, which is not"),
        ((), {"draft": Plain()}, "argument 'draft' of save is a Plain, which is not"),
        (({1: (0, Plain())},), {}, "argument 0 of save: [1][1] is a Plain, which is not"),
        (({Plain(): 1},), {}, "argument 0 of save: <a key or member> is a Plain, which is not"),
        (({(1, Plain())},), {}, "argument 0 of save: <a key or member>[1] is a Plain, which is not"),
        ((Overdrawn(Plain()),), {}, "argument 0 of save: ['balance'] is a Plain, which is not"),  # type: ignore[arg-type]
        (([0, "\ud800"],), {}, "argument 0 of save: [1] is a str with surrogates"),
        (({1: "\ud800"},), {}, "argument 0 of save: [1] is a str with surrogates"),
        (({7: ["\ud800"]},), {}, "argument 0 of save: [7][0] is a str with surrogates"),
        (({0: 1, 7: "\ud800"},), {}, "argument 0 of save: [7] is a str with surrogates"),
        (
            ({0: 1, (2, "\ud800"): 3},),
            {},
            "argument 0 of save: <a key or member>[1] is a str with surrogates",
        ),
        (({0: 1, "\ud800": 3},), {}, "argument 0 of save: <a key or member> is a str with surrogates"),
        (({"\ud800": 1},), {}, "argument 0 of save is a str with surrogates"),
        ((Point("\ud800"),), {}, "argument 0 of save: .x is a str with surrogates"),
        (([Point(1), Point("\ud800")],), {}, "argument 0 of save: [1].x is a str with surrogates"),
        (((1, 2**5000),), {}, "argument 0 of save: [1] is an int of 5001 bits"),
    ],
)
def test_the_error_names_the_place(args: Any, kwargs: Any, text: str) -> None:
    """In a payload of a thousand values nobody finds the one that is wrong."""
    with pytest.raises(Unjellyable) as caught:
        encoder.dumps_call(args, kwargs, None, "save")

    assert str(caught.value).startswith(text)


def test_calls_are_read_as_they_were_made() -> None:
    """Positional and keyword arguments are one payload: what they share stays shared."""
    shared = ["x"]

    args, kwargs = decoder.loads_call(encoder.dumps_call((shared, 1), {"again": shared}))

    assert [["x"], 1] == args
    assert kwargs["again"] is args[0]
    assert ([], {}) == decoder.loads_call(encoder.dumps_call((), {}))
    assert (["hi"], {"a": (1,)}) == decoder.loads_call(encoder.dumps_call(("hi",), {"a": (1,)}))


@pytest.mark.parametrize(
    "payload",
    [
        b"\xc0",
        b"\x90",
        b"\x91\x90",
        b"\x93\x90\x80\xc0",
        b"\x92\x80\x80",
        b"\x92\x90\x90",
        b"\x92\x90\x81\xc4\x01a\xc0",
        packb([ExtType(16, b"\x90"), {}]),
        packb([[], ExtType(19, b"\x92\x01\x01")]),
    ],
)
def test_a_payload_of_another_shape_is_no_call(payload: bytes) -> None:
    """Its references cannot be given to anybody (spec PB-V39)."""
    with pytest.raises(MalformedJelly):
        decoder.loads_call(payload)


def test_a_call_that_is_refused_says_why() -> None:
    """The shape of a refused payload is not looked at: None stands for what was refused."""
    with pytest.raises(InsecureJelly, match="Ext 40"):
        decoder.loads_call(packb(ExtType(40, b"")))


def test_a_call_too_deep_says_so() -> None:
    """Arguments are inside two lists already."""
    small = Encoder(registry, Limits(max_depth=3))

    assert small.dumps_call(([],), {})
    with pytest.raises(Unjellyable, match=r"argument 0 of f|call of f"):
        small.dumps_call(([[]],), {}, None, "f")
    with pytest.raises(Unjellyable, match="a call"):
        Encoder(registry, Limits(max_depth=0)).dumps_call(((),), {})
    with pytest.raises(Unjellyable, match="max_depth"):
        small.dumps([[[()]]])
    with pytest.raises(Unjellyable, match="max_depth"):
        small.dumps([(1,), [[0]]])


def test_what_is_counted_for_a_payload_that_fails_is_given_back() -> None:
    """Otherwise the peer would owe releases for what it never got (spec R7)."""
    tables = Tables()
    one, two = Thing(), Thing()

    with pytest.raises(Unjellyable):
        encoder.dumps([one, two, {"x": one}, Plain()], tables)
    assert {1: 0, 2: 0} == tables.counts
    with pytest.raises(Unjellyable):
        encoder.dumps([one, [two], s := [1], s, {1: Plain()}], tables)
    assert {1: 0, 2: 0} == tables.counts
    two.is_secret = True  # type: ignore[attr-defined]
    with pytest.raises(Unjellyable, match=r"value: \[1\] is secret"):
        encoder.dumps([one, two], tables)
    assert {1: 0, 2: 0} == tables.counts


def test_errors_of_the_tables_pass_and_what_was_counted_is_given_back() -> None:
    """A dead reference is not a fault of the value."""

    class Failing(Tables):
        def refer(self, value: object) -> ExtType:
            if isinstance(value, Node):
                raise ConnectionError("dead")
            return super().refer(value)

    tables = Failing()
    by_node = Encoder(Registry(), by_reference=[Node])

    with pytest.raises(ConnectionError):
        by_node.dumps([Thing(), Node("x")], tables)
    assert {1: 0} == tables.counts
    with pytest.raises(ConnectionError):
        Encoder(make_registry(), by_reference=[Plain]).dumps_error(
            Overdrawn(Dead()),  # type: ignore[arg-type]
            DeadTables(),
        )


class Dead(Referenceable):
    pass


class DeadTables(Tables):
    def refer(self, value: object) -> ExtType:
        raise ConnectionError("dead")


def test_references_need_tables() -> None:
    """There is nobody to give an id."""
    with pytest.raises(Unjellyable, match="goes by reference"):
        encoder.dumps([Thing()])


def test_caches_are_refused_for_now() -> None:
    """The place for them is there, the feature is not."""

    class Stock(Cacheable):
        pass

    with pytest.raises(Unjellyable, match="Cacheable"):
        encoder.dumps(Stock(), Tables())


class Draft(Copyable, RemoteCopy):
    """Show each perspective something else."""

    def __init__(self, text: str = "", secret: str = "") -> None:
        self.text = text
        self.secret = secret

    def get_state_to_copy_for(self, perspective: object) -> object:
        return {"text": self.text, "seen_by": perspective}

    def set_copyable_state(self, state: object) -> None:
        super().set_copyable_state(state)


def test_each_perspective_gets_its_own_state_of_a_copyable() -> None:
    """The same object can show different state to different perspectives (PB 96)."""
    both = Registry()
    both.add(Draft, "Draft")
    sender, receiver = Encoder(both), Decoder(both)

    alone = receiver.loads(sender.dumps(Draft("a", "b")))
    seen = receiver.loads(sender.dumps(Draft("a", "b"), Tables("alice")))

    assert {"text": "a", "seen_by": None} == vars(alone)
    assert {"text": "a", "seen_by": "alice"} == vars(seen)


@pytest.mark.parametrize("key", ["_x", "__class__", "set_copyable_state", "get_state_to_copy"])
def test_the_inherited_setter_refuses_keys_that_would_hide_something(key: str) -> None:
    """A peer that may set a method decides what the object does (threats A5)."""
    both = Registry()
    both.add(Draft, "Draft")

    with pytest.raises(InsecureJelly):
        Decoder(both).loads(packb(ExtType(8, packb(["Draft", {key: 1}]))))
    with pytest.raises(InsecureJelly):
        Decoder(both).loads(packb(ExtType(8, packb(["Draft", [1]]))))


def test_a_failing_hook_is_an_error_at_the_sender() -> None:
    """Nothing has been sent; the connection lives (PB 110)."""

    class Failing:
        def get_state_to_copy(self) -> object:
            raise ZeroDivisionError("oh")

        def set_copyable_state(self, state: object) -> None:
            pass

    both = make_registry()
    both.add(Failing, "Failing")

    with pytest.raises(
        Unjellyable, match=r"value: \['k'\] is a .*Failing whose state could not be had"
    ) as caught:
        Encoder(both).dumps({"k": Failing()})
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_missing_attribute_is_named() -> None:
    """An instance that is not finished cannot be copied."""
    with pytest.raises(Unjellyable, match="without 'x'"):
        encoder.dumps([object.__new__(Point)])


@pytest.mark.parametrize("count", [1, 3])
def test_attributes_that_are_not_declared_stay_here(count: int) -> None:
    """A cached property in the __dict__ is nobody's business."""
    points = [Point(number) for number in range(count)]
    points[0].cached = 1  # type: ignore[attr-defined]

    assert points == decoder.loads(encoder.dumps(points))
    assert {"x": 0, "y": 0} == vars(decoder.loads(encoder.dumps(points))[0])


@pytest.mark.parametrize("odd", [[1], {}, (), (1,), {2}, "\ud800", Node("n"), Plain()], ids=name_of)
def test_lists_of_copies_take_the_long_way_where_one_is_not_plain(odd: Any) -> None:
    """The short way must not send anything the long way would not."""
    points = [Point(1), Point(odd), Point(2)]

    try:
        payload = encoder.dumps(points)
    except Unjellyable as error:
        assert "[1].x" in str(error)
        return
    arrived = decoder.loads(payload)
    assert type(odd) is type(arrived[1].x)
    assert [1, 2] == [arrived[0].x, arrived[2].x]


def test_a_copy_twice_in_a_list_arrives_as_one() -> None:
    """Also where the list is written in one go."""
    point = Point(1)

    first, second, _ = decoder.loads(encoder.dumps([point, point, Point(2)]))

    assert first is second
    assert [Point(1)] * 2 == decoder.loads(Encoder(registry, identity="tree").dumps([point, point]))


def test_the_registry_is_read_when_the_encoder_is_made() -> None:
    """A class added later admits nothing on live connections (threats A10)."""
    late = Registry()
    early_encoder, early_decoder = Encoder(late), Decoder(late)
    late.add(Point, "Point")

    with pytest.raises(Unjellyable):
        early_encoder.dumps(Point(1))
    with pytest.raises(InsecureJelly):
        early_decoder.loads(Encoder(late).dumps(Point(1)))


def test_a_tree_that_would_grow_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without identity each level of a shared list doubles what is written; a cycle never ends."""
    monkeypatch.setattr("jelly._walk._MAX_EXPANDED", 1 << 14)  # tests/jelly/test_graph.py counts all of them
    value: list[object] = []
    for _ in range(40):
        value = [value, value]

    with pytest.raises(Oversized, match="max_containers"):
        Encoder(Registry(), identity="tree").dumps(value)
    with pytest.raises(Unjellyable, match="once shared"):
        Encoder(Registry(), Limits(max_containers=1 << 30), identity="tree").dumps(value)


def test_a_copyable_that_is_not_registered_is_told_apart() -> None:
    """It has a flavour; what it lacks is a name."""

    class Draft(Copyable):
        pass

    with pytest.raises(Unjellyable, match=r"is a .*Draft, which is Copyable and not registered"):
        Encoder(Registry()).dumps([Draft()])


def test_a_leaf_beside_containers_counts_its_level() -> None:
    """A UUID is an Ext, and an Ext is a level of its own, also where lists go on below."""
    value = [[[1]], uuid.UUID(int=1)]

    assert value == Decoder(Registry()).loads(Encoder(Registry()).dumps(value))
    with pytest.raises(Unjellyable):
        Encoder(Registry(), Limits(max_depth=2)).dumps(value)
