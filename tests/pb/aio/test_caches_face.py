"""Caches, observers and perspectives as asyncio programs have them."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest

import pb

from ..cached import REGISTRY, Shop, Stock
from .loops import run

URLS = pytest.mark.parametrize("url", ["memory://caches", "pb://127.0.0.1:0"], ids=["memory", "tcp"])


class Counter(Stock):
    def observe_echo(self, value):
        return value

    def observe_look(self):
        if "_stopped" not in vars(self):  # at a replica
            self.seen = pb.current_call()

    async def observe_slow(self, value):
        await asyncio.sleep(0)
        self.n = value
        return value


REGISTRY_HERE = pb.Registry()
REGISTRY_HERE.include(REGISTRY)
REGISTRY_HERE.add(Counter, "shop.Counter")


class Client(pb.Root):
    def __init__(self):
        self.kept = []

    def remote_take(self, *values):
        self.kept += values


class Place(Shop):
    """A shop of the loop."""

    def __init__(self):
        super().__init__(stock=Counter(n=1))

    async def remote_login(self, name, client):
        """Show the client something before it gets its perspective."""
        attachment = self.remote_enter(name, client)
        await self.client.take(self.weapon)
        await asyncio.sleep(0.01)
        return attachment


async def until(holds):
    """Wait until something holds, for a moment at most."""
    for _ in range(500):
        if holds():
            return
        gc.collect()
        await asyncio.sleep(0.002)
    raise AssertionError("it never came to hold")


def over(url, body, loop):
    """Run `body(shop, connection, server, connect)` with a server and one connection."""

    async def main():
        shop = Place()
        async with pb.serve(shop, url, registry=REGISTRY_HERE) as server:

            def connect(**options):
                return pb.open_connection(server.url, registry=REGISTRY_HERE, **options)

            async with connect() as connection:
                await body(shop, connection, server, connect)

    run(main(), loop)


@URLS
def test_a_replica_follows_and_knows_its_connection(url, loop):
    """And is not stale as long as that lasts."""

    async def body(shop, connection, server, connect):
        root = connection.root
        replica = await root.get("stock")
        assert connection is pb.connection_of(replica)
        assert not pb.is_stale(replica)
        assert 5 == await connection.root.tell("stock", "set", 5) == replica.n
        assert await connection.root.get("stock") is replica
        assert await connection.root.get(name="stock") is replica
        (given,) = server.connections
        assert (2, 2) == (connection.usage.references_held, given.usage.references_given)  # with both roots
        assert root is connection.root

    over(url, body, loop)


@URLS
def test_an_observer_is_a_reference_of_the_loop(url, loop):
    """It is sent to, and asked; a question fails with the error of the replica."""

    async def body(shop, connection, server, connect):
        replica = await connection.root.get("stock")
        (observer,) = shop.stock._observers
        observer.set.send(7)
        assert [8, 9] == await asyncio.gather(observer.echo(8), observer.slow(9))
        assert 9 == replica.n
        with pytest.raises(pb.NoSuchMethod):
            await observer.nope()
        with pytest.raises(pb.RemoteError):
            await observer.fail()
        assert not pb.is_stale(replica)
        assert [pb.connection_of(observer)] == list(server.connections)
        assert {observer} == {*shop.stock._observers}

    over(url, body, loop)


@URLS
def test_an_update_is_nobodys_call(url, loop):
    """Least of all the one that the owner was serving when it told of the change."""

    async def body(shop, connection, server, connect):
        replica = await connection.root.get("stock")
        await connection.root.tell("stock", "look")
        assert None is replica.seen

    over(url, body, loop)


@URLS
def test_releasing_a_replica_makes_it_stale_and_stops_the_observer(url, loop):
    """Though it is still about; the object fetched again is another replica."""

    async def body(shop, connection, server, connect):
        replica = await connection.root.get("stock")
        (observer,) = shop.stock._observers
        pb.release(replica)
        pb.release(replica)
        assert pb.is_stale(replica)
        await until(lambda: shop.stock._stopped)
        with pytest.raises(pb.DeadReference):
            observer.set.send(1)
        with pytest.raises(pb.DeadReference):
            await observer.echo(1)
        fresh = await connection.root.get("stock")
        await connection.root.tell("stock", "set", 3)
        assert (3, 1) == (fresh.n, replica.n)
        assert 1 == len(shop.stock._stopped)

    over(url, body, loop)


@URLS
def test_whoever_asked_is_told_when_the_connection_of_a_replica_ends(url, loop):
    """Once, with the replica, which is stale by then; one collected before is not waited for."""

    async def body(shop, connection, server, connect):
        told = []
        async with connect() as other:
            replica, second = await other.root.get("both")
            pb.on_disconnect(replica, lambda each: told.append([each, pb.is_stale(each)]))
            pb.on_disconnect(second, told.append)
            take_back = pb.on_disconnect(replica, lambda each: told.append("taken back"))
            take_back()
            weak = weakref.ref(second)
            del second
            await until(lambda: shop.both[1]._stopped)
            await until(lambda: None is weak())  # it is kept up to date until the owner has confirmed
        await until(lambda: told)
        await asyncio.sleep(0)
        assert [[replica, True]] == told
        await until(lambda: shop.both[0]._stopped)
        late = []
        pb.on_disconnect(replica, late.append)
        await until(lambda: late)
        assert [replica] == late

    async def with_both(shop, *rest):
        shop.both = [Stock(n=1), Stock(n=2)]
        await body(shop, *rest)

    over(url, with_both, loop)


@URLS
def test_revoking_names_the_connections_or_servers(url, loop):
    """What one peer loses, others keep."""

    async def body(shop, connection, server, connect):
        async with connect() as other:
            mine, theirs = await connection.root.get("stock"), await other.root.get("stock")
            first, second = (pb.connection_of(each) for each in shop.stock._observers)
            with pytest.raises(TypeError, match="needs what to withdraw it from"):
                pb.revoke(shop.stock)
            assert 1 == pb.revoke(shop.stock, second)
            await until(lambda: pb.is_stale(theirs))
            await connection.root.tell("stock", "set", 4)
            assert (4, False, 1) == (mine.n, pb.is_stale(mine), theirs.n)
            again = await other.root.get("stock")
            assert 2 == pb.revoke(shop.stock, server)
            await until(lambda: pb.is_stale(mine) and pb.is_stale(again))
            assert 0 == pb.revoke(shop.stock, first, second)
            with pytest.raises(pb.Unjellyable):
                await connection.root.keep(mine)

    over(url, body, loop)


@URLS
def test_revoking_a_perspective_ends_what_was_handed_out(url, loop):
    """Its owner is told once."""

    async def body(shop, connection, server, connect):
        ann = await connection.root.enter("ann")
        weapon, stock = await asyncio.gather(ann.get("weapon"), ann.get("stock"))
        assert "ann" == await weapon.plain()
        pb.revoke(shop.users["ann"], server)
        for call in (ann.name, weapon.plain):
            with pytest.raises(pb.Gone):
                await call()
        assert (["ann"], True) == (shop.ended, pb.is_stale(stock))

    over(url, body, loop)


@URLS
def test_a_login_may_show_something_before_it_returns_the_perspective(url, loop):
    """The client lets go of it at once; the attachment has only begun."""

    async def body(shop, connection, server, connect):
        client = Client()
        client.remote_take = lambda *values: None
        ann = await connection.root.login("ann", client)
        assert "ann" == await ann.name()
        assert [] == shop.ended

    over(url, body, loop)


@URLS
def test_a_replica_collected_in_another_thread_is_released(url, loop):
    """By the loop, which is woken for it."""

    async def body(shop, connection, server, connect):
        replica = await connection.root.get("stock")
        replica.ring = [replica]
        del replica
        gc.disable()
        try:
            await asyncio.sleep(0)  # what woke this coroutine still knows the answer
            await asyncio.to_thread(gc.collect)
        finally:
            gc.enable()
        for _ in range(500):
            if shop.stock._stopped:
                break
            await asyncio.sleep(0.002)
        assert 1 == len(shop.stock._stopped)

    over(url, body, loop)


def test_observers_are_told_from_their_loop_only(loop):
    """Another thread would write between the bytes."""

    async def body(shop, connection, server, connect):
        replica = await connection.root.get("stock")
        errors = []

        def tell():
            try:
                shop.stock._observers.send("set", 2)
            except Exception as error:
                errors.append(error)

        thread = threading.Thread(target=tell)
        thread.start()
        await asyncio.to_thread(thread.join)
        assert [RuntimeError] == [type(error) for error in errors]
        assert (1, False) == (replica.n, pb.is_stale(replica))

    over("memory://caches", body, loop)


def test_what_is_no_replica_is_refused():
    """An owner's own object, a replica that came from nobody, a reference."""

    for wrong in (Stock(n=1), object(), None, Counter):
        with pytest.raises(TypeError):
            pb.is_stale(wrong)
        with pytest.raises(TypeError):
            pb.connection_of(wrong)
        with pytest.raises(TypeError):
            pb.release(wrong)
        with pytest.raises(TypeError):
            pb.on_disconnect(wrong, print)


@URLS
def test_an_ended_server_stops_every_observer(url, loop):
    """And every replica knows."""

    async def main():
        shop = Place()
        server = await pb.serve(shop, url, registry=REGISTRY_HERE)
        async with pb.open_connection(server.url, registry=REGISTRY_HERE) as connection:
            replica = await connection.root.get("stock")
            await server.close()
            await until(lambda: pb.is_stale(replica) and shop.stock._stopped)
        assert 1 == len(shop.stock._stopped)
        assert 0 == len(shop.stock._observers)

    run(main(), loop)
