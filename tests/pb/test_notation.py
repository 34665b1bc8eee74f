"""Payloads as text: every kind of value, and everything that is none."""

from __future__ import annotations

import json
from pathlib import Path

import msgpack
import pytest

from pb.notation import show

VECTORS = Path(__file__).parents[2] / "spec" / "vectors"


@pytest.mark.parametrize(
    ("hex_", "text"),
    [
        ("c0", "null"),
        ("c3", "true"),
        ("cb3ff8000000000000", "1.5"),
        ("a2c3a9", '"\\u00e9"'),
        ("a31b5b6d", '"\\u001b[m"'),
        ("c40200ff", "0x00ff"),
        ("c403412062", 'b"A b"'),
        ("81a3612062c0", '{"a b": null}'),
        ("8101c0", "{1: null}"),
        ("82a161c0a161c3", "{a: null, a: true}"),
        ("d6ff65e05ca8", "2024-02-29T10:30:00Z"),
        ("c70cff000000007fffffffffffffff", "TIME(9223372036854775807, 0)"),
        ("d501012c", "REF(300)"),
        ("c71304920781a5696661636591a867656f2e494d6170", 'REFX(7, {iface: ["geo.IMap"]})'),
        ("c7120892a967656f2e506f696e7482a17803a17904", 'COPY("geo.Point", {x: 3, y: 4})'),
        ("d6109201a161", 'TUPLE([1, "a"])'),
        ("d6139201a178", 'MAP([1, "x"])'),
        ("c7060c736f636b6574", 'OPAQUE("socket")'),
        ("c70918010000000000000000", "BIGINT(18446744073709551616)"),
        ("c8020218" + "00" * 514, "BIGINT(0x" + "00" * 256 + "… 514 bytes)"),
        ("d619312e3130", "DECIMAL(1.10)"),
        ("c70a1a323032342d30322d3239", "CIVIL(2024-02-29)"),
        ("c70c1b1dcd65000000000000000001", "DURATION(1 s + 500000000 ns)"),
        ("c7011b00", "DURATION(0x00)"),
        ("d81c00112233445566778899aabbccddeeff", "UUID(00112233-4455-6677-8899-aabbccddeeff)"),
        ("c7011c00", "UUID(0x00)"),
        ("c7071491c40491d41500", "GRAPH([NODE(0)])"),
        ("c705149201c401c1", "GRAPH(1, 0xc1)"),
        ("d414c0", "GRAPH(null)"),
        ("d40880", "COPY({})"),
        ("d43f00", "EXT(63, 0x00)"),
        ("d408c1", "EXT(8, 0xc1)"),
        ("c1", "not msgpack: 0xc1"),
        ("a1ff", '"\\ufffd"'),
    ],
)
def test_a_value_is_shown(hex_, text):
    """In one line, without anything that a terminal would act on."""
    assert text == show(bytes.fromhex(hex_))


def test_what_is_long_or_deep_is_cut_short():
    """Nobody reads more, and a hostile payload may be endless."""
    assert '["aaaa…' == show(msgpack.packb(["a" * 100]), 6)
    assert "0x" + "ff" * 256 + "… 5000 bytes" == show(msgpack.packb(b"\xff" * 5000))
    deep = show(b"\x91" * 1000 + b"\xc0")
    assert "[" * 65 + "…" + "]" * 65 == deep


def test_nothing_that_is_refused_makes_it_fail():
    """It is given what others could not read."""
    for name in ("reject-values.json", "values.json"):
        for row in json.loads((VECTORS / name).read_text()):
            if "hex" in row:
                assert isinstance(show(bytes.fromhex(row["hex"])), str)


def test_a_terminal_gets_no_control_character_of_a_peer():
    """JSON leaves DEL as it is."""
    for value in (
        "\x7f\x9b\u202e",
        {"\x7f": 1},
        msgpack.ExtType(12, b"\x7f"),
        msgpack.ExtType(25, b"\x7f"),
        b"\x7f",
    ):
        assert show(msgpack.packb(value)).isprintable()
