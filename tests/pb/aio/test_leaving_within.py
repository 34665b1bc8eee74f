"""Closing from inside: a method that ends what its own call came over waits for everything but itself."""

from __future__ import annotations

import asyncio

import pytest

import pb
from pb.testing import pair
from pb.testing import run as run_by_clock

from .loops import run
from .test_leaving import FOR_EVER, Root


class Leaver(pb.Root):
    """Ends its own connections, and says so."""

    def __init__(self):
        self.ends = None
        self.later = None

    async def remote_leave(self):
        await pb.current_call().connection.close()
        return "left"

    async def remote_end(self):
        await self.ends()
        return "ended"

    async def remote_leave_in_a_block(self):
        async with pb.current_call().connection:
            pass
        return "left"

    async def remote_leave_quietly(self):
        await pb.current_call().connection.close()

    async def remote_rows(self):
        yield 1
        await pb.current_call().connection.close()
        yield 2

    async def remote_ask(self, leaver):
        return await leaver.leave()

    def remote_leave_later(self):
        self.later = asyncio.create_task(pb.current_call().connection.close())
        return "leaving"


@pytest.mark.parametrize("method", ["leave", "leave_in_a_block", "leave_later"])
def test_a_method_may_close_the_connection_of_its_call(method):
    """It does not wait for itself, and its answer is sent. A task that nobody waits for waits for the end."""

    async def main():
        root = Leaver()
        async with pair(root) as (client, server, remote):
            began = asyncio.get_running_loop().time()
            assert await pb.call_remote(remote, method) in ("left", "leaving")
            if root.later is not None:
                await root.later
                assert None is server._link.transport
            await client.wait_closed()
            await server.wait_closed()
            assert began == asyncio.get_running_loop().time()

    run_by_clock(main())


def test_what_makes_a_stream_may_close_its_connection():
    """It is under way, though the call was answered with its beginning."""

    async def main():
        async with pair(Leaver()) as (client, _, remote):
            began = asyncio.get_running_loop().time()
            assert [1, 2] == [row async for row in remote.rows()]
            await client.wait_closed()
            assert began == asyncio.get_running_loop().time()

    run_by_clock(main())


def test_a_callback_and_a_method_that_nobody_awaits_may_close_it_too():
    """Where a call has no id, any that runs is taken for it."""

    async def main():
        async with pair(Leaver()) as (client, _, remote):
            assert "left" == await remote.ask(Leaver())
            await client.wait_closed()
        async with pair(Leaver()) as (client, _, remote):
            began = asyncio.get_running_loop().time()
            remote.leave_quietly.send()
            await client.wait_closed()
            assert began == asyncio.get_running_loop().time()

    run_by_clock(main())


def test_a_method_may_close_its_server(place, loop):
    """Who else is there is served to the end; `serve_forever` returns when the last has gone."""

    async def main():
        root = Leaver()
        async with place.serve(root, limits=FOR_EVER) as server:
            root.ends = server.close
            other = await pb.open_connection(server.url, limits=FOR_EVER)
            connection = await pb.open_connection(server.url, limits=FOR_EVER)
            serving = asyncio.create_task(server.serve_forever())
            assert "ended" == await connection.root.end()
            await serving
            assert [] == server.connections
            with pytest.raises(pb.NotExecuted):
                await other.root.leave()

    run(main(), loop)


def test_a_method_may_stop_its_application():
    """What is kept is written, and its store closed, when the last call has been answered."""

    async def main():
        application = pb.Application("stopped")
        application.root = root = Leaver()
        application.listen("memory://stopped")
        root.ends = application.stop
        await application.start()
        connection = await pb.open_connection("memory://stopped")
        assert application.is_running
        assert "ended" == await connection.root.end()
        await connection.wait_closed()
        await application.stop()  # waits for what the method could not wait for
        assert not application.is_running
        await application.start()
        await application.stop()

    run_by_clock(main())


def test_a_connection_of_another_is_waited_for():
    """Only who would wait for itself does not wait."""

    class Middle(pb.Root):
        def __init__(self, far):
            self.far = far

        async def remote_leave(self):
            working = self.far.root.wait()
            closing = asyncio.create_task(self.far.close())
            await asyncio.sleep(1)
            assert not closing.done()
            there.may_answer.set()
            await closing
            return await working

    there = Root()

    async def main():
        async with pair(there) as (far, _, _), pair(Middle(far)) as (_, _, remote):
            assert "done" == await remote.leave()

    run_by_clock(main())
