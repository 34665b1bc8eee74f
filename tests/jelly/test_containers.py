"""How many arrays and maps a payload may hold: both sides count alike, only where it may be too many."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from msgpack import ExtType, packb, unpackb

from jelly import Decoder, Encoder, InsecureJelly, Limits, MalformedJelly, Oversized, Registry
from jelly._bulk import BULK_BYTES
from jelly._containers import at_most, has_more_containers, may_hold_more

from .things import Point, Tables, Thing, make_registry

MOST = 300
LIMITS = Limits(max_containers=MOST)
MEBI = 1 << 20


def lists(count: int) -> Any:
    return [[] for _ in range(count - 1)]


def maps(count: int) -> Any:
    return [{"a": number} for number in range(count - 1)]


def nested(count: int) -> Any:
    return [[[]] for _ in range((count - 1) // 2)] + [[]] * ((count - 1) % 2)


def sets(count: int) -> Any:
    """Each is the array that it travels as."""
    return [{number} for number in range(count - 1)]


def tuples(count: int) -> Any:
    return tuple([number] for number in range(count - 1))


def keyed(count: int) -> Any:
    return {number: [number] for number in range(count - 1)}


def copies(count: int) -> Any:
    """Each is an array of its name and a map."""
    return [Point(1, 2) for _ in range((count - 1) // 2)] + [[]] * ((count - 1) % 2)


def lists_in_a_copy(count: int) -> Any:
    return Point(lists(count - 2), 0)


def graph(count: int) -> Any:
    """The array of the parts, two parts and the lists in the second."""
    shared: list[Any] = []
    return [shared, shared, *([] for _ in range(count - 3))]


KINDS = [lists, maps, nested, sets, tuples, keyed, copies, lists_in_a_copy, graph]


def decoder(limits: Limits = LIMITS, **options: Any) -> Decoder:
    return Decoder(make_registry(), limits, **options)


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_what_is_just_allowed_crosses_and_one_more_does_not(make: Callable[[int], Any]) -> None:
    """Sender and receiver count alike (PB-V49); the sender says so before anything is sent."""
    encoder, free = Encoder(make_registry(), LIMITS), Encoder(make_registry())

    assert make(MOST) == decoder().loads(encoder.dumps(make(MOST)))
    for refused in (encoder.dumps, encoder.encode):
        with pytest.raises(Oversized, match=r"max_containers=300 .* in pieces"):
            refused(make(MOST + 1))
    with pytest.raises(MalformedJelly, match="more than max_containers=300") as caught:
        decoder().loads(free.dumps(make(MOST + 1)))
    assert caught.value.too_large


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_a_call_has_three_of_its_own(make: Callable[[int], Any]) -> None:
    """That of both, the arguments, and those by name; of a GRAPH they stand in its last part."""
    encoder, free = Encoder(make_registry(), LIMITS), Encoder(make_registry())

    args, kwargs = decoder().loads_call(encoder.dumps_call((make(MOST - 3),), {"x": 1}))
    assert ([make(MOST - 3)], {"x": 1}) == (args, kwargs)
    for refused in (encoder.dumps_call, encoder.encode_call):
        with pytest.raises(Oversized, match="max_containers=300"):
            refused((make(MOST - 2),), {"x": 1})
    with pytest.raises(MalformedJelly, match="max_containers=300"):
        decoder().loads_call(free.dumps_call((make(MOST - 2),), {"x": 1}))


@pytest.mark.parametrize("most", [20, 100, 2000])
@pytest.mark.parametrize("accelerate", [True, False])
def test_they_are_counted_in_payloads_of_every_length(most: int, accelerate: bool) -> None:
    """The shortest are read without a look, longer ones by msgspec where that is there, others by msgpack."""
    plain = Decoder(Registry(), Limits(max_containers=most), accelerate=accelerate)

    assert lists(most) == plain.loads(packb(lists(most)))
    with pytest.raises(MalformedJelly, match=f"max_containers={most}"):
        plain.loads(packb(lists(most + 1)))
    with pytest.raises(MalformedJelly, match=f"max_containers={most}"):
        plain.loads_call(packb([[lists(most - 2)], {}]))


def test_bytes_that_look_like_containers_are_none() -> None:
    """Text in other scripts, numbers and bytes are full of them."""
    value = ["\u0410\u0411" * 10, b"\x90" * 40, 0x9090] * MOST
    encoder = Encoder(Registry(), LIMITS)

    payload = encoder.dumps(value)

    assert may_hold_more(payload, MOST)
    assert value == decoder().loads(payload)
    assert not has_more_containers(payload, LIMITS)
    copies_too = [Point(each, None) for each in value[: MOST // 3]]
    assert copies_too == decoder().loads(Encoder(make_registry(), LIMITS).dumps(copies_too[: MOST // 3]))


def test_what_is_around_large_bytes_is_counted_and_the_bytes_are_not() -> None:
    """They are cut out before (jelly/_bulk.py)."""
    large = b"\x90" * (BULK_BYTES + 1)

    payload = packb([large, lists(MOST - 1)])
    assert [large, lists(MOST - 1)] == decoder().loads(payload)
    assert [large, lists(MOST - 1)] == decoder().loads(memoryview(payload))
    with pytest.raises(MalformedJelly, match="max_containers=300"):
        decoder().loads(packb([large, lists(MOST)]))


def test_a_long_payload_of_few_is_read_although_it_could_hold_many() -> None:
    """From a megabyte on nobody looks for their first bytes, unless there is an Ext."""
    numbers = [1.5] * (MEBI // 9 + 9)
    for value in (numbers, [numbers, {1}], [["\u0410"] * (MEBI // 3), {1}]):
        assert value == decoder().loads(packb(value, default=lambda each: ExtType(17, packb([*each]))))


@pytest.mark.parametrize("where", ["list", "tuple", "second tuple", "cache", "error", "part"])
@pytest.mark.parametrize("unit", [b"\x90", b"\x80", b"\x91\x90", b"\x81\xa0\xc0"])
def test_what_is_too_many_is_never_made(where: str, unit: bytes) -> None:
    """A megabyte of them would take 64 of memory, and most of the time is the collector's."""
    count = MEBI // len(unit)
    many = b"\xdd" + count.to_bytes(4, "big") + unit * count
    payload = {
        "list": many,
        "tuple": packb(ExtType(16, b"\x91" + many)),
        "second tuple": packb(
            [ExtType(16, b"\x90"), ExtType(16, b"\x91" + packb(ExtType(16, b"\x91" + many)))]
        ),
        "cache": packb(ExtType(9, b"\x93\x01\xa1x" + many)),
        "error": packb(ExtType(11, b"\x83\xa4type\xa1x\xa3msg\xa0\xa4data" + many)),
        "part": packb(ExtType(20, packb([b"\x90", many]))),
    }[where]
    reader = decoder()
    gc.collect()

    tracemalloc.start()
    with pytest.raises(MalformedJelly, match="max_containers=300"):
        reader.loads(payload, Tables())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    # The array that promises a million takes eight bytes for each; the data of an Ext are copied.
    assert peak < 16 * len(payload)


def test_data_that_no_ext_of_ours_has_are_not_looked_into() -> None:
    """They belong to the application, and are refused as a whole where they are not known."""
    inside = b"\xdc\x02\x00" + b"\x90" * 512
    with pytest.raises(InsecureJelly, match="Ext 42 is not known"):
        decoder().loads(packb([ExtType(16, b"\x90"), ExtType(42, inside)]))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x91", "not msgpack"),
        (b"\x90\x90", "not msgpack"),
        (b"\x81\x90\xc0", "not msgpack"),
        (b"\xdd\x7f\xff\xff\xff" + b"\x90" * 2000, "not msgpack"),
        (b"\x91" * 1500, "nests deeper"),
    ],
    ids=["cut", "tail", "key", "promise", "deep"],
)
def test_malformed_data_of_an_ext_are_found_while_counting_too(data: bytes, problem: str) -> None:
    """With the words that tell of it; nothing is allocated for what a header promises."""
    with pytest.raises(MalformedJelly, match=problem):
        decoder().loads(packb([ExtType(16, data), *lists(MOST)]))


def test_exts_that_nest_too_deep_are_found_while_counting_too() -> None:
    """Each is a call of ours inside a call of ours."""
    inside = b"\x90"
    for _ in range(100):
        inside = packb(ExtType(16, b"\x91" + inside))
    with pytest.raises(MalformedJelly, match="max_depth=64") as caught:
        decoder().loads(b"\x92" + inside + packb("\u0410" * MOST))
    assert caught.value.too_large


@pytest.mark.parametrize(
    "part", [ExtType(20, packb([b"\x90"])), ExtType(20, packb([1])), ExtType(20, b"\x01")]
)
def test_a_graph_in_a_graph_is_no_way_around(part: ExtType) -> None:
    """It is malformed, whatever is in it (PB-V32)."""
    with pytest.raises(MalformedJelly, match="GRAPH is not the root"):
        decoder().loads(packb([part, *lists(MOST - 10), "\u0410" * MOST]))


def test_references_behind_a_count_that_was_refused_are_given_back() -> None:
    """Otherwise they could never be released."""
    tables = Tables()

    with pytest.raises(Oversized):
        Encoder(Registry(), LIMITS).dumps([Thing(), *lists(MOST), {1}], tables)

    assert {1: 0} == tables.counts


def test_an_error_whose_data_hold_too_many_goes_without_them() -> None:
    """The caller is told what happened all the same."""
    registry = Registry()
    registry.add(LookupError, "LookupError")

    with pytest.warns(
        UserWarning, match="LookupError errors arrive without their data: .*max_containers=300"
    ):
        payload = Encoder(registry, LIMITS).dumps_error(LookupError(lists(MOST)))

    assert payload is not None
    assert "LookupError" == unpackb(payload)["type"]


def test_one_list_that_occurs_many_times_is_one() -> None:
    """The rest are NODEs, which are Exts; written out each time they are as many as are written."""
    shared: list[Any] = []
    value = [shared] * (2 * MOST)

    found = decoder().loads(Encoder(Registry(), LIMITS).dumps(value))
    assert value == found
    assert found[0] is found[-1]
    with pytest.raises(Oversized, match="max_containers=300"):
        Encoder(Registry(), LIMITS, identity="tree").dumps(value)


def test_what_was_read_does_not_wait_for_the_collector() -> None:
    """What counts knows the last container that was made, and must not be part of a cycle."""
    payload = Encoder(make_registry()).dumps([Point([], 1), *lists(MOST - 10), "\u0410" * MOST])
    reader = decoder()
    gc.collect()
    gc.disable()
    try:
        assert MOST > len(reader.loads(payload))
        assert 0 == gc.collect()
    finally:
        gc.enable()


def test_at_most_gives_back_what_it_is_given_and_then_raises() -> None:
    """As a hook of msgpack has to."""
    passing = at_most(2, lambda: LookupError("no more"))

    assert ["a", None] == [passing("a"), passing(None)]
    with pytest.raises(LookupError, match="no more"):
        passing("b")
