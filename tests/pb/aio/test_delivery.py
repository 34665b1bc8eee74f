"""Calls whose outcome nobody waits for: their errors are logged, and a peer cannot fill the log with them."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

import pb
from pb.bounds.log_bound import MAX_LINES

from .loops import FACTORIES, run

LIMIT_S = 30


class Teller(pb.Root):
    """Calls its callers back, and does not care what comes of it."""

    def __init__(self, **callbacks):
        self.callbacks = callbacks

    def remote_tell(self, listener):
        listener.heard(**self.callbacks)

    def remote_follow(self, listener):
        listener.heard().more(**self.callbacks)


class Listener(pb.Referenceable):
    """Has no method of that name."""


@pytest.mark.parametrize("method", ["tell", "follow"])
@pytest.mark.parametrize("callbacks", [{}, {"pbcallback": print}], ids=["dropped", "pbcallback"])
def test_a_peer_that_lets_every_call_fail_fills_no_log(method, callbacks, loop, caplog):
    """Each would be a line of what the peer says, as often as it has this program call it."""
    caplog.set_level(logging.ERROR)

    async def main():
        url, listener = "memory://teller", Listener()
        async with pb.serve(Teller(**callbacks), url), pb.open_connection(url) as connection:
            for _ in range(MAX_LINES + 50):
                await getattr(connection.root, method)(listener)

    with asyncio.Runner(loop_factory=FACTORIES[loop]) as runner:
        runner.run(asyncio.wait_for(main(), LIMIT_S))
    gc.collect()
    failures = [record for record in caplog.records if record.exc_info]
    notes = [record.getMessage() for record in caplog.records if record not in failures]

    assert MAX_LINES == len(failures)
    assert [f"{MAX_LINES} lines about this in a minute with "] == [
        note.partition("memory:")[0] for note in notes[:1]
    ]


@pytest.mark.parametrize("hooks", [None, pb.Hooks()], ids=["plain", "hooks"])
def test_nor_by_calls_that_want_no_answer_of_what_a_call_returns(hooks, loop, caplog):
    """They have one all the same, for who is called has to say what became of the first."""
    caplog.set_level(logging.INFO, "pb")

    class Quiet(pb.Root):
        def remote_tell(self, listener):
            listener.heard().more.send()

    async def main():
        url, listener = "memory://quiet", Listener()
        async with pb.serve(Quiet(), url, hooks=hooks), pb.open_connection(url) as connection:
            for _ in range(MAX_LINES + 50):
                await connection.root.tell(listener)

    run(main(), loop)
    assert MAX_LINES == sum("which wanted no answer, failed" in each.getMessage() for each in caplog.records)
