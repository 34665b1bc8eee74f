"""What was had by a secret name ends with the name: at once, everywhere, and nothing else with it."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass

import pytest

import cred
import pb
from cred.stores.sqlite import SqliteStore
from pb.auth.grants import KEPT, MAX_WAIT_S
from pb.testing import loop as told
from tests.pb.aio.loops import run
from tests.pb.auth.applications import PASSWORD, Service

DAY_S = 24 * 3600


class Document(pb.Referenceable):
    def __init__(self, key):
        self.key = key
        self.opened = asyncio.Event()
        self.reading = asyncio.Event()

    def remote_read(self):
        return self.key

    async def remote_wait(self):
        self.reading.set()
        await self.opened.wait()
        return self.key

    def remote_part(self):
        return Document(f"{self.key}/part")


class Member(pb.Referenceable):
    def perspective_part(self):
        return Document("part")


REGISTRY = pb.Registry()


@REGISTRY.cacheable("library.Board")
@dataclass(eq=False)
class Board(pb.Tracked):
    title: str = "a"


class Library(pb.Application):
    """An application whose names live by the clock of the loop, and where loading can be held up."""

    def __init__(self, url="memory://grants", store=None):
        super().__init__("library", registry=REGISTRY)
        if store is not None:
            self.use_store(store)
        self.listen(url)
        self.documents = {}
        self.ended = []
        self.loading = asyncio.Event()
        self.may_load = asyncio.Event()
        self.may_load.set()
        self.names.clock = lambda: asyncio.get_running_loop().time()
        self.sturdy("document", self.load)
        self.sturdy("copy", Document)
        self.sturdy("board", lambda key: self.documents.setdefault(key, Board()))
        self.sturdy("member", lambda key: pb.current_call().attach(Member(), lambda: self.ended.append(key)))

    async def load(self, key):
        self.loading.set()
        await self.may_load.wait()
        return self.documents.setdefault(key, Document(key))


def on_told_clock(act, **options):
    """Run `act(library)` with the application running, on a clock that nobody waits for."""

    async def main():
        library = Library(**options)
        async with library.running():
            await act(library)

    told.run(main(), limit_s=3 * DAY_S)


async def gone(reference):
    """Expect that a reference is revoked: its calls fail with Gone."""
    with pytest.raises(pb.Gone):
        await reference.read()


async def refused(asking):
    """Expect the one error there is."""
    with pytest.raises(pb.NoSuchObject, match=r"^no object of that name, or not for you$"):
        await asking


def test_a_reference_is_gone_at_once_when_its_name_is_revoked():
    """On every connection that has it; what another name has given stays (PB-K23)."""

    async def act(library):
        url, other = [await library.give_name("document", key) for key in ("17", "18")]
        holders = [await pb.get_object_at(url) for _ in range(3)]
        kept = await pb.get_object_at(other)
        assert ["17"] * 3 == [await each.read() for each in holders]
        assert await library.revoke_name(url)
        for each in holders:
            await gone(each)
        assert "18" == await kept.read()
        await refused(pb.get_object_at(url))
        assert [] != library.names.grants.hashes

    on_told_clock(act)


def test_a_call_that_runs_ends_as_does_the_next():
    """As with every object that is revoked: what has begun may have data yet to give (PB-R33)."""

    async def act(library):
        url = await library.give_name("document", "17")
        document = await pb.get_object_at(url)
        waiting = document.wait()
        await library.documents["17"].reading.wait()
        await library.revoke_name(url)
        with pytest.raises(pb.Gone, match="revoked while the call ran"):
            await waiting
        await gone(document)

    on_told_clock(act)


def test_what_was_had_is_gone_when_the_name_expires():
    """To the second, and however far ahead that was; nobody has to use or look at it."""

    async def act(library):
        short = await pb.get_object_at(await library.give_name("document", "17", expires_s=60))
        long_url = await library.give_name("document", "18", expires_s=DAY_S)
        long = await pb.get_object_at(long_url)
        forever = await pb.get_object_at(await library.give_name("document", "19"))
        await asyncio.sleep(59)
        assert "17" == await short.read()
        await asyncio.sleep(2)
        await gone(short)
        await asyncio.sleep(DAY_S - 63)
        assert MAX_WAIT_S < DAY_S and "18" == await long.read()
        await asyncio.sleep(3)
        await gone(long)
        await refused(pb.get_object_at(long_url))
        assert "19" == await forever.read()

    on_told_clock(act)


def test_a_clock_that_is_set_back_does_not_end_it_early():
    """It is the time of day that decides, not how long was waited."""

    async def act(library):
        now = library.names.clock
        slow = [0]
        library.names.clock = lambda: now() - slow[0]
        document = await pb.get_object_at(await library.give_name("document", "17", expires_s=60))
        slow[0] = 100
        await asyncio.sleep(90)
        assert "17" == await document.read()
        slow[0] = 0
        await asyncio.sleep(100)
        await gone(document)

    on_told_clock(act)


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_a_name_that_ends_while_its_object_is_loaded_gives_nothing(how):
    """Between the look at the store and the answer is time enough for the owner to change his mind."""

    async def act(library):
        url = await library.give_name("document", "17", expires_s=10)
        library.may_load.clear()
        asking = asyncio.ensure_future(pb.get_object_at(url))
        await library.loading.wait()
        if how == "revoked":
            await library.revoke_name(url)
        else:
            await asyncio.sleep(15)
        library.may_load.set()
        await refused(asking)
        assert [] == library.names.grants.hashes

    on_told_clock(act)


def test_what_a_loader_attached_goes_with_all_that_was_handed_out_under_it():
    """For who wants that: of an object alone, what it has handed out stays."""

    async def act(library):
        plain, member = [await library.give_name(kind, "17") for kind in ("document", "member")]
        document, user = await pb.get_object_at(plain), await pb.get_object_at(member)
        own_part, part = await document.part(), await user.part()
        await library.revoke_name(plain)
        await library.revoke_name(member)
        await gone(document)
        with pytest.raises(pb.Gone):
            await user.part()
        await gone(part)
        assert "17/part" == await own_part.read()
        assert ["17"] == library.ended

    on_told_clock(act)


def test_a_replica_becomes_stale():
    """It is not told of changes any longer."""

    async def act(library):
        url = await library.give_name("board", "17")
        board = await pb.get_object_at(url, registry=REGISTRY)
        assert not pb.is_stale(board)
        await library.revoke_name(url)
        library.documents["17"].title = "secret"
        await asyncio.sleep(1)
        assert pb.is_stale(board)
        assert "a" == board.title

    on_told_clock(act)


def test_an_object_with_two_names_is_kept_until_both_are_void():
    """Each is a right of its own."""

    async def act(library):
        names = [(await library.give_name("document", "17")).rpartition("/")[2] for _ in range(2)]
        async with pb.open_connection("memory://grants") as connection:
            first, second, third = [await connection.get_object(name) for name in (*names, names[0])]
            assert first is second is third
            await library.revoke_name(names[0])
            assert "17" == await second.read()
            await library.revoke_name(names[1])
            await gone(second)

    on_told_clock(act)


@pytest.mark.parametrize("first", ["secret", "published"])
def test_an_object_with_a_published_name_too_is_kept_until_both_are_void(first):
    """The end of a login takes what it gave, not what somebody has by a link; nor the other way round."""

    async def act(library):
        Service("main", library).create_perspective("guest").make_identity(PASSWORD)
        await library.authorizer.settle()
        library.publish("lobby", library.documents.setdefault("17", Document("17")))
        url = await library.give_name("document", "17")
        async with pb.open_connection("memory://grants") as connection:
            identity = await connection.login("guest", "guest")
            lobby = await connection.get_object("lobby")
            assert lobby is await connection.get_object(url.rpartition("/")[2])
            if first == "secret":
                await library.revoke_name(url)
                assert "17" == await lobby.read()
                await identity.logout()
            else:
                await identity.logout()
                assert "17" == await lobby.read()
                await library.revoke_name(url)
            await gone(lobby)

    on_told_clock(act)


def test_nothing_is_left_of_names_that_were_used_and_released():
    """However often they are: the objects of a loader that makes new ones do not pile up with the server."""

    async def act(library):
        names = [(await library.give_name(kind, "17")).rpartition("/")[2] for kind in ("copy", "member")]
        async with pb.open_connection("memory://grants") as connection:
            held = await connection.get_object(names[0])
            for _ in range(3 * KEPT):
                for name in names:
                    await connection.get_object(name)
                gc.collect()
                await connection.get_object(names[0])
            alive = [each for each in gc.get_objects() if type(each) in (Document, Member)]
            assert len(alive) <= 2 * KEPT
            await library.revoke_name(names[0])
            await gone(held)
        await asyncio.sleep(1)
        assert [] == library.names.grants.hashes
        assert 3 * KEPT == len(library.ended)

    on_told_clock(act)


def test_a_connection_that_is_lost_meanwhile_leaves_nothing():
    """Also where a loader does not let itself be stopped."""

    async def act(library):
        async def stubborn(key):
            library.loading.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.sleep(1)
                return Document(key)

        library.sturdy("stubborn", stubborn)
        url = await library.give_name("stubborn", "17", expires_s=60)
        connection = await pb.open_connection("memory://grants")
        asking = asyncio.ensure_future(connection.get_object(url.rpartition("/")[2]))
        await library.loading.wait()
        assert 1 == len(library.names.grants.hashes)
        connection.abort()
        with pytest.raises(pb.ConnectionLost):
            await asking
        await asyncio.sleep(2)
        assert [] == library.names.grants.hashes

    on_told_clock(act)


def test_what_another_process_revokes_is_gone_after_the_next_look(tmp_path):
    """By a store that both use; what it has left alone stays."""
    path = tmp_path / "store.db"

    async def main():
        library = Library(store=SqliteStore(path))
        async with library.running(recheck_s=0.01):
            url, other = [await library.give_name("document", key) for key in ("17", "18")]
            document, kept = [await pb.get_object_at(each) for each in (url, other)]
            store = SqliteStore(path)
            names = cred.SturdyNames(store, "library")
            assert await names.revoke(url.rpartition("~")[2])
            with pytest.raises(pb.Gone):
                while "17" == await document.read():
                    pass
            assert "18" == await kept.read()
            await store.close()

    run(main())


def test_a_root_that_is_served_by_itself_can_be_told_to_look(tmp_path):
    """Without a running application nobody does: then its program has to."""
    path = tmp_path / "store.db"

    async def main():
        library = Library(store=SqliteStore(path))
        Service("main", library).create_perspective("guest").make_identity(PASSWORD)
        await library.authorizer.settle()
        async with (
            pb.serve(library.root, "memory://grants-root") as server,
            pb.open_connection(server.url) as peer,
        ):
            url = await library.give_name("document", "17", url=server.url)
            document = await peer.get_object(url.rpartition("/")[2])
            identity = await peer.login("guest", "guest")
            store = SqliteStore(path)
            assert await cred.SturdyNames(store, "library").revoke(url.rpartition("~")[2])
            await store.remove("guest")
            assert "17" == await document.read()
            await library.root.recheck()
            await gone(document)
            with pytest.raises(pb.Gone):
                await identity.keys()
            await store.close()
        await library.authorizer.close()

    run(main())


def test_a_name_that_is_void_already_ends_what_is_left_of_it():
    """Whoever says it again wants it gone now, not when the next look is due."""

    async def act(library):
        url = await library.give_name("document", "17")
        document = await pb.get_object_at(url)
        (record,) = await library.given_names()
        await library.store.remove_sturdy(record.hash)
        assert "17" == await document.read()
        assert not await library.revoke_name(record.id)
        await gone(document)

    on_told_clock(act)
