"""A captured WebSocket: what is in its frames, however it was written."""

from __future__ import annotations

import json
import random
import zlib
from pathlib import Path

import pytest

from pb.dump import Dump
from pb.wire.web_stream import WebStream

from ..test_dump import plain
from ..web_bytes import web_streams

CONVERSATION = json.loads(
    (Path(__file__).parents[3] / "spec/vectors/conversations/02-callback.json").read_text()
)["frames"]
FRAMES = [(frame["dir"], bytes.fromhex(frame["hex"])) for frame in CONVERSATION]
UPGRADE = b"GET / HTTP/1.1\r\nUpgrade: WebSocket\r\n\r\n"


def lines_of(data, step=None):
    dump = Dump()
    pieces = [data] if step is None else [data[i : i + step] for i in range(0, len(data), step)]
    return [line for piece in pieces for line in dump.feed(piece)] + dump.finish()


@pytest.mark.parametrize("step", [None, 1, 7], ids=["whole", "bytewise", "by 7"])
@pytest.mark.parametrize("fragment_bytes", [0, 5], ids=["messages", "fragments"])
@pytest.mark.parametrize("deflated", ["", "context", "each"], ids=["plain", "deflated", "deflated each"])
def test_a_websocket_says_what_the_frames_in_it_say(deflated, fragment_bytes, step):
    """The same conversation over another transport has the same lines, in both directions."""
    written = web_streams(FRAMES, deflated, fragment_bytes, closing=4003)
    for direction, first in (("C>S", "GET / HTTP/1.1"), ("S>C", "HTTP/1.1 101 Switching Protocols")):
        data = b"".join(piece for each, piece in written if each == direction)
        lines = lines_of(data, step)
        assert lines[0].startswith(f"WebSocket: {first}, ")
        assert "protocol pb.1" in lines[0]
        assert bool(deflated) == ("extensions permessage-deflate" in lines[0])
        told = [frame["text"] for frame in CONVERSATION if frame["dir"] == direction]
        notes = [line for line in lines[1:] if line.startswith("WebSocket")]
        assert list(map(plain, told)) == [plain(line) for line in lines[1:] if line not in notes]
        ends = ["WebSocket close 4003, of BYE 3: enough"] if direction == "S>C" else []
        assert ends == [line for line in notes if not line.endswith("ng of 10 bytes")]  # ping and pong
        assert bool(fragment_bytes) == (len(notes) > len(ends))


def test_frames_are_read_where_the_beginning_was_not_captured():
    """No length of ours begins with such a byte."""
    data = b"".join(piece for each, piece in web_streams(FRAMES)[2:] if each == "C>S")

    told = [frame["text"] for frame in CONVERSATION if frame["dir"] == "C>S"]
    assert list(map(plain, told)) == list(map(plain, lines_of(data)))


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\x81\x02hi", ["WebSocket text, which no peer may send: 'hi'"]),
        (b"\x81\x03a\xff\x1b", ["WebSocket text, which no peer may send: 'a\\ufffd\\x1b'"]),
        (b"\x82\x02\x91\x1f", ["unknown: [31]"]),
        (b"\x82\x00", ['no message: not msgpack: b""']),
        (b"\x88\x00", ["WebSocket close, without a code"]),
        (b"\x88\x02\x03\xe8", ["WebSocket close 1000"]),
        (b"\x88\x05\x13\x88\x1b[m", ["WebSocket close 5000: \\x1b[m"]),
        (b"\x8a\x01x", ["WebSocket pong of 1 bytes"]),
        (b"\x82", ["the stream ends within a message of WebSocket, of which 1 bytes have come"]),
        (b"\x82\x7e\x01", ["the stream ends within a message of WebSocket, of which 3 bytes have come"]),
        (b"\x82\x82\x00\x00", ["the stream ends within a message of WebSocket, of which 4 bytes have come"]),
        (b"\x02\x03abc", ["the stream ends within a message of WebSocket, of which 3 bytes have come"]),
    ],
)
def test_what_comes_in_frames_is_shown_as_it_is(data, lines):
    """Also what no peer of ours would take; and no byte of it reaches a terminal as a command."""
    first, *found = lines_of(UPGRADE + data)

    assert "WebSocket: GET / HTTP/1.1" == first
    assert lines == found


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"\x82\x7f\x00\x00\x00\x00\x10\x00\x00\x00", "a frame of 268435456 bytes"),
        (b"\x80\x01x", "fragments that do not fit"),
        (b"\x02\x01x\x82\x01y", "fragments that do not fit"),
        (b"\x83\x00", "a frame of unknown kind 3"),
        (b"\xc2\x03\xff\xff\xff", "a compressed message that cannot be read"),
    ],
)
def test_nothing_is_read_after_what_cannot_be_read(data, line):
    """Where the next frame begins, or what it is compressed with, is not known."""
    dump = Dump()
    _, found = dump.feed(UPGRADE + data + b"\x82\x01\x90")

    assert line in found
    assert (True, [], []) == (dump.is_broken, dump.feed(b"\x82\x01\x90"), dump.finish())


def test_a_message_is_not_collected_for_ever():
    """Whoever sent the fragments may have been who broke what is looked for."""
    stream = WebStream(has_head=False, max_bytes=1000)
    fed = [stream.feed(first + b"\x7d" + bytes(125)) for first in (b"\x02", *[b"\x00"] * 7)]

    assert [[]] * 8 == fed
    assert ["WebSocket: a message of more than 1000 bytes"] == stream.feed(b"\x00\x7d" + bytes(125))


def test_a_message_is_not_made_large_without_a_bound():
    """A few bytes can be said to stand for gigabytes."""
    for size, large in ((1000, False), (1001, True)):
        small = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = small.compress(bytes(size)) + small.flush(zlib.Z_SYNC_FLUSH)
        data = data.removesuffix(b"\x00\x00\xff\xff")
        stream = WebStream(has_head=False, max_bytes=1000)

        expected = "WebSocket: a compressed message of more than 1000 bytes" if large else bytes(size)
        assert [expected] == stream.feed(bytes((0xC2, len(data))) + data)
        assert large == stream.is_broken


def test_a_message_may_be_the_end_of_its_compression():
    """Another library may finish with each; the next message begins anew."""
    stream = WebStream(has_head=False)
    for text in (b"one", b"two"):
        small = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = small.compress(text) + small.flush(zlib.Z_FINISH)

        assert [text] == stream.feed(bytes((0xC2, len(data))) + data)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"GET /main.js HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP, and no WebSocket: GET /main.js HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "HTTP, and no WebSocket: HTTP/1.1 200 OK"),
        (
            b"HTTP/1.1 403 Forbidden\r\nUpgrade: websocket\r\n\r\n",
            "HTTP, and no WebSocket: HTTP/1.1 403 Forbidden",
        ),
        (b"HTTP/1.1 \x1b[m\r\n\r\n", "HTTP, and no WebSocket: HTTP/1.1 \\x1b[m"),
        (b"GET /" + b"a" * 16_384, "HTTP, whose head is longer than 16384 bytes"),
        (b"GET / HTTP/1.1\r\n", "the stream ends within the head of HTTP, of which 16 bytes have come"),
    ],
)
def test_what_is_no_websocket_is_named(data, line):
    """A file from the same port, or a page that was refused: that is often what one was looking for."""
    assert [line] == lines_of(data)


@pytest.mark.unmeasured
def test_whatever_comes_is_shown_and_nothing_breaks():
    """It is for finding out what went wrong, so it must not be the next thing to go wrong."""
    chance = random.Random(20_020_101)
    streams = [
        b"".join(piece for each, piece in web_streams(FRAMES, deflated, closing=1000) if each == direction)
        for deflated in ("", "context")
        for direction in ("C>S", "S>C")
    ]
    broken = 0
    for _ in range(2000):
        data = bytearray(chance.choice(streams))
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        dump = Dump(max_chars=100)
        lines = dump.feed(bytes(data)) + dump.finish()
        assert all(line.isprintable() for line in lines)
        broken += dump.is_broken
    assert 200 < broken < 1900
