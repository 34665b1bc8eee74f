"""Reading on after a violation, and faults that are not the peer's."""

from __future__ import annotations

import pytest
from msgpack import ExtType, packb

from jelly import Decoder, InsecureJelly, Limits, MalformedJelly, Registry

from ..counting import calls_in
from .things import Tables

UNKNOWN = b"\xd4\x28\x00"


class Deaf(Tables):
    """Hold nothing but references."""

    def stream(self, id: int) -> object:
        self.received.append(("stream", id))
        raise InsecureJelly("no streams", "pb.Unsupported")

    def cache(self, id: int, replica: object) -> None:
        self.received.append(("cache", id))
        raise InsecureJelly("no caches", "pb.Busy")


def test_after_a_violation_only_what_counts_is_looked_at() -> None:
    """An exception for each Ext of a refused payload would cost 15 times what reading it does."""
    tables = Tables()
    cache = ExtType(9, packb([5, "n", None]))
    rest = [ExtType(code, b"\x07") for code in (2, 3, 10, 1, 5, 24, 41)]
    sets = [ExtType(code, packb([1, [], ExtType(1, b"\x08")])) for code in (16, 17, 18)]

    with pytest.raises(InsecureJelly, match="Ext 40"):
        Decoder(Registry()).loads(packb([ExtType(40, b""), *rest, *sets, cache]), tables)

    expected = [
        ("cached", 7),
        ("reference", 7, None),
        ("stream", 7),
        *[("reference", 8, None)] * 3,
        ("cache", 5, None),
        ("refuse_caches", (5,)),
    ]
    assert expected == tables.received


def test_tables_that_hold_no_streams_are_asked_once() -> None:
    """What does not exist need not be counted. A refusal for another reason may be another next time."""
    tables = Deaf()
    caches = [ExtType(9, packb([id, "n", None])) for id in (5, 6)]

    with pytest.raises(InsecureJelly, match="no streams"):
        Decoder(Registry()).loads(packb([ExtType(5, b"\x01"), ExtType(5, b"\x02"), *caches]), tables)

    assert [("stream", 1), ("cache", 5), ("cache", 6)] == tables.received


def test_after_a_violation_copies_of_nothing_but_fields_are_not_made() -> None:
    """References in those that hold some count; the others are not looked at, unless they are malformed."""
    tables = Tables()
    plain = ExtType(8, packb(["n", {"x": 1}]))
    holding = ExtType(8, packb(["n", {"x": ExtType(1, b"\x08")}]))

    with pytest.raises(InsecureJelly, match="Ext 40"):
        Decoder(Registry()).loads(packb([ExtType(40, b""), plain, plain, holding, plain]), tables)
    with pytest.raises(MalformedJelly):
        Decoder(Registry()).loads(packb([ExtType(40, b""), plain, ExtType(8, packb([1, {"x": 1}]))]), tables)

    assert [("reference", 8, None)] == tables.received


def calls_of(unit: bytes, count: int) -> int:
    """Return how many functions run while a payload of so many refused Exts is read."""
    payload = b"\xdd" + count.to_bytes(4, "big") + unit * count
    decoder = Decoder(Registry(), Limits(max_exts=count))

    def read() -> None:
        with pytest.raises(InsecureJelly):
            decoder.loads(payload, None)

    return calls_in(read)


@pytest.mark.parametrize(
    ("unit", "most"),
    [
        (UNKNOWN, 4),
        (b"\xd4\x0a\x05", 9),
        (b"\xd4\x05\x05", 9),
        (b"\xd4\x03\x05", 9),
        (b"\xd6\x08\x92\xa1x\xc0", 13),
    ],
)
def test_a_refused_payload_costs_no_more_than_others(unit: bytes, most: int) -> None:
    """Spec PB-V38: no longer than its size explains. Calls are counted: a clock knows other work too."""
    further = calls_of(unit, 2000) - calls_of(unit, 1000)

    assert further <= 1000 * most


class Recursive(Tables):
    """Stand for a stack with no room left."""

    def reference(self, id: int, meta: object) -> object:
        raise RecursionError


def test_a_stack_without_room_is_no_fault() -> None:
    """Neither of ours nor of the peer's, but the payload cannot be read to its end."""
    with pytest.raises(MalformedJelly) as caught:
        Decoder(Registry()).loads(b"\x91\xd4\x01\x05", Recursive())

    assert caught.value.too_large


class Faulty(Tables):
    """Stand for a mistake of ours."""

    def reference(self, id: int, meta: object) -> object:
        raise TypeError("a fault")


@pytest.mark.parametrize("nest", [0, 1, 3])
@pytest.mark.parametrize("wrap", ["plain", "graph", "map in a graph", "error"])
def test_a_fault_of_ours_is_not_taken_for_one_of_the_peer(nest: int, wrap: str) -> None:
    """It would close the connection in the peer's name and leave nothing in the log."""
    item = b"\x91\xd4\x01\x05"
    for _ in range(nest):
        item = b"\x91" + packb(ExtType(16, item))
    if wrap == "map in a graph":
        item = packb(ExtType(19, b"\x92" + item + b"\xd4\x15\x00"))
    if wrap == "error":
        item = b"\x81\xa1x" + item
    elif wrap != "plain":
        item = packb(ExtType(20, packb([b"\x90", item])))
    decoder = Decoder(Registry())
    read = decoder.loads_error if wrap == "error" else decoder.loads

    with pytest.raises(TypeError, match="a fault"):
        read(item, Faulty())


@pytest.mark.parametrize(
    "bad", [b"\x91", b"\x01\x01", b"\xc1", b"\x81\x01\x02", b"\xa1\xff", b"\x91\xd6\xff\x00"]
)
@pytest.mark.parametrize("nest", [0, 1, 3])
@pytest.mark.parametrize("code", [8, 16, 19])
def test_what_is_no_msgpack_is_malformed_however_deep(bad: bytes, nest: int, code: int) -> None:
    """The same error comes out of msgpack as out of a mistake."""
    item = bad
    for _ in range(nest):
        item = packb(ExtType(code, item))

    for payload in (item, packb(ExtType(20, packb([b"\x90", item, b"\x91\xd4\x15\x00"])))):
        with pytest.raises(MalformedJelly):
            Decoder(Registry()).loads(payload)


def test_a_part_that_is_a_node_on_a_cycle_is_read_in_time() -> None:
    """Its depth was counted by following it, for ever."""
    parts = [b"\x91\xd4\x15\x01", b"\x91\xd4\x15\x01", b"\xd6\x10\x91\xd4\x15\x00", b"\xd4\x15\x00"]

    value = Decoder(Registry()).loads(packb(ExtType(20, packb(parts))))

    assert value[0][0] is value[0]
