"""A connection that is used when its loop is closed, as newcomers do with two calls of asyncio.run()."""

from __future__ import annotations

import asyncio

import pytest

import pb

from ..cached import REGISTRY, Shop


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


def test_an_observer_whose_loop_is_closed_keeps_no_update_from_the_others():
    """Each time it is said what to do, and nothing is kept for a connection that will never be written."""
    shop = Shop()
    group = shop.stock._observers
    kept = []

    async def hold(name, count):
        server = await pb.serve(shop, f"memory://{name}", registry=REGISTRY)
        kept.append(server)
        for _ in range(count):
            connection = await pb.open_connection(f"memory://{name}", registry=REGISTRY)
            kept.append(connection)
            yield await connection.root.get("stock")

    async def first_run():
        kept.extend([replica async for replica in hold("closed-loop", 1)])

    async def second_run():
        replicas = [replica async for replica in hold("open-loop", 2)]
        closed, one, other = group
        for observer in (closed, other):  # between the two that live
            group.discard(observer)
            group.add(observer)
        assert [one, closed, other] == list(group)
        for n in range(1, 5):
            with pytest.raises(RuntimeError, match=r"another asyncio\.run\(\)"):
                group.send("set", n)
            await asyncio.sleep(0.01)
            assert [n, n] == [replica.n for replica in replicas]
        assert len(closed._pb_import.scope.broker.outbox.batch) <= 1
        for each in kept[-3:]:
            await each.close()

    asyncio.run(first_run())
    asyncio.run(second_run())
