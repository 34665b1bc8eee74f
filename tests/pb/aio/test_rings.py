"""What is left of a connection that has ended: nothing that only the collector of garbage would find.

To find the rings of one connection costs the collector as much as its end takes otherwise, and a server sees
many ends. So each use of a connection is had here without it, and no object of these packages may be left.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import pb

from ..auth.doors import PASSWORD
from ..auth.rooms import Client, House, settle
from ..cached import REGISTRY as SHOP
from ..cached import Stock
from .loops import Place, run
from .lost import back, lose, quick

pytestmark = pytest.mark.unmeasured  # the same very often, and nothing that others do not reach

COUNT = 50
PACKAGES = {"cred", "jelly", "pb"}
Use = Callable[["Spot"], Awaitable[Any]]


class Chart(Stock):
    """A cache that keeps no account of who has stopped to follow it."""

    def stopped_observing(self, perspective, observer):
        self._observers.discard(observer)


REGISTRY = pb.Registry()
REGISTRY.include(SHOP)
REGISTRY.add(Chart, "test.Chart")


class Note(pb.Referenceable):
    def remote_tell(self, value):
        return value


class Root(pb.Root):
    """What is used; all that it keeps is of the connection that is there, and goes with that."""

    def __init__(self):
        self.stock = Chart(n=0)
        self.waiting = 0
        self.stopped = 0

    def remote_echo(self, value):
        return value

    def remote_note(self):
        return Note()

    async def remote_call_back(self, note, times):
        for number in range(times):
            await note.tell(number)

    def remote_stock(self):
        return self.stock

    async def remote_count(self):
        for number in itertools.count():
            yield number

    async def remote_wait(self):
        self.waiting += 1
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # it goes on behind the end
            self.stopped += 1

    def remote_refuse(self):
        raise pb.Forbidden("no")


class Spot:
    """A server, and how to get there."""

    def __init__(self, server, root, options):
        self.server = server
        self.root = root
        self.options = options
        self.tasks = len(asyncio.all_tasks())  # without any connection

    def open(self, **options):
        return pb.open_connection(self.server.url, registry=REGISTRY, **self.options, **options)

    async def is_left(self, count=0):
        """Wait until the server has noticed who is gone, and whatever ran has ended."""
        await settle(lambda: count == len(self.server._places) and self.tasks >= len(asyncio.all_tasks()))
        await asyncio.to_thread(int)  # the thread that derived the keys of a login held them until now
        for _ in range(4):  # of the end one is told in the next turn
            await asyncio.sleep(0)


def ours() -> Counter[str]:
    """Count the objects of these packages."""
    kinds = map(type, gc.get_objects())
    return Counter(kind.__qualname__ for kind in kinds if str(kind.__module__).partition(".")[0] in PACKAGES)


async def left_by(use: Use, spot: Spot, count: int = COUNT) -> dict[str, int]:
    """Return what is left when something was done so often, without the collector."""
    await use(spot)  # the first time, things are made that stay
    await spot.is_left()
    gc.collect()
    gc.disable()
    try:
        before = ours()
        for _ in range(count):
            await use(spot)
        await spot.is_left()
        return dict(ours() - before)
    finally:
        gc.enable()


def left_at(
    place: Place, use: Use, loop: str, root: Any = None, count: int = COUNT, **options: Any
) -> dict[str, int]:
    """Return what is left of connections to a server; options are those of both sides."""

    async def main():
        # One thread: what comes behind a derivation of keys begins when nothing of that is held any more.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        served = Root() if root is None else await root()
        async with place.serve(served, registry=REGISTRY, **options) as server:
            return await left_by(use, Spot(server, served, options), count)

    return run(main(), loop)


@pytest.fixture
def tcp(tmp_path: Any) -> Place:
    """Where nothing special is."""
    return Place("pb", tmp_path)


async def errors_of(*promises):
    """Return what calls have failed with; not raised, because an error knows who had it raised."""
    return [type(error) for error in await asyncio.gather(*promises, return_exceptions=True)]


async def bare(spot):
    async with spot.open():
        pass


async def calls(spot):
    """Of every form, with callbacks, errors and time limits."""
    async with spot.open() as connection:
        root = connection.root
        await asyncio.gather(*(root.echo(number) for number in range(10)))
        await root.call_back(Note(), 3)
        await root.echo.within(5)(1)
        root.echo.send(1)
        told = []
        root.echo(1, pbcallback=told.append)
        with contextlib.suppress(pb.Forbidden):
            await root.refuse()
        await settle(lambda: told)


async def references(spot):
    """Each side holds what the other has handed over until the end, and here after it."""
    async with spot.open() as connection:
        root, mine = connection.root, Note()
        note = await root.note()
        assert mine is await root.echo(mine)
        assert note is await root.echo(note)
        ended = []
        pb.on_disconnect(note, ended.append)
    await settle(lambda: ended)
    with pytest.raises(pb.DeadReference, match="get a new reference"):
        await note.tell(1)
    assert connection is pb.connection_of(note)


async def promises(spot):
    async with spot.open() as connection:
        assert 3 == await connection.root.note().tell(3)
        connection.root.note().tell(3)


async def cache(spot):
    async with spot.open() as connection:
        stock = await connection.root.stock()
        spot.root.stock.tell("set", 5)
        await connection.root.echo(1)
        assert 5 == stock.n
    assert pb.is_stale(stock)


async def stream(spot):
    """One is gone through by half, and one is not begun."""
    async with spot.open() as connection:
        seen = []
        async for number in connection.root.count():
            seen.append(number)
            if len(seen) > 40:
                break
        root = connection.root
        counting, other = root.count(), root.count()
        await anext(aiter(await counting))
        await other
        connection.abort()


async def cut(spot):
    """Calls of both sides are under way, and a handler runs on behind the end."""
    connection = await spot.open()
    root, before = connection.root, spot.root.stopped
    waiting = [root.wait(), root.wait.within(100)()]
    await settle(lambda: spot.root.waiting == 2)
    spot.root.waiting = 0
    connection.abort()
    assert [pb.OutcomeUnknown] * 2 == await errors_of(*waiting)
    await settle(lambda: spot.root.stopped == before + 2)


async def cut_by_the_server(spot):
    connection = await spot.open()
    waiting = connection.root.wait()
    await settle(lambda: spot.root.waiting)
    spot.root.waiting = 0
    spot.server.connections[0].abort()
    assert [pb.OutcomeUnknown] == await errors_of(waiting)
    await connection.wait_closed()


async def cancelled(spot):
    async with spot.open() as connection:
        waiting = connection.root.wait()
        await settle(lambda: spot.root.waiting)
        spot.root.waiting = 0
        waiting.cancel()
        assert [asyncio.CancelledError] == await errors_of(waiting)


USES = [bare, calls, references, promises, cache, stream, cut, cut_by_the_server, cancelled]


@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_nothing_is_left_of_a_connection(tcp, use, loop):
    """Whatever it was used for, whoever ends it, and however."""
    assert {} == left_at(tcp, use, loop)


@pytest.mark.parametrize("use", [calls, cut], ids=lambda use: use.__name__)
def test_nothing_is_left_over_any_transport(place, use, loop):
    """They have rings of their own to avoid; those of asyncio's own transports are asyncio's."""
    assert {} == left_at(place, use, loop, count=20)


def everything() -> tuple[Any, Counter[str]]:
    """Return hooks that want to know all there is to know, and what they were told, how often."""
    told: Counter[str] = Counter()

    def noting(name):
        return lambda self, *what: told.update([name])

    names = [name for name, value in vars(pb.Hooks).items() if callable(value) and name[0] != "_"]
    return type("Everything", (pb.Hooks,), {name: noting(name) for name in names})(), told


@pytest.mark.parametrize("use", [calls, promises, references, stream, cut], ids=lambda use: use.__name__)
def test_nothing_is_left_where_hooks_are_told(tcp, use, loop):
    """What tells them stands between the parts of a connection."""
    hooks, told = everything()
    assert {} == left_at(tcp, use, loop, hooks=hooks)
    assert 2 * (COUNT + 1) == told["connection_closed"]


async def house():
    """A server that asks for logins."""
    made = House()
    await made.fill()
    return made.application.root


async def not_logged_in(spot):
    async with spot.open() as connection:
        with contextlib.suppress(pb.PeerError):
            await connection.root.who()


async def logged_in(spot):
    """Attached with a client, which the perspective knows; and what it hands out is held."""
    async with spot.open() as connection:
        identity = await connection.login("alice", PASSWORD)
        chat = await identity.attach("chat", client=Client())
        room, thing = await chat.room(), await chat.thing()
        assert ["alice", "poked"] == [await room.who(), await thing.poke()]
        other = await connection.login("bob", PASSWORD)
        await (await other.attach("chat")).who()
        await other.logout()


async def logged_in_and_cut(spot):
    connection = await spot.open()
    identity = await connection.login("alice", PASSWORD)
    chat = await identity.attach("chat")
    call = chat.who()
    connection.abort()
    assert [pb.NotExecuted] == await errors_of(call)  # it had not left


async def cut_while_it_logs_in(spot):
    """In the middle of the conversation, which nobody ends then."""
    connection = await spot.open()
    login = asyncio.ensure_future(connection.login("alice", PASSWORD))
    (link,) = spot.server._places
    await settle(lambda: link.broker.serving.taken)
    link.abort()
    await errors_of(login)


LOGINS = [bare, not_logged_in, logged_in, logged_in_and_cut, cut_while_it_logs_in]


@pytest.mark.parametrize("use", LOGINS, ids=lambda use: use.__name__)
def test_nothing_is_left_of_a_login(tcp, use, loop):
    """Neither at the server, which has to know who is there, nor at the client."""
    assert {} == left_at(tcp, use, loop, house)


async def passed_on(spot):
    """What came over one connection goes out over another, and both end."""
    async with spot.open() as one, spot.open() as other:
        note = await one.root.note()
        await other.root.call_back(note, 2)
        assert note is await other.root.echo(note)


def test_nothing_is_left_of_what_was_passed_on(tcp, loop):
    """The one that is held and the one that holds know each other's rows."""
    assert {} == left_at(tcp, passed_on, loop)


def test_each_link_of_a_connection_that_comes_back_is_freed(tcp, loop):
    """Only the last one is held, for it is what the connection and its references work over."""

    async def main():
        async with tcp.serve(Root(), registry=REGISTRY) as server:
            url = server.url
            async with pb.open_connection(url, registry=REGISTRY, reconnect=quick()) as connection:
                stock = await connection.keep(lambda: connection.root.stock())

                async def come_back(spot):
                    lose(connection)
                    await back(connection)
                    await connection.root.call_back(Note(), 2)

                spot = Spot(server, None, {})
                spot.is_left = lambda: Spot.is_left(spot, 1)
                left = await left_by(come_back, spot, 20)
                assert not pb.is_stale(stock)
                return left

    assert {} == run(main(), loop)


def test_a_lasting_connection_that_was_closed_is_a_ring_with_its_last_link(tcp):
    """For a reason: references that last have to find it, and it finds the state of things by the link."""

    async def lasting(spot):
        async with spot.open(reconnect=quick()) as connection:
            await connection.root.echo(1)

    left = left_at(tcp, lasting, "asyncio")
    assert [COUNT] * 3 == [left[name] for name in ("LastingConnection", "LastingLink", "Broker")]
