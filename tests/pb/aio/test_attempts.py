"""Calls that were lost before it was known whether they may run twice, and what is said of them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import pytest

import pb
from pb.testing import Network, run

from .lost import quick

numbers = itertools.count()


class Root(pb.Root):
    def __init__(self):
        self.ran = []

    @pb.idempotent
    def remote_look(self, tag):
        self.ran.append(tag)
        return tag

    def remote_once(self, tag):
        self.ran.append(tag)
        return tag


@contextlib.asynccontextmanager
async def lost_at_the_first_call(*methods, within_s=None, **options):
    """Make the first calls there are, and lose the connection when they have run and nothing was answered.

    A method with "!" behind it is called by who knows that it may run twice.
    """
    root = Root()
    async with (
        pb.serve(root, f"memory://attempts-{next(numbers)}") as server,
        Network(server.url) as network,
        pb.open_connection(network.url, reconnect=quick(**options)) as connection,
    ):
        network.partition("down")
        there = [getattr(connection.root, method.rstrip("!")) for method in methods]
        there = [
            found.idempotent if method.endswith("!") else found
            for method, found in zip(methods, there, strict=True)
        ]
        if within_s is not None:
            there = [method.within(within_s) for method in there]
        calls = [asyncio.ensure_future(method(number)) for number, method in enumerate(there)]
        await asyncio.sleep(1)
        assert [*range(len(methods))] == root.ran
        network.refuse()
        network.drop()
        yield root, network, connection, calls


def test_whether_a_call_may_run_twice_is_asked_again_over_the_next_connection():
    """The question was lost with the call: a method that is declared safe is made again all the same."""

    async def main():
        async with lost_at_the_first_call("look", "once", "look") as (root, network, _, calls):
            await asyncio.sleep(1)
            assert [False] * 3 == [call.done() for call in calls]
            network.calm()
            assert [0, 2] == [await calls[0], await calls[2]]
            with pytest.raises(pb.OutcomeUnknown):
                await calls[1]
            assert [0, 1, 2, 0, 2] == root.ran

    run(main())


def test_a_call_that_may_have_run_is_never_said_not_to_have():
    """Also where it waits to be made again, and there is no connection any more: closed, or given up."""

    async def main():
        for end in ("close", "give up"):
            options = {"max_attempts": 3} if end == "give up" else {}
            async with lost_at_the_first_call("look", "once", "look!", **options) as lost:
                root, _, connection, calls = lost
                if end == "close":
                    await asyncio.sleep(0.01)
                    await connection.close()
                for call in calls:
                    with pytest.raises(pb.OutcomeUnknown):
                        await call
                with pytest.raises(pb.NotExecuted):
                    await connection.root.once("never made")
                assert [0, 1, 2] == root.ran

    run(main())


def test_where_calls_do_not_wait_nothing_is_asked():
    """The program wants to know at once."""

    async def main():
        async with lost_at_the_first_call("look", calls="fail") as (root, _, connection, (call,)):
            with pytest.raises(pb.OutcomeUnknown):
                await call
            assert [0] == root.ran
            connection.abort()

    run(main())


def test_a_connection_that_dies_of_the_question_is_not_asked_for_ever():
    """Over the second connection that is lost under it, the caller hears what is known: it may have run."""

    async def main():
        async with lost_at_the_first_call("look") as (root, network, connection, (call,)):
            lost = []

            def lose(change):
                if change.state.value == "connected" and not call.done():
                    network.partition("down")  # what is asked is never answered
                    lost.append(asyncio.get_running_loop().call_later(1, drop))

            def drop():
                network.drop()
                network.calm()

            forget = connection.status.watch(lose)
            network.calm()
            await asyncio.wait([call], timeout=60)
            forget()
            assert isinstance(call.exception(), pb.OutcomeUnknown)
            assert 2 == len(lost)
            assert [0] == root.ran

    run(main())


@pytest.mark.parametrize("what", ["deadline", "cancel", "lost again"])
def test_while_it_is_asked_the_call_is_still_its_callers(what):
    """It has its deadline, can be given up, and waits on where the connection is lost once more."""

    async def main():
        within_s = 20 if what == "deadline" else None
        async with lost_at_the_first_call("look", within_s=within_s) as (root, network, connection, (call,)):

            def hold_answers(change):
                if change.state.value == "connected":
                    network.partition("down")

            forget = connection.status.watch(hold_answers)
            network.calm()
            await connection.status.wait_for("connected")
            await asyncio.sleep(30)
            forget()
            assert [0] == root.ran
            if what == "deadline":
                with pytest.raises(pb.DeadlineExceeded):
                    await call
            elif what == "cancel":
                call.cancel()
                await asyncio.sleep(0)
            else:
                network.drop()
                network.calm()
                assert 0 == await call
            network.calm()
            assert "fresh" == await connection.root.once("fresh")
            assert ([0, 0, "fresh"] if what == "lost again" else [0, "fresh"]) == root.ran
            assert call.done()

    run(main())
