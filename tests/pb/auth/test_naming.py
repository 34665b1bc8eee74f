"""Names at a server that asks for logins: who may use which, what a guess costs, and what a logout takes."""

from __future__ import annotations

import asyncio
import gc

import pytest

import cred
import pb
from pb.aio.named import url_of
from pb.auth.grants import KEPT
from pb.testing.loop import run
from pb.wire.stranger import MAX_CALLS
from tests.pb.auth.applications import Service
from tests.pb.auth.library import PASSWORD, WRONG, Document, play, refused


def test_a_sturdy_reference_needs_no_login():
    """Who holds the name may have the object, as often as he likes, and all the limits of a peer."""

    async def act(library, server):
        url = await library.application.give_name("document", "17")
        document = await pb.get_object_at(url)
        for _ in range(MAX_CALLS + 1):
            assert "17" == await document.read()
        assert 5_000 == len(await document.read("x" * 4_998))
        assert "17/part" == await (await document.part()).read()
        assert not len(library.application.root.strangers)

    play("sturdy-login", act)


def test_who_uses_a_secret_name_is_not_logged_in():
    """He has the one object: neither published ones nor anybody's identity (PB-K21)."""

    async def act(library, server):
        library.application.publish("lobby", Document())
        url = await library.application.give_name("document", "17")
        async with pb.open_connection(server.url) as connection:
            await connection.get_object(url.rpartition("/")[2])
            await refused(connection.get_object("lobby"), waited=False)
            identity = await connection.login("guest", "guest")
            assert "lobby" == await (await connection.get_object("lobby")).read()
            assert [("main", "guest")] == await identity.keys()

    play("sturdy-somebody", act)


def test_published_names_need_a_login():
    """Whatever they are; a logged-in user who errs is told at once, and not counted."""

    async def act(library, server):
        server.publish("lobby", Document())
        for _ in range(4):  # who forgets the login is not locked out for it
            await refused(pb.get_object_at(url_of(server.url, "lobby")), waited=False)
        async with pb.open_connection(server.url) as connection:
            await connection.login("guest", "guest")  # nobody holds what it returns
            gc.collect()
            assert "lobby" == await (await connection.get_object("lobby")).read()
            for _ in range(5):
                await refused(connection.get_object("nothing"), waited=False)
            library.application.unpublish("lobby")
            await refused(connection.get_object("lobby"), waited=False)

    play("published-login", act)


@pytest.mark.parametrize("how", ["logout", "disabled"])
def test_published_objects_go_with_the_last_login(how):
    """What a login gave ends with the last one on the connection; a secret name is untouched (PB-K20)."""

    async def act(library, server):
        library.application.publish("lobby", Document())
        url = await library.application.give_name("document", "17")
        async with pb.open_connection(server.url) as connection:
            first = await connection.login("guest", "guest")
            second = await connection.login("guest", "guest")
            lobby = await connection.get_object("lobby")
            document = await connection.get_object(url.rpartition("/")[2])
            await first.logout()
            assert "lobby" == await lobby.read()
            if how == "logout":
                await second.logout()
            else:
                await (await library.application.authorizer.get_identity("guest")).disable()
            with pytest.raises(pb.Gone):
                await lobby.read()
            assert "17" == await document.read()
            await refused(connection.get_object("lobby"), waited=False)

    play(f"published-{how}", act)


def test_an_object_goes_also_if_its_name_is_another_ones_by_now():
    """It was had by it; that the name leads elsewhere changes nothing of that."""

    async def act(library, server):
        application = library.application
        async with pb.open_connection(server.url) as connection:
            identity = await connection.login("guest", "guest")
            had = []
            for key in ("first", "second"):
                application.publish("lobby", Document(key))
                had.append(await connection.get_object("lobby"))
                application.unpublish("lobby")
            assert ["first", "second"] == [await each.read() for each in had]
            await identity.logout()
            for each in had:
                with pytest.raises(pb.Gone):
                    await each.read()

    play("published-renamed", act)


def test_nothing_is_left_of_published_objects_that_were_released():
    """A server that publishes and unpublishes under connections that last does not fill up."""

    async def act(library, server):
        application = library.application
        async with pb.open_connection(server.url) as connection:
            identity = await connection.login("guest", "guest")
            application.publish("held", Document("held"))
            held = await connection.get_object("held")
            for key in range(4 * KEPT):
                application.publish(f"document{key}", Document(str(key)))
                await connection.get_object(f"document{key}")
                application.unpublish(f"document{key}")
                gc.collect()
            alive = [each for each in gc.get_objects() if type(each) is Document and each.key.isdigit()]
            assert len(alive) <= 2 * KEPT
            await identity.logout()
            with pytest.raises(pb.Gone):
                await held.read()

    play("published-released", act)


@pytest.mark.parametrize("others", ["", "guest", "other", "guest guest"])
def test_a_released_login_counts_until_it_is_ended(others):
    """Whatever logged in beside it and left: what it gave ends with the identity, not before."""

    async def act(library, server):
        application = library.application
        Service("side", application).create_perspective("other").make_identity(PASSWORD)
        await application.authorizer.settle()
        application.publish("lobby", Document())
        async with pb.open_connection(server.url) as connection:
            first = await connection.login("guest", "guest")
            later = [await connection.login(name, "guest") for name in others.split()]
            lobby = await connection.get_object("lobby")
            for each in later:
                await each.logout()
            del first
            gc.collect()
            assert "lobby" == await lobby.read()
            assert lobby is await connection.get_object("lobby")
            await application.authorizer.remove_identity("guest")
            with pytest.raises(pb.Gone):
                await lobby.read()
            await refused(connection.get_object("lobby"), waited=False)

    play(f"published-let-go-{others.replace(' ', '-')}", act)


def test_who_logs_in_again_and_again_fills_nothing():
    """Of each identity one login is held for its names, however often its client let them go."""

    async def act(library, server):
        async with pb.open_connection(server.url) as connection:
            for _ in range(20):
                await connection.login("guest", "guest")
                gc.collect()
            await refused(connection.get_object("nothing"), waited=False)
            gc.collect()
            assert len(library.application.root._logged_in) <= 2

    play("published-again", act)


def test_guesses_are_counted_like_guesses_at_passwords():
    """The third ends the connection; it does not matter what was right before (PB-K22)."""

    async def act(library, server):
        url = await library.application.give_name("document", "17")
        connection = await pb.open_connection(server.url)
        await connection.get_object(url.rpartition("/")[2])
        await refused(connection.get_object(WRONG))
        with pytest.raises(pb.LoginFailed):
            await connection.login("guest", "wrong")
        await refused(connection.get_object(WRONG))
        await connection.wait_closed()

    play("sturdy-guesses", act)


def test_no_more_guesses_at_once_than_one_after_the_other(monkeypatch):
    """Three are looked up; the others are refused without."""
    looked_up = []

    async def act(library, server):
        find = library.application.names.load

        async def load(name, peer):
            looked_up.append(name)
            await asyncio.sleep(0)
            return await find(name, peer)

        library.application.names.load = load
        connection = await pb.open_connection(server.url)
        guesses = [connection.get_object(WRONG) for _ in range(MAX_CALLS)]
        results = await asyncio.gather(*guesses, return_exceptions=True)
        assert all(isinstance(one, pb.NoSuchObject | pb.ConnectionLost) for one in results)
        await connection.wait_closed()

    play("sturdy-parallel", act)
    assert 3 == len(looked_up)


def test_a_source_that_guesses_is_refused_for_a_while():
    """As one that guesses passwords is."""

    async def act(library, server):
        throttle = library.application.root.throttle
        connection = await pb.open_connection(server.url)
        for _ in range(3):
            await refused(connection.get_object(WRONG))
        assert throttle.penalty_s("") > 0

    play("sturdy-source", act)


def test_an_authorizer_alone_publishes_too():
    """A root without an application: its names are those of its servers."""

    async def main():
        authorizer = cred.Authorizer()
        await authorizer.add_identity("guest", PASSWORD)
        async with pb.serve(pb.AuthRoot(authorizer), "memory://published-authorizer") as server:
            server.publish("lobby", Document())
            async with pb.open_connection(server.url) as connection:
                await connection.login("guest", "guest")
                assert "lobby" == await (await connection.get_object("lobby")).read()
                await refused(connection.get_object(WRONG))

    run(main())
