"""Calls that wait for one result do not begin all at once; what comes behind them waits (PB-L6, PB-M8)."""

from __future__ import annotations

import msgpack
import pytest

import pb
from pb import messages

from ...counting import lines_in
from ..pump import Gate, Script, frame, packed

TURN_S = 0.005
MANY = 100


class Root(pb.Root):
    """Notes what is called, and moves the clock by 1 ms for each."""

    def __init__(self):
        self.gates = []
        self.seen = []

    async def remote_later(self):
        gate = Gate()
        self.gates.append(gate)
        await gate
        return self

    def remote_open(self):
        self.gates[0].open()

    def remote_mark(self, value):
        self.seen.append(value)

    def remote_note(self, value):
        self.script.side.now += 0.001
        self.seen.append(value)


def call(id, target, method, *args, **options):
    made = [messages.CALL, id, target, method, packed([list(args), {}])]
    return [*made, options] if options else made


def waiting(*made):
    """Return a script whose peer has made a call that takes its time, to be kept, and others behind it."""
    root = Root()
    root.script = script = Script(root, limits=pb.Limits(turn_s=TURN_S))
    script.root = root
    script.say(call(1, 0, "later", keep=True), *made)
    return script


def turns(script):
    """Let others have their turn until all is done; return how many calls began in each."""
    found = []
    while script.side.turns:
        assert 1 == script.side.turns, "who is asked twice goes on twice as long"
        before = len(script.root.seen)
        script.side.run_turns()
        found.append(len(script.root.seen) - before)
    return found


@pytest.mark.parametrize("target", [-1, 0], ids=["on it", "with it"])
def test_what_waits_for_one_result_begins_over_many_turns(target):
    """1,024 calls may wait, each with a payload of 4 MiB, or for a method that takes a while."""
    ids = range(2, MANY + 2)
    script = waiting(*[call(id, target, "note", id, needs=[1]) for id in ids])
    script.root.gates[0].open()
    first = len(script.root.seen)
    found = [first, *turns(script)]

    assert list(ids) == script.root.seen
    assert max(found) <= 8  # a turn has time for 5
    assert [1, *ids] == [message[1] for message in script.heard()]


def test_what_comes_behind_the_answer_is_looked_at_when_all_that_waited_has_begun():
    """Who has got the answer may count on that."""
    ids = range(2, MANY + 2)
    script = waiting(*[call(id, -1, "note", id) for id in ids])
    script.root.gates[0].open()
    script.broker.receive_data(frame(call(MANY + 2, 0, "note", "later")))
    assert "later" not in script.root.seen
    script.broker.receive_data(frame([messages.PING, 1]))
    script.side.turns = 1  # as a face, which reads no more before it has had its turn
    turns(script)

    assert [*ids, "later"] == script.root.seen
    assert [messages.PONG, 1] == script.heard()[-1]


def test_what_is_read_meanwhile_gives_what_waits_no_time_of_its_own():
    """A face reads on, or it would not learn that the peer has gone: who sends much must gain nothing."""
    script = waiting(*[call(id, -1, "note", id) for id in range(2, MANY + 2)])
    script.root.gates[0].open()
    begun = len(script.root.seen)
    assert script.broker.reads_on
    ping = frame([messages.PING, 1])
    for _ in range(10):
        script.broker.receive_data(ping)
    assert begun == len(script.root.seen)
    assert 1 == script.side.turns

    turns(script)
    assert [[messages.PONG, 1]] * 10 == script.heard()[-10:]
    assert not script.broker.reads_on


def test_not_more_is_read_meanwhile_than_a_little():
    """What comes then is kept, and is no use before all that waited has begun."""
    script = waiting(*[call(id, -1, "note", id) for id in range(2, MANY + 2)])
    script.root.gates[0].open()
    note = frame(call(MANY + 2, 0, "note", "x" * 40_000))
    script.broker.receive_data(note[:1000])
    assert script.broker.reads_on
    script.broker.receive_data(note[1000:])
    assert script.broker.reads_on
    script.broker.receive_data(frame(call(MANY + 3, 0, "note", "y" * 40_000)))
    assert not script.broker.reads_on

    turns(script)
    assert [*range(2, MANY + 2), "x" * 40_000, "y" * 40_000] == script.root.seen


def test_another_result_meanwhile_gives_no_time_of_its_own():
    """A peer could else have each of its results begin a turn's worth of work in the same turn."""
    one, other = range(3, 53), range(53, 103)
    script = waiting(
        call(2, 0, "later", keep=True),
        *[call(id, -1, "note", id) for id in one],
        *[call(id, 0, "note", id, needs=[2]) for id in other],
    )
    script.root.gates[0].open()
    begun = len(script.root.seen)
    script.root.gates[1].open()
    assert begun == len(script.root.seen)
    turns(script)

    assert [*one, *other] == script.root.seen


def test_a_batch_is_gone_on_with_behind_what_one_of_its_calls_let_begin():
    """The turn is over then, however much time is left of it."""
    ids = range(2, MANY + 2)
    script = waiting(*[call(id, -1, "mark", id) for id in ids])
    script.broker.receive_data(frame([call(MANY + 2, 0, "open"), call(MANY + 3, 0, "mark", "last")]))
    found = [len(script.root.seen), *turns(script)]

    assert [*ids, "last"] == script.root.seen
    assert max(found) <= script.broker.limits.turn_envelopes
    assert MANY + 3 == len(script.heard())


def test_nothing_begins_when_the_connection_has_ended_meanwhile():
    """And the turn that was asked for finds nothing to do."""
    script = waiting(*[call(id, -1, "note", id) for id in range(2, MANY + 2)])
    script.root.gates[0].open()
    begun = len(script.root.seen)
    assert script.broker.is_cut
    script.side.lose()
    assert not script.broker.is_cut
    turns(script)

    assert begun == len(script.root.seen)
    assert 0 == script.broker.serving.count


def all_need_all(count):
    script = waiting(*[call(id, 0, "later", keep=True) for id in range(2, count + 1)])
    needed = list(range(1, count + 1))
    script.say(*[call(count + id, 0, "note", id, needs=needed) for id in needed])
    for gate in script.root.gates:
        gate.open()
    turns(script)
    assert needed == script.root.seen


def test_many_calls_that_need_many_results_are_looked_at_once_for_each_of_them():
    """Twice as many are four times as many bytes; they are not eight times as much work."""
    assert lines_in(all_need_all, 40) < 5.5 * lines_in(all_need_all, 20)


def test_calls_that_wait_and_are_late_together_end_over_many_turns():
    """To end one is to read what it brings, for what is in it counts."""
    ids = range(2, MANY + 2)
    script = waiting(*[call(id, -1, "note", id, ttl=10) for id in ids])
    side, decoder = script.side, script.broker.scope.decoder
    read = decoder.loads_call

    class Slow:
        def loads_call(self, *args):
            side.now += 0.001
            return read(*args)

    script.broker.scope.decoder = Slow()
    side.now += 0.010
    found, said = [], []
    while len(said) < MANY:
        side.wake()
        heard = [message for message in script.heard() if message[0] == messages.ERROR]
        found.append(len(heard))
        said += heard

    assert max(found) <= 8
    assert list(ids) == [message[1] for message in said]
    assert {"pb.DeadlineExceeded"} == {msgpack.unpackb(message[2])["type"] for message in said}
