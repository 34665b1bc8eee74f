"""Asynchronous methods begin one after the other, and others have their turn when that takes long (PB-L6)."""

from __future__ import annotations

import pytest

import pb

from ..pump import Script, frame, packed

TURN_S = 0.005


class Root(pb.Root):
    """Each call moves the clock by so many seconds before it first waits."""

    def __init__(self):
        self.seen = []
        self.takes_s = 0.02

    async def remote_burn(self, value):
        self.script.side.now += self.takes_s
        self.seen.append(value)
        return value


def script_with(root, count, **limits):
    root.script = script = Script(root, limits=pb.Limits(turn_s=TURN_S, **limits))
    script.side.now = 100.0
    made = [[1, number, 0, "burn", packed([[number], {}])] for number in range(1, count + 1)]
    script.broker.receive_data(frame(made))
    while script.side.turns:
        script.side.turns -= 1
        script.broker.turn()
    return script


def stretches(script):
    """Return how many methods began in each turn of the loop, until all is done."""
    found = []
    while script.side.has_work:
        before = len(script.side.root.seen)
        script.side.run_tasks()
        found.append(len(script.side.root.seen) - before)
    return found


@pytest.mark.parametrize(
    ("takes_s", "most"), [(0.02, 1), (0.006, 1), (0.002, 3), (0.0, 64)], ids=["20 ms", "6 ms", "2 ms", "0"]
)
def test_what_begins_at_once_takes_no_longer_than_a_turn_and_one_method(takes_s, most):
    """In their order, and each is answered."""
    root = Root()
    root.takes_s = takes_s
    script = script_with(root, 64)
    script.side.root = root
    found = stretches(script)

    assert (most, list(range(1, 65))) == (max(found), root.seen)
    assert [[2, number] for number in range(1, 65)] == [message[:2] for message in script.heard()]
    assert 0 == script.broker.serving.beginning


def test_what_comes_meanwhile_comes_after():
    """Calls begin in the order in which they came, also behind those that gave way."""
    root = Root()
    script = script_with(root, 5)
    script.side.root = root
    script.side.run_tasks()
    script.say([1, 6, 0, "burn", packed([[6], {}])])
    assert {1} == set(stretches(script))
    script.say([1, 7, 0, "burn", packed([[7], {}])])
    stretches(script)

    assert list(range(1, 8)) == root.seen


def test_a_call_that_is_cancelled_before_it_begins_does_not_begin():
    """It is answered as ever."""
    root = Root()
    script = script_with(root, 4)
    script.side.root = root
    script.side.run_tasks()
    script.say([4, 3])
    stretches(script)

    assert [1, 2, 4] == root.seen
    assert [1, 2, 3, 4] == sorted(message[1] for message in script.heard())
    assert 0 == script.broker.serving.beginning


@pytest.mark.parametrize("which", [2, 3, 4], ids=["the first", "another", "the last"])
def test_the_program_may_stop_one_that_waits_for_its_turn(which):
    """Its method does not begin, those behind it do all the same, and nothing is left of it."""
    root = Root()
    script = script_with(root, 4)
    script.side.root = root
    script.side.run_tasks()
    script.broker.serving.running[which].task.cancel()
    stretches(script)

    assert [number for number in (1, 2, 3, 4) if number != which] == root.seen
    answers = {message[1]: message for message in script.heard()}
    assert [(3 if number == which else 2) for number in (1, 2, 3, 4)] == [
        answers[number][0] for number in (1, 2, 3, 4)
    ]
    assert b"pb.Cancelled" in answers[which][2]
    assert (0, 0) == (script.broker.serving.beginning, script.broker.serving.count)
