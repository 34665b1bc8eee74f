"""Large bytes are written and read where they lie, and the payload is the same byte for byte."""

from __future__ import annotations

import msgpack
import pytest

from jelly import Bulk, Decoder, Encoder, InsecureJelly, MalformedJelly, Oversized, Registry, Unjellyable
from jelly._bulk import BULK_BYTES, cut_bulk

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


@pytest.mark.parametrize(
    "value",
    [
        BIG,
        [BIG],
        {"data": BIG},
        [1, -1, 300, 70000, 2**40, 1.5, None, "name", "n" * 40, [{"a": 1, "data": [BIG, 2]}]],
        {"a": "b", "c": {"d": BIG, "e": 5}},
        [[[[[[BIG]]]]]],
        [BIG, "x" * 200],
    ],
    ids=["root", "list", "map", "behind much", "nested maps", "deep", "tail"],
)
def test_large_bytes_are_found_near_the_start(value):
    """And come out in their place."""
    payload = msgpack.packb(value)

    assert cut_bulk(payload) is not None
    assert value == DECODER.loads(payload)
    assert value == DECODER.loads(memoryview(payload))


@pytest.mark.parametrize(
    "payload",
    [
        msgpack.packb([[[[[[[BIG]]]]]]]),  # too deep to look
        msgpack.packb(["n" * 300, BIG]),  # too far from the start
        msgpack.packb([b"small", BIG]),
        msgpack.packb(BIG[:100]),
        msgpack.packb([BIG, BIG]),  # no bytes make up nearly all of it
        b"\x92" + msgpack.packb(1) * 70_000,
        b"\xc6\xff\xff\xff\xff" + BIG,
        b"\x81\x05" + msgpack.packb(BIG),  # a key that is no text
        b"\x81\xa2\xff\xff" + msgpack.packb(BIG),  # one that is no UTF-8
        b"\x91\x01" + msgpack.packb(BIG),  # more members than announced
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
