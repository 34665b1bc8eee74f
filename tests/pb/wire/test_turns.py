"""Turns: a peer that sends much at once does not keep the loop for itself (PB-L6)."""

from __future__ import annotations

import itertools

import msgpack
import pytest

import pb
from pb import messages
from pb.wire.frames import FrameReader

from ..pump import Gate, Script, frame, messages_in, packed

MANY = 10_000


class Root(pb.Root):
    def __init__(self):
        self.seen = []

    def remote_note(self, value):
        self.seen.append(value)

    async def remote_wait(self):
        await Gate()


def calls(count, size=None):
    """Return the stream of `count` calls, in frames of their own or in batches of `size`."""
    made = [[1, number, 0, "note", packed([[number], {}])] for number in range(1, count + 1)]
    if size is None:
        return b"".join(map(frame, made))
    return b"".join(frame(made[first : first + size]) for first in range(0, count, size))


@pytest.mark.unmeasured
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


@pytest.mark.unmeasured
@pytest.mark.parametrize("size", [None, 1000], ids=["frames", "batches"])
def test_a_storm_of_cancels_takes_many_turns(size):
    """A CANCEL counts as a call does, also of a call that runs: what it stops ends between the turns."""
    script = Script(Root())
    limit = script.broker.limits.turn_envelopes
    script.broker.receive_data(b"".join(frame([1, id, 0, "wait", packed([[], {}])]) for id in range(1, 1001)))
    while script.side.turns:
        script.side.turns = 0
        script.broker.turn()
    script.side.run_tasks()
    running = [*script.broker.serving.running.values()]
    assert 1000 == len(running)

    cancels = [[4, id] for id in range(1, 1001)]
    frames = [frame(each) for each in cancels] if size is None else [frame(cancels)]
    script.broker.receive_data(b"".join(frames))
    stopped = [sum(served.is_cancelled for served in running)]
    while script.side.turns:
        script.side.turns = 0
        script.side.run_tasks()
        script.broker.turn()
        stopped.append(sum(served.is_cancelled for served in running))
    script.side.run_tasks()

    assert limit == stopped[0] and max(b - a for a, b in itertools.pairwise(stopped)) <= limit
    assert (1000, 0) == (stopped[-1], script.broker.serving.count)


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


@pytest.mark.parametrize("size", [None, 100], ids=["frames", "a batch"])
def test_a_turn_takes_no_longer_than_its_time_and_one_method(size):
    """Of methods that take longer than a turn may, each has one of its own."""
    root = Root()
    script = Script(root, limits=pb.Limits(turn_s=0.005))

    def slow(value):
        script.side.now += 0.02
        root.seen.append(value)

    root.remote_note = slow
    script.side.now = 100.0
    script.broker.receive_data(calls(100, size))
    turns = [len(root.seen)]
    while script.side.turns:
        script.side.turns -= 1
        script.broker.turn()
        turns.append(len(root.seen))

    assert list(range(1, 101)) == turns[:100]


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


class CountingReader(FrameReader):
    """How often something had to be cut into frames."""

    def __init__(self):
        super().__init__()
        self.fed = 0

    def feed(self, data):
        self.fed += 1
        super().feed(data)


def call(id, value, *options):
    """Return the frame of a call that notes a value."""
    return frame([1, id, 0, "note", packed([[value], {}]), *options])


def counting(root):
    """Return a script whose reader counts, once it has met a call with and without options."""
    script = Script(root)
    script.broker.reader = CountingReader()
    script.broker.reader.allow(script.broker.limits.max_frame)
    script.broker.receive_data(call(1, 1))
    assert 1 == script.broker.reader.fed
    return script


def test_a_small_message_by_itself_is_not_cut_into_frames():
    """The usual case costs no more than it must; what is behind it in the buffer is of an earlier read."""
    root = Root()
    script = counting(root)
    buffer = bytearray(4096)
    for id, options in ((2, ()), (3, ({"meta": {}},)), (4, ())):
        made = call(id, id, *options)
        buffer[: len(made)] = made
        script.broker.receive_data(memoryview(buffer), len(made))

    assert [1, 2, 3, 4] == root.seen
    assert 1 == script.broker.reader.fed
    assert [1, 2, 3, 4] == [message[1] for message in script.heard()]


@pytest.mark.parametrize(
    "pieces",
    [
        [call(2, 2)[:20], call(2, 2)[20:], call(3, 3)],
        [call(2, 2)[:3], call(2, 2)[3:] + call(3, 3)],
        [call(2, 2) + call(3, 3)],
        [call(2, 2) + call(3, 3)[:10], call(3, 3)[10:]],
        [frame([[1, id, 0, "note", packed([[id], {}])] for id in (2, 3)])],
        [call(2, 2), frame([1, 3, 0, "note", packed([[3], {}]), {"meta": {"long": "x" * 2000}}])],
    ],
    ids=["in two", "within the length", "two at once", "one and a half", "a batch", "long"],
)
def test_anything_else_comes_out_the_same(pieces):
    """And what is left of a read goes before what comes next."""
    root = Root()
    script = counting(root)
    for piece in pieces:
        script.broker.receive_data(piece)
    script.broker.receive_data(call(4, 4))

    assert [1, 2, 3, 4] == root.seen


@pytest.mark.parametrize(
    "body",
    [
        [1, 2, 0, "note", msgpack.ExtType(1, b"\0")],
        [1, msgpack.ExtType(1, b"\0"), 0, "note", packed([[], {}])],
        [1, 2, 0, msgpack.Timestamp(1), packed([[], {}])],
        [1, 2, 0, "note", packed([[], {}]), {"later": msgpack.ExtType(1, b"\0")}],
        [4, msgpack.ExtType(1, b"\0")],
        [13, msgpack.ExtType(1, b"\0")],
        [1, 2, 0, "note", None],
        [1, 2, 0, "note"],
        [1, 2, 0, "note", packed([[], {}])[:-1]],
        [13, 1.0],
        [99, 1],
        [True, 2, 0, "note", packed([[], {}])],
        [0x9501, 2, 0, "note", packed([[], {}])],  # the head of a call, as a number
    ],
    ids=lambda body: f"{body!r:.60}",
)
def test_what_is_wrong_with_a_message_is_told_the_same_whole_and_bytewise(body):
    """An Ext outside a payload above all, which is looked for later where the message came by itself."""
    ends = []
    for step in (1, None):
        script = Script(Root())
        for warm in ([1, 1, 0, "note", packed([[1], {}])], [4, 1], [13, 1]):
            script.side.input(frame(warm))
        script.heard()
        assert not script.side.has_ended
        script.side.input(frame(body), step)
        ends.append((script.side.has_ended, script.heard()))

    assert ends[0] == ends[1]
    assert ends[0][0]


@pytest.mark.parametrize("tail", [b"", b"\xc0"], ids=["cut", "with a tail"])
def test_a_body_that_is_no_message_is_refused_though_its_head_is_right(tail):
    """The head says what takes it, not that it is whole."""
    script = Script(Root())
    script.side.input(call(1, 1))
    script.heard()
    whole = call(2, 2)[4:] + tail
    body = whole if tail else whole[:-1]
    script.side.input(len(body).to_bytes(4, "big") + body)

    assert (messages.BYE_MALFORMED, True) == (script.heard()[-1][1], script.side.has_ended)


def test_a_fault_of_this_side_ends_the_connection_whole_and_bytewise():
    """Whatever way the message took."""
    ends = []
    for step in (1, None):
        script = Script(Root())
        script.side.input(frame([13, 1]))
        script.heard()
        script.broker.serving.budget = None
        script.side.input(frame([13, 2]), step)
        ends.append(script.heard())

    assert [[[15, messages.BYE_INTERNAL, "internal error", 0]]] * 2 == ends


def test_no_answer_is_written_before_a_large_message_that_was_said_first():
    """It waits as a frame of its own by then (PB-M6)."""
    script, written = Script(Root()), []
    script.say([1, 1, 0, "note", packed([[1], {}])])
    script.heard()
    script.broker.outbox.direct = written.append
    script.broker.outbox.put_alone(packed([13, 1]))
    script.say([1, 2, 0, "note", packed([[2], {}])])

    assert ([], [[13, 1], [2, 2, packed(None)]]) == (written, script.heard())
