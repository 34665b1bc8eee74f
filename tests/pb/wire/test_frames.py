"""Frames: the same bodies come out however the stream is cut, and no length is believed unchecked."""

from __future__ import annotations

import msgpack
import pytest

from pb import ProtocolError, messages
from pb.wire.frames import FrameReader, unpack_frame

from ..pump import frame

SPLITS = pytest.mark.parametrize("step", [None, 1, 3, 1000], ids=["whole", "bytewise", "by 3", "by 1000"])
BODIES = [b"\x91\x01", b"\xc0", b"x" * 300, b"y" * 70_000, b"\x91\x02"]
STREAM = b"".join(len(body).to_bytes(4, "big") + body for body in BODIES)
SMALL = sum(4 + len(body) for body in BODIES[:3])  # so many bytes are the first three
LARGE = b"p" * 40_000
HUGE = b"p" * 70_000


def taken(reader):
    """Return all bodies that are whole, as bytes."""
    return [bytes(body) for body in iter(reader.next_body, None)]


def reader_for(max_frame=1 << 20):
    reader = FrameReader()
    reader.max_frame = max_frame
    return reader


def fed(reader, stream, step):
    """Feed a stream in pieces of `step` bytes, each from a buffer that is used again."""
    found = []
    step = step or len(stream)
    buffer = bytearray(step)
    for start in range(0, len(stream), step):
        piece = stream[start : start + step]
        buffer[: len(piece)] = piece
        reader.feed(memoryview(buffer)[: len(piece)])
        found += taken(reader)
        reader.hold()
        buffer[:] = b"\xff" * step
    return found


@pytest.mark.unmeasured
@SPLITS
def test_bodies_do_not_depend_on_how_the_stream_is_cut(step):
    """A network cuts where it likes, and reuses its buffer."""
    reader = reader_for()

    assert BODIES == fed(reader, STREAM, step)


@SPLITS
@pytest.mark.parametrize("size", [1, 3, 4, 5, 200])
def test_a_tail_waits_for_its_rest(step, size):
    """The first bytes of the next frame are kept, and nothing is made of them."""
    reader = reader_for()
    tail = frame([1, "x" * 300])

    assert BODIES[:3] == fed(reader, STREAM[:SMALL] + tail[:size], step)
    assert [tail[4:]] == fed(reader, tail[size:], step)


def test_bodies_are_taken_one_at_a_time():
    """So that a turn may stop between two, and others get theirs."""
    reader = reader_for()
    reader.feed(STREAM)

    assert BODIES[0] == bytes(reader.next_body())
    reader.feed(STREAM)  # more comes before the rest was taken
    assert BODIES[1:] + BODIES == taken(reader)


def test_nothing_comes_of_nothing():
    """Empty reads happen."""
    reader = reader_for()
    reader.feed(b"")

    assert None is reader.next_body()
    reader.hold()
    assert None is reader.next_body()


@pytest.mark.parametrize("length", [0, 4097, 0x10000001, 0xFFFFFFFF])
def test_a_length_is_refused_as_soon_as_its_four_bytes_are_there(length):
    """Waiting for a body that will be refused costs memory and time (PB-F3)."""
    reader = FrameReader()
    reader.feed(length.to_bytes(4, "big"))

    with pytest.raises(ProtocolError, match=str(length)) as caught:
        reader.next_body()
    assert messages.BYE_TOO_LARGE == caught.value.code


def test_the_longest_frame_that_is_allowed_is_taken():
    """The limit itself is within it."""
    reader = FrameReader()

    assert [b"z" * 4096] == fed(reader, (4096).to_bytes(4, "big") + b"z" * 4096, None)


@pytest.mark.parametrize(
    ("start", "hint"),
    [
        (b"\x16\x03\x01\x02", "TLS"),
        (b"\x15\x03\x03\x00", "TLS"),
        (b"GET ", "HTTP"),
        (b"PUT ", "HTTP"),
        (b"POST", "HTTP"),
        (b"SSH-", "SSH"),
        (b"220 ", "another text protocol"),
        (b"<!DO", "another text protocol"),
    ],
)
def test_a_stray_client_is_named_in_the_log(start, hint):
    """The most common mistakes deserve their own words."""
    reader = reader_for()
    reader.feed(start)

    with pytest.raises(ProtocolError, match=hint):
        reader.next_body()


def test_a_promise_of_much_takes_little_memory():
    """Four bytes must not make us commit 4 MiB (PB-L7)."""
    reader = reader_for(1 << 22)
    reader.feed((1 << 22).to_bytes(4, "big"))

    assert None is reader.next_body()
    assert 64 * 1024 == len(reader.room())


def test_a_long_frame_may_be_read_into_its_own_buffer():
    """Without one copy too many."""
    body = bytes(range(256)) * 800
    reader = reader_for()
    reader.feed(len(body).to_bytes(4, "big") + body[:100])
    assert None is reader.next_body()

    at = 100
    while (room := reader.room()) is not None:
        size = min(len(room), 50_000, len(body) - at)
        room[:size] = body[at : at + size]
        reader.filled(size)
        at += size
        found = taken(reader)
        if found:
            break
    else:
        reader.feed(body[at:])
        found = taken(reader)

    assert [body] == found
    assert None is reader.room()


def test_there_is_no_room_while_bytes_wait_to_be_taken():
    """What is read next would be put before them."""
    reader = reader_for()
    stream = (70_000).to_bytes(4, "big") + HUGE
    reader.feed(stream[:10])
    assert None is reader.next_body()
    assert None is not reader.room()
    reader.feed(stream[10:])

    assert None is reader.room()
    assert [HUGE] == taken(reader)


@pytest.mark.parametrize("size", [0, 100, 2000, 20_000, 40_000, 70_000])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_an_envelope_is_unpacked_whatever_its_size(size, kind):
    """Large ones are taken apart in another way, which must not show."""
    body = kind(msgpack.packb([1, 5, 0, "echo", b"p" * size]))
    (envelope,) = unpack_frame(body)

    assert [1, 5, 0, "echo", b"p" * size] == [*envelope[:4], bytes(envelope[4])]


@pytest.mark.parametrize(
    "message",
    [
        [2, 1, LARGE],
        [3, 2**53 - 1, LARGE],
        [2, 1, HUGE],
        [1, 200, -3, "m" * 20, LARGE],
        [1, 60_000, -1000, "m" * 100, LARGE, {"ttl": 5}],
        [1, 5_000_000, -(2**40), "", HUGE, {"meta": {"a": "b"}}],
        [1, -100, 2**40, "m" * 128, LARGE],
        [10, 3, LARGE],
        [11, 3, LARGE],
        [7, 0, 3, "set", LARGE],
        # These go the ordinary way: nothing to cut out, or a form of which there is no need.
        [1, 1, 0, "m" * 300, LARGE],
        [1, 1, 0, LARGE.decode(), b""],
        [1, 1, None, "m", LARGE],
        [6, [1, 1] * 20_000],
        [13, 1, LARGE],
        [1, 1, 0, "m", b"", {"meta": {"a": LARGE.decode()}}],
        [1, 1, 0, "m", LARGE, {"meta": {"a": LARGE.decode()}}],
        [2, 1, LARGE.decode()],
        [1000, LARGE],
    ],
)
def test_a_large_message_comes_out_like_a_small_one(message):
    """Cutting the payload out by hand saves a copy and changes nothing."""
    (envelope,) = unpack_frame(memoryview(msgpack.packb(message)))

    assert message == [bytes(field) if type(field) is memoryview else field for field in envelope]


def test_a_large_payload_is_not_copied():
    """That is what the cutting is for."""
    body = msgpack.packb([2, 1, LARGE])
    (envelope,) = unpack_frame(body)

    assert memoryview is type(envelope[2])
    assert body is envelope[2].obj


def test_a_large_message_with_integers_of_every_format_comes_out():
    """Formats longer than needed are legal after HELLO."""
    heads = [b"\x05", b"\xcc\x05", b"\xcd\0\x05", b"\xce\0\0\0\x05", b"\xcf" + bytes(7) + b"\x05"]
    heads += [b"\xd0\x05", b"\xd1\0\x05", b"\xd2\0\0\0\x05", b"\xd3" + bytes(7) + b"\x05"]
    for head in heads:
        (envelope,) = unpack_frame(b"\x93\x02" + head + b"\xc5" + (40_000).to_bytes(2, "big") + LARGE)
        assert [2, 5, LARGE] == [*envelope[:2], bytes(envelope[2])]


@pytest.mark.parametrize(
    "body",
    [
        b"\x93\x02\x05\xc5\xff\xff" + LARGE,
        b"\x93\x02\x05\xc5\x9c\x40" + LARGE + b"\xc0",
        b"\x94\x02\x05\xc5\x9c\x40" + LARGE,
        b"\x93\x01\x05\x00\xa1m\xc5\x9c\x40" + LARGE,
        b"\x96\x01\x05\x00\xa1m\xc5\x9c\x40" + LARGE,
        b"\x96\x01\x05\x00\xa1m\xc5\x9c\x40" + LARGE + b"\xc1",
        b"\x95\x01\x05\x00\xa1\xff\xc5\x9c\x40" + LARGE,
    ],
    ids=["cut", "tail", "too few", "header too short", "no options", "bad options", "bad text"],
)
def test_a_large_message_that_is_bad_is_malformed(body):
    """The shortcut must not let through what the ordinary way refuses."""
    with pytest.raises(ProtocolError) as caught:
        unpack_frame(body)

    assert messages.BYE_MALFORMED == caught.value.code


def test_a_batch_gives_its_messages_in_order():
    """It saves work and means nothing else."""
    batch = [[1, 1, 0, "a", b""], [13, 7], [6, [1, 1]]]

    assert batch == list(unpack_frame(msgpack.packb(batch)))
    assert [[13, 1]] * 1024 == list(unpack_frame(msgpack.packb([[13, 1]] * 1024)))


def test_a_batch_of_too_many_is_refused():
    """A thousand and twenty-four are allowed (PB-F11)."""
    with pytest.raises(ProtocolError, match="1025") as caught:
        unpack_frame(msgpack.packb([[13, 1]] * 1025))

    assert messages.BYE_TOO_LARGE == caught.value.code


@pytest.mark.parametrize(
    "body",
    [
        b"\xc1",
        b"\x92\x0d",
        b"\x92\x0d\x01\x01",
        b"\xc0",
        b"\x05",
        b"\x90",
        b"\x80",
        b"\x91\xc0",
        b"\x91\xc3",
        b"\x91\xa11",
        b"\x91\x80",
        b"\x92\x0d\xd4\x01\x01",
        b"\x92\x0d\x81\x01\x02",
        b"\x92\x0d\xdd\xff\xff\xff\xff",
        b"\x92\x0d\xdf\xff\xff\xff\xff",
        b"\x92\x0d\xa1\xff",
        b"\x92\x0d" + b"\x91" * 2000 + b"\xc0",
        b"\x92\x0d\xc5\x08\x00" + b"x" * 100,
    ],
    ids=[
        "reserved byte",
        "cut",
        "tail",
        "nil",
        "an integer",
        "empty array",
        "map",
        "nil first",
        "boolean first",
        "str first",
        "map first",
        "ext",
        "integer key",
        "array that promises much",
        "map that promises much",
        "bad text",
        "deep",
        "bin that promises much",
    ],
)
def test_a_body_that_is_no_message_is_malformed(body):
    """One object, and that a message or a batch (PB-F4)."""
    with pytest.raises(ProtocolError) as caught:
        unpack_frame(body)

    assert messages.BYE_MALFORMED == caught.value.code


def test_what_follows_a_long_beginning_is_read_into_its_place():
    """A frame of 1 MiB whose first quarter has come is neither copied again nor held twice."""
    body = bytes(1 << 20)
    stream = len(body).to_bytes(4, "big") + body
    reader = reader_for(len(body))
    reader.feed(memoryview(stream)[: 256 * 1024])
    assert None is reader.next_body()

    room = reader.room()
    assert len(body) == 256 * 1024 - 4 + len(room)
    reader.filled(len(room))
    assert [body] == taken(reader)


def test_no_more_is_committed_than_four_times_what_has_come():
    """A promise of much must not make this side commit much."""
    reader = reader_for(4 << 20)
    reader.feed((4 << 20).to_bytes(4, "big") + bytes(100_000))
    assert None is reader.next_body()

    assert 64 * 1024 + 400_000 == len(reader.frame)
