"""Bytes nobody would send. JELLY_MUTATIONS sets how many are tried; JELLY_SEED which."""

from __future__ import annotations

import gc
import os
import random
import sys
import threading
import tracemalloc
import weakref

import pytest
from msgpack import ExtType, packb

from jelly import Decoder, Encoder, InsecureJelly, JellyError, Limits, MalformedJelly, Registry

from ..sizes import exhaustive, sized
from .things import Colour, Node, Overdrawn, Pair, Point, Rights, Slotted, Tables, Thing, make_registry

# Types that msgpack does not raise: a mistake of ours that was taken for one of the peer's.
OURS = ("AttributeError", "AssertionError", "NameError", "KeyError", "IndexError", "UnboundLocalError")
MUTATIONS = int(os.environ.get("JELLY_MUTATIONS", sized("10000", "100000")))
SEED = int(os.environ.get("JELLY_SEED", "1"))


def corpus() -> list[bytes]:
    """Return payloads that between them hold every kind of value."""
    import datetime as dt
    import decimal
    import fractions
    import uuid

    encoder = Encoder(make_registry())
    shared = ["x"]
    ring: list[object] = []
    ring.append(ring)
    knot = Node("a")
    knot.links = {"self": knot, "list": [knot]}
    keyed: dict[object, object] = {1: "a", (1, 2): [shared]}
    values: list[object] = [
        [None, True, 1, -1, 2**64, -(2**200), 1.5, "text", b"bytes"],
        {"a": [1, 2, {"b": []}], "c": (1, (2, ()))},
        [{1, 2}, frozenset({"a", b"b"}), {1: 2, None: 3, 2.5: "x", (1, 2): ()}],
        [decimal.Decimal("1.10"), decimal.Decimal("-1E+20"), uuid.UUID(int=5), dt.timedelta(-1, 2, 3)],
        [
            dt.date(2024, 2, 29),
            dt.time(1, 2, 3, 4),
            dt.datetime(2024, 1, 1, 5),
            dt.datetime(1, 1, 1, tzinfo=dt.UTC),
        ],
        [dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30)))],
        [1j, slice(1, 2, 3), range(3), fractions.Fraction(1, 3), Colour.RED, Rights.READ | Rights.WRITE],
        [Point(1, 2), Point("a", [Point(3)]), Slotted(1), Pair(1, 2), Node("n")],
        [Point(i, str(i)) for i in range(10)],
        [ValueError("x", 1), Overdrawn(3), OSError(2, "no", "file")],
        [shared, shared, keyed, {"k": shared}],
        ring,
        knot,
        [[Node("b", ring), ring], (ring,), slice(ring, 1)],
        [Thing(), [Thing()]],
    ]
    tables = Tables()
    return [encoder.dumps(value, tables) for value in values] + [
        packb([ExtType(2, b"\x01"), ExtType(3, b"\x01"), ExtType(5, b"\x01"), ExtType(10, b"\x01")]),
        packb(
            [
                ExtType(4, packb([7, {"iface": ["a"]}])),
                ExtType(9, packb([5, "n", {"a": 1}])),
                ExtType(12, b"x"),
            ]
        ),
    ]


def mutate(payload: bytes, source: list[bytes], chance: random.Random) -> bytes:
    """Return a payload with a few things wrong."""
    changed = bytearray(payload)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(7):
            case 0 if at < len(changed):
                changed[at] = chance.randrange(256)
            case 1 if at < len(changed):
                changed[at] ^= 1 << chance.randrange(8)
            case 2:
                del changed[at : at + chance.randrange(1, 5)]
            case 3:
                changed[at:at] = chance.randbytes(chance.randrange(1, 5))
            case 4:
                other = chance.choice(source)
                start = chance.randrange(len(other))
                changed[at:at] = other[start : start + chance.randrange(1, 30)]
            case 5 if at < len(changed):
                changed[at] = chance.choice(
                    b"\xc1\xc7\xc8\xc9\xd4\xd5\xd6\xd7\xd8\xdd\xdf\xc6\xdb\x80\x81\x90\x91\xff\x08\x13\x14\x15"
                )
            case _:
                del changed[at:]
        if not changed:
            changed += b"\xc0"
    return bytes(changed)


_watched: list[str] = []
_is_watching = False


def _audit(event: str, args: object) -> None:
    if _is_watching and event.split(".")[0] in (
        "import",
        "exec",
        "compile",
        "open",
        "os",
        "subprocess",
        "pickle",
    ):
        _watched.append(event)


sys.addaudithook(_audit)


@exhaustive
@pytest.mark.parametrize("relay", [False, True], ids=["refusing", "relaying"])
def test_fuzz_of_payloads_ends_in_a_value_or_in_one_of_two_errors(relay: bool) -> None:
    """Whatever else came out would end the process of whoever did not expect it (threats B15, A1, A9)."""
    global _is_watching
    chance = random.Random(SEED + relay)
    source = corpus()
    decoder = Decoder(make_registry(), relay=relay)
    tables = Tables()
    outcomes = {"value": 0, "refused": 0, "malformed": 0}
    inputs = [mutate(chance.choice(source), source, chance) for _ in range(MUTATIONS // 2)]
    _watched.clear()
    _is_watching = True
    try:
        for payload in inputs:
            try:
                decoder.loads(payload, tables)
                outcomes["value"] += 1
            except InsecureJelly:
                outcomes["refused"] += 1
            except MalformedJelly as error:
                outcomes["malformed"] += 1
                assert not any(name in str(error) for name in OURS), (str(error), payload.hex())
            tables.received.clear()
    finally:
        _is_watching = False

    assert [] == _watched
    assert all(outcomes.values())


def test_refused_payloads_leave_no_memory_behind() -> None:
    """A million refusals are a million chances to keep something (threats A9)."""
    chance = random.Random(SEED)
    source = corpus()
    decoder = Decoder(make_registry())
    inputs = [mutate(chance.choice(source), source, chance) for _ in range(500)]

    def play() -> None:
        for payload in inputs:
            try:
                decoder.loads(payload, None)
            except JellyError:
                pass

    play()
    gc.collect()
    tracemalloc.start()
    try:
        play()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(4):
            play()
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert after - before < 20_000


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    "unit", [b"\x80", b"\x90", b"\x81\xa0\xc0", b"\xd4\x11\x90", b"\xd4\x13\x90", b"\xd4\x10\x90"]
)
def test_a_payload_takes_at_most_eighty_bytes_of_memory_for_each_of_its_own(unit: bytes) -> None:
    """The frame limit is the memory limit only if the ratio has a bound (threats B2)."""
    count = 60_000 // len(unit)
    payload = b"\xdd" + count.to_bytes(4, "big") + unit * count
    decoder = Decoder(Registry(), Limits(max_exts=count))
    tracemalloc.start()
    try:
        decoder.loads(payload)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak / len(payload) <= 85  # tracemalloc counts 8 bytes of its own in some builds


@pytest.mark.parametrize("depth", [65, 200, 1023, 1025, 100_000])
@pytest.mark.parametrize(
    "level", [b"\x91", b"\x81\xa1a", b"\xdd\x00\x00\x00\x01"], ids=["list", "map", "array32"]
)
def test_nesting_beyond_the_limit_is_malformed(level: bytes, depth: int) -> None:
    """Deep values break repr() and == wherever they get to (threats B3)."""
    with pytest.raises(MalformedJelly) as caught:
        Decoder(Registry()).loads(level * depth + b"\xc0")

    assert caught.value.too_large


def nest(code: int, levels: int, innermost: bytes = b"\xc0") -> bytes:
    """Return an Ext that holds an array that holds an Ext, and so on."""
    for _ in range(levels):
        innermost = packb(ExtType(code, b"\x91" + innermost))
    return innermost


@pytest.mark.parametrize("code", [4, 8, 9, 16, 17, 18, 19])
def test_extensions_count_for_depth(code: int) -> None:
    """Each of them is a call of ours inside a call of ours."""
    with pytest.raises((MalformedJelly, InsecureJelly)):
        Decoder(make_registry()).loads(nest(code, 33), Tables())
    with pytest.raises(MalformedJelly):
        Decoder(make_registry()).loads(nest(code, 5000), Tables())


def test_tuples_of_depth_sixty_four_pass_and_deeper_ones_do_not() -> None:
    """32 tuples are 64 levels, by the definition both sides share."""
    decoder = Decoder(Registry())

    decoder.loads(nest(16, 32))
    with pytest.raises(MalformedJelly):
        decoder.loads(b"\x91" + nest(16, 32))


def test_the_deepest_payload_fits_a_small_stack() -> None:
    """Each level of Ext takes 40 kB of C stack inside msgpack; threads may have little."""
    outcome: list[object] = []
    old = threading.stack_size(4 * 1024 * 1024)
    try:
        thread = threading.Thread(target=lambda: outcome.append(Decoder(Registry()).loads(nest(16, 32))))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(old)

    assert 1 == len(outcome)


@pytest.mark.parametrize(
    "header", ["ddffffffff", "dfffffffff", "c6ffffffff", "dbffffffff", "c9ffffffff10", "dcffff"]
)
@pytest.mark.parametrize("inside", [None, 16, 8, 11, 20], ids=["root", "TUPLE", "COPY", "ERROR", "GRAPH"])
def test_a_promise_of_four_thousand_million_items_costs_nothing(header: str, inside: int | None) -> None:
    """A header is five bytes; what it promises must not be allocated (threats B1)."""
    payload = bytes.fromhex(header) * 400
    if inside is not None:
        payload = packb(ExtType(inside, payload))
    tracemalloc.start()
    try:
        with pytest.raises(MalformedJelly):
            Decoder(Registry()).loads(payload)
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


class Canary:
    """Count every way in which a class can be made to act."""

    touched = 0

    def __new__(cls) -> Canary:
        Canary.touched += 1
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        Canary.touched += 1

    def __reduce__(self) -> str:
        Canary.touched += 1
        return "x"


@pytest.mark.parametrize(
    "name",
    ["Canary", "tests.jelly.test_hostile.Canary", "os.system", "builtins.eval", "__class__", "", "x" * 10**6],
)
@pytest.mark.parametrize("kind", ["copy", "error"])
def test_a_name_that_is_not_registered_makes_nothing(name: str, kind: str) -> None:
    """Nothing is imported or looked up because a peer named it (threats A2, A3, A8)."""
    decoder = Decoder(make_registry())
    if kind == "copy":
        with pytest.raises(InsecureJelly) as caught:
            decoder.loads(packb(ExtType(8, packb([name, {}]))))
        assert "pb.Unregistered" == caught.value.wire_type
        assert len(str(caught.value)) < 200
    elif 0 < len(name) <= 128:
        assert name == decoder.loads_error(packb({"type": name, "msg": ""})).remote_type  # type: ignore[attr-defined]
    else:
        with pytest.raises(InsecureJelly):
            decoder.loads_error(packb({"type": name, "msg": ""}))
    assert 0 == Canary.touched


def test_every_reference_of_a_refused_payload_is_counted() -> None:
    """Otherwise it could never be released (spec PB-V36)."""
    tables = Tables()
    payload = packb([ExtType(1, b"\x01"), ExtType(40, b""), ExtType(16, packb([ExtType(1, b"\x02")]))])

    with pytest.raises(InsecureJelly, match="Ext 40"):
        Decoder(Registry()).loads(payload, tables)

    assert [("reference", 1, None), ("reference", 2, None)] == tables.received


def test_the_first_violation_is_the_one_that_is_told() -> None:
    """Later ones may be consequences of it."""
    with pytest.raises(InsecureJelly, match="Ext 40"):
        Decoder(Registry()).loads(packb([ExtType(40, b""), ExtType(41, b""), ExtType(8, packb(["x", {}]))]))


class Witness:
    """Raise from its last hook, and be looked for afterwards."""

    name: object
    seen: list[weakref.ref[Witness]] = []
    __annotations__ = {"name": "object"}

    def post_unjelly(self) -> None:
        Witness.seen.append(weakref.ref(self))
        raise ValueError("no")


def test_a_failing_last_hook_refuses_the_payload_and_keeps_no_object() -> None:
    """A graph that is not finished must not live on in someone's hands (threats A7)."""
    registry = Registry()
    registry.add(Witness, "Witness")
    first, second = Witness(), Witness()
    first.name, second.name = second, first
    payload = Encoder(registry).dumps(first)

    with pytest.raises(InsecureJelly, match="no"):
        Decoder(registry).loads(payload)
    gc.collect()

    assert 1 == len(Witness.seen)
    assert Witness.seen[0]() is None


def test_too_many_keys_with_a_chosen_hash_are_refused() -> None:
    """600 crafted ints make look-ups 80 times slower (threats B8)."""
    step = sys.hash_info.modulus
    members = [step * number for number in range(1, 5000)]
    payload = packb(ExtType(17, packb([member for member in members if member < 2**64])))
    decoder = Decoder(Registry(), Limits(max_floodable_keys=3))

    with pytest.raises(InsecureJelly) as caught:
        decoder.loads(payload)
    assert "pb.TooLarge" == caught.value.wire_type
    with pytest.raises(InsecureJelly):
        decoder.loads(packb([ExtType(17, packb([2**40, 2**41])), ExtType(19, packb([0.5, 1, 0.25, 1]))]))
    assert {2**40, "a", 5} == decoder.loads(packb(ExtType(17, packb([2**40, "a", 5]))))


def test_large_bytes_under_a_key_that_comes_twice() -> None:
    """The later value wins, as without large bytes: where these stood may be gone when they are put back."""
    large = packb(bytes(1 << 17))

    for payload, value in (
        (b"\x82\xa1a\x91" + large + b"\xa1a\x05", 5),
        (b"\x82\xa1a\x91" + large + b"\xa1a\x90", []),
    ):
        assert {"a": value} == Decoder(Registry()).loads(payload)


def test_a_buffer_that_can_be_written_is_read_like_any_other() -> None:
    """A receive buffer is one, and cannot be hashed."""
    payload = packb([["hi"], {}])

    assert [["hi"], {}] == Decoder(Registry()).loads(memoryview(bytearray(payload)))
    assert (["hi"], {}) == Decoder(Registry()).loads_call(memoryview(bytearray(payload)))
