"""Leaving takes a bounded time on both sides, whoever of them began and whoever loses patience."""

from __future__ import annotations

import pytest

import pb
from pb import messages
from pb.bounds.leaving import awaited

from ..pump import Gate, Pump, Script, cancel, packed

LIMITS = pb.Limits(drain_s=30)


class Server(pb.Root):
    async def remote_wait(self):
        await Gate()

    def remote_echo(self, value):
        return value


def advance(script, seconds):
    """Let time go by for a side."""
    script.side.now += seconds
    script.side.wake()


@pytest.mark.parametrize("first", ["we", "peer"])
@pytest.mark.parametrize("is_busy", [False, True], ids=["idle", "busy"])
def test_a_drain_is_over_in_time_whoever_began_it(first, is_busy):
    """Here the peer never does its part: it does not answer our BYE, or says its own and does not close."""
    script = Script(Server(), limits=LIMITS)
    if is_busy:
        script.say([messages.CALL, 1, 0, "wait", packed([[], {}])])
        script.side.run_tasks()
    if first == "we":
        script.broker.close()
    else:
        script.say([messages.BYE, 0, "", 0])

    advance(script, 29.9)
    script.say([messages.PING, 1])
    assert not script.side.has_ended

    advance(script, 0.2)
    assert script.side.has_ended
    assert (None, 0) == (script.side.error, script.broker.serving.count)
    assert 0 == len(script.broker.deadlines)


def test_the_time_to_leave_runs_from_the_first_bye_only():
    """A second one, of either side, gives no more of it."""
    script = Script(Server(), limits=LIMITS)
    script.say([messages.CALL, 1, 0, "wait", packed([[], {}])], [messages.BYE, 0, "", 0])
    script.side.run_tasks()

    for _ in range(3):
        advance(script, 9)
        script.say([messages.BYE, 0, "", 0])
        script.broker.close()
        assert not script.side.has_ended
    advance(script, 4)

    assert script.side.has_ended


def test_who_left_in_time_is_not_cut_later():
    """Nothing is left of the clock."""
    pump = Pump(Server(), limits=LIMITS)
    pump.root.echo(1)
    pump.client.broker.close()
    pump.run()

    assert pump.client.has_ended
    assert 0 == len(pump.client.broker.deadlines)


def test_a_call_that_is_cut_says_why():
    """Its caller cannot know what became of it."""
    pump = Pump(Server(), limits=LIMITS)
    waiting = pump.root.wait()
    pump.run()
    pump.client.broker.close()
    pump.run()
    pump.advance(31)

    with pytest.raises(pb.OutcomeUnknown, match="leaving took longer than 30 s"):
        waiting.result()


def test_a_call_that_was_given_up_is_not_awaited():
    """Its answer may still come; nobody would read it."""
    pump = Pump(Server())
    first, _second = pump.root.wait(), pump.root.wait()
    pump.run()
    assert (2, 2) == (awaited(pump.client.broker), awaited(pump.server.broker))

    cancel(pump.root, first)

    assert 1 == awaited(pump.client.broker)
