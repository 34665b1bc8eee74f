"""Blocks that are left by an exception, Ctrl-C or a cancellation: at once, and with that very exception."""

from __future__ import annotations

import asyncio
import gc

import pytest

import pb
from pb.aio import leaving

from ..auth.rooms import settle
from .loops import run
from .lost import Lobby, Spot, lose, quick

# Longer than run() lets anything take: who waits for what is under way fails.
FOR_EVER = pb.Limits(drain_s=3600, idle_s=0)


class Root(pb.Root):
    """Answers when it is told to, or never."""

    def __init__(self):
        self.heard = []
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.ended = asyncio.Event()

    async def remote_wait(self, *values):
        self.asked.set()
        try:
            await self.may_answer.wait()
        finally:
            self.ended.set()
        return "done"

    async def remote_ask(self, hand):
        self.asked.set()
        await self.may_answer.wait()
        return await hand.echo("asked")

    def remote_hear(self, value):
        self.heard.append(value)


class Hand(pb.Referenceable):
    """The client's: never answers, where it is told not to."""

    def __init__(self):
        self.asked = asyncio.Event()

    async def remote_hang(self):
        self.asked.set()
        await asyncio.Event().wait()

    def remote_echo(self, value):
        return value


def test_an_exception_leaves_at_once(place, loop):
    """What was sent goes out; what has no answer yet is given up, at both ends; the error is the block's."""

    async def main():
        root = Root()
        async with place.serve(root, limits=FOR_EVER) as server:
            mine = LookupError("mine")
            with pytest.raises(LookupError) as caught:
                async with pb.open_connection(server.url, limits=FOR_EVER) as connection:
                    waits = connection.root.wait()
                    await root.asked.wait()
                    for value in range(3):
                        connection.root.hear.send(value)
                    late = connection.root.wait()
                    raise mine
            assert (mine, None) == (caught.value, mine.__context__)
            for call in (waits, late):
                with pytest.raises(pb.OutcomeUnknown, match="its block was left by an exception"):
                    await call
            await root.ended.wait()
            await settle(lambda: not server.connections)
            assert [0, 1, 2] == root.heard

    run(main(), loop)


def test_a_cancellation_leaves_at_once():
    """asyncio.timeout() and TaskGroup count on it, and Ctrl-C, which cancels what asyncio.run runs."""

    async def body(server):
        async with pb.open_connection(server.url, limits=FOR_EVER) as connection:
            calls.append(connection.root.wait())
            await asyncio.Event().wait()

    async def main():
        began = asyncio.get_running_loop().time()
        async with pb.serve(Root(), "memory://cancelled", limits=FOR_EVER) as server:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(10):
                    await body(server)
            with pytest.raises(ExceptionGroup) as caught:
                async with asyncio.TaskGroup() as group:
                    group.create_task(body(server))
                    await asyncio.sleep(1)
                    raise LookupError
            assert [LookupError] == [type(each) for each in caught.value.exceptions]
            assert 11 == asyncio.get_running_loop().time() - began
            assert 2 == sum(isinstance(call.exception(), pb.OutcomeUnknown) for call in calls)

    calls = []
    pb.testing.run(main())


def test_calls_that_were_not_sent_say_so():
    """They may be made again: over `max_calls` they wait here."""

    async def main():
        root = Root()
        few = pb.Limits(drain_s=3600, max_calls=1)
        async with pb.serve(root, "memory://few", limits=few) as server:
            with pytest.raises(LookupError):
                async with pb.open_connection(server.url, limits=FOR_EVER) as connection:
                    sent, unsent = connection.root.wait(), connection.root.wait()
                    await root.asked.wait()
                    raise LookupError
            with pytest.raises(pb.OutcomeUnknown):
                await sent
            with pytest.raises(pb.NotExecuted):
                await unsent

    run(main())


@pytest.mark.parametrize("ended", ["during the block", "by the block", "while it closes"])
def test_a_connection_that_is_ending_already_is_left_all_the_same(ended):
    """Whatever has begun to end it, and however far that has come."""

    async def main():
        root = Root()
        async with pb.serve(root, "pb://127.0.0.1:0", limits=FOR_EVER) as server:
            with pytest.raises(LookupError):
                async with pb.open_connection(server.url, limits=FOR_EVER) as connection:
                    if ended == "during the block":
                        lose(connection)
                        await connection.wait_closed()
                    elif ended == "by the block":
                        connection.abort()
                    else:
                        call = asyncio.ensure_future(connection.root.wait())
                        await root.asked.wait()
                        closing = asyncio.create_task(connection.close())
                        await settle(lambda: connection._link.lost is not None)
                    raise LookupError
            if ended == "while it closes":
                await closing
                assert isinstance(call.exception(), pb.OutcomeUnknown)
            assert not connection.is_open

    run(main())


def test_a_peer_that_takes_nothing_holds_nobody_up():
    """What waits for it is cut after a moment, in which it would have gone out where the peer reads."""

    async def main():
        async with pb.testing.pair(Root(), faulty=True) as (_, _, _, network):
            began = asyncio.get_running_loop().time()
            with pytest.raises(LookupError):
                async with pb.open_connection(network.url, limits=FOR_EVER) as connection:
                    network.partition()
                    connection.root.hear.send(b"x" * 300_000)
                    await asyncio.sleep(0)
                    assert connection.usage.bytes_waiting
                    raise LookupError
            assert 0 <= asyncio.get_running_loop().time() - began <= leaving.SOON_S
            assert connection._link.transport is None
            network.heal()

    pb.testing.run(main())


def test_who_is_cancelled_while_it_leaves_does_not_even_wait_that_long():
    """The block was in a hurry before, and somebody is in more of it."""

    async def main():
        async with pb.testing.pair(Root(), faulty=True) as (_, _, _, network):

            async def body():
                async with pb.open_connection(network.url, limits=FOR_EVER) as connection:
                    opened.append(connection)
                    network.partition()
                    connection.root.hear.send(b"x" * 300_000)
                    raise LookupError

            opened = []
            task = asyncio.create_task(body())
            await settle(lambda: opened and opened[0]._link.lost is not None)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await opened[0].wait_closed()
            network.heal()

    pb.testing.run(main())


def test_a_connection_that_comes_back_is_not_made_again(tmp_path):
    """Neither in the middle of trying, where what waits for it fails, nor where it is there."""

    async def main():
        async with Spot(Lobby(), tmp_path, limits=FOR_EVER) as spot:
            with pytest.raises(LookupError):
                async with pb.open_connection(spot.url, reconnect=quick(), limits=FOR_EVER) as connection:
                    waits = connection.root.hang(1)
                    await settle(lambda: spot.root.ran)
                    raise LookupError
            with pytest.raises(pb.OutcomeUnknown):
                await waits
            assert "closed" == connection.status.state.value
            with pytest.raises(LookupError):
                async with pb.open_connection(spot.url, reconnect=quick(), limits=FOR_EVER) as connection:
                    await spot.stop()
                    await connection.status.wait_for("waiting", "connecting")
                    waits = connection.root.echo(1)
                    raise LookupError
            with pytest.raises(pb.NotExecuted, match="it was closed"):
                await waits
            await connection.wait_closed()

    run(main())


def test_a_perspective_is_left_as_its_connection_is():
    """`async with pb.connect(...)` owns it."""

    class User(pb.Perspective):
        async def perspective_wait(self):
            asked.set()
            await asyncio.Event().wait()

    class Service(pb.Service):
        def get_perspective_named(self, name):
            return User(name, self)

    async def main():
        application = pb.Application("shop", anonymous="guest", limits=FOR_EVER)
        Service("shop", application).get_perspective_named("guest").make_identity("guest")
        application.listen("memory://left")
        async with application.running():
            with pytest.raises(LookupError):
                async with pb.connect("memory://left", None, None, "shop", limits=FOR_EVER) as user:
                    waits = user.wait()
                    await asked.wait()
                    raise LookupError
            with pytest.raises(pb.OutcomeUnknown):
                await waits

    asked = asyncio.Event()
    run(main())


@pytest.mark.parametrize("what", ["server", "application"])
def test_a_server_that_is_left_finishes_what_it_serves_and_waits_for_no_more(what):
    """The handler may still call its client back; what else this side has asked clients may take for ever."""

    async def main():
        root = Root()
        hand, other = Hand(), Hand()
        if what == "server":
            serving = pb.serve(root, "memory://drained", limits=FOR_EVER)
        else:
            application = pb.Application("shop", limits=FOR_EVER)
            application.root = root
            application.listen("memory://drained")
            serving = application.running()
        with pytest.raises(LookupError):
            async with serving:
                connection = await pb.open_connection("memory://drained", root=other, limits=FOR_EVER)
                asked = connection.root.ask(hand)
                await root.asked.wait()
                server = serving if what == "server" else serving.servers[0]
                (there,) = getattr(server, "_opened", server).connections
                hangs = there.root.hang()
                await other.asked.wait()
                began = asyncio.get_running_loop().time()
                asyncio.get_running_loop().call_later(1, root.may_answer.set)
                raise LookupError
        assert 1 == asyncio.get_running_loop().time() - began
        assert "asked" == await asked
        with pytest.raises(pb.OutcomeUnknown):
            await hangs
        await connection.wait_closed()

    pb.testing.run(main())


def test_after_its_normal_end_all_is_awaited_as_ever():
    """Only errors are in a hurry."""

    async def main():
        root = Root()
        async with pb.serve(root, "memory://patient", limits=FOR_EVER) as server:
            async with pb.open_connection(server.url, limits=FOR_EVER) as connection:
                waits = connection.root.wait()
                asyncio.get_running_loop().call_later(100, root.may_answer.set)
            assert "done" == waits.result()

    pb.testing.run(main())


@pytest.mark.parametrize("how", ["connection", "server", "too late"])
def test_a_coroutine_that_is_thrown_away_leaves_it_to_the_loop(how):
    """Nothing can be awaited there, and it may be the collector of garbage that does it."""

    async def client(url):
        async with pb.open_connection(url, limits=FOR_EVER) as connection:
            opened.append(connection)
            await asyncio.Event().wait()

    async def serve():
        async with pb.serve(Root(), "memory://thrown", limits=FOR_EVER) as server:
            opened.append(server)
            await asyncio.Event().wait()

    async def main():
        async with pb.serve(Root(), "memory://thrown-away", limits=FOR_EVER) as server:
            body = serve() if how == "server" else client(server.url)
            step = body.__await__()
            future = next(step)
            while not opened:
                await _done(future)
                future = next(step)
            if how == "server":
                guest = await pb.open_connection(opened[0].url, limits=FOR_EVER)
                step.close()
                await guest.wait_closed()
                with pytest.raises(OSError):
                    await pb.open_connection(opened[0].url)
            elif how == "connection":
                step.close()
                await opened[0].wait_closed()
            else:
                kept.append((body, step))

    opened = []
    kept = []
    if how == "too late":
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        loop.close()
        kept.pop()[1].close()
        opened.clear()
        gc.collect()
    else:
        run(main())


async def _done(future):
    """Wait for what a coroutine waits for."""
    if future is None:
        await asyncio.sleep(0)
    else:
        future._asyncio_future_blocking = False
        await asyncio.wait([future])
