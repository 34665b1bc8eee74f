"""What is shared stays shared, what is cyclic stays cyclic, and nothing else becomes so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jelly import Decoder, Encoder, InsecureJelly, Promising, Registry, Relayed, Unjellyable, _plain, _walk

from .things import Frozen, Node, Overdrawn, Pair, Point, Slotted, Tables, Thing, make_registry

registry = make_registry()
encoder = Encoder(registry)
decoder = Decoder(registry)


def round_trip(value: Any) -> Any:
    return decoder.loads(encoder.dumps(value))


@pytest.mark.parametrize(
    "shared",
    [["x"], {"a": 1}, {1: 2}, (1, 2), {1}, frozenset({1}), Point(1), Frozen([1]), Slotted(1), Pair(1),
     Node("n"), ValueError("x")],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
@pytest.mark.parametrize(
    ("place", "first", "second"),
    [
        (lambda s: [s, s], lambda v: v[0], lambda v: v[1]),
        (lambda s: {"a": s, "b": [s]}, lambda v: v["a"], lambda v: v["b"][0]),
        (lambda s: (s, (s,)), lambda v: v[0], lambda v: v[1][0]),
        (lambda s: {1: s, 2: s}, lambda v: v[1], lambda v: v[2]),
        (lambda s: [Point(s, s)], lambda v: v[0].x, lambda v: v[0].y),
        (lambda s: [Pair(s, s)], lambda v: v[0].left, lambda v: v[0].right),
        (lambda s: [Slotted(s, [s])], lambda v: v[0].x, lambda v: v[0].y[0]),
        (lambda s: [slice(s, s)], lambda v: v[0].start, lambda v: v[0].stop),
    ],
    ids=["list", "dict", "tuple", "keyed", "copy", "named tuple", "slots", "slice"],
)
def test_identity_of_one_object_in_two_places_is_kept(
    shared: Any, place: Any, first: Any, second: Any
) -> None:
    """Otherwise changing it in one place would no longer change it in the other."""
    value = round_trip(place(shared))

    assert type(shared) is type(first(value))
    assert first(value) is second(value)


def cycles() -> dict[str, tuple[Any, Any]]:
    """Return values that contain themselves, each with a test of the copy."""
    made: dict[str, tuple[Any, Any]] = {}
    ring: list[Any] = []
    ring.append(ring)
    made["list"] = ring, lambda v: v[0] is v
    table: dict[str, Any] = {}
    table["self"] = table
    made["dict"] = table, lambda v: v["self"] is v
    inner: list[Any] = []
    made["tuple"] = (inner,), lambda v: v[0][0] is v
    inner.append(made["tuple"][0])
    made["list of tuple"] = inner, lambda v: v[0][0] is v
    point = Point(1)
    point.y = point
    made["copy"] = point, lambda v: v.y is v
    node = Node("a", {"up": [None]})
    node.links["up"][0] = node  # type: ignore[index]
    made["copy deep"] = node, lambda v: v.links["up"][0] is v
    one, two = Node("1"), Node("2")
    one.links, two.links = two, one
    made["two copies"] = [one, two], lambda v: v[0].links is v[1] and v[1].links is v[0]
    frozen = Frozen([])
    frozen.x.append(frozen)  # type: ignore[attr-defined]
    made["frozen"] = frozen, lambda v: v.x[0] is v
    slotted = Slotted([])
    slotted.x.append(slotted)  # type: ignore[attr-defined]
    made["slots"] = [slotted], lambda v: v[0].x[0] is v[0]
    keyed: dict[Any, Any] = {1: []}
    keyed[1].append(keyed)
    made["keyed dict"] = keyed, lambda v: v[1][0] is v
    pair = Pair([])
    pair.left.append(pair)  # type: ignore[attr-defined]
    made["named tuple"] = pair, lambda v: v.left[0] is v
    part = slice([], None)
    part.start.append(part)
    made["slice"] = [part], lambda v: v[0].start[0] is v[0]
    left: list[Any] = []
    right: list[Any] = [left]
    left.append(right)
    made["two lists"] = [left, right, left], lambda v: v[0][0] is v[1] and v[1][0] is v[0] is v[2]
    child = {"name": "kid"}
    parent = {"name": "root", "kids": [child]}
    child["parent"] = parent  # type: ignore[assignment]
    made["parent and child"] = parent, lambda v: v["kids"][0]["parent"] is v
    return made


@pytest.mark.parametrize("name", cycles())
def test_identity_within_a_cycle_is_kept(name: str) -> None:
    """Every Python cycle goes through a list, a dict or an instance."""
    value, holds = cycles()[name]

    assert holds(round_trip(value))


@pytest.mark.unmeasured
@given(st.data())
def test_any_shape_of_lists_tuples_and_dicts_arrives_with_its_sharing(data: st.DataObject) -> None:
    """Ten containers that point at each other at random, in both directions."""
    count = data.draw(st.integers(1, 8))
    kinds = data.draw(st.lists(st.sampled_from("ldnt"), min_size=count, max_size=count))
    made: list[Any] = []
    for kind in kinds:
        members = (
            [made[i] for i in data.draw(st.lists(st.integers(0, len(made) - 1), max_size=3))] if made else []
        )
        match kind:
            case "l":
                made.append(members)
            case "d":
                made.append({str(i): member for i, member in enumerate(members)})
            case "n":
                made.append(Node("n", members))
            case "t":
                made.append((*members, len(made)))
    for target in made:
        if type(target) is list and data.draw(st.booleans()):
            target.append(made[data.draw(st.integers(0, count - 1))])

    arrived = round_trip(made)

    assert shape(made) == shape(arrived)


def shape(root: Any) -> list[Any]:
    """Describe a value with the identity of its containers, each once."""
    numbers: dict[int, int] = {}
    described: list[Any] = []

    def look(value: Any) -> Any:
        if not isinstance(value, list | dict | tuple | Node) or value == ():
            return value
        if id(value) not in numbers:
            numbers[id(value)] = len(numbers)
            at = len(described)
            described.append(None)
            members: Any = value
            if isinstance(value, Node):
                members = [value.name, value.links]
            elif isinstance(value, dict):
                members = [part for item in value.items() for part in item]
            described[at] = (type(value).__name__, [look(member) for member in members])
        return ("see", numbers[id(value)])

    look(root)
    return described


def test_empty_tuples_are_all_one_object_and_that_says_nothing() -> None:
    """Python has one empty tuple; a GRAPH for it would be noise."""
    assert "92d41090d41090" == encoder.dumps([(), ()]).hex()


def test_a_cycle_without_a_list_or_a_plain_dict_is_refused() -> None:
    """There is no place where a forward reference could stand (spec PB-V33)."""
    keyed: dict[Any, Any] = {}
    keyed[1] = keyed

    with pytest.raises(Unjellyable, match="cycle of tuples, keyed maps"):
        encoder.dumps(keyed)
    with pytest.raises(Unjellyable, match="cycle of tuples, keyed maps"):
        encoder.dumps([(keyed, keyed)])


def test_values_in_keys_and_sets_are_written_out_each_time() -> None:
    """No NODE may stand there, and of equal values one is as good as another."""
    key = (1, (2, 3))
    point = frozenset({key})

    value = round_trip([key, {key: 1}, {key, "x"}, point, {point}])

    assert [key, {key: 1}, {key, "x"}, point, {point}] == value


def test_an_object_with_an_identity_cannot_be_in_a_set_and_elsewhere() -> None:
    """It would arrive as two objects."""
    node = Node("a")

    assert "a" == next(iter(round_trip({node}))).name
    for value in ([node, {node}], [{node}, node], [{node}, {node}], {node: node}, [{node: 1}, {(node, 2)}]):
        with pytest.raises(Unjellyable, match="has an identity"):
            encoder.dumps(value)


def test_equal_copies_in_sets_are_values() -> None:
    """A frozen dataclass is the same wherever an equal one is."""
    point = Frozen(1, (2, 3))

    assert [point, {point}, {point: 1}] == round_trip([point, {point}, {point: 1}])


def test_expanding_shared_keys_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine levels of ten tuples, in a member whose hash does not look at them."""
    assert 1 << 16 == _walk._MAX_IN_KEYS
    monkeypatch.setattr(_walk, "_MAX_IN_KEYS", 1 << 12)
    key: Any = 1
    for _ in range(9):
        key = (key,) * 10
    wide = make_registry()
    wide.add(Cheap, "test.Cheap")
    for value in ({Cheap(key)}, [{Cheap(key)}, s := [1], s]):
        with pytest.raises(Unjellyable, match="containers once shared ones are written out"):
            Encoder(wide).dumps(value)


class Cheap:
    key: object

    def __init__(self, key: object) -> None:
        self.key = key

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        return self is other


def test_an_error_on_a_cycle_is_refused_by_the_receiver() -> None:
    """Its class may look at its arguments while it is made."""
    error = Overdrawn([])  # type: ignore[arg-type]
    error.args = ("x",)
    error.balance.append(error)  # type: ignore[attr-defined]

    with pytest.raises(InsecureJelly, match="part of a cycle"):
        round_trip([error])


@pytest.mark.unmeasured
def test_sharing_that_multiplies_is_refused_where_identity_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nine levels of ten lists are 10**9 lists once written out (threats B4)."""
    value: Any = ["ha"]
    for _ in range(9):
        value = [value] * 10
    tree = Encoder(registry, identity="tree")

    assert 1 << 20 == _plain._MAX_EXPANDED == _walk._MAX_EXPANDED
    for module in (_plain, _walk):  # to count a million takes ten seconds
        monkeypatch.setattr(module, "_MAX_EXPANDED", 1 << 14)
    assert len(encoder.dumps(value)) < 1000
    with pytest.raises(Unjellyable, match="containers once shared"):
        tree.dumps(value)
    with pytest.raises(Unjellyable, match="containers once shared"):
        tree.dumps([value, Point(1)])


def test_without_identity_what_is_shared_arrives_twice_and_a_cycle_is_refused() -> None:
    """The option for bulk users: no look for sharing."""
    tree = Encoder(registry, identity="tree")
    shared = [1]
    ring: list[Any] = []
    ring.append(ring)

    first, second = decoder.loads(tree.dumps([shared, shared]))
    assert first == second
    assert first is not second
    with pytest.raises(Unjellyable, match="max_depth"):
        tree.dumps(ring)


def test_tuples_as_lists() -> None:
    """The other option for bulk users; keys stay tuples, because lists cannot be keys."""
    lists = Encoder(registry, tuples="list")
    inner: list[Any] = []
    value = (1, (2,), {(3,): (4,)}, inner)
    inner.append(value)

    arrived = decoder.loads(lists.dumps(value))

    assert [1, [2], {(3,): [4]}] == arrived[:3]
    assert arrived[3][0] is arrived


def test_a_long_chain_of_links_is_too_deep_and_says_so() -> None:
    """Whoever receives it could not print it."""
    first = Node("0")
    last = first
    for number in range(100):
        last.links = Node(str(number))
        last = last.links
    last.links = first

    with pytest.raises(Unjellyable, match="max_depth=64"):
        encoder.dumps(first)


def test_references_in_a_graph_are_counted_once_each() -> None:
    """The attempt without GRAPH is taken over, not thrown away: ids would be skipped."""
    tables = Tables()
    thing, other, shared = Thing(), Thing(), [1]

    encoder.dumps([thing, other, shared, [thing, shared]], tables)

    assert {1: 2, 2: 1} == tables.counts


def test_a_state_is_taken_once_however_often_it_is_needed() -> None:
    """Hooks may count, log or lock."""
    taken = []

    class Counted:
        def get_state_to_copy(self) -> object:
            taken.append(self)
            return {"x": [1]}

        def set_copyable_state(self, state: object) -> None:
            self.state = state

    wide = make_registry()
    wide.add(Counted, "test.Counted")
    one = Counted()

    value = Decoder(wide).loads(Encoder(wide).dumps([one, [one], {"x": one}]))

    assert [one] == taken
    assert value[0] is value[1][0] is value[2]["x"]
    assert {"x": [1]} == value[0].state


def test_copies_of_unknown_classes_keep_sharing_and_cycles() -> None:
    """A middle man passes on what it does not understand."""
    middle = Decoder(Registry(), relay=True)
    value, holds = cycles()["two copies"]

    relayed = middle.loads(encoder.dumps([Point(1), Point([2])]))
    assert Relayed is type(relayed[0])
    assert [Point(1), Point([2])] == decoder.loads(Encoder(Registry()).dumps(relayed))
    shared = middle.loads(encoder.dumps([value[0]] * 2 if False else [p := Point(1), p]))
    again = decoder.loads(Encoder(Registry()).dumps(shared))
    assert again[0] is again[1]
    with pytest.raises(InsecureJelly):
        Decoder(Registry()).loads(encoder.dumps(value))
    assert holds(round_trip(value))


class Later(Promising):
    """A result that is not there yet."""


@pytest.mark.parametrize(
    ("place", "where"),
    [
        (lambda later: [1, later], r"\[1\]"),
        (lambda later: {later: 1}, "<a key or member>"),
        (lambda later: {later}, "<a key or member>"),
    ],
    ids=["item", "key", "member"],
)
def test_a_promise_that_cannot_be_written_is_named_with_its_place_beside_what_is_shared(
    place: Any, where: str
) -> None:
    """What is shared is looked for first, all over the value, and has no places to name."""
    shared = [0]

    with pytest.raises(Unjellyable, match=rf"\['c'\]{where} is a Later, and there is no connection"):
        encoder.dumps({"a": shared, "b": shared, "c": place(Later())})
