"""What is around payloads is small, and that is seen before any of it is made (PB-F48)."""

from __future__ import annotations

import tracemalloc

import msgpack
import pytest

import pb
from pb import messages
from pb.errors import ProtocolError
from pb.wire import frames
from pb.wire.frames import unpack_frame

from ..pump import Script, packed

MIB = 1 << 20
PAYLOAD = packed([[], {}])


def array(count, item):
    """Return an array of so many equal items, as bytes."""
    return b"\xdd" + count.to_bytes(4, "big") + item * count


def call(options=b"\x80", payload=PAYLOAD, method="x"):
    """Return a CALL with options that are bytes already."""
    return b"\x96\x01\x01\x00" + msgpack.packb(method) + msgpack.packb(payload) + options


TOO_LARGE = {
    "GONE of many": b"\x92\x08" + array(4_000_000, b"\x05"),
    "RELEASE of many": b"\x92\x06" + array(200_000, b"\x01"),
    "FINISH of many": b"\x92\x05" + array(70_000, b"\x01"),
    "an option of lists": call(b"\x81\xa1z" + array(2_000_000, b"\x91\x90")),
    "the same behind a large payload": call(b"\x81\xa1z" + array(500_000, b"\x90"), bytes(MIB)),
    "many needs": call(b"\x81\xa5needs" + array(100_000, b"\x01")),
    "one of a batch": b"\x92\x92\x0d\x01" + b"\x92\x08" + array(100_000, b"\x05"),
    "the batch of many that may be": b"\xdc\x00\x20" + (b"\x92\x08" + array(40_000, b"\x05")) * 32,
    "a batch of too many": array(MIB, b"\x90"),
    "PING with a list": b"\x92\x0d" + array(100_000, b"\x90"),
    "of a code that nobody knows": b"\x92\x63" + array(100_000, b"\x90"),
    "with a list for a code": b"\x92" + array(100_000, b"\x01") + b"\x01",
    "CALL without what it asks for": b"\x92\x01" + array(65_530, b"\x90"),
    "ANSWER without a payload": b"\x92\x02" + array(65_530, b"\x90"),
    "ITEMS that end before it": b"\xdc\x00\x02\xcc\x0a" + array(65_530, b"\x90"),
    "a map in a batch": b"\x92\x92\x0d\x01" + b"\x81\xa0" + array(65_530, b"\x90"),
    "a code that is no text": b"\x92\xa1\xff" + array(65_530, b"\x90"),
    "nothing and much in a batch": b"\x92\x90\x91" + array(65_531, b"\x90"),
}


@pytest.mark.parametrize("body", TOO_LARGE.values(), ids=TOO_LARGE.keys())
@pytest.mark.parametrize("kind", [bytes, memoryview])
def test_what_takes_too_much_beside_payloads_is_refused_before_it_is_made(body, kind, monkeypatch):
    """Lists of ids, options that nobody knows, a code: each may hold millions of values in a legal frame."""
    whole = sizes_unpacked(monkeypatch)
    with pytest.raises(ProtocolError, match="at most") as caught:
        unpack_frame(kind(body))

    assert messages.BYE_TOO_LARGE == caught.value.code
    assert [] == [size for size in whole if size > 9]


def sizes_unpacked(monkeypatch):
    """Return a list that gets the size of each thing that is unpacked from now on."""
    sizes = []
    unpackb = msgpack.unpackb

    def unpacked(data, **options):
        sizes.append(len(data))
        return unpackb(data, **options)

    monkeypatch.setattr(frames.msgpack, "unpackb", unpacked)
    return sizes


@pytest.mark.parametrize(
    "start", [b"\x81\xa0", b"\x81\x90", b"\xde\x00\x01\x01"], ids=["text", "a list", "an integer"]
)
def test_a_large_frame_that_is_no_array_is_refused_before_it_is_made(start, monkeypatch):
    """Of a map nothing counts as a payload, and nothing is looked for in it (PB-F4)."""
    whole = sizes_unpacked(monkeypatch)
    with pytest.raises(ProtocolError, match="neither a message nor a batch") as caught:
        unpack_frame(start + array(65_530, b"\x90"))

    assert messages.BYE_MALFORMED == caught.value.code
    assert [] == whole


ALLOWED = {
    "GONE of as many as fit": b"\x92\x08" + array(60_000, b"\x05"),
    "a large payload": call(payload=bytes(MIB)),
    "a large payload behind a long name": call(payload=bytes(MIB), method="x" * 300),
    "a large payload and options": call(b"\x81\xa1z" + array(50_000, b"\x01"), bytes(MIB)),
    "a batch of large payloads": b"\xdc\x00\x03" + call(payload=bytes(MIB)) * 3,
    "a batch of large payloads that is short": b"\x93" + call(payload=bytes(MIB)) * 3,
    "a batch with much in each": b"\xdc\x00\x10" + (b"\x92\x08" + array(60_000, b"\x05")) * 16,
    "in long forms": b"\xdd\0\0\0\x05\xcc\x01\xcd\0\x01\0\xda\0\x01x" + msgpack.packb(bytes(MIB)),
}


@pytest.mark.parametrize("body", ALLOWED.values(), ids=ALLOWED.keys())
def test_what_takes_as_much_as_it_may_is_unpacked(body):
    """Whatever the payloads take, and in whichever form lengths were written."""
    found = list(unpack_frame(body))
    whole = msgpack.unpackb(body, max_array_len=MIB)
    assert (whole if type(whole[0]) is list else [whole]) == [
        [bytes(field) if type(field) is memoryview else field for field in each] for each in found
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"\xdd",
        b"\x91" * 100_000,
        b"\x92\x08" + array(100_000, b"\x05") + b"\x01",
        b"\xc1" * 100_000,
        b"\xdd\xff\xff\xff\xff" + bytes(70_000),
    ],
    ids=["cut", "deep", "tail", "reserved", "promises"],
)
def test_what_is_no_message_ends_the_connection_all_the_same(body):
    """With the word that says best what it is."""
    with pytest.raises(ProtocolError):
        unpack_frame(body + bytes(70_000) if len(body) == 1 else body)


def test_such_a_frame_ends_the_connection():
    """And nothing of it is acted on."""
    script = Script(pb.Root())
    script.side.input((len(TOO_LARGE["GONE of many"])).to_bytes(4, "big") + TOO_LARGE["GONE of many"])
    assert [[15, 5]] == [message[:2] for message in script.heard()]


def test_batches_that_are_sent_keep_to_it():
    """Whatever the messages in them have beside payloads."""

    script = Script(pb.Root(), info={"max_frame": 4 * MIB})
    for _ in range(64):
        script.broker.outbox.put(b"\x92\x08" + array(40_000, b"\x05"))
    sent = script.side.output()
    made = []
    while sent:
        end = 4 + int.from_bytes(sent[:4], "big")
        made.append(sent[4:end])
        sent = sent[end:]

    assert 3 <= len(made)
    assert 64 == sum(len(list(unpack_frame(each))) for each in made)


@pytest.mark.parametrize("is_batch", [False, True], ids=["a message", "a batch"])
def test_the_last_byte_that_may_be_is_taken_and_one_more_is_not(is_batch):
    """An honest peer may rely on all of it."""
    full = b"\x92\x08" + array(messages.MAX_ENVELOPE_BYTES - 7, b"\x05")
    count = messages.MAX_BATCH_BYTES // len(full)
    if is_batch:
        assert count == len(list(unpack_frame(b"\xdc\x00" + bytes((count,)) + full * count)))
    else:
        assert 1 == len(list(unpack_frame(full)))
    with pytest.raises(ProtocolError, match="at most"):
        unpack_frame(
            b"\xdc\x00" + bytes((count + 1,)) + full * count + b"\x92\x0d\x01"
            if is_batch
            else b"\x92\x08" + array(messages.MAX_ENVELOPE_BYTES - 6, b"\x05")
        )


def test_the_last_list_of_a_batch_that_may_be_is_taken_and_one_more_is_not():
    """A message cannot hold too many, for it is too short; 16 of them could, and took 0.4 s. Payloads may."""
    # The batch, four messages and the map and the list of the options of each.
    lists = messages.MAX_BATCH_CONTAINERS - 1 - 4 * 3
    parts = [lists // 4] * 3 + [lists - lists // 4 * 3]
    payload = b"\x90" * messages.MAX_BATCH_CONTAINERS

    for extra in (0, 1):
        options = [b"\x81\xa1z" + array(part, b"\x90") for part in [parts[0] + extra, *parts[1:]]]
        batch = b"\x94" + b"".join(call(each, payload) for each in options)
        if not extra:
            assert 4 == len(list(unpack_frame(batch)))
    with pytest.raises(ProtocolError, match="more than 65536 arrays and maps beside payloads") as caught:
        unpack_frame(batch)
    assert messages.BYE_TOO_LARGE == caught.value.code


@pytest.mark.parametrize("unit", [b"\x90", b"\x80", b"\x91\x90", b"\x81\xa0\xc0"])
def test_lists_that_are_too_many_in_a_batch_are_not_made(unit):
    """They are counted while they are made, for what is beside payloads may be spread over many messages."""
    options = b"\x81\xa1z" + array(60_000 // len(unit), unit)
    body = b"\xdc\x00\x10" + call(options) * 16
    tracemalloc.start()
    with pytest.raises(ProtocolError, match="arrays and maps"):
        unpack_frame(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 16 * len(body)
