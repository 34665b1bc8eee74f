"""A stream beside something that is shared: the payload is written again, and the stream is still one."""

from __future__ import annotations

import asyncio

import pb


class Root(pb.Root):
    def remote_both(self):
        async def rows():
            yield 1
            yield 2

        shared = [1]
        return [rows(), shared, shared]


def test_a_stream_in_a_payload_with_sharing_arrives_once():
    """Sharing is found under way, when the stream has its id already."""

    async def main():
        async with (
            pb.serve(Root(), "memory://graph") as server,
            pb.open_connection(server.url) as connection,
        ):
            stream, one, other = await connection.root.both()
            assert one is other
            assert [1, 2] == [item async for item in stream]

    asyncio.run(main())
