"""Calls that wait, and calls given up: for their turn here, for their end over there."""

from __future__ import annotations

import pytest

import pb

from ..pump import STEPS, Gate, Pump, Script, cancel, packed
from .test_serving import NOTHING, Server, told

# --- cancelled


@STEPS
def test_a_cancelled_call_is_stopped_and_answered(step):
    """Once (PB-M19)."""
    root = Server()
    script = Script(root, step=step)
    script.say([1, 1, 0, "wait", NOTHING])
    script.say([4, 1], [4, 1])

    assert [(1, "pb.Cancelled")] == [told(message) for message in script.heard()]
    assert 1 == root.stopped
    script.say([4, 1], [13, 1])
    assert [[14, 1]] == script.heard()


@pytest.mark.parametrize("method", ["wait", "later", "raises"])
def test_a_call_cancelled_before_its_first_step_is_never_run(method):
    """A task that is cancelled before it starts would run nothing, the answer too."""
    root = Server()
    script = Script(root)
    script.say([[1, 1, 0, method, NOTHING], [4, 1]])

    assert [(1, "pb.Cancelled")] == [told(message) for message in script.heard()]
    assert 0 == root.stopped
    assert 0 == script.broker.serving.count


def test_a_call_is_stopped_once_however_often_it_is_cancelled():
    """Who tidies up is not stopped in the middle of it; and to say it again is useless, so it is counted."""

    class Tidy(Server):
        async def remote_tidy(self):
            try:
                return await Gate()
            except BaseException:
                self.stopped += 1
                return await self.gate

    root = Tidy()
    script = Script(root)
    serving = script.broker.serving
    script.say([1, 1, 0, "tidy", NOTHING])
    script.say([4, 1])
    assert 0 == serving.budget.spent(serving.taken)
    script.say([4, 1], [4, 1])
    assert [] == script.heard()
    assert 2 == serving.budget.spent(serving.taken)
    root.gate.open("tidied")

    assert [[2, 1, packed("tidied")]] == script.heard()
    assert 1 == root.stopped


def test_a_handler_may_finish_in_spite_of_being_cancelled():
    """Its value is the answer then."""
    script = Script(Server())
    script.say([1, 1, 0, "stubborn", NOTHING])
    script.say([4, 1])

    assert [[2, 1, packed("anyway")]] == script.heard()


def test_the_place_of_a_cancelled_call_is_free_when_it_has_ended():
    """Not when it was cancelled (PB-L5)."""

    class Slow(Server):
        async def remote_slow(self):
            try:
                return await Gate()
            except BaseException:
                return await self.gate

    root = Slow()
    script = Script(root, limits=pb.Limits(max_calls=1))
    script.say([1, 1, 0, "slow", NOTHING])
    script.say([4, 1], [1, 2, 0, "echo", NOTHING])
    assert [(2, "pb.Busy")] == [told(message) for message in script.heard()]
    root.gate.open("end")
    assert [[2, 1, packed("end")]] == script.heard()


def test_a_call_that_waits_for_its_turn_can_be_given_up():
    """It was never sent, and its place in the queue is gone."""
    root = Server()
    pump = Pump(root, limits=pb.Limits(max_calls=1))
    pump.root.wait()
    first, second, third = (pump.root.note(number) for number in range(3))
    pump.client.broker.calls.cancel(0, second)
    cancel(pump.root, third)
    cancel(pump.root, third)
    root.gate.open()
    pump.run()

    with pytest.raises(pb.Cancelled, match="before it was sent"):
        second.result()
    assert None is first.result()
    assert 0 == third.settled
    assert [0] == root.seen


def test_a_call_given_up_while_it_waits_without_a_word_is_not_sent():
    """A future that was cancelled says nothing else."""
    root = Server()
    pump = Pump(root, limits=pb.Limits(max_calls=1))
    pump.root.wait()
    waiting = pump.root.note(1)
    behind = pump.root.note(2)
    waiting.is_given_up = True
    root.gate.open()
    pump.run()

    assert [2] == root.seen
    assert None is behind.result()


# --- the order of calls


def test_while_the_network_takes_no_more_new_calls_wait():
    """Output is bounded (PB-F26); they go in order when it takes more."""
    root = Server()
    pump = Pump(root)
    pump.client.broker.calls.hold()
    outcomes = [pump.root.note(number) for number in range(3)]
    assert b"" == pump.client.output()
    pump.client.broker.calls.start_waiting()
    pump.run()

    assert [0, 1, 2] == root.seen
    assert [None] * 3 == [outcome.result() for outcome in outcomes]


def test_a_waiting_call_that_cannot_be_sent_fails_alone():
    """Those behind it go on."""
    root = Server()
    pump = Pump(root, limits=pb.Limits(max_calls=1))
    pump.root.wait()
    bad, good = pump.root.note(object()), pump.root.note(1)
    root.gate.open()
    pump.run()

    with pytest.raises(pb.Unjellyable):
        bad.result()
    assert None is good.result()


def test_a_handler_that_calls_its_caller_does_not_wait_for_its_turn():
    """Two peers that wait for each other would do so for ever."""

    class Client(pb.Referenceable):
        def remote_value(self):
            return "from the client"

    class Asking(Server):
        async def remote_ask(self, callback):
            self.outcome = callback.value()
            return await self.gate

    root = Asking()
    pump = Pump(root, limits=pb.Limits(), client_limits=pb.Limits(max_calls=1))
    theirs = pump.server.broker.root_reference()
    occupying = theirs.nope()
    waiting = pump.root.ask(Client())
    pump.server.input(pump.client.output())
    pump.run()

    assert "from the client" == root.outcome.result()
    root.gate.open("end")
    pump.run()
    assert "end" == waiting.result()
    with pytest.raises(pb.Error):
        occupying.result()


def test_calls_given_up_while_they_wait_are_not_settled_at_the_end():
    """Nobody waits for them any more."""
    pump = Pump(Server(), limits=pb.Limits(max_calls=1))
    pump.root.wait()
    given_up, waiting = pump.root.note(1), pump.root.note(2)
    given_up.is_given_up = True
    pump.lose()

    assert 0 == given_up.settled
    with pytest.raises(pb.NotExecuted):
        waiting.result()


def test_a_cancelled_handler_is_not_cancelled_again_at_the_end():
    """It is about to end."""

    class Slow(Server):
        async def remote_slow(self):
            try:
                await Gate()
            except BaseException:
                self.stopped += 1
                await Gate()

    root = Slow()
    script = Script(root)
    script.say([1, 1, 0, "slow", NOTHING])
    script.say([4, 1])
    script.broker.connection_lost("gone")

    assert 1 == root.stopped
    assert 1 == script.broker.serving.count
