"""What waits for a result when its connection ends, under a loop."""

from __future__ import annotations

import asyncio

import pytest

import pb

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
