"""Rows are read by msgspec where it is installed: never anything else than what msgpack alone would read."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgpack import ExtType, Timestamp, packb

from jelly import Decoder, InsecureJelly, MalformedJelly, Registry
from jelly._rows import MOST, find_readers, read_rows

from ..sizes import exhaustive, sized

WITH, WITHOUT = Decoder(Registry()), Decoder(Registry(), accelerate=False)
ROWS = [
    {"id": i, "name": f"näme {i}", "price": i * 1.25, "sold": i % 2 == 0, "note": None, "raw": b"\xff\x00"}
    for i in range(60)
]
# Two of them are more than so small a payload that nobody asks msgspec; one is not too long for a row.
FILLING = {"filling": "x" * 600}


def outcome(decoder: Decoder, payload: bytes) -> str:
    """Return the value that is read, with the types of all in it, or the error."""
    try:
        return repr(decoder.loads(payload))
    except (InsecureJelly, MalformedJelly) as error:
        return f"{type(error).__name__}: {error}"


def of_call(decoder: Decoder, payload: bytes) -> str:
    """Return the same for the payload of a call."""
    try:
        return repr(decoder.loads_call(payload))
    except (InsecureJelly, MalformedJelly) as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize(
    "value",
    [
        ROWS,
        [[ROWS], {}],
        [["before", ROWS, 5, 2**64 - 1, -1, 1.5, None, True, ROWS[0]][1:], {}],
        [[ROWS, ROWS], {"order": "name", "limit": 9}],
        [[[ROWS[0]], FILLING, FILLING], {}],
    ],
    ids=["rows", "argument", "and scalars", "and keywords", "and a row"],
)
def test_rows_are_read_in_half_the_time(value: Any) -> None:
    """By themselves, and among arguments."""
    payload = packb(value)

    assert value == read_rows(payload)
    assert repr(value) == outcome(WITH, payload) == outcome(WITHOUT, payload)


# What msgspec would take otherwise than msgpack, or not at all; in the first row, or in one of the others.
ODD = {
    "a key that is a number": {1: 2},
    "a key in bytes": {b"key": 2},
    "a key that is nothing": {None: 2},
    "a key that is true": {True: 2},
    "a dict in a row": {"a": {"b": 1}},
    "a dict with a number for a key in a row": {"a": {1: 1}},
    "a list in a row": {"a": [1]},
    "an Ext": {"a": ExtType(17, packb([]))},
    "an Ext of no known number": {"a": ExtType(99, b"")},
    "a timestamp of 4 bytes": {"at": Timestamp(0)},
    "a timestamp of 8 bytes": {"at": Timestamp(1, 500_000_999)},
    "a timestamp of 12 bytes": {"at": Timestamp(-1, 999_999_999)},
    "a timestamp of another year": {"at": Timestamp(2**60)},
    "a long row": {"long": "x" * 2000},
    "many bytes of 255": {"a": b"\xff" * 2000},
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_out_of_the_ordinary_is_left_to_msgpack(name: str) -> None:
    """The same values, and the same refusals."""
    for rows in ([ODD[name], *ROWS], [*ROWS, ODD[name]]):
        for value in (
            rows,
            [[rows], {}],
            [[rows, FILLING, FILLING], {}],
            [[FILLING, FILLING, ODD[name]], {}],
        ):
            payload = packb(value)

            assert outcome(WITHOUT, payload) == outcome(WITH, payload)
            assert of_call(WITHOUT, payload) == of_call(WITH, payload)


@pytest.mark.parametrize("head", [b"\xc7\x04", b"\xc8\x00\x08", b"\xc9\x00\x00\x00\x0c", b"\xd6", b"\xd7"])
def test_a_timestamp_is_seen_however_it_is_written(head: bytes) -> None:
    """Else a datetime would come out of a rule that is not ours."""
    size = {0xD6: 4, 0xD7: 8}.get(head[0], head[-1])
    stamp = head + b"\xff" + bytes(size)
    payload = b"\x93" + 2 * packb(FILLING) + b"\x81\xa2at" + stamp

    assert read_rows(payload) is None
    assert outcome(WITHOUT, payload) == outcome(WITH, payload)


@pytest.mark.parametrize(
    "wrong",
    [
        b"\x81\xa1a\xa1\xff",
        b"\x81\xa1\xff\x01",
        b"\x81\xa1a\xa3\xed\xa0\x80",
        b"\x81\x90\x01",
        b"\x81\x80\x01",
    ],
    ids=["no UTF-8", "nor in a key", "half a pair", "an array for a key", "a map for a key"],
)
def test_what_is_malformed_is_told_as_ever(wrong: bytes) -> None:
    """The text too."""
    payload = b"\x93" + 2 * packb(FILLING) + wrong

    assert outcome(WITHOUT, payload) == outcome(WITH, payload)
    assert outcome(WITH, payload).startswith("MalformedJelly")


def test_the_last_of_two_equal_keys_counts_as_ever() -> None:
    """In its first place."""
    payload = b"\x93" + 2 * packb(FILLING) + b"\x83\xa1a\x01\xa1b\x02\xa1a\x03"

    assert read_rows(payload) is not None
    assert outcome(WITHOUT, payload) == outcome(WITH, payload)


def test_of_large_payloads_none_is_read_twice() -> None:
    """An Ext at the end of 4 MiB would cost 20 ms more."""
    rows = ROWS * (MOST // len(packb(ROWS)) + 1)

    assert rows == WITH.loads(packb(rows))


SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary()
ROW = st.dictionaries(st.text(), SCALARS, min_size=1)


@given(st.lists(ROW), st.lists(SCALARS | ROW | st.lists(ROW)), st.dictionaries(st.text(), SCALARS))
def test_all_rows_are_read_alike(rows: Any, args: Any, kwargs: Any) -> None:
    """Whichever of the two reads them."""
    for value in ([FILLING, FILLING, *rows], [[[FILLING, FILLING, *rows], *args], kwargs]):
        payload = packb(value)

        assert repr(value) == outcome(WITH, payload) == outcome(WITHOUT, payload)


@exhaustive
def test_mutated_rows_are_read_or_refused_alike() -> None:
    """Bytes changed, cut out and put in, wherever."""
    chance = random.Random(2611)
    pieces = [b"\xff", b"\xc0", b"\x81", b"\x91", b"\xd6\xff", b"\xc7\x0c\xff", b"\xd4\x11", b"\xdf", b"\x80"]
    taken = 0
    for _ in range(sized(3_000, 60_000)):
        payload = bytearray(packb(chance.choice([ROWS[:22], [[ROWS[:22]], {}]])))
        for _ in range(chance.randint(1, 2)):
            at = chance.randrange(len(payload))
            piece = chance.choice([*pieces, bytes([chance.randrange(256)])])
            payload[at : at + chance.choice([0, 1, 4, *[len(piece)] * 5])] = piece
        expected = outcome(WITHOUT, bytes(payload))

        assert expected == outcome(WITH, bytes(payload)), bytes(payload).hex()
        taken += not expected.startswith("Malformed")
    assert taken > 300


def test_without_msgspec_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "msgspec.msgpack", None)
    find_readers.cache_clear()
    try:
        assert read_rows(packb(ROWS)) is None
        assert ROWS == Decoder(Registry()).loads(packb(ROWS))
    finally:
        find_readers.cache_clear()


def test_msgspec_is_loaded_when_rows_arrive_and_no_sooner() -> None:
    """Who reads none pays nothing."""
    code = "import sys, jelly; jelly.Decoder(jelly.Registry()); sys.exit('msgspec' in sys.modules)"

    assert 0 == subprocess.run([sys.executable, "-c", code], timeout=60).returncode
