"""Large bytes are written and read where they lie, and the payload is the same byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import msgpack
import pytest

from jelly import Bulk, Decoder, Encoder, InsecureJelly, MalformedJelly, Oversized, Registry, Unjellyable
from jelly._bulk import BULK_BYTES, cut_bulk, hole_name
from jelly._ext import GRAPH, TUPLE
from jelly.limits import Limits

BIG = bytes(range(256)) * (BULK_BYTES // 256)
ENCODER, DECODER = Encoder(Registry()), Decoder(Registry())


@pytest.mark.parametrize(
    "args",
    [(BIG,), ("name", BIG), (BIG, "after", 5), ("a", 1, None, 2.5, True, BIG, b"small"), (BIG, BIG)],
    ids=["alone", "behind", "before", "between", "two"],
)
def test_a_call_with_large_bytes_is_written_in_buffers_that_join_to_the_same_payload(args):
    """Whoever reads it cannot tell."""
    payload = ENCODER.encode_call(args, {})

    assert isinstance(payload, Bulk)
    assert ENCODER.dumps_call(args, {}) == bytes(payload)
    assert len(bytes(payload)) == len(payload)
    assert any(buffer is BIG for buffer in payload.buffers)
    assert (list(args), {}) == DECODER.loads_call(bytes(payload))


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((BIG,), {"k": 1}), ((BIG, [1]), {}), ((1,) * 15 + (BIG,), {})],
    ids=["keywords", "a container", "sixteen"],
)
def test_other_calls_with_large_bytes_take_the_ordinary_way(args, kwargs):
    """One shape is worth its own way; the others still arrive."""
    payload = ENCODER.encode_call(args, kwargs)

    assert isinstance(payload, bytes)
    assert (list(args), kwargs) == DECODER.loads_call(payload)


def test_a_value_that_is_large_bytes_is_one_of_two_buffers():
    """The result of a download, say."""
    payload = ENCODER.encode(BIG)

    assert isinstance(payload, Bulk)
    assert ENCODER.dumps(BIG) == bytes(payload)
    assert BIG == DECODER.loads(bytes(payload))
    assert BIG == DECODER.loads(memoryview(bytes(payload)))


def test_what_cannot_be_sent_beside_large_bytes_is_named():
    """The short way finds it, the walk says where it is."""
    with pytest.raises(Unjellyable, match="argument 1 of save"):
        ENCODER.encode_call((BIG, "\ud800"), {}, None, "save")
    with pytest.raises(Unjellyable, match="argument 0 of save"):
        ENCODER.encode_call(("\ud800",), {}, None, "save")
    with pytest.raises(Unjellyable, match="the result"):
        ENCODER.encode("\ud800", None, "the result")


def test_what_the_peer_does_not_take_is_refused_before_it_is_sent():
    """Every way to write a payload knows the limit."""
    encoder = Encoder(Registry(), max_payload=1000)

    for make in (
        lambda: encoder.encode("x" * 1000),
        lambda: encoder.encode(["x" * 1000]),
        lambda: encoder.encode(BIG),
        lambda: encoder.encode_call(("x" * 1000,), {}),
        lambda: encoder.encode_call((BIG,), {}),
        lambda: encoder.encode_call((("x" * 1000,),), {}),
        lambda: encoder.encode_call((["x" * 1000],), {}),
    ):
        with pytest.raises(Oversized, match="exceeds what the peer takes, 1000"):
            make()


@dataclass
class Block:
    name: str
    data: bytes
    more: object = None


REGISTRY = Registry()
REGISTRY.add(Block, "test.Block")


def ext(code: int, *items: object) -> bytes:
    """Return an Ext whose data is an array of these."""
    return msgpack.packb(msgpack.ExtType(code, msgpack.packb(items)))


@pytest.mark.parametrize(
    "value",
    [
        BIG,
        [BIG],
        {"data": BIG},
        [1, -1, 300, 70000, 2**40, 1.5, None, "name", "n" * 40, [{"a": 1, "data": [BIG, 2]}]],
        {"a": "b", "c": {"d": BIG, "e": 5}},
        [[[[[[[BIG]]]]]]],
        [BIG, "x" * 200],
        ["n" * 300, BIG],
        [b"small", BIG],
        [BIG, BIG[::-1]],
        ("f8", (3, 4), BIG),
        (BIG, 1),
        [("f8", BIG), ("f4", BIG[::-1]), (), 5],
        (1, (2, (3, BIG, {4}), BIG[::-1]), {5: BIG + b"!", "a": Decimal(1)}),
        Block("n", BIG),
        [Block("n", BIG, (1, 2)), Block("m", BIG[::-1], Block("o", BIG + b"!"))],
        {BIG, 1},
        frozenset({(BIG, 2)}),
        {BIG: BIG},
        [*range(40), {"a": [(1, BIG)]}],
    ],
    ids=lambda value: repr(value)[:24].replace(BULK_BYTES.__str__(), ""),
)
def test_large_bytes_are_cut_out_wherever_they_are_found_soon(value):
    """And come out in their place, in Exts too."""
    payload = Encoder(REGISTRY).dumps(value)
    decoder = Decoder(REGISTRY)
    cut = cut_bulk(payload)

    assert cut is not None
    rest, spans = cut
    assert len(rest) < 1024
    assert {BULK_BYTES, BULK_BYTES + 1} >= {end - start for start, end in spans}
    assert value == decoder.loads(payload)
    assert value == decoder.loads(memoryview(payload))


@pytest.mark.parametrize(
    "payload",
    [
        msgpack.packb(BIG[:100]),
        msgpack.packb([*range(70_000), BIG]),  # too far from the start
        b"\x92" + msgpack.packb(1) * 70_000,
        b"\xc6\xff\xff\xff\xff" + BIG,
        b"\x91\xc1" + msgpack.packb(BIG),  # what msgpack never is
        b"\x91\x01" + msgpack.packb(BIG),  # more members than announced
        ext(GRAPH, msgpack.packb([BIG])),
        ext(127, BIG),
        b"\x05" * 70_000,
        b"\x91\xd9",
        b"\x91",
        b"",
    ],
    ids=lambda payload: bytes(payload[:4]).hex() or "empty",
)
def test_anything_else_is_not_cut(payload):
    """The ordinary way has the right answer, and the right words, for it."""
    assert cut_bulk(payload) is None


def test_large_bytes_that_were_not_cut_are_read_too():
    """Those behind much else, and those in a GRAPH."""
    shared = [BIG]
    for value in ([*range(70_000), (BIG,)], [shared, shared, (BIG,)]):
        assert value == Decoder(REGISTRY).loads(Encoder(REGISTRY).dumps(value))


def test_more_large_bytes_than_are_looked_for_are_read_all_the_same():
    """What was entered and not come to the end of has the length that is left."""
    value = [(BIG, *range(10), [(BIG[::-1], *range(300), BIG)])]
    payload = Encoder(REGISTRY).dumps(value)
    cut = cut_bulk(payload)

    assert cut is not None
    assert 2 == len(cut[1])
    assert value == Decoder(REGISTRY).loads(payload)


def forged(index: int) -> bytes:
    """Return the Ext that stands for large bytes in this process, as a peer might send it."""
    return b"\xd6\x80" + hole_name(index)


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize("is_first", [True, False], ids=["before", "behind"])
def test_nobody_gets_at_large_bytes_by_an_ext_of_ours(is_first, index):
    """A few bytes would stand for many, and be sent back as many."""
    large = msgpack.packb(BIG)
    for items in ([forged(index), large, large], [forged(index)] * 3 + [large], [forged(index)]):
        payload = bytes((0x90 | len(items),)) + b"".join(items if is_first else items[::-1])
        with pytest.raises(InsecureJelly, match="Ext -128 is not known here"):
            DECODER.loads(payload)


def exts_around(count: int, each: bytes) -> bytes:
    """Return a list of tuples and between them, everywhere, large bytes."""
    items = [each] * (count // 2) + [ext(TUPLE, 1, BIG)] * 8 + [each] * (count - count // 2)
    return b"\xdc" + len(items).to_bytes(2, "big") + b"".join(items)


def test_the_bounds_hold_between_large_bytes():
    """Of Exts, of containers and of depth: what was cut out counts nothing, and hides nothing."""
    limits = Limits(max_exts=28, max_containers=40, max_depth=8)
    decoder = Decoder(REGISTRY, limits)
    leaf, nested = ext(TUPLE), b"\x91\x91\x91"

    assert 28 == len(decoder.loads(exts_around(20, leaf)))
    with pytest.raises(MalformedJelly, match="more than max_exts=28"):
        decoder.loads(exts_around(21, leaf))
    assert 39 == len(decoder.loads(exts_around(31, b"\x90")))
    with pytest.raises(MalformedJelly, match="more than max_containers=40"):
        decoder.loads(exts_around(32, b"\x90"))
    large = msgpack.packb(BIG)
    for payload in (nested * 2 + b"\x91" + ext(TUPLE, BIG), nested * 3 + large, nested + b"\x91" * 6 + large):
        with pytest.raises(MalformedJelly, match="nests deeper than"):
            decoder.loads(payload)
    assert decoder.loads(nested + ext(TUPLE, (BIG,), 1)) == [[[([BIG], 1)]]]


@pytest.mark.parametrize("change", [-1, 1, -70_000, 70_000, -(BULK_BYTES + 4)])
@pytest.mark.parametrize("at", [3, 10], ids=["outer", "inner"])
def test_an_ext_that_lies_about_its_length_is_malformed(at, change):
    """Around large bytes as without them."""
    payload = bytearray(b"\x92" + ext(TUPLE, msgpack.ExtType(TUPLE, msgpack.packb([BIG, 1])), 2) + b"\x03")
    assert 0xC9 == payload[at - 2]
    size = int.from_bytes(payload[at - 1 : at + 3], "big") + change
    payload[at - 1 : at + 3] = (size % (1 << 32)).to_bytes(4, "big")

    with pytest.raises(MalformedJelly):
        DECODER.loads(bytes(payload))


def test_large_bytes_that_reach_beyond_their_ext_are_malformed():
    """Cut out, they would leave an Ext of a length below nothing."""
    data = msgpack.packb([BIG * 2])
    payload = b"\x91\xc9" + (len(data) - BULK_BYTES // 2).to_bytes(4, "big") + b"\x10" + data

    assert cut_bulk(payload) is None
    with pytest.raises(MalformedJelly):
        DECODER.loads(payload)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"\x82\xa1a" + msgpack.packb(BIG) + b"\xa1a\x01", None),
        (b"\x82\xa1a" + msgpack.packb(BIG) + b"\xa1a\x90", None),
        (b"\x92\x81\xa1a" + msgpack.packb(BIG), MalformedJelly),
        (b"\x92" + msgpack.packb(BIG) + b"\xd4\x28\x00", InsecureJelly),
    ],
    ids=["key twice", "key twice, a list", "truncated", "unknown Ext beside"],
)
def test_hostile_payloads_around_large_bytes_end_cleanly(payload, error):
    """A value or one of two errors, never another exception."""
    if error is None:
        assert isinstance(DECODER.loads(payload), dict)
    else:
        with pytest.raises(error):
            DECODER.loads(payload)


def test_a_long_payload_that_nests_deeper_than_half_the_limit_is_read():
    """The first look asks for half the depth only; the second asks exactly."""
    value: object = ["x" * 2000]
    for _ in range(50):
        value = [value]

    assert value == DECODER.loads(msgpack.packb(value))
