"""Large bytes in Exts are written from where they lie, and the payload is the same byte for byte."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgpack
import pytest

from jelly import Bulk, Decoder, Encoder, Oversized, Registry, Unjellyable
from jelly._apart import leave_out
from jelly._bulk import BULK_BYTES
from jelly.limits import Limits

from .things import Tables, Thing

BIG = bytes(range(256)) * (BULK_BYTES // 256)
OTHER = BIG[::-1] + b"!"


@dataclass
class Block:
    name: str
    data: bytes | None
    more: object = None


@dataclass
class Holder:
    items: list[Any] = field(default_factory=list)


REGISTRY = Registry()
REGISTRY.add(Block, "test.Block")
REGISTRY.add(Holder, "test.Holder")
ENCODER, DECODER = Encoder(REGISTRY), Decoder(REGISTRY)


def packed_whole(value: object, encoder: Encoder = ENCODER) -> bytes:
    """Return the payload as it is where nothing is left out."""
    return bytes(encoder._write(value, None, "value", None, leaves_out=False))


@pytest.mark.parametrize(
    "value",
    [
        ("f8", (3, 4), BIG),
        (BIG, OTHER, 1),
        [("f8", BIG), ("f4", OTHER), (), 5, BIG],
        (1, (2, (3, BIG, {4}), OTHER), {5: BIG + b"!", "a": 1}, OTHER, ()),
        {"a": BIG, "b": (1,), "c": (OTHER, 5)},
        Block("n", BIG),
        Block("n", None, [BIG, (OTHER, {"a": BIG})]),
        [Block("n", BIG), Block("m", OTHER)],
        [Block("n", b"small"), Block("m", OTHER)],
        Holder([BIG, Block("n", BIG)]),
        (*range(70_000), BIG),
        {1: BIG, 2: "a", BIG: OTHER},
    ],
    ids=lambda value: repr(value)[:20],
)
def test_large_bytes_in_exts_are_buffers_by_themselves(value):
    """Nothing is copied of them, and the others join to the same payload."""
    payload = ENCODER.encode(value)

    assert isinstance(payload, Bulk)
    assert any(buffer is BIG or buffer is OTHER for buffer in payload.buffers)
    assert packed_whole(value) == bytes(payload) == ENCODER.dumps(value)
    assert len(bytes(payload)) == len(payload)
    assert b"" not in payload.buffers
    assert value == DECODER.loads(bytes(payload))


def test_calls_are_written_like_that_too():
    """Positional and keyword arguments."""
    args, kwargs = ((1, BIG), [2]), {"block": Block("n", OTHER)}
    payload = ENCODER.encode_call(args, kwargs)

    assert isinstance(payload, Bulk)
    assert 5 == len(payload.buffers)
    assert (list(args), kwargs) == DECODER.loads_call(bytes(payload))


@pytest.mark.parametrize(
    "value",
    [
        frozenset({(BIG, 1)}),
        {(BIG, 1): 2},
        {BIG, 1},
        (BIG[:-1], 1),
        [Block("n", None), Block("m", b"x" * 100)],
    ],
    ids=["member", "key", "bytes as member", "not large", "copies"],
)
def test_other_bytes_are_packed(value):
    """Members of a set are sorted by what is packed of them."""
    payload = ENCODER.encode(value)

    assert type(payload) is bytes
    assert value == DECODER.loads(payload)


def test_buffers_of_others_are_copied_once():
    """They may change before they are written."""
    value = bytearray(BIG)
    payload = ENCODER.encode(({1}, value, memoryview(b"small")))
    value[:] = bytes(len(value))

    assert isinstance(payload, Bulk)
    assert ({1}, BIG, b"small") == DECODER.loads(bytes(payload))


def test_the_copy_whose_large_bytes_come_late_is_written_with_the_others():
    """Only the first two are looked at, which have none: all are packed as ever."""
    value = [Block("n", None), Block("n", None), Block("m", BIG)]

    assert value == DECODER.loads(bytes(ENCODER.encode(value)))


@pytest.mark.parametrize("index", [0, 1, 2, 1 << 20])
def test_what_stands_for_large_bytes_may_be_in_a_value(index):
    """A peer may have sent it, to get other bytes in its place or the length of an Ext wrong."""
    mark = msgpack.packb(leave_out([[]] * index, BIG))
    assert 10 == len(mark)
    tables = Tables()
    for text in (mark, mark * 2, mark[:-4] + mark, b"\xd7\x80" + mark, mark[:7], mark + mark[:3]):
        value = (text, [(1, BIG, text), (text,)], (OTHER, text))
        payload = ENCODER.encode(value, tables)

        assert packed_whole(value) == bytes(payload)
        assert value == DECODER.loads(bytes(payload))


def test_references_beside_it_are_counted_once():
    """What was counted for the first attempt is taken back."""
    tables, thing = Tables(), Thing()
    mark = msgpack.packb(leave_out([], BIG))

    assert isinstance(ENCODER.encode((BIG, thing), tables), Bulk)
    once = dict(tables.counts)
    assert type(ENCODER.encode((BIG, mark, thing), tables)) is bytes
    assert {id: 2 * count for id, count in once.items()} == tables.counts


def test_what_cannot_be_sent_beside_large_bytes_is_named():
    """Its place is found, whatever stands for them."""
    with pytest.raises(Unjellyable, match=r"the result: \[1\]\[0\] is a str with surrogates"):
        ENCODER.encode((BIG, ["\ud800"]), None, "the result")
    with pytest.raises(Unjellyable, match=r"the result: \.more is"):
        ENCODER.encode(Block("n", BIG, object()), None, "the result")


def test_what_the_peer_does_not_take_is_refused():
    """Of Exts, containers and bytes, as without large bytes, which hold none of them."""
    heads = bytes([0x90, 0xC7]) * BULK_BYTES
    limits = Limits(max_exts=20, max_containers=40)
    encoder, decoder = Encoder(Registry(), limits, max_payload=1 << 20), Decoder(Registry(), limits)

    for value in ((heads, *[()] * 19), (heads, *[[] for _ in range(39)])):
        assert value == decoder.loads(bytes(encoder.encode(value)))
    with pytest.raises(Oversized, match="max_exts=20"):
        encoder.encode((heads, *[{each} for each in range(20)]))
    with pytest.raises(Oversized, match="max_containers=40"):
        encoder.encode((heads, *[[] for _ in range(40)]))
    with pytest.raises(Oversized, match="exceeds what the peer takes, 1048576"):
        encoder.encode(({1}, heads, bytes((1 << 20) - len(heads))))


def test_what_is_shared_beside_large_bytes_stays_shared():
    """A GRAPH is packed whole."""
    shared = [BIG]
    found = DECODER.loads(bytes(ENCODER.encode((OTHER, shared, (shared, BIG)))))

    assert (OTHER, shared, (shared, BIG)) == found
    assert found[1] is found[2][0]
