"""Objects by their names, over every transport: `publish`, `get_object`, and URLs that end in a name."""

from __future__ import annotations

import asyncio
import contextlib
import gc

import pytest

import pb
import pb.sync
from pb.aio import tls
from pb.aio.named import check_sayable, named_object, url_of
from pb.security import Security

from ..lobbies import Counter
from .loops import run
from .lost import Lobby, Spot, back, quick


def named(url, name):
    """Return the URL of an object behind a listener."""
    return url_of(url, name)


def test_an_object_is_had_by_its_url(place, loop):
    """Which is that of the server with a name; the connection goes with the reference."""

    async def main():
        async with place.serve(Lobby()) as server:
            server.publish("counter", Counter())
            counter = await pb.get_object_at(named(server.url, "counter"))
            assert [1, 2] == [await counter.add(), await counter.add()]
            async with pb.open_connection(server.url) as connection:
                assert 3 == await (await connection.get_object("counter")).add()
                assert await connection.get_object("counter") is await connection.get_object("counter")
            (left,) = server.connections
            del counter
            gc.collect()
            await left.wait_closed()

    run(main(), loop)


def test_a_name_that_is_not_there_is_refused_and_the_connection_closed(place):
    """Nobody holds it."""

    async def main():
        async with place.serve(Lobby()) as server:
            server.publish("counter", Counter())
            server.unpublish("counter")
            for name in ("counter", "nothing", "~" + "a" * 32):
                with pytest.raises(pb.NoSuchObject, match="no object of that name, or not for you"):
                    await pb.get_object_at(named(server.url, name))
            while server.connections:  # noqa: ASYNC110 - the server hears of it a little later
                await asyncio.sleep(0)
            async with pb.open_connection(server.url) as connection:
                with pytest.raises(pb.BadURL):
                    await connection.get_object("not a name")
                assert "hi" == await connection.root.echo("hi")

    run(main())


def test_who_only_calls_back_has_no_names():
    """A client's root is no server; the error is that of a name that is not there."""

    async def main():
        asked = asyncio.get_running_loop().create_future()

        def root(connection):
            asked.set_result(connection)
            return Lobby()

        async with (
            pb.serve(root, "memory://names-of-clients") as server,
            pb.open_connection(server.url, root=Lobby()),
        ):
            with pytest.raises(pb.NoSuchObject):
                await (await asked).get_object("lobby")

    run(main())


def test_a_url_with_a_name_is_for_get_object_at():
    """Others say so: a listener has no name, and a connection is not with an object."""
    for use in (pb.open_connection, lambda url: pb.serve(Lobby(), url), pb.sync.open_connection):
        with pytest.raises(pb.BadURL, match=r"get_object_at takes it"):
            use("pb://127.0.0.1/lobby")


class Line:
    """What a transport says of itself."""

    def __init__(self, **said):
        self._said = Security(**said)

    def security(self):
        return self._said


def test_secret_names_are_said_where_logins_are():
    """Whoever listens would have the object (PB-K19)."""
    far = Line(address="192.0.2.1")
    with pytest.raises(pb.Forbidden, match="the name is a secret, and what is said to 192"):
        check_sayable("~" + "a" * 32, far, "192.0.2.1:8787")
    check_sayable("published", far, "192.0.2.1:8787")
    for private in ({"is_encrypted": True}, {"is_local": True}, {"is_loopback": True}, {"is_allowed": True}):
        check_sayable("~" + "a" * 32, Line(**private), "peer")


def test_what_is_no_reference_is_no_object():
    """A peer may send anything."""
    with pytest.raises(pb.BadPayload, match="sent an int for a name"):
        named_object(7)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("pb://127.0.0.1:1", "pb://127.0.0.1:1/lobby"),
        ("pb+unix:///run/~x/pb", "pb+unix:///run/~x/pb#lobby"),
        ("memory://here", "memory://here/lobby"),
        ("wss://example.org", "wss://example.org:443/lobby"),
    ],
)
def test_a_name_is_put_behind_the_listener(url, expected):
    """Where the scheme has it."""
    assert expected == url_of(url, "lobby")


@pytest.mark.parametrize("url", ["pb://0.0.0.0:1", "pb://[::]:1", "pb://127.0.0.1/there"])
def test_no_name_is_put_where_it_would_lead_nowhere(url):
    """Nobody else can use such a URL."""
    with pytest.raises(pb.BadURL):
        url_of(url, "lobby")


def test_a_named_object_outlives_connections(tmp_path, loop):
    """It is the same reference over each; and it keeps its connection, with a URL as with a name."""

    async def main():
        async with Spot(Lobby(), tmp_path) as spot:
            spot.server.publish("counter", Counter())
            async with pb.open_connection(spot.url, reconnect=quick()) as connection:
                counter = await connection.get_object("counter")
                for count in range(1, 6):
                    assert count == await counter.add()
                    spot.cut()
                    await back(connection)

    run(main(), loop)


def test_a_url_with_a_name_reconnects(tmp_path):
    """Until the reference is gone."""

    async def main():
        async with Spot(Lobby(), tmp_path) as spot:
            spot.server.publish("counter", Counter())
            counter = await pb.get_object_at(named(spot.url, "counter"), reconnect=quick())
            connection = pb.connection_of(counter)
            for count in range(1, 4):
                assert count == await counter.add()
                spot.cut()
                await back(connection)
            del counter
            gc.collect()
            await connection.wait_closed()

    run(main())


def test_a_name_that_has_gone_meanwhile_is_not_asked_for_again(tmp_path, caplog):
    """Wrong names count at a server; the reference is dead, and says so."""

    async def main():
        async with Spot(Lobby(), tmp_path) as spot:
            spot.server.publish("counter", Counter())
            async with pb.open_connection(spot.url, reconnect=quick()) as connection:
                counter = await connection.get_object("counter")
                spot.server.unpublish("counter")
                for _ in range(3):
                    spot.cut()
                    await back(connection)
                with pytest.raises(pb.NoSuchObject):
                    await counter.add()
                assert "hi" == await connection.root.echo("hi")
        assert 1 == caplog.text.count("what was kept cannot be had again")

    run(main())


@pytest.mark.parametrize("kind", ["one", "many"])
def test_a_secret_name_that_is_void_is_asked_for_once(kind, caplog):
    """However often it was used, and whether for one object or for a new one each time: guesses count."""

    async def main():
        application = pb.Application("library")
        one = Counter()
        application.sturdy("one", lambda key: one)
        application.sturdy("many", lambda key: Counter())
        application.listen(f"memory://void-{kind}")
        async with application.running() as (server,):
            name = (await application.give_name(kind, "")).rpartition("/")[2]
            async with pb.open_connection(server.url, reconnect=quick()) as connection:
                had = [await connection.get_object(name) for _ in range(5)]
                assert {"one": 1, "many": 5}[kind] == len(set(had))
                for is_revoked in (False, True, True):
                    if is_revoked:
                        await application.revoke_name(name)
                    connection._link.abort()
                    await back(connection)
                for each in had:
                    with pytest.raises((pb.Gone, pb.NoSuchObject)):
                        await each.add()
                await connection.get_object((await application.give_name("one", "")).rpartition("/")[2])
        assert caplog.text.count("what was kept cannot be had again") <= 1

    run(main())


def test_what_has_another_name_is_not_given_up_with_one(tmp_path):
    """Of two names one is void by now; by the other it is had as before."""

    async def main():
        async with Spot(Lobby(), tmp_path) as spot:
            counter = Counter()
            for name in ("first", "second", "third"):
                spot.server.publish(name, counter)
            async with pb.open_connection(spot.url, reconnect=quick()) as connection:
                first, second = [await connection.get_object(name) for name in ("first", "second")]
                assert first is second
                for void, good in (("first", True), ("second", False)):
                    spot.server.unpublish(void)
                    for _ in range(2):
                        spot.cut()
                        await back(connection)
                    if good:
                        assert 1 == await first.add()
                with pytest.raises(pb.NoSuchObject):
                    await first.add()
                assert 2 == await (await connection.get_object("third")).add()

    run(main())


def test_nothing_is_left_of_names_whose_objects_were_dropped(tmp_path):
    """A connection that lasts is asked for names again and again; it does not fill up with them."""

    async def main():
        async with Spot(Lobby(), tmp_path) as spot:
            spot.server.publish("counter", Counter())
            async with pb.open_connection(spot.url, reconnect=quick()) as connection:
                for _ in range(100):
                    await connection.get_object("counter")
                    await connection.keep(connection.root.counter)
                    gc.collect(0)
                assert len(connection.restoring._kept) <= 40
                held = await connection.get_object("counter")
                for _ in range(100):
                    assert held is await connection.get_object("counter")
                assert len(connection.restoring._kept) <= 40
                spot.cut()
                await back(connection)
                assert 1 == await held.add()

    run(main())


class Library:
    """An application behind TLS that is started anew, as by another process, over one store and one key."""

    def __init__(self, path):
        self.store = path / "store.db"
        self.key = path / "server.pem"
        tls.create(self.key)
        self.url = "pbs://127.0.0.1:0"
        self.asked = []

    @contextlib.asynccontextmanager
    async def running(self):
        """Run it, and give it."""
        application = pb.Application("library")
        application.use_store(self.store)
        application.sturdy("counter", self.load)
        application.listen(self.url, tls=self.key)
        async with application.running(drain_s=0.1) as (server,):
            self.url = server.url
            yield application

    def load(self, key):
        self.asked.append(key)
        return Counter()


def test_a_secret_url_outlives_the_server(tmp_path):
    """Over TLS, its key pinned: the same reference, to what the next process has made of the store."""

    async def main():
        library = Library(tmp_path)
        async with library.running() as application:
            url = await application.give_name("counter", "17")
            assert url.startswith("pbs://") and tls.fingerprint(library.key.read_bytes()) in url
            counter = await pb.get_object_at(url, reconnect=quick())
            assert [1, 2] == [await counter.add(), await counter.add()]
            connection = pb.connection_of(counter)
        await connection.status.wait_for("waiting")
        async with library.running() as application:
            await connection.status.wait_for("connected")
            assert 1 == await counter.add()
            assert 1 == await (await pb.get_object_at(url)).add()
            assert ["17"] * 3 == library.asked
            assert await application.revoke_name(url)
            with pytest.raises(pb.Gone):
                await counter.add()
            with pytest.raises(pb.NoSuchObject):
                await pb.get_object_at(url)
        await connection.status.wait_for("waiting")
        async with library.running() as application:
            await connection.status.wait_for("connected")
            with pytest.raises(pb.Gone):
                await counter.add()
            assert ["17"] * 3 == library.asked
            assert 0.0 == application.root.throttle.penalty_s("127.0.0.1")
            connection.abort()

    run(main())


def test_a_secret_name_is_not_said_to_another_server(tmp_path):
    """Whose key is not that of the URL: it would have all it needs to take the object from the real one."""

    async def main():
        (tmp_path / "theirs").mkdir()
        library, impostor = Library(tmp_path), Library(tmp_path / "theirs")
        async with library.running() as application:
            url = await application.give_name("counter", "17")
        async with impostor.running() as application:
            there = impostor.url.rpartition("@")[2]
            url = f"{url.partition('@')[0]}@{there}/{url.rpartition('/')[2]}"
            said = []
            application.root.names.load = lambda *said_to: said.append(said_to)
            with pytest.raises(OSError, match="fingerprint"):
                await pb.get_object_at(url)
            assert [] == said

    run(main())


def test_blocking_programs_have_names_too():
    """At both ends."""
    with pb.sync.serve(Lobby(), "memory://names-sync") as server:
        server.publish("counter", Counter())
        with pb.sync.open_connection(server.url) as connection:
            assert 1 == connection.get_object("counter").add()
        counter = pb.sync.get_object_at(named(server.url, "counter"))
        assert 2 == counter.add()
        server.unpublish("counter")
        with pytest.raises(pb.NoSuchObject):
            pb.sync.get_object_at(named(server.url, "counter"))
        pb.sync.connection_of(counter).close()


def test_three_secret_names_that_are_void_are_each_told_and_the_connection_comes_back():
    """The third refusal ends a connection: the server cannot tell them from guesses. None is asked again."""

    async def main():
        application = pb.Application("library")
        application.sturdy("one", lambda key: Counter())
        application.listen("memory://void-three")
        async with application.running() as (server,):
            names = [(await application.give_name("one", str(n))).rpartition("/")[2] for n in range(4)]
            async with pb.open_connection(server.url, reconnect=quick()) as connection:
                had = [await connection.get_object(name) for name in names]
                assert {} == connection.status.names_lost
                for name in names[:3]:
                    await application.revoke_name(name)
                async with contextlib.aclosing(connection.status.changes()) as changes:
                    connection._link.abort()
                    async for change in changes:
                        if "connected" == change.state.value and 3 == len(connection.status.names_lost):
                            break
                assert set(names[:3]) == set(connection.status.names_lost)
                assert {pb.NoSuchObject} == {type(each) for each in connection.status.names_lost.values()}
                assert 1 == await had[3].add()

    run(main())
