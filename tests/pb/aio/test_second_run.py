"""A connection that is used when its loop is closed, as newcomers do with two calls of asyncio.run()."""

from __future__ import annotations

import asyncio

import pytest

import pb


class Echo(pb.Root):
    def remote_echo(self, value):
        return value


USES = {
    "a call": lambda connection: connection.root.echo(1),
    "a call with a deadline": lambda connection: connection.root.echo.within(5)(1),
    "a message": lambda connection: connection.root.echo.send(1),
    "closing it": lambda connection: connection.close(),
    "a name": lambda connection: connection.get_object("lobby"),
}


@pytest.mark.parametrize("reconnect", [False, True])
@pytest.mark.parametrize("use", USES)
def test_what_is_used_in_a_second_run_says_what_to_do(use, reconnect):
    """The loop's own words, that it is closed, tell nobody which loop and why; and later ones would hang."""

    async def open_it():
        await pb.serve(Echo(), "memory://second-run")
        connection = await pb.open_connection("memory://second-run", reconnect=reconnect)
        assert 1 == await connection.root.echo(1)
        return connection

    async def use_it():
        found = USES[use](connection)
        return None if found is None else await found

    connection = asyncio.run(open_it())
    for _ in range(3):
        with pytest.raises(RuntimeError, match=r"another asyncio\.run\(\).*open it in the one that uses it"):
            asyncio.run(asyncio.wait_for(use_it(), 5))
