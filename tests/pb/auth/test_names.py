"""What secret names stand for: found, refused for whatever reason, and told of in the log."""

from __future__ import annotations

import logging

import pytest
from zope.interface import implementer

import cred
import pb
from pb.aio.named import url_of
from pb.testing.loop import run
from tests.pb.auth.applications import Service
from tests.pb.auth.library import PASSWORD, WRONG, Document, Library, play, refused


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
    """To who asks it is a wrong name like any other, so he fills the log three times and is gone."""

    async def act(library, server):
        name = (await library.application.give_name("odd", key)).rpartition("/")[2]
        connection = await pb.open_connection(server.url)
        for _ in range(3):
            await refused(connection.get_object(name))
        await connection.wait_closed()
        assert 0.0 < library.application.root.throttle.penalty_s("")

    play("sturdy-bug", act)
    assert 3 == caplog.text.count("Traceback") == caplog.text.count("it could not be looked up")


def test_a_loader_may_refuse_whom_it_does_not_want(caplog):
    """As it may anywhere else; that is no fault of the program."""

    async def act(library, server):
        def forbid(key):
            raise pb.Forbidden("not today")

        library.application.sturdy("closed", forbid)
        await refused(pb.get_object_at(await library.application.give_name("closed", "17")))

    play("sturdy-closed", act)
    assert "Traceback" not in caplog.text
    assert "the loader found nothing" in caplog.text


def test_a_store_that_fails_is_told_of_in_the_log_only(caplog):
    """Whether a name is right is not known then; it is refused, in the same time, and counted."""

    async def act(library, server):
        url = await library.application.give_name("document", "17")

        async def get_sturdy(hash):
            raise cred.StoreError("the disk is on fire")

        library.application.store.get_sturdy = get_sturdy
        connection = await pb.open_connection(server.url)
        for _ in range(3):
            await refused(connection.get_object(url.rpartition("/")[2]))
        await connection.wait_closed()

    play("sturdy-store", act)
    assert 3 == caplog.text.count("StoreError: the disk is on fire")


@implementer(cred.IIdentityStore)
class Nameless:
    """A store that keeps identities and no names."""

    def __init__(self):
        self._store = cred.MemoryStore()

    def __getattr__(self, name):
        assert "sturdy" not in name
        return getattr(self._store, name)


def test_a_store_without_names_has_no_secret_ones(caplog):
    """Each is a wrong one, which counts, and is nothing that anybody has to look into."""
    application = pb.Application("library")
    application.use_store(Nameless())
    Service("main", application).create_perspective("guest").make_identity(PASSWORD)
    application.publish("lobby", Document())
    application.listen("memory://nameless")

    async def main():
        async with application.running() as (server,):
            connection = await pb.open_connection(server.url)
            await connection.login("guest", "guest")
            assert "lobby" == await (await connection.get_object("lobby")).read()
            for _ in range(3):
                await refused(connection.get_object(WRONG))
            await connection.wait_closed()

    run(main())
    assert "Traceback" not in caplog.text


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
