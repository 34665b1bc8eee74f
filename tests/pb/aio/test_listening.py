"""Who is accepted in the very turn in which a server closes is not left waiting."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest

import pb

from ..pump import messages_in
from .loops import Place, run

LIMIT_S = 10


class Root(pb.Root):
    pass


def connected(server):
    """Return a socket that the system has connected, though nobody has accepted it."""
    address = server.url.partition("://")[2].rpartition("@")[2]
    if server.url.startswith("pb+unix"):
        found = socket.socket(socket.AF_UNIX)
        found.connect(address)
    else:
        host, _, port = address.rpartition(":")
        found = socket.create_connection((host, int(port)))
    found.settimeout(LIMIT_S)
    return found


def read_all(connection):
    """Return what comes until the other side closes; a hang is an error."""
    found = b""
    while data := connection.recv(65536):
        found += data
    return found


async def accepted():
    """Wait until a connection has been accepted, and nothing has been done for it."""
    before = asyncio.all_tasks()
    while not asyncio.all_tasks() - before:  # noqa: ASYNC110
        await asyncio.sleep(0)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # of the socket that nothing holds any longer
@pytest.mark.parametrize("turns", [0, 1, 2])
@pytest.mark.parametrize("scheme", ["pb", "pbs", "pb+unix", "ws", "wss"])
def test_who_was_accepted_when_the_server_closes_is_told_or_hung_up_on(scheme, turns, tmp_path):
    """Without a transport the socket stayed open until garbage was collected, whatever the limits."""

    async def main():
        async with Place(scheme, tmp_path).serve(Root()) as server:
            with connected(server) as connection:
                await accepted()
                for _ in range(turns):
                    await asyncio.sleep(0)
                await server.close()
                return await asyncio.to_thread(read_all, connection)

    gc.disable()
    try:
        said = run(main())
    finally:
        gc.enable()
    if scheme in ("pb", "pb+unix"):
        assert ([0, 15] if turns else []) == [message[0] for message in messages_in(said)]


def test_the_place_is_free_when_the_server_has_closed(tmp_path, loop):
    """Another may listen there at once."""

    async def main():
        first = await pb.serve(Root(), "pb://127.0.0.1:0")
        url = first.url
        await first.close()
        async with pb.serve(Root(), url) as second:
            assert url == second.url

    run(main(), loop)
