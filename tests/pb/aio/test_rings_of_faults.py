"""What is left of a connection that was ended for its peer's fault: nothing either.

The error that it ended for knows the functions it went through, and these know the connection. It is what
attackers make, as often as they like.
"""

from __future__ import annotations

import asyncio

import pytest

from .loops import Place
from .test_rings import left_at

pytestmark = pytest.mark.unmeasured  # the same very often, and nothing that others do not reach


async def garbled(spot):
    """Each side is sent what it ends the connection for, and a stranger sends it at once."""
    host, _, port = spot.server.url.removeprefix("pb://").partition(":")
    for data in (b"\xff\xff\xff\xff", b"\x00\x00\x00\x02\x92\x01", b"\x00\x00\x00\x02\x91\x63"):
        for is_server in (False, True):
            connection = await spot.open()
            link = spot.server.connections[0]._link if is_server else connection._link
            link.transport.write(data)
            await connection.wait_closed()
            await spot.is_left()
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(data)
        await reader.read()
        writer.close()
        await spot.is_left()


def test_nothing_is_left_of_a_connection_that_broke_the_protocol(tmp_path, loop):
    assert {} == left_at(Place("pb", tmp_path), garbled, loop, count=10)
