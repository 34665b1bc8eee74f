"""What connections have to say goes to their transports: in how many writes, and what a failure does."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

import pb
from pb.aio.writing import write_out

from ..cached import REGISTRY, Shop
from .loops import Writes, run


class Frames(Writes):
    """A transport that keeps what is written to it, or fails."""

    def __init__(self, link, error=None):
        super().__init__(link)
        self.link = link
        self.frames = []
        self.error = error

    def write(self, data):
        if self.error is not None:
            raise self.error
        self.frames.append(data)
        super().write(data)


@asynccontextmanager
async def watched(count, **options):
    """A shop whose stock is followed over so many connections: it, its links, the replicas, and what waits
    until all that was said before has been read."""
    shop = Shop()
    links = []

    def root(connection):
        links.append(connection._link)
        return shop

    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            pb.serve(root, "pb://127.0.0.1:0", registry=REGISTRY, **options)
        )
        connections = [
            await stack.enter_async_context(pb.open_connection(server.url, registry=REGISTRY))
            for _ in range(count)
        ]
        replicas = [await connection.root.get("stock") for connection in connections]

        async def read(*numbers):
            for number in numbers or range(count):
                await connections[number].root.get("stock")

        yield shop, links, replicas, read


def test_a_change_told_to_many_is_one_frame_for_all(loop):
    """Each transport is given the same bytes, once, at the end of the turn."""

    async def main():
        async with watched(3) as (shop, links, replicas, read):
            transports = [Frames(link) for link in links]
            shop.stock._observers.send("set", 2)
            assert [[]] * 3 == [each.frames for each in transports]
            await read()
            assert [2] * 3 == [each.n for each in replicas]
            (first, _), (second, _), (third, _) = [each.frames for each in transports]
            assert first is second is third

    run(main(), loop)


def test_what_one_turn_produces_is_one_write(loop):
    """Two changes are a batch; what is said by hand to one of them is in its own."""

    async def main():
        async with watched(3) as (shop, links, replicas, read):
            transports = [Frames(link) for link in links]
            shop.stock._observers.send("set", 2)
            links[1].broker.ping()
            shop.stock._observers.send("set", 3)
            await read()
            assert [3] * 3 == [each.n for each in replicas]
            (first, _), (second, _), (third, _) = [each.frames for each in transports]
            assert first == third != second

    run(main(), loop)


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_transport_that_fails_does_not_keep_the_others_from_being_written(loop, failing):
    """The loop is told, as of any callback that fails."""

    async def main():
        told = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        async with watched(3) as (shop, links, replicas, read):
            error = OSError("broken")
            for number, link in enumerate(links):
                Frames(link, error if number == failing else None)
            shop.stock._observers.send("set", 2)
            await read(*{0, 1, 2} - {failing})
            assert 2 == sum(each.n == 2 for each in replicas)
            assert [error] == [context["exception"] for context in told]
            assert 1 == replicas[failing].n
            with pytest.raises(OSError, match="broken"):
                links[failing].broker.ping()
                links[failing].write_now()
            for link in links:
                link.abort()

    run(main(), loop)


class Counting(pb.Hooks):
    def __init__(self):
        self.sent = 0

    def bytes_sent(self, connection, count):
        self.sent += count


def test_bytes_that_are_told_are_told_of_every_write(loop):
    """A hook is told of each, on the short way too."""

    async def main():
        hook = Counting()
        async with watched(2, hooks=hook) as (shop, links, replicas, read):
            transports = [Frames(link) for link in links]
            before = hook.sent
            shop.stock._observers.send("set", 2)
            await read()
            assert [2] * 2 == [each.n for each in replicas]
            assert [None, None] == [link.direct for link in links]
            assert hook.sent - before == sum(len(frame) for each in transports for frame in each.frames)

    run(main(), loop)


def test_who_is_not_read_from_is_looked_after_at_each_write(loop):
    """While the network takes no more, and for a connection that its references keep."""

    async def main():
        async with watched(1) as (_shop, links, _replicas, _read):
            (link,) = links
            assert link.direct is not None
            link.pause_writing()
            assert link.direct is None
            link.resume_writing()
            assert link.direct is not None
            link.own()
            assert link.direct is None

    run(main(), loop)


def test_nothing_is_written_where_nothing_is_to_be_said(loop):
    """Or where there is no transport any longer."""

    async def main():
        async with watched(1) as (_shop, links, _replicas, read):
            (link,) = links
            transport = Frames(link)
            write_out(links)
            assert [] == transport.frames
            link.abort()
            with pytest.raises(pb.ConnectionLost):
                await read()
            write_out(links)
            assert ([], None) == (transport.frames, link.direct)

    run(main(), loop)


def test_what_is_large_is_written_beside_the_rest(loop):
    """Several buffers, and more than one message: neither is the short way."""

    async def main():
        async with watched(1) as (shop, _links, replicas, read):
            shop.stock._observers.send("put", "wares", "x" * 100_000)
            shop.stock._observers.send("set", 2)
            await read()
            assert (100_000, 2) == (len(replicas[0].wares), replicas[0].n)

    run(main(), loop)
