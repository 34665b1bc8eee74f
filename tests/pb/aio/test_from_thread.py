"""Calls that other threads make over the loop's connections."""

from __future__ import annotations

import asyncio
import threading

import pytest

import pb

from .loops import run


class Root(pb.Root):
    def __init__(self):
        self.noted = []
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()

    def remote_echo(self, value):
        return value

    def remote_note(self, value):
        self.noted.append(value)

    def remote_fail(self):
        raise pb.Forbidden("not this")

    async def remote_wait(self):
        self.entered.set()
        await self.gate.wait()

    @pb.in_thread
    def remote_relay(self, callback):
        return pb.from_thread(callback.ask, "from a thread")

    @pb.in_thread
    def remote_relay_for_long(self, callback):
        return pb.from_thread(callback.never)


class Callback(pb.Referenceable):
    def __init__(self):
        self.gate = asyncio.Event()

    def remote_ask(self, text):
        return text + ", answered"

    async def remote_never(self):
        await self.gate.wait()


def test_a_thread_calls_through_the_loop(loop):
    """References are the loop's; a thread that touched them would write between its frames."""

    async def main():
        root = Root()
        async with (
            pb.serve(root, "memory://from-thread") as server,
            pb.open_connection(server.url) as connection,
        ):
            remote = connection.root

            def work():
                found = [pb.from_thread(remote.echo, number) for number in range(50)]
                assert None is pb.from_thread(remote.note.send, 7)
                with pytest.raises(pb.Forbidden):
                    pb.from_thread(remote.fail)
                with pytest.raises(pb.DeadlineExceeded):
                    pb.from_thread(remote.wait.within(0.01))
                return found

            results = await asyncio.gather(*(asyncio.to_thread(work) for _ in range(8)))
            assert [list(range(50))] * 8 == results
            assert [7] * 8 == root.noted

    run(main(), loop)


def test_a_method_in_a_thread_calls_its_caller_back(loop):
    """It blocks its thread and nothing else; the deadline of its own call is in force there."""

    async def main():
        async with (
            pb.serve(Root(), "memory://from-thread") as server,
            pb.open_connection(server.url) as connection,
        ):
            assert "from a thread, answered" == await connection.root.relay(Callback())
            with pytest.raises(pb.DeadlineExceeded):
                await connection.root.relay_for_long.within(0.05)(Callback())
            assert 1 == await connection.root.echo(1)

    run(main(), loop)


def test_where_it_would_block_a_loop_it_is_refused(loop):
    """It would wait for itself."""

    async def main():
        async with (
            pb.serve(Root(), "memory://from-thread") as server,
            pb.open_connection(server.url) as connection,
        ):
            with pytest.raises(RuntimeError, match="await the call instead"):
                pb.from_thread(connection.root.echo, 1)
            with pytest.raises(TypeError, match="not a builtin_function_or_method"):
                pb.from_thread(print, 1)

    run(main(), loop)


def test_after_the_loop_nothing_waits_for_ever():
    """A thread may outlive the loop; what it does then has an outcome too."""
    told = []
    made = threading.Event()

    def wait_for(remote):
        made.set()
        try:
            pb.from_thread(remote.wait)
        except pb.ConnectionLost as error:
            told.append(type(error))

    async def main():
        root = Root()
        # Left open by the loop, and sockets would warn of it in whichever test they are collected.
        server = await pb.serve(root, "memory://after-the-loop")
        connection = await pb.open_connection(server.url)
        thread = threading.Thread(target=wait_for, args=[connection.root])
        thread.start()
        await root.entered.wait()
        return connection.root, thread

    remote, thread = asyncio.run(main())
    thread.join(10)
    assert [pb.OutcomeUnknown] == told
    with pytest.raises(pb.DeadReference, match="loop of its connection is closed"):
        pb.from_thread(remote.echo, 1)

    async def free():
        async with pb.serve(Root(), "memory://after-the-loop"):
            pass

    asyncio.run(free())
