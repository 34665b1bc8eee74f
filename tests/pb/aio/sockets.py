"""Speaking WebSocket to a listener of ours, in the words of the library or byte by byte."""

from __future__ import annotations

import asyncio
import contextlib

import msgpack
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

import pb

from ..peers import hello
from .loops import run

LIMIT_S = 10
HELLO = hello()[4:]


class Root(pb.Root):
    def remote_echo(self, value):
        return value


def message(*envelope):
    """One message: a frame without its length."""
    return msgpack.packb(list(envelope))


@contextlib.asynccontextmanager
async def socket_to(server, **options):
    """A client that speaks WebSocket and says what the test says."""
    options = {"subprotocols": ["pb.1"], "compression": None, "proxy": None, **options}
    async with connect(server.url, **options) as socket:
        yield socket


async def closed(socket):
    """Read on until the end; return the messages and the close code."""
    seen = []
    try:
        async with asyncio.timeout(LIMIT_S):
            while True:
                seen.append(await socket.recv())
    except ConnectionClosed as error:
        return seen, error.rcvd.code if error.rcvd else None


def over(main, loop, web=None, limits=None):
    """Run `main(server)` with a server at ws://."""

    async def serving():
        async with pb.serve(Root(), "ws://127.0.0.1:0", web=web, limits=limits) as server:
            await main(server)
            async with pb.open_connection(server.url) as connection:  # whatever it was, the listener lives
                assert 1 == await connection.root.echo(1)

    run(serving(), loop)


async def ask(server, request):
    """Return what a listener answers to bytes, up to its end."""
    host, port = server.url.removeprefix("ws://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), LIMIT_S)
    finally:
        writer.close()
