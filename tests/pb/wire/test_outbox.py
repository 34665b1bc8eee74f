"""The outbox: what was put comes out in that order, in as few frames as the peer allows."""

from __future__ import annotations

import msgpack
import pytest

from pb import messages
from pb.calling.calls import put_message
from pb.wire.outbox import LARGE_PAYLOAD, Outbox

from ..pump import messages_in


class Face:
    """Counts how often it was told that there is output."""

    thread = "its loop's"
    flushed = ()

    def __init__(self):
        self.wakes = 0

    def wants_write(self):
        self.wakes += 1

    def write_now(self):
        pass

    def write_failed(self, error):
        self.failure = error


def outbox(max_frame=messages.HELLO_MAX_FRAME, face=None):
    box = Outbox(face or Face())
    box.max_frame = max_frame
    return box


def put(box, *envelopes):
    for envelope in envelopes:
        box.put(msgpack.packb(envelope))


def frames_of(box):
    """Take everything; return the frames' bodies, having checked their lengths."""
    stream = b"".join(map(bytes, box.take()))
    bodies = []
    while stream:
        size = int.from_bytes(stream[:4], "big")
        bodies.append(stream[4 : 4 + size])
        assert size == len(bodies[-1])
        stream = stream[4 + size :]
    return bodies


def test_one_message_is_a_frame_and_several_are_a_batch():
    """The receiver unpacks once."""
    box = outbox()
    put(box, [13, 1])
    assert [msgpack.packb([13, 1])] == frames_of(box)

    put(box, [13, 1], [13, 2])
    assert [msgpack.packb([[13, 1], [13, 2]])] == frames_of(box)
    assert [] == frames_of(box)


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 1023, 1024, 1025, 3000])
def test_batches_hold_what_a_receiver_must_accept(count):
    """1,024 and no more (PB-F11); the forms of the header change at 16."""
    box = outbox(1 << 20)
    sent = [[13, number] for number in range(count)]
    put(box, *sent)
    bodies = frames_of(box)

    found = [msgpack.unpackb(body) for body in bodies]
    assert -(-count // 1024) == len(bodies)
    assert all(len(batch) <= 1024 for batch in found if type(batch[0]) is list)
    assert sent == [message for each in found for message in (each if type(each[0]) is list else [each])]


@pytest.mark.parametrize("size", [1, 100, 1000, 1364, 2000, 4000])
def test_batches_fit_the_frames_of_the_peer(size):
    """A sender splits (PB-F11)."""
    box = outbox(4096)
    sent = [[2, number, b"x" * size] for number in range(20)]
    put(box, *sent)
    bodies = frames_of(box)

    assert max(map(len, bodies)) <= 4096
    found = b"".join(len(body).to_bytes(4, "big") + body for body in bodies)
    assert sent == messages_in(found)


def test_a_message_of_its_own_keeps_its_place():
    """Order is what references rest on (PB-R5)."""
    box = outbox()
    put(box, [13, 1], [13, 2])
    box.put_alone(msgpack.packb([13, 3]))
    put(box, [13, 4])
    box.put_alone(msgpack.packb([2, 5, b"xyz"])[:-3], b"xyz")
    put(box, [13, 6], [13, 7])

    assert [
        msgpack.packb(each)
        for each in ([[13, 1], [13, 2]], [13, 3], [13, 4], [2, 5, b"xyz"], [[13, 6], [13, 7]])
    ] == frames_of(box)


@pytest.mark.parametrize("size", [0, 200, LARGE_PAYLOAD - 1, LARGE_PAYLOAD, 0xFFFF, 0x10000, 300_000])
def test_a_payload_of_any_size_is_the_last_field_of_its_message(size):
    """From 16 KiB on its header is written by hand."""
    box = outbox()
    payload = b"p" * size
    put_message(box, msgpack.packb, [messages.CALL, 1, 0, "echo"], payload)

    assert [msgpack.packb([1, 1, 0, "echo", payload])] == frames_of(box)


def test_a_large_payload_is_not_copied():
    """It is written where it lies."""
    box = outbox()
    payload = b"p" * LARGE_PAYLOAD
    put_message(box, msgpack.packb, [messages.ANSWER, 1], payload)

    assert payload is box.take()[1]


def test_the_face_is_woken_once_until_it_has_taken():
    """A wake-up per message would cost more than the message."""
    face = Face()
    box = outbox(face=face)
    put(box, [13, 1], [13, 2])
    box.put_alone(b"\x92\x0d\x03")
    assert 1 == face.wakes

    box.take()
    box.put_alone(b"\x92\x0d\x03")
    put(box, [13, 4])
    assert 2 == face.wakes


def test_nobody_is_woken_who_is_about_to_take():
    """What one read produces is written at its end."""
    face = Face()
    box = outbox(face=face)
    box.due = True
    put(box, [13, 1])

    assert 0 == face.wakes
    assert 1 == len(frames_of(box))
    assert not box.due


def test_it_is_open_to_updates_in_one_thread_or_in_none():
    """None before HELLO, while a snapshot is being made, and after the end; and what is equal is the same."""
    box = outbox()
    seen = [box.open_to]
    box.open()
    seen.append(box.open_to)
    box.shut()

    assert [None, Face.thread, None] == [*seen, box.open_to]


def test_a_copy_in_another_process_is_open_to_no_thread():
    """What belongs to no thread any longer does not become open to one by itself."""
    shut, box = outbox(), outbox()
    box.open()
    for each in (shut, box):
        each.move("nobody's")
    assert [None, "nobody's"] == [shut.open_to, box.open_to]
    box.shut()
    box.open()

    assert "nobody's" == box.open_to


def test_taking_nothing_is_not_speaking():
    """Or the keepalive would not send the PING that the peer waits for (PB-F23)."""
    box = outbox()
    box.take()
    assert not box.has_spoken
    put(box, [13, 1])
    box.take()
    assert box.has_spoken


def test_what_was_cleared_is_not_written():
    """The transport is gone."""
    box = outbox()
    put(box, [13, 1])
    box.put_alone(b"\x92\x0d\x03")
    put(box, [13, 2])
    box.clear()

    assert [] == box.take()


def test_what_is_written_at_once_is_a_frame_and_the_next_is_not():
    """One message may go past what is queued: where nothing is, and once for each that has come."""
    box = outbox()
    written = []
    box.at_once = written.append
    box.write_at_once(msgpack.packb([13, 1]))

    assert [[13, 1]] == messages_in(b"".join(written))
    assert (None, True) == (box.at_once, box.has_spoken)
    assert [] == frames_of(box)


def test_who_cannot_write_at_once_tells_its_face():
    """As where a change is told to many: the connection is lost, and says so by itself."""
    box = outbox()
    error = OSError("broken")

    def fail(frame):
        raise error

    box.at_once = fail
    box.write_at_once(msgpack.packb([13, 1]))

    assert error is box.face.failure
    assert box.at_once is None


def test_nothing_is_written_past_what_is_queued_as_frames():
    """It would come before what was said first."""
    box = outbox()
    box.at_once = pytest.fail
    box.put_alone(b"head")

    assert box.at_once is None
