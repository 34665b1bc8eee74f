"""Places in a GRAPH that wait for what comes later, and where none may."""

from __future__ import annotations

import pytest
from msgpack import ExtType, packb

from jelly import Decoder, Encoder, InsecureJelly, MalformedJelly, Registry

from .things import Tables, make_registry


def bin_graph(*parts: bytes) -> bytes:
    return packb(ExtType(20, packb(list(parts))))


def ref(number: int) -> bytes:
    return packb(ExtType(21, bytes([number])))


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (bin_graph(b"\x91\xc0", packb(ExtType(17, b"\x91" + ref(0)))), "NODE in a key"),
        (
            bin_graph(b"\x90", packb(ExtType(17, b"\x91" + packb(ExtType(16, b"\x91" + ref(0)))))),
            "NODE in a key",
        ),
        (bin_graph(b"\x01", packb(ExtType(19, b"\x92" + ref(0) + b"\xc0"))), "NODE in a key"),
        (bin_graph(ref(0)), "nothing but a forward"),
        (bin_graph(packb(ExtType(16, b"\x91" + ref(0)))), "only a finished value"),
        (bin_graph(packb(ExtType(19, b"\x92\x01" + ref(0)))), "only a finished value"),
        (bin_graph(packb(ExtType(8, b"\x92" + packb("test.Point") + ref(0)))), "only a finished value"),
        (bin_graph(b"\x91" + ref(9)), "NODE 9"),
        (
            bin_graph(packb(ExtType(8, b"\x92" + packb("test.Pair") + b"\x81\xa4left" + ref(0)))),
            "part of a cycle",
        ),
        (bin_graph(packb(ExtType(11, b"\x83\xa4type\xa1x\xa3msg\xa0\xa4data" + ref(0)))), "part of a cycle"),
        (bin_graph(packb(ExtType(4, b"\x92\x07\x81\xa1a" + ref(0)))), "NODE in a key"),
    ],
)
def test_a_node_where_none_may_stand_is_refused(payload: bytes, text: str) -> None:
    """These are the rules that keep GRAPH safe (spec PB-V33 to PB-V35)."""
    with pytest.raises(InsecureJelly, match=text):
        Decoder(make_registry()).loads(payload, Tables())


def test_a_graph_inside_a_value_is_malformed() -> None:
    """Its parts would be numbered within those of another (spec PB-V32)."""
    with pytest.raises(MalformedJelly):
        Decoder(Registry()).loads(b"\x91" + bin_graph(b"\x90"))
    with pytest.raises(MalformedJelly):
        Decoder(Registry()).loads(bin_graph(bin_graph(b"\x90")))


def test_user_code_never_sees_a_place_that_is_not_filled_yet() -> None:
    """A decoder function is given finished values or is not called (a list that waits is not finished)."""
    seen: list[object] = []
    registry = Registry()
    registry.add_codec(complex.__class__, "test.Meta", lambda value: None, seen.append)
    # part 0 holds the copy, whose state is a tuple with a list that waits for part 1
    state = packb(ExtType(16, b"\x91\x91" + ref(1)))
    payload = bin_graph(b"\x91" + packb(ExtType(8, b"\x92" + packb("test.Meta") + state)), b"\x90")

    with pytest.raises(InsecureJelly) as caught:
        Decoder(registry).loads(payload)

    assert "pb.Unsupported" == caught.value.wire_type
    assert [] == seen


def test_a_laugh_of_nine_levels_stays_small() -> None:
    """1,481 bytes can stand for 10**8 items; they are shared here and are never walked (threats B4)."""
    parts = [packb(["ha"] * 10)]
    for number in range(8):
        parts.append(b"\x9a" + ref(number) * 10)
    payload = bin_graph(*parts)

    value = Decoder(Registry()).loads(payload)

    assert value[0] is value[9]
    assert len(Encoder(Registry()).dumps(value)) <= len(payload) + 16
