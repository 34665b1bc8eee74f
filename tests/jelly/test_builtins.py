"""Python's own values: exactly the same one comes out, or none goes in."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import uuid
import zoneinfo
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgpack import ExtType, packb

from jelly import Decoder, Encoder, InsecureJelly, Limits, MalformedJelly, Opaque, Registry, Unjellyable

from .things import name_of

encoder = Encoder(Registry())
decoder = Decoder(Registry())


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal down to the types, the bits of floats and the zeros of decimals."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float | decimal.Decimal | complex):
        return repr(one) == repr(other)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            same(a, b) and same(x, y) for (a, x), (b, y) in zip(one.items(), other.items(), strict=True)
        )
    if isinstance(one, dt.datetime | dt.time):
        return bool(one == other and one.utcoffset() == other.utcoffset() and one.fold == other.fold)
    if isinstance(one, slice):
        return same([one.start, one.stop, one.step], [other.start, other.stop, other.step])
    return bool(one == other)


def round_trip(value: Any) -> Any:
    return decoder.loads(encoder.dumps(value))


minutes = st.integers(-1439, 1439).map(lambda n: dt.timezone(dt.timedelta(minutes=n)))
keys = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.dates(),
    st.times().map(lambda value: value.replace(fold=0)),
    st.datetimes().map(lambda value: value.replace(fold=0)),
    st.timedeltas(),
    st.uuids(),
    st.decimals(allow_nan=False),
    st.tuples(st.integers(), st.text()),
)
leaves = st.one_of(
    keys,
    st.floats(allow_nan=False),
    st.integers(-(2**4096) + 1, 2**4096 - 1),
    st.datetimes(timezones=minutes).map(lambda value: value.replace(fold=0)),
    st.datetimes(timezones=st.just(dt.UTC)).map(lambda value: value.replace(fold=0)),
    st.complex_numbers(allow_nan=False),
    st.fractions(),
    st.sets(st.integers(0, 9)).map(frozenset),
    st.builds(slice, st.none() | st.integers(), st.integers()),
    st.builds(range, st.integers(-99, 99), st.integers(-(2**70), 2**70)),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=4),
        st.dictionaries(keys, inner, max_size=4),
        st.sets(keys, max_size=4),
    ),
    max_leaves=12,
)


@pytest.mark.unmeasured
@given(values)
def test_jelly_roundtrip_gives_every_supported_value_back_exactly(value: Any) -> None:
    """Never altered, never flattened, never replaced."""
    assert same(value, round_trip(value))


@pytest.mark.parametrize(
    "value",
    [
        float("nan"), float("inf"), -0.0, decimal.Decimal("NaN"), decimal.Decimal("-Infinity"),
        decimal.Decimal("-0"), decimal.Decimal("1.100"), decimal.Decimal("1E+6144"),
        decimal.Decimal("1E-6144"),
        2**4096 - 1, 1 - 2**4096, 2**64, 2**63, -(2**63), -(2**63) - 1, -(2**71), 2**71, 0, "", b"",
        dt.datetime.min, dt.datetime.max, dt.datetime.min.replace(tzinfo=dt.UTC),
        dt.datetime.max.replace(tzinfo=dt.UTC), dt.datetime(1969, 12, 31, 23, 59, 59, 999999, dt.UTC),
        dt.datetime(2514, 5, 30, 1, 53, 4, tzinfo=dt.UTC), dt.timedelta.max, dt.timedelta.min, dt.date.max,
        dt.time(23, 59, 59, 999999), uuid.UUID(int=0), Opaque("socket"), Fraction(-1, 3), range(0), (), set(),
        frozenset(), {}, [], (((),),), {(): ()}, {frozenset({1}): {2}}, slice(None), [[]], {"": {}},
        {True: 1, "1": 2}, {None: {None: None}},
    ],
    ids=repr,
)  # fmt: skip
def test_jelly_roundtrip_gives_edges_back_exactly(value: Any) -> None:
    """Zeros, signs, ends of ranges and empty things."""
    assert same(value, round_trip(value))


@pytest.mark.parametrize("value", [bytearray(b"ab"), memoryview(b"ab"), memoryview(b"a_b_")[::2]])
def test_buffers_arrive_as_bytes(value: Any) -> None:
    """The one change of type: a buffer of someone's has no meaning elsewhere."""
    assert b"ab" == round_trip(value)
    assert [b"ab"] == round_trip([value])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (decimal.Decimal("sNaN"), "NaN"),
        (decimal.Decimal("-NaN"), "NaN"),
        (decimal.Decimal("NaN123"), "NaN"),
        (decimal.Decimal("1E+6145"), "max_decimal_exponent"),
        (decimal.Decimal("1E-6145"), "max_decimal_exponent"),
        (decimal.Decimal("1" * 4097), "max_decimal_digits"),
        (2**4096, "max_int_bits"),
        (dt.datetime(2024, 1, 1, fold=1), "fold=1"),
        (dt.time(1, fold=1), "fold=1"),
        (dt.time(1, tzinfo=dt.UTC), "timezone"),
        (dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(seconds=90))), "whole minutes"),
        ("\ud800", "surrogates"),
        (collections.OrderedDict(a=1), "OrderedDict"),
        (collections.defaultdict(int), "subclass of dict"),
        (collections.deque(), "deque"),
        (type("MyInt", (int,), {})(3), "subclass of int"),
        (type("MyStr", (str,), {})("x"), "subclass of str"),
        (type("MyTuple", (tuple,), {})(), "subclass of tuple"),
        (enum.IntEnum("Level", "LOW").LOW, "Level"),
        (object(), "does not cross"),
        (len, "code never crosses"),
        (int, "code never crosses"),
        (collections, "code never crosses"),
        ({type("MyStr", (str,), {})("x"): 1}, "subclass of str"),
        (Opaque("\ud800"), "surrogates"),
        (array := __import__("array").array("i", [1]), "array"),
    ],
    ids=lambda value: name_of(value)[:40],
)
def test_what_cannot_arrive_exactly_is_refused_at_the_sender(value: Any, text: str) -> None:
    """Wherever it stands, and with its place."""
    with pytest.raises(Unjellyable, match=text):
        encoder.dumps(value)
    with pytest.raises(Unjellyable, match=r"value: \['k'\]\[1\].*" + text):
        encoder.dumps({"k": [0, value]})
    with pytest.raises(Unjellyable, match=text):
        encoder.dumps([(value,), {1: value}])


def test_a_datetime_of_a_named_zone_arrives_as_the_same_moment_at_its_offset() -> None:
    """The rules of a zone are of this computer; moment and offset are the value."""
    try:
        zone = zoneinfo.ZoneInfo("Europe/Berlin")
    except zoneinfo.ZoneInfoNotFoundError:
        pytest.skip("no time zone database here")
    value = dt.datetime(2024, 7, 1, 12, tzinfo=zone)

    arrived = round_trip([value])[0]

    assert value == arrived
    assert dt.timezone(dt.timedelta(hours=2)) == arrived.tzinfo


class OddZone(dt.tzinfo):
    def __init__(self, offset: Any) -> None:
        self.offset = offset

    def utcoffset(self, when: dt.datetime | None) -> Any:
        return self.offset() if callable(self.offset) else self.offset


def test_the_code_of_a_foreign_zone_may_use_the_encoder() -> None:
    """A Packer that is entered twice writes nonsense; so code of others runs outside it."""
    zone = OddZone(lambda: dt.timedelta(hours=len(encoder.dumps([1, {"a": 2**70}])) % 3 + 1))
    value = dt.datetime(2024, 7, 1, tzinfo=zone)

    assert [value, "x"] == round_trip([value, "x"])


@pytest.mark.parametrize("offset", [None, lambda: 1 / 0])
def test_a_zone_without_an_offset_is_refused(offset: Any) -> None:
    """Such a datetime is neither naive nor aware."""
    with pytest.raises(Unjellyable):
        encoder.dumps([dt.datetime(2024, 7, 1, tzinfo=OddZone(offset))])


@pytest.mark.parametrize(
    ("code", "data"),
    [
        (24, b""), (25, b""), (25, b"1.."), (25, b"+1"), (25, b"1e5"), (25, b"1_0"), (25, b"sNaN"),
        (25, b" 1"),
        (25, b"-NaN"), (25, b"\xd9\xa1"), (26, b""), (26, b"2024-02-30"), (26, b"20240229"),
        (26, b"2024-W09-4"),
        (26, b"T24:00:00"), (26, b"T12:30"), (26, b"T12:30:00,5"), (26, b"T12:30:00.123"), (26, b"T1:00:00"),
        (26, b"2024-02-29 12:30:00"), (26, b"2024-02-29T12:30:00Z"), (26, b"2024-02-29T12:30:00+24:00"),
        (26, b"2024-02-29T12:30:00+02:60"), (26, b"0000-01-01"), (26, b"2024-02-29\n"), (27, b"\0" * 11),
        (27, b"\x3b\x9a\xca\x00" + b"\0" * 8), (28, b"\0" * 15), (12, b"\xff"),
        (-1, b"\0" * 5), (-1, b"\xff" * 8), (-1, b"\0" * 4 + b"\x7f" + b"\xff" * 7),
    ],
)  # fmt: skip
def test_data_outside_the_grammar_are_malformed(code: int, data: bytes) -> None:
    """A reader that is generous reads what others do not."""
    payload = bytes([0xC7, len(data), code % 256]) + data
    with pytest.raises(MalformedJelly):
        decoder.loads(b"\x91" + payload)


@pytest.mark.parametrize(
    ("code", "data"),
    [
        (24, b"\1" + b"\0" * 513),
        (25, b"1E+6145"),
        (25, b"1E-6145"),
        (25, b"1E+99999999999999999999"),
        (25, b"1" * 4097),
        (25, b"0." + b"0" * 20000),
    ],
)
def test_numbers_over_a_limit_fail_one_call(code: int, data: bytes) -> None:
    """13 bytes of Decimal can cost 27 seconds later (threats B11)."""
    with pytest.raises(InsecureJelly) as caught:
        decoder.loads(packb(ExtType(code, data)))
    assert "pb.TooLarge" == caught.value.wire_type


def test_a_duration_no_timedelta_can_hold_fails_one_call() -> None:
    """Other languages count further."""
    with pytest.raises(InsecureJelly):
        decoder.loads(packb(ExtType(27, b"\0" * 4 + b"\x7f" + b"\xff" * 7)))


def test_nanoseconds_are_cut_toward_the_past() -> None:
    """Microseconds are all that Python has."""
    assert dt.timedelta(microseconds=1) == decoder.loads(packb(ExtType(27, b"\0\0\x07\xcf" + b"\0" * 8)))


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("py.complex", [1]), ("py.complex", ["1", 2]), ("py.complex", {"re": 1}),
        ("py.complex", [10**18 * 10, True]),
        ("py.range", [0, 1, 0]), ("py.range", [0, 1.0, 1]), ("py.range", [0, 1]), ("py.slice", [1, 2]),
        ("py.slice", "abc"), ("py.Fraction", [1, 0]), ("py.Fraction", [1, -2]), ("py.Fraction", [1]),
    ],
)  # fmt: skip
def test_copies_of_python_values_are_checked(name: str, state: Any) -> None:
    """range(0, 1, 0) raises, Fraction(1, 0) too; other states make other nonsense."""
    with pytest.raises(InsecureJelly):
        decoder.loads(packb(ExtType(8, packb([name, state]))))


def test_an_int_too_large_for_a_float_is_no_part_of_a_complex() -> None:
    """complex(10**400, 0) raises OverflowError."""
    big = ExtType(24, (10**400).to_bytes(200, "big"))
    with pytest.raises(InsecureJelly, match="too large"):
        decoder.loads(packb(ExtType(8, packb(["py.complex", [big, 0]]))))


def test_limits_of_the_encoder_are_those_of_the_peer() -> None:
    """What it would refuse is not sent."""
    small = Encoder(Registry(), Limits(max_int_bits=64, max_floodable_keys=1, max_depth=3))

    with pytest.raises(Unjellyable, match="max_int_bits=64"):
        small.dumps([2**65])
    with pytest.raises(Unjellyable, match="max_floodable_keys=1"):
        small.dumps({2**40, 2**41})
    with pytest.raises(Unjellyable, match="max_depth=3"):
        small.dumps([[[[]]]])
    assert small.dumps([[[]]])
