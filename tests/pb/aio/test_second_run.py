"""A connection that is used when its loop is closed, as newcomers do with two calls of asyncio.run()."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

import pb
from pb.caches import tracking

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


class Level(pb.Tracked):
    height: int = 0


def following(told, made, url):
    """Return what serves an object and follows it from here, until its loop is closed with all of it open."""

    async def first_run():
        server = await pb.serve(told, url, registry=made)
        connection = await pb.open_connection(url, registry=made)
        return server, connection, await connection.root.get("stock")

    return first_run


@pytest.mark.parametrize("where", ["this thread", "another thread"])
def test_an_observer_whose_loop_is_closed_keeps_no_update_from_the_others(where, caplog):
    """It has stopped observing, the log says why, once, and from then on nobody hears of it."""
    caplog.set_level(logging.WARNING, "pb")
    shop = Shop()
    group = shop.stock._observers
    kept = []

    def first_run():
        kept.append(asyncio.run(following(shop, REGISTRY, "memory://closed-loop")()))

    async def second_run():
        server = await pb.serve(shop, "memory://open-loop", registry=REGISTRY)
        connections = [await pb.open_connection(server.url, registry=REGISTRY) for _ in range(2)]
        replicas = [await connection.root.get("stock") for connection in connections]
        closed, one, other = group
        for observer in (closed, other):  # between the two that live
            group.discard(observer)
            group.add(observer)
        assert [one, closed, other] == list(group)
        for n in range(1, 5):
            group.send("set", n)
            await asyncio.sleep(0.01)
            assert [n, n] == [replica.n for replica in replicas]
            assert [one, other] == list(group)
        assert [[None, closed]] == shop.stock._stopped
        for each in (*connections, server):
            await each.close()

    run_in(where, first_run)
    asyncio.run(second_run())
    (line,) = [record for record in caplog.records if record.pb_event == "replica.dropped"]
    assert "another asyncio.run()" in line.getMessage()


@pytest.mark.parametrize("where", ["this thread", "another thread"])
def test_a_tracked_object_that_is_followed_in_a_closed_loop_can_be_changed(where, caplog):
    """That replica has ended; the object belongs to who still follows it."""
    registry = pb.Registry()
    registry.add(Level, "Level")
    shop = Shop()
    shop.stock = level = Level()
    kept = []

    def first_run():
        kept.append(asyncio.run(following(shop, registry, "memory://closed-tracked")()))

    async def second_run():
        server = await pb.serve(shop, "memory://open-tracked", registry=registry)
        connection = await pb.open_connection(server.url, registry=registry)
        replica = await connection.root.get("stock")
        for height in (1, 2):
            level.height = height
            await asyncio.sleep(0.01)
            assert height == replica.height
        await connection.close()
        await server.close()

    run_in(where, first_run)
    asyncio.run(second_run())
    (line,) = [record for record in caplog.records if record.pb_event == "replica.dropped"]
    assert "another asyncio.run()" in line.getMessage()


def close_while_waiting(first_run, last):
    """Run `first_run`, then `last` with the server's link, and close the loop in that turn.

    Returns what the first returned, and the link.
    """
    loop = asyncio.new_event_loop()
    try:
        found = loop.run_until_complete(first_run())
        (link,) = found[0]._places
        loop.call_soon(last, link)
        loop.call_soon(loop.stop)
        loop.run_forever()
        assert link.outbox.due
    finally:
        loop.close()
    return found, link


def told_of_shop(kept, last=None):
    """Return how to change what a loop followed that closed with output waiting, and how many follow it."""
    shop = Shop()
    group = shop.stock._observers
    first_run = following(shop, REGISTRY, "memory://closed-waiting")
    kept += close_while_waiting(first_run, last or (lambda link: group.send("set", 0)))
    return lambda n: group.send("set", n), lambda: len(group)


def told_of_level(kept):
    """Do the same for an object that is tracked."""
    registry = pb.Registry()
    registry.add(Level, "Level")
    shop = Shop()
    shop.stock = level = Level()
    first_run = following(shop, registry, "memory://closed-waiting")
    kept += close_while_waiting(first_run, lambda link: setattr(level, "height", -1))
    return lambda n: setattr(level, "height", n), lambda: len(tracking.followers_of(level)._followers)


def told_behind_a_release(kept):
    """Do the same where the collector of garbage wanted the last turn, which asks for it in its own way."""
    return told_of_shop(kept, lambda link: link.wants_release())


@pytest.mark.parametrize("told", [told_of_shop, told_of_level, told_behind_a_release])
@pytest.mark.parametrize("then", ["another loop", "a loop that has connections", "no loop"])
def test_updates_are_not_kept_for_a_loop_that_closed_with_output_waiting(told, then, caplog):
    """Nothing is woken by what is queued behind that output, so each change would stay for ever."""
    caplog.set_level(logging.WARNING, "pb")
    kept = []
    change, followers = told(kept)
    assert 1 == followers()
    waiting = len(kept[1].outbox.batch)

    def change_often():
        for n in range(1, 10):
            change(n)

    async def second_run():
        if then == "a loop that has connections":
            server = await pb.serve(Shop(), "memory://open-waiting", registry=REGISTRY)
            connection = await pb.open_connection(server.url, registry=REGISTRY)
            change_often()
            await connection.close()
            await server.close()
        else:
            change_often()

    if then == "no loop":
        change_often()
    else:
        asyncio.run(second_run())
    assert 0 == followers()
    assert waiting == len(kept[1].outbox.batch)
    (line,) = [record for record in caplog.records if record.pb_event == "replica.dropped"]
    assert "another asyncio.run()" in line.getMessage()


@pytest.mark.parametrize("last", ["an update", "a release"])
def test_one_that_is_told_behind_one_that_lives_is_given_up_too(last):
    """Who is told first is looked at, and stands for all others of the thread."""
    shop, kept = Shop(), []
    group = shop.stock._observers
    first_run = following(shop, REGISTRY, "memory://closed-behind")
    kept += close_while_waiting(
        first_run, lambda link: group.send("set", 0) if last == "an update" else link.wants_release()
    )
    waiting = len(kept[1].outbox.batch)
    (closed,) = group

    async def second_run():
        server = await pb.serve(shop, "memory://open-before", registry=REGISTRY)
        connection = await pb.open_connection(server.url, registry=REGISTRY)
        replica = await connection.root.get("stock")
        group.discard(closed)
        group.add(closed)
        for n in range(1, 10):
            group.send("set", n)
        assert [[None, closed]] == shop.stock._stopped
        await asyncio.sleep(0.01)
        assert 9 == replica.n
        await connection.close()
        await server.close()

    asyncio.run(second_run())
    assert waiting == len(kept[1].outbox.batch)


def run_in(where, function):
    """Run a function here, or in a thread of its own, to its end."""
    if where == "this thread":
        function()
        return
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


@pytest.mark.parametrize("reconnect", [False, True])
def test_what_its_loop_has_left_open_says_so(reconnect):
    """It calls itself neither open nor live: nothing can be called there any more."""

    async def open_all():
        server = await pb.serve(Echo(), "memory://left-open")
        connection = await pb.open_connection(server.url, reconnect=reconnect)
        assert connection.is_open and "live>" in repr(connection.root)
        return server, connection, connection.root

    server, connection, root = asyncio.run(open_all())

    for left in (server, connection):
        assert repr(left).endswith(", left open, and its event loop is closed>")
    assert repr(root).endswith(", dead>")
    assert not connection.is_open


@pytest.mark.parametrize("reconnect", [False, True])
@pytest.mark.parametrize("use", [*USES, "a call on a promise"])
def test_what_is_used_in_another_loop_says_so_and_sends_nothing(use, reconnect):
    """As where a fixture and its test have loops of their own. asyncio's words tell of futures that nobody
    has made, closing hung, and what was queued went out later, or was said to have been sent."""
    seen = []

    class Root(Echo):
        def remote_echo(self, value):
            seen.append(value)
            return value

    async def open_it():
        server = await pb.serve(Root(), "memory://another-loop")
        return server, await pb.open_connection("memory://another-loop", reconnect=reconnect)

    async def use_it():
        if use == "a call on a promise":
            return promise.more()
        found = USES[use](connection)
        return None if found is None else await found

    async def end():
        with pytest.raises(pb.NoSuchMethod):
            await promise
        await connection.root.echo("here")
        await connection.close()
        await server.close()

    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        server, connection = first.run_until_complete(open_it())
        promise = connection.root.nothing()  # between two runs: sent in the next
        with pytest.raises(RuntimeError, match="in another event loop than the one it was opened in"):
            second.run_until_complete(asyncio.wait_for(use_it(), 5))
        first.run_until_complete(end())
        assert ["here"] == seen
    finally:
        first.close()
        second.close()
