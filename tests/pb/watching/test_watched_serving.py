"""Hooks: calls of the peer that end with their connection."""

from __future__ import annotations

import pb

from ..hooked import Log, Root
from ..pump import Gate, Script, packed


def test_a_call_that_ends_its_own_connection_is_lost():
    """Nobody was told that it was answered, whether somebody wanted to be or not."""
    for id in (0, 1):
        log = Log()

        class Ending(pb.Root):
            def remote_end(self):
                script.side.broker.connection_lost("ended")  # noqa: B023 - called within the loop

        script = Script(Ending(), hooks=log)
        script.say([1, id, 0, "end", packed([[], {}])])

        assert [("end", "lost", "")] == log.ends("callee")


def test_a_message_that_breaks_the_protocol_is_a_call_that_is_lost():
    """It has begun, and never runs: who counts calls must come out at zero; wants it an answer or not."""
    for id in (0, 1):
        log = Log()
        Script(Root(), hooks=log).say([1, id, 0, "echo", b"\xc1"])

        assert [("echo", "lost", "")] == log.ends("callee")


def test_a_handler_that_is_thrown_away_has_ended_when_the_loop_says_so():
    """A hook is the program's, and does not run where a coroutine is thrown away."""

    class Waiting(pb.Root):
        async def remote_wait(self):
            await Gate()

    for id in (0, 1):
        log = Log()
        script = Script(Waiting(), hooks=log)
        script.say([1, id, 0, "wait", packed([[], {}])])
        serving = script.broker.serving
        (served,) = (*serving.running.values(), *serving._quiet)
        served.task.coroutine.close()
        assert [] == log.ends("callee")
        script.side.output()

        assert [("wait", "failed" if id else "answered")] == [end[:2] for end in log.ends("callee")]
        assert 0 == serving.count
