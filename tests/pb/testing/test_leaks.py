"""What is still held is named, and what is not is not."""

from __future__ import annotations

import asyncio
import os

import pytest

import pb
from pb.testing import Census, Gate, Pump, assert_clean, held, pair, run


class Root(pb.Root):
    def __init__(self):
        self.gate = asyncio.Event()

    def remote_thing(self):
        return pb.Referenceable()

    def remote_keep(self, thing):
        self.kept = thing

    async def remote_wait(self):
        await self.gate.wait()


def test_an_open_connection_that_holds_nothing_is_clean():
    """Its roots, its transport and its timer are what makes it a connection."""

    async def main():
        async with pair(Root()) as (client, server, root):
            await root.keep(1)
            assert {} == held(client)
            assert_clean(client, server)
        assert_clean(client, server)

    run(main())


def test_what_is_held_is_named():
    """By kind, with what tells one from another."""

    async def main():
        served = Root()
        async with pair(served) as (client, server, root):
            thing = await root.thing()
            waiting = root.wait()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert {"objects that the peer holds", "calls that are served", "tasks"} == set(held(server))
            assert {"references to the peer's objects", "calls that wait for an answer"} == set(held(client))
            with pytest.raises(AssertionError, match=r"still holds .*peer's objects: \['1'\]"):
                assert_clean(client, server)
            served.gate.set()
            await waiting
            del thing
            await asyncio.sleep(1)
            assert_clean(client, server)

    run(main())


def test_after_the_end_nothing_may_be_left():
    """Not even the roots."""

    async def main():
        served = Root()
        async with pair(served) as (client, server, root):
            thing, waiting = await root.thing(), root.wait()
            pb.on_disconnect(root, print)
            await asyncio.sleep(1)
            client.abort()
            await asyncio.gather(waiting, server.wait_closed(), return_exceptions=True)
            await asyncio.sleep(1)
            assert_clean(client, server)
        return thing

    run(main())


def test_a_side_of_a_pump_is_looked_at_too():
    """With handlers that have not begun."""

    class Waiter(pb.Root):
        async def remote_wait(self):
            await Gate()

    pump = Pump(Waiter())
    pump.root.wait()
    pump.server.input(pump.client.output())
    assert {"calls that are served"} == set(held(pump.server))
    pump.lose()
    assert_clean(pump.client, pump.server)


def test_a_census_finds_what_grew():
    """By type; and files."""

    class Left:
        pass

    before = Census.take()
    kept = [Left() for _ in range(5)]
    read, write = os.pipe()
    grown = Census.take().growth_since(before)
    os.close(read)
    os.close(write)

    assert 5 == len(kept) == next(n for name, n in grown.items() if name.endswith(".Left"))
    assert 2 == grown["open files"]
    assert not [name for name in Census.take().growth_since(before, tolerance=5) if "Left" in name]


def test_a_census_counts_tasks_and_memory():
    """Without the task that asks."""

    async def main():
        before = Census.take()
        task = asyncio.create_task(asyncio.sleep(10))
        memory = bytearray(b"x") * 100_000_000  # more than an allocator would have lying about
        grown = Census.take().growth_since(before)
        assert [1, True] == [grown["tasks"], grown["bytes of memory"] > 50_000_000]
        assert 100_000_000 == len(memory)
        task.cancel()

    run(main())
