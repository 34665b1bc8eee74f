"""How a connection reads: small messages as bytes, the rest of a long frame into its place."""

from __future__ import annotations

import asyncio
import collections
import itertools

import msgpack
import pytest

import pb
from pb.aio.link import Link
from pb.aio.reading import Pieces
from pb.wire.state import State

from ..peers import framed, hello
from .loops import Place, run

KIBI = 1024


class Root(pb.Root):
    def remote_echo(self, value):
        return value


def call(id, value):
    return framed(msgpack.packb([1, id, 0, "echo", msgpack.packb([[value], {}])]))


class Raw:
    """A client that writes what the test says, and the link that the server has of it."""

    def __init__(self, reader, writer, link):
        self._reader = reader
        self._writer = writer
        self.link = link
        self._answers = collections.deque()

    @property
    def protocol(self):
        return self.link.transport.get_protocol()

    def write(self, data):
        self._writer.write(data)

    async def answer(self):
        """Return the value of the next answer."""
        while not self._answers:
            size = int.from_bytes(await self._reader.readexactly(4), "big")
            message = msgpack.unpackb(await self._reader.readexactly(size))
            self._answers.extend([message] if type(message[0]) is int else message)
        return msgpack.unpackb(self._answers.popleft()[2])

    async def until(self, condition):
        """Let the server read until something holds."""
        while not condition():  # noqa: ASYNC110 - no event: the server is not told what a test looks for
            await asyncio.sleep(0)

    async def close(self):
        self._writer.close()
        await self._writer.wait_closed()


async def raw_client(server, links):
    host, _, port = server.url.removeprefix("pb://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(hello(max_frame=1 << 22))
    await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
    return Raw(reader, writer, links[0])  # which was made before it said HELLO


def over_raw(main, loop):
    """Run `main(raw)` with a server of that loop at the other end."""
    links = []

    def root(connection):
        links.append(connection._link)
        return Root()

    async def serving():
        async with pb.serve(root, "pb://127.0.0.1:0") as server:
            raw = await raw_client(server, links)
            await main(raw)
            await raw.close()

    run(serving(), loop)


def test_the_rest_of_a_long_frame_is_read_into_its_place(loop):
    """Short reads come as bytes where that is quicker; a long frame is not copied piece after piece."""
    short = Pieces if loop == "uvloop" else Link

    async def main(raw):
        assert short is type(raw.protocol)
        frame = call(1, bytes(4096) * 100)
        raw.write(frame[: 100 * KIBI])
        await raw.until(lambda: raw.link.broker.reader.arriving is not None)
        await raw.until(lambda: raw.link is raw.protocol)
        raw.write(frame[100 * KIBI :])
        assert bytes(4096) * 100 == await raw.answer()
        assert raw.link is raw.protocol  # another such may follow
        raw.write(call(2, "short"))
        assert "short" == await raw.answer()
        await raw.until(lambda: short is type(raw.protocol))
        raw.write(call(3, "shorter"))
        assert "shorter" == await raw.answer()

    over_raw(main, loop)


@pytest.mark.parametrize("size", [10 * KIBI, 40 * KIBI, 300 * KIBI])
def test_messages_of_all_sizes_come_in_their_order(loop, size):
    """However the stream is cut: what was read as bytes and what was read into place are one stream."""
    sizes = [1, size, 1, 1, size, size, 1]
    stream = b"".join(call(id, bytes([id]) * length) for id, length in enumerate(sizes, 1))

    async def main(raw):
        cuts = [*range(0, len(stream), size // 3 + 7), len(stream)]
        for start, stop in itertools.pairwise(cuts):
            raw.write(stream[start:stop])
            await asyncio.sleep(0)
        for id, length in enumerate(sizes, 1):
            assert bytes([id]) * length == await raw.answer()

    over_raw(main, loop)


def test_a_peer_that_leaves_within_a_long_frame_ends_its_connection(loop):
    async def main(raw):
        raw.write(call(1, bytes(300 * KIBI))[: 100 * KIBI])
        await raw.until(lambda: raw.link is raw.protocol and raw.link.broker.reader.frame is not None)
        await raw.close()
        await raw.until(lambda: raw.link.broker.state is State.CLOSED)

    over_raw(main, loop)


def test_over_each_transport_long_and_short_ones_take_turns(loop, place: Place):
    async def main():
        async with place.serve(Root()) as server, pb.open_connection(server.url) as connection:
            for size in (10, 500_000, 10, 40_000, 500_000, 500_000, 10, 10):
                assert b"x" * size == await connection.root.echo(b"x" * size)

    run(main(), loop)
