"""What a stream says, as lines: the conversations of the specification are the test."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgpack
import pytest

from pb.dump import Dump

CONVERSATIONS = sorted((Path(__file__).parents[2] / "spec" / "vectors" / "conversations").glob("*.json"))


def plain(text):
    """Keys of maps, with or without quotes, are the same."""
    return re.sub(r'"(\w+)": ', r"\1: ", text)


@pytest.mark.parametrize("step", [None, 1, 7], ids=["whole", "bytewise", "by 7"])
@pytest.mark.parametrize("path", CONVERSATIONS, ids=lambda path: path.stem)
def test_a_conversation_is_shown_as_the_specification_tells_it(path, step):
    """Both were written by different hands, so each checks the other."""
    frames = json.loads(path.read_text())["frames"]
    for direction in ("C>S", "S>C"):
        dump = Dump(max_chars=10_000)
        told = [frame for frame in frames if frame["dir"] == direction]
        stream = b"".join(bytes.fromhex(frame["hex"]) for frame in told)
        pieces = [stream] if step is None else [stream[i : i + step] for i in range(0, len(stream), step)]
        lines = [line for piece in pieces for line in dump.feed(piece)] + dump.finish()
        expected = []
        for frame in told:
            if frame["text"].startswith("batch of"):
                count = len(msgpack.unpackb(bytes.fromhex(frame["hex"])[4:]))
                taken = lines[len(expected) : len(expected) + count + 1]
                assert [f"batch of {count}"] == taken[:1]
                expected += taken
            else:
                expected.append(frame["text"])
        assert list(map(plain, expected)) == list(map(plain, lines))


def one(*frames):
    """Return the lines of some bytes and of their end."""
    dump = Dump(max_chars=200)
    return dump.feed(b"".join(frames)) + dump.finish()


def frame(body):
    return len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x16\x03\x01\x00\x7a", ["not this protocol, but TLS: what is in it can be seen at its ends only"]),
        (b"\0\0\0\0", ["no frame: a length of 0 bytes; what follows cannot be read"]),
        (b"\xff\0\0\0x", ["no frame: a length of 4278190080 bytes; what follows cannot be read"]),
        (b"\0\0\0\2x", ["the stream ends within a frame, of which 5 bytes have come"]),
        (b"\0", ["the stream ends within a frame, of which 1 bytes have come"]),
        (frame(b"\xc1"), ["no message: not msgpack: 0xc1"]),
        (frame(b"\xc0"), ["no message: null"]),
        (frame(b"\x90"), ["unknown: []"]),
        (frame(b"\x92\x1f\x01"), ["unknown: [31, 1]"]),
        (frame(b"\x92\xa1x\x01"), ['unknown: ["x", 1]']),
        (frame(b"\x92\x92\x0d\x07\x01"), ["batch of 2", "  PING 7", "  unknown: 1"]),
        (frame(b"\x93\x02\x01\xc4\x01\xc1"), ["ANSWER 1 «not msgpack: 0xc1»"]),
        (frame(b"\x93\x02\x01\x07"), ["ANSWER 1 7"]),
        (frame(b"\x91\x01"), ["CALL"]),
    ],
)
def test_what_is_no_message_is_shown_as_it_is(data, expected):
    """It is for finding out what went wrong, so it must not be the next thing to go wrong."""
    assert expected == one(data)


def test_nothing_is_read_after_what_cannot_be_read():
    """The place where the next frame would begin is not known."""
    dump = Dump()
    dump.feed(b"\0\0\0\0")

    assert (True, [], []) == (dump.is_broken, dump.feed(frame(b"\x92\x0d\x07")), dump.finish())
