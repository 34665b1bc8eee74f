"""What waits for a result when its connection ends, under a loop."""

from __future__ import annotations

import asyncio

import msgpack
import pytest

import pb
from pb import messages

from ..peers import frame, hello
from .loops import run


class Late(pb.Root):
    """Gives a result late, and counts what has waited for it."""

    def __init__(self):
        self.ready = asyncio.Event()
        self.begun = 0
        self.third = asyncio.Event()

    async def remote_later(self):
        await self.ready.wait()
        return self

    def remote_large(self):
        return bytes(4_000_000)

    async def remote_hold(self):
        self.begun += 1
        if self.begun == 3:
            self.third.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize("more", [0, 1000], ids=["silent", "saying more"])
def test_nothing_that_waits_for_a_result_begins_once_the_peer_has_gone(place, loop, more):
    """However many turns all of it takes: the end is seen between them, behind a little that came before."""

    async def main():
        root = Late()
        slow = pb.Limits(turn_envelopes=1)
        async with place.serve(root, limits=slow) as server, pb.open_connection(server.url) as connection:
            ready = connection.root.later()
            calls = [asyncio.ensure_future(ready.hold()) for _ in range(500)]
            while not server.connections or server.connections[0].usage.calls_served < 501:  # noqa: ASYNC110
                await asyncio.sleep(0)
            root.ready.set()
            await root.third.wait()
            if more:
                connection.root.nothing.send(more * "x")
                await asyncio.sleep(0)
            connection.abort()
            while server.connections:  # noqa: ASYNC110 - no event: what is looked for is that it is soon
                await asyncio.sleep(0)
            assert root.begun < 100
            await asyncio.gather(*calls, return_exceptions=True)
            assert root.begun < 100

    run(main(), loop)


def test_nothing_that_waits_begins_while_answers_go_out_to_who_says_nothing_more(loop):
    """The transport has seen the end, and tells it when what was written has gone: that may take long."""

    async def main():
        root, links = Late(), []

        def enter(connection):
            links.append(connection._link)
            return root

        unheld = pb.Limits(turn_envelopes=1, write_high_bytes=1 << 26)  # else they wait for the peer to read
        async with pb.serve(enter, "pb://127.0.0.1:0", limits=unheld) as server:
            port = int(server.url.rpartition(":")[2])
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(hello(max_frame=1 << 22, features=["pipeline"]))
            nothing = msgpack.packb([[], {}])
            for id in range(1, 7):  # more than the system takes of what nobody reads
                writer.write(frame([messages.CALL, id, 0, "large", nothing]))
            writer.write(frame([messages.CALL, 7, 0, "later", nothing, {"keep": True}]))
            for id in range(8, 508):
                writer.write(frame([messages.CALL, id, -7, "hold", nothing]))
            while not links or links[0].broker.serving.count < 501:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0)
            transport = links[0].transport
            root.ready.set()
            await root.third.wait()
            writer.write_eof()
            while not transport.is_closing():  # noqa: ASYNC110
                await asyncio.sleep(0)
            await asyncio.sleep(0)  # for the first step of one that has begun
            begun = root.begun
            for _ in range(100):
                await asyncio.sleep(0)
            found = (len(server.connections), root.begun)
            writer.transport.abort()
        assert (1, begun) == found
        assert begun < 100

    run(main(), loop)
