"""Turns: a peer that sends much at once does not keep the loop for itself (PB-L6)."""

from __future__ import annotations

import pytest

import pb
from pb import messages

from ..pump import Script, frame, messages_in, packed

MANY = 10_000


class Root(pb.Root):
    def __init__(self):
        self.seen = []

    def remote_note(self, value):
        self.seen.append(value)


def calls(count, size=None):
    """Return the stream of `count` calls, in frames of their own or in batches of `size`."""
    made = [[1, number, 0, "note", packed([[number], {}])] for number in range(1, count + 1)]
    if size is None:
        return b"".join(map(frame, made))
    return b"".join(frame(made[first : first + size]) for first in range(0, count, size))


@pytest.mark.parametrize("size", [None, 1000], ids=["frames", "batches"])
def test_many_calls_in_one_read_take_many_turns(size):
    """Each is short, all are run, in order, and answered in order."""
    root = Root()
    script = Script(root)
    limit = script.broker.limits.turn_envelopes
    script.broker.receive_data(calls(MANY, size))

    turns = 1
    assert limit == len(root.seen)
    while script.side.turns:
        assert 1 == script.side.turns
        script.side.turns = 0
        before = len(root.seen)
        script.broker.turn()
        turns += 1
        assert len(root.seen) - before <= limit

    assert list(range(1, MANY + 1)) == root.seen
    assert -(-MANY // limit) <= turns <= -(-MANY // limit) + 1
    answers = messages_in(script.side.output())
    assert list(range(1, MANY + 1)) == [message[1] for message in answers]
    assert {messages.ANSWER} == {message[0] for message in answers}


def test_the_rest_is_kept_though_the_buffer_is_used_again():
    """It belongs to the transport."""
    root = Root()
    script = Script(root)
    data = bytearray(calls(500))
    script.broker.receive_data(memoryview(data))
    data[:] = b"\xff" * len(data)
    while script.side.turns:
        script.side.turns -= 1
        script.broker.turn()

    assert list(range(1, 501)) == root.seen


@pytest.mark.parametrize("size", [None, 100], ids=["frames", "batches"])
@pytest.mark.parametrize("cut", ["a frame", 1, 5, 1000, 1001])
def test_what_is_read_between_two_turns_comes_after(cut, size):
    """Order is the order of arrival, and nothing of it is lost."""
    root = Root()
    script = Script(root)
    stream = calls(500, size)
    if cut == "a frame":
        cut = len(stream) - len(calls(499 if size is None else 400, size))
    script.broker.receive_data(stream[:-cut])
    script.broker.receive_data(stream[-cut:])
    while script.side.turns:
        script.side.turns -= 1
        script.broker.turn()

    assert list(range(1, 501)) == root.seen


def test_a_frame_that_comes_while_a_batch_is_half_done_comes_after_it():
    """Also where it comes alone and whole."""
    root = Root()
    script = Script(root)
    script.broker.receive_data(calls(200, 200))
    for number in range(201, 221):
        script.broker.receive_data(frame([1, number, 0, "note", packed([[number], {}])]))
    while script.side.turns:
        script.side.turns -= 1
        script.broker.turn()

    assert list(range(1, 221)) == root.seen


def test_a_turn_ends_when_its_time_is_over():
    """A few slow calls are as bad as many fast ones."""
    root = Root()
    script = Script(root, limits=pb.Limits(turn_s=0.005, turn_envelopes=1000))

    def slow(value):
        script.side.now += 0.001
        root.seen.append(value)

    root.remote_note = slow
    script.side.now = 100.0
    script.broker.receive_data(calls(100))

    assert 1 == script.side.turns
    assert len(root.seen) < 30
    while script.side.turns:
        script.side.turns -= 1
        script.broker.turn()
    assert list(range(1, 101)) == root.seen


def test_nothing_of_the_backlog_is_run_after_the_end():
    """A BYE that aborts, a violation and a loss end what has arrived too (PB-F33)."""
    root = Root()
    script = Script(root)
    script.broker.receive_data(calls(500, 500))
    ran = len(root.seen)
    script.broker.connection_lost("cut")
    script.broker.turn()
    script.broker.turn()

    assert ran == len(root.seen) < 500


def test_a_close_does_not_wait_for_itself_while_calls_are_left_over():
    """What has arrived and was not looked at yet is not settled."""
    root = Root()
    script = Script(root)
    script.broker.receive_data(calls(200, 200))
    script.broker.close()
    assert 64 == script.heard()[-1][3]
    script.broker.receive_data(frame([15, 0, "", 0]))
    assert not script.side.has_ended
    while script.side.turns:
        script.side.turns -= 1
        script.broker.turn()

    assert script.side.has_ended
    assert 64 == len(root.seen)
