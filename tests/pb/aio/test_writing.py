"""What connections have to say goes to their transports: in how many writes, and what a failure does."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

import pb
from pb.aio.writing import write_out
from pb.wire.flushed import ALONE

from ..cached import REGISTRY, Shop, Stock
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
    """A shop whose stock is followed over so many connections, and has changed now and then: it, its links,
    the replicas, and what waits until all that was said before has been read."""
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

        for _ in range(ALONE):  # changes come one by one
            shop.stock._observers.send("set", 1)
            await read()
        yield shop, links, replicas, read


def test_a_change_told_to_many_is_one_frame_for_all(loop):
    """Each transport is given the same bytes, once: the first at the end of the turn, the others at once."""

    async def main():
        async with watched(3) as (shop, links, replicas, read):
            transports = [Frames(link) for link in links]
            shop.stock._observers.send("set", 2)
            assert [0, 1, 1] == [len(each.frames) for each in transports]
            await read()
            assert [2] * 3 == [each.n for each in replicas]
            (first, _), (second, _), (third, _) = [each.frames for each in transports]
            assert first == second
            assert second is third

    run(main(), loop)


def test_where_changes_come_together_the_next_ones_are_one_frame_too(loop):
    """The first of them was not held back for it, but where one turn had several, so may the next ones."""

    async def main():
        async with watched(3) as (shop, links, replicas, read):
            tell = shop.stock._observers.send
            transports = [Frames(link) for link in links]
            counts = []
            for numbers in ([2], [3, 4], [5, 6], *[[7]] * ALONE):
                for number in numbers:
                    tell("set", number)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                counts.append([len(each.frames) for each in transports])
                for transport in transports:
                    transport.frames.clear()
            assert [[1, 1, 1], [1, 2, 2], *[[1, 1, 1]] * (1 + ALONE)] == counts
            tell("set", 9)
            assert [0, 1, 1] == [len(each.frames) for each in transports]
            await read()
            assert [9] * 3 == [each.n for each in replicas]

    run(main(), loop)


def test_changes_arrive_in_the_order_in_which_they_were_made(loop, place):
    """Over every transport, told alone or several in a turn, by calls of those who are told or by nobody."""

    async def main():
        shop = Shop(stock=Stock(items=[], n=0))
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(place.serve(shop, registry=REGISTRY))
            connections = [
                await stack.enter_async_context(pb.open_connection(server.url, registry=REGISTRY))
                for _ in range(3)
            ]
            replicas = [await connection.root.get("stock") for connection in connections]
            numbers = iter(range(1000))
            for callers, others in [*[(1, 0)] * 10, (3, 0), (2, 2), *[(1, 0)] * 10, (1, 3), *[(0, 1)] * 10]:
                calls = [each.root.tell("stock", "add", next(numbers)) for each in connections[:callers]]
                for _ in range(others):
                    shop.stock.tell("add", next(numbers))
                await asyncio.gather(*calls, asyncio.sleep(0))
            for connection in connections:
                await connection.root.get("stock")
            assert [*range(next(numbers))] == sorted(shop.stock.items)
            assert [shop.stock.items] * 3 == [each.items for each in replicas]

    run(main(), loop)


def test_who_takes_no_more_is_written_to_behind_what_waits(loop):
    """The others are not kept by it."""

    async def main():
        async with watched(3) as (shop, links, replicas, read):
            transports = [Frames(link) for link in links]
            links[1].pause_writing()
            shop.stock._observers.send("set", 2)
            assert [0, 0, 1] == [len(each.frames) for each in transports]
            links[1].resume_writing()
            await read()
            assert [2] * 3 == [each.n for each in replicas]

    run(main(), loop)


def test_who_is_gone_is_not_written_to(loop):
    """Nor while its end is on its way; nobody else notices."""

    async def main():
        async with watched(3) as (shop, links, replicas, read):
            links[1].abort()
            shop.stock._observers.send("set", 2)
            with pytest.raises(pb.ConnectionLost):
                await read(1)
            shop.stock._observers.send("set", 3)
            await read(0, 2)
            assert [3, 3] == [replicas[0].n, replicas[2].n]
            assert (2, True) == (len(shop.stock._observers), pb.is_stale(replicas[1]))

    run(main(), loop)


def test_a_write_that_may_be_too_much_at_once_is_looked_after(loop):
    """It would end the connection, and who has left be told of in the middle of a change."""

    async def main():
        limits = pb.Limits(max_frame=8192, write_max_bytes=0)
        async with watched(2, limits=limits) as (shop, links, replicas, read):
            transports = [Frames(link) for link in links]
            assert [None, None] == [link.outbox.direct for link in links]
            shop.stock._observers.send("set", 2)
            assert [[], []] == [each.frames for each in transports]
            await read()
            assert [2, 2] == [each.n for each in replicas]

    run(main(), loop)


def test_what_one_turn_produces_is_one_write(loop):
    """Two changes are a batch where two are expected; what is said by hand to one of them is in its own."""

    async def main():
        async with watched(3) as (shop, links, replicas, read):
            shop.stock._observers.send("set", 0)
            shop.stock._observers.send("set", 1)
            await read()
            transports = [Frames(link) for link in links]
            shop.stock._observers.send("set", 2)
            links[1].broker.ping()
            shop.stock._observers.send("set", 3)
            await asyncio.sleep(0)  # else a call that is read before the turn is over is answered with them
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
            assert [None, None] == [link.outbox.direct for link in links]
            assert hook.sent - before == sum(len(frame) for each in transports for frame in each.frames)

    run(main(), loop)


def test_who_is_not_read_from_is_looked_after_at_each_write(loop):
    """While the network takes no more, and for a connection that its references keep."""

    async def main():
        async with watched(1) as (_shop, links, _replicas, _read):
            (link,) = links
            assert link.outbox.direct is not None
            link.pause_writing()
            assert link.outbox.direct is None
            link.resume_writing()
            assert link.outbox.direct is not None
            link.own()
            assert link.outbox.direct is None

    run(main(), loop)


def test_nothing_is_written_where_nothing_is_to_be_said(loop):
    """Or where there is no transport any longer."""

    async def main():
        async with watched(1) as (_shop, links, _replicas, read):
            (link,) = links
            transport = Frames(link)
            write_out(links, pytest.fail)
            assert [] == transport.frames
            link.abort()
            with pytest.raises(pb.ConnectionLost):
                await read()
            write_out(links, pytest.fail)
            assert ([], None) == (transport.frames, link.outbox.direct)

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
