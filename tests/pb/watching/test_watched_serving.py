"""Hooks: calls of the peer that end with their connection."""

from __future__ import annotations

import pb

from ..hooked import Log, Root
from ..pump import Script, packed


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
