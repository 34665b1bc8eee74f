"""What the extra [speed] reads is what is read without it: the same value, or the same refusal."""

from __future__ import annotations

import itertools
import json
import random
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jelly import Decoder, JellyError, Limits
from jelly._accelerated import MAX_LEVELS, MOST, copy_reader, plain_reader

from .test_hostile import MUTATIONS, SEED, corpus, mutate
from .things import Tables, make_registry

VECTORS = Path(__file__).parents[2] / "spec" / "vectors"
LONG = b"\x92\xda\x04\x01" + b"x" * 1025  # [1,025 letters, ...]: nothing is tried with shorter payloads
WITH, WITHOUT = (Decoder(make_registry(), accelerate=each) for each in (True, False))
RECORDS = [{"id": at, "name": f"number {at}", "price": at * 1.25, "sold": at % 2 == 0} for at in range(100)]

scalars = (
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text() | st.binary()
)
values = st.recursive(
    scalars, lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside), max_leaves=60
)


def exact(value: Any, around: tuple[int, ...] = ()) -> Any:
    """Return what is equal for values of the same types, bits, keys and order, and for no others."""
    if id(value) in around:
        return "a cycle"
    inside = (*around, id(value))
    if type(value) is list:
        return [exact(each, inside) for each in value]
    if type(value) is dict:
        return [(exact(key), exact(each, inside)) for key, each in value.items()]
    if type(value) is float:
        return struct.pack(">d", value)
    # What an Ext made is none of its business, and may say where in memory it lies.
    return (type(value), value) if type(value) in (type(None), bool, int, str, bytes) else type(value)


def outcome(decoder: Decoder, payload: bytes | memoryview) -> Any:
    try:
        return exact(decoder.loads(payload, Tables()))
    except JellyError as error:
        return type(error), str(error), getattr(error, "too_large", None), getattr(error, "wire_type", None)


def agree(payload: bytes) -> None:
    for each in (payload, memoryview(payload), LONG + payload):
        assert outcome(WITHOUT, each) == outcome(WITH, each), payload.hex()


def test_records_are_read_by_it() -> None:
    """Else everything here would compare a thing with itself."""
    read = plain_reader(64)
    assert read is not None

    assert RECORDS == read(msgpack.packb(RECORDS))
    assert exact([RECORDS]) == exact(WITH.loads(msgpack.packb([RECORDS])))


@pytest.mark.unmeasured
@settings(max_examples=50, deadline=None)
@given(values)
def test_plain_values_are_the_same(value: object) -> None:
    """In type, bits and order; bytes and depth it gives back."""
    agree(msgpack.packb(value))


@pytest.mark.parametrize("name", ["values", "reject-values"])
def test_vectors_end_alike(name: str) -> None:
    """All that the specification has bytes for."""
    found = [
        bytes.fromhex(each)
        for each in _strings(json.loads((VECTORS / f"{name}.json").read_text()))
        if each and len(each) % 2 == 0 and set(each) <= set("0123456789abcdef")
    ]
    assert found
    for payload in found:
        agree(payload)


def _strings(tree: Any) -> list[str]:
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list):
        return [text for each in tree for text in _strings(each)]
    return [tree] if isinstance(tree, str) else []


@pytest.mark.parametrize(
    "payload",
    [
        "810105",  # a key that is an int
        "81910105",  # a key that is an array
        "81c0c0",
        "81c40161c0",  # a key of bytes
        "82a16101a16102",  # a key twice
        "82a16101a1629182a16101a16102",
        "d6ff00000001",  # a timestamp, which it would make a datetime of
        "d7ff0000000000000001",
        "c70cff000000000000000000000001",
        "c7050001020304",
        "91d46407",
        "a1ff",  # no UTF-8
        "a3eda080",  # a surrogate
        "81a3eda08001",
        "c1",
        "91",
        "ddffffffff",
        "dfffffffffc0",
        "c0c0",  # a byte after the end
        "ca7fa00001",  # a float32 that is a signalling NaN
        "ca3dcccccd",
        "cb7ff0000000000001",
        "cfffffffffffffffff",
        "d38000000000000000",
        "cc05",  # not the shortest
        "d900",
        "dc000101",
        "de0001a16101",
        "9191919191919191919191c0",
    ],
)
def test_each_way_to_differ_does_not(payload: str) -> None:
    """What msgspec by itself reads otherwise, or might."""
    agree(bytes.fromhex(payload))


def test_mutated_payloads_end_alike() -> None:
    """Both find the same value, or refuse in the same words."""
    chance = random.Random(SEED)
    source = [
        *corpus(),
        msgpack.packb(RECORDS),
        msgpack.packb([[RECORDS[:9]], {}]),
        msgpack.packb([["é"] * 9]),
    ]
    for _ in range(MUTATIONS // 5):
        payload = LONG + mutate(chance.choice(source), source, chance)

        assert outcome(WITHOUT, payload) == outcome(WITH, payload), payload[len(LONG) :].hex()


@pytest.mark.parametrize("levels", range(1, MAX_LEVELS + 2))
def test_the_limit_of_depth_is_kept(levels: int) -> None:
    """Where it is lower than what the description holds, too."""
    payload = b"\x91" * (levels - 1) + b"\x91\xda\x04\x01" + b"x" * 1025
    for limit in range(1, MAX_LEVELS + 2):
        with_it, without = (
            outcome(Decoder(make_registry(), Limits(max_depth=limit), accelerate=each), payload)
            for each in (True, False)
        )

        assert without == with_it
        assert (levels <= limit) is (type(with_it) is list)


def test_what_arrays_promise_is_not_allocated() -> None:
    """A frame of 5 bytes must not cost 32 GiB, nor 16,384 arrays of a promise each."""
    read = plain_reader(64)
    assert read is not None
    for payload in (
        b"\xdd\x7f\xff\xff\xff",
        b"\xdf\x7f\xff\xff\xff",
        b"\xdd\x7f\xff\xff\xff" * 6 + b"\xc0" * 999,
    ):
        tracemalloc.start()
        with pytest.raises(ValueError):
            read(payload)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

        assert peak < 80 * len(payload) + (1 << 16)


@pytest.mark.parametrize("where", ["first", "in the second row"])
def test_keys_that_share_a_hash_are_never_put_together(where: str) -> None:
    """16,000 tuples of one hash in 750 kB kept the loop for 5 s, where maps of any keys were read at all."""
    modulus = sys.hash_info.modulus
    digits = [b"\xcf" + ((1 << 60) + 261 + at * modulus).to_bytes(8, "big") for at in range(7)]
    keys = [b"\x93" + b"".join(each) for each in itertools.product(digits, repeat=3)]
    flood = b"\xde" + len(keys).to_bytes(2, "big") + b"".join(key + b"\xc0" for key in keys)
    payload = flood if where == "first" else b"\x92\x81\xa1a\x01\x81\xa1b" + flood
    read = plain_reader(64)
    assert read is not None

    # Refused for its first key: what would be second is not looked at.
    with pytest.raises(ValueError, match="Expected `str`"):
        read(payload)
    agree(payload)


def test_without_msgspec_everything_is_read_by_msgpack(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is not needed for anything."""
    monkeypatch.setitem(sys.modules, "msgspec.msgpack", None)
    plain_reader.cache_clear()
    copy_reader.cache_clear()
    try:
        assert plain_reader(64) is None
        assert exact(RECORDS) == exact(Decoder(make_registry()).loads(msgpack.packb(RECORDS)))
    finally:
        plain_reader.cache_clear()
        copy_reader.cache_clear()


def test_what_a_peer_sends_imports_nothing() -> None:
    """What is needed is there when a decoder is made, and not before."""
    code = (
        "import sys, jelly; before = 'msgspec' in sys.modules; decoder = jelly.Decoder(jelly.Registry());"
        "known = set(sys.modules); decoder.loads(bytes.fromhex('da0401') + bytes(1025));"
        "sys.exit(before or 'msgspec.msgpack' not in known or set(sys.modules) != known)"
    )

    assert 0 == subprocess.run([sys.executable, "-c", code], timeout=30).returncode


def test_what_is_very_long_is_read_once() -> None:
    """An Ext at the end of 4 MiB would cost 40 ms more."""
    payload = msgpack.packb([RECORDS] * (MOST // len(msgpack.packb(RECORDS)) + 1))
    assert len(payload) > MOST
    decoder = Decoder(make_registry())
    decoder._read_plain = pytest.fail

    assert exact([RECORDS]) == exact(decoder.loads(payload)[:1])


@pytest.mark.parametrize("where", [0, 1, 5])
@pytest.mark.parametrize(
    "state",
    [
        {"x": 1, "y": b"bytes"},
        {"x": 1, "y": []},
        {"x": 1, "y": msgpack.Timestamp(1)},
        {"x": 1, "y": msgpack.ExtType(16, b"\x90")},
        {"x": 1},
        {"x": 1, 2: 2},
        {"x": 1, "y": 2, "z": 3},
        [1, 2],
        1,
    ],
    ids=repr,
)
def test_copies_are_read_alike(where: int, state: object) -> None:
    """Of named scalars, and of others, which are read without it from there on."""
    states: list[object] = [{"x": at, "y": f"{at}"} for at in range(5)]
    states.insert(where, state)
    for name in ("test.Point", "test.Slotted", "unknown", 5):
        data = [msgpack.packb([name, each]) for each in states]

        agree(msgpack.packb([msgpack.ExtType(8, each) for each in data]))
        agree(msgpack.packb([msgpack.ExtType(8, each + b"\xc0") for each in data]))


def test_as_many_exts_are_counted_with_it() -> None:
    """What is read a second time is one Ext all the same."""
    exts = [msgpack.ExtType(8, msgpack.packb(["test.Point", {"x": b"", "y": at}])) for at in range(9)]
    for most in (8, 9):
        one, other = (
            outcome(Decoder(make_registry(), Limits(max_exts=most), accelerate=each), msgpack.packb(exts))
            for each in (True, False)
        )

        assert other == one
        assert (most == 9) is (type(one) is list)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1 << 16))
def test_a_call_of_records_is_split_alike(number: int) -> None:
    """loads_call() reads the same bytes and looks at the same form."""
    payload = msgpack.packb([[RECORDS, number], {"at": number}])

    assert ([RECORDS, number], {"at": number}) == WITH.loads_call(payload) == WITHOUT.loads_call(payload)
