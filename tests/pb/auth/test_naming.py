"""Names at a server that asks for logins: who may use which, what a guess costs, and what a logout takes."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

import cred
import pb
from pb._stranger import MAX_CALLS
from pb.aio.named import url_of
from tests.pb.aio.loops import run
from tests.pb.auth.applications import Service

PASSWORD = cred.PasswordHash.of("guest", iterations=4096)
WRONG = "~" + "a" * 32


class Document(pb.Referenceable):
    def __init__(self, key="lobby"):
        self.key = key

    def remote_read(self, blank=""):
        return self.key + blank

    def remote_part(self):
        return Document(f"{self.key}/part")


class User(pb.Referenceable):
    def perspective_who(self):
        return "holder"


class Library:
    """An application, its documents, and its server."""

    def __init__(self, name):
        self.application = pb.Application("library")
        Service("main", self.application).create_perspective("guest").make_identity(PASSWORD)
        self.application.listen(f"memory://{name}")
        self.documents = {key: Document(key) for key in ("17", "18")}
        self.asked = []
        self.application.sturdy("document", self.load)
        self.application.sturdy("user", lambda key: pb.current_call().attach(User()))
        self.application.sturdy("odd", lambda key: {"copy": "a text", "bug": 1 / int(key != "bug")}[key])

    async def load(self, key):
        self.asked.append(key)
        await asyncio.sleep(0)
        return self.documents[key]


def play(name, act):
    """Run `act(library, server)` with the application running."""

    async def main():
        library = Library(name)
        async with library.application.running() as (server,):
            await act(library, server)

    run(main())


async def refused(asking, waited=True):
    """Expect the one error there is, and no sooner than that of a login."""
    began = asyncio.get_running_loop().time()
    with pytest.raises(pb.NoSuchObject) as raised:
        await asking
    assert "no object of that name, or not for you" == str(raised.value)
    assert not waited or asyncio.get_running_loop().time() - began >= 0.05


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
    """He has the one object: neither published ones nor anybody's identity."""

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
    """What a login gave ends with it; a second one on the connection keeps it, a secret name is untouched."""

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


def test_guesses_are_counted_like_guesses_at_passwords():
    """The third ends the connection; it does not matter what was right before."""

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


@pytest.mark.parametrize("why", ["unknown", "expired", "revoked", "gone", "no loader"])
def test_the_reason_of_a_refusal_is_nobodys_business(why, caplog):
    """One error, and the same bytes and time; the log of the server knows."""
    caplog.set_level(logging.INFO, "pb")

    async def act(library, server):
        url = await library.application.give_name("document", "17", expires_s=60)
        if why == "unknown":
            url = url_of(server.url, WRONG)
        elif why == "expired":
            names = library.application.names
            old = cred.SturdyNames(library.application.store, "library", clock=lambda: 0.0)
            url = url_of(server.url, "~" + await old.give("document", "17", 60))
            assert 2 == len(await names.list())
        elif why == "revoked":
            assert await library.application.revoke_name(url)
            assert not await library.application.revoke_name(url)
        elif why == "gone":
            del library.documents["17"]
        else:
            library.application.names._loaders.clear()
        await refused(pb.get_object_at(url))
        assert (["17"] if why == "gone" else []) == library.asked
        assert url.rpartition("~")[2] not in caplog.text

    play("sturdy-why", act)
    told = {"gone": "the loader found nothing", "no loader": "nothing loads this kind"}
    assert told.get(why, "unknown, expired or revoked was refused") in caplog.text


def test_use_is_logged_without_the_name(caplog):
    """Who, what and when: an audit needs no more, and the log is no place for secrets."""
    caplog.set_level(logging.INFO, "pb")

    async def act(library, server):
        url = await library.application.give_name("document", "17")
        document = await pb.get_object_at(url)
        (given,) = await library.application.given_names()
        assert f"sturdy reference {given.id} ('document' '17') was used by" in caplog.text
        assert url.rpartition("~")[2] not in caplog.text
        pb.connection_of(document).abort()

    play("sturdy-audit", act)


def test_a_loader_may_hand_out_a_perspective():
    """Then all that is had through it is on behalf of that."""

    async def act(library, server):
        user = await pb.get_object_at(await library.application.give_name("user", ""))
        assert "holder" == await user.who()

    play("sturdy-perspective", act)


@pytest.mark.parametrize("key", ["copy", "bug"])
def test_a_loader_with_a_bug_is_told_of_in_the_log_only(key, caplog):
    """The holder of the name has done nothing wrong; he stays a stranger and learns nothing."""

    async def act(library, server):
        url = await library.application.give_name("odd", key)
        with pytest.raises(pb.RemoteError, match="internal error"):
            await pb.get_object_at(url)
        assert 0.0 == library.application.root.throttle.penalty_s("")

    play("sturdy-bug", act)
    assert "Traceback" in caplog.text


def test_names_are_given_for_what_can_be_loaded_and_reached():
    """Else somebody is told a URL that is good for nothing; and nothing is kept of it."""
    application = Library("sturdy-given").application

    async def main():
        with pytest.raises(ValueError, match="does not listen; say url="):
            await application.give_name("document", "17")
        with pytest.raises(ValueError, match="no loader for objects of kind 'book'"):
            await application.give_name("book", "17", url="pb://127.0.0.1")
        with pytest.raises(pb.BadURL, match="every interface"):
            await application.give_name("document", "17", url="pb://0.0.0.0")
        assert [] == await application.given_names()
        url = await application.give_name("document", "17", url="pbs://example.org")
        assert url.startswith("pbs://example.org:8787/~")

    run(main())
    with pytest.raises(ValueError, match="have a loader already"):
        application.sturdy("document", print)
    with pytest.raises(TypeError, match="the loader is a str"):
        application.sturdy("book", "text")


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
