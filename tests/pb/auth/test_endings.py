"""However an attachment ends, detached() is called once, and all that came of it is gone at once.

spec/9-login.md, "Attachments"; threats E19 and E22. Over memory, on a real loop.
"""

from __future__ import annotations

import asyncio
import gc

import pytest

import cred
import pb
from pb.attachment import Attachment
from pb.holding.scope import Scope

from .doors import PASSWORD
from .rooms import settle
from .stage import (
    ENDED,
    LOST,
    REVOKED,
    by_abort,
    by_detach,
    by_key,
    by_kick,
    by_logout,
    by_nothing,
    by_removal,
    by_revoking_the_perspective,
    on_stage,
)


@pytest.mark.parametrize("end", REVOKED + ENDED, ids=lambda end: end.__name__)
def test_all_that_came_of_an_attachment_is_gone_at_once(end):
    """The next call, on whatever was got, is refused: there is no second in which it still works."""

    async def play(stage):
        await end(stage)
        assert 1 == stage.house.chat.detached_count()
        for held, method in (
            (stage.user, "who"),
            (stage.room, "who"),
            (stage.thing, "poke"),
            (stage.bob, "wave"),
        ):
            with pytest.raises(pb.Gone):
                await getattr(held, method)()
        assert 1 == stage.house.chat.detached_count()

    on_stage(play, "ends")


@pytest.mark.parametrize("end", [*REVOKED[1:], by_logout], ids=lambda end: end.__name__)
def test_the_login_ends_with_it(end):
    """Where it is the identity that changed, and not one key of it."""

    async def play(stage):
        await end(stage)
        for call in (stage.identity.keys(), stage.identity.attach("chat"), stage.identity.logout()):
            with pytest.raises(pb.Gone):
                await call

    on_stage(play, "logins")


def test_the_login_outlives_a_key():
    """What is left on the keyring may be attached."""

    async def play(stage):
        await by_key(stage)
        assert [("chat", "ops")] == await stage.identity.keys()
        with pytest.raises(pb.Forbidden):
            await stage.identity.attach("chat", "alice")
        assert "ops" == await (await stage.identity.attach("chat", "ops")).who()

    on_stage(play, "keys")


@pytest.mark.parametrize("end", LOST, ids=lambda end: end.__name__)
def test_a_lost_connection_ends_it(end):
    """From whichever side, and however rudely."""

    async def play(stage):
        await end(stage)
        await settle(lambda: stage.house.chat.detached_count())
        with pytest.raises(pb.ConnectionLost):
            await stage.user.who()

    on_stage(play, "lost")


def test_releasing_all_of_it_ends_it():
    """It lives as long as the perspective, or something got from it, is held."""

    async def play(stage):
        stage.user = stage.thing = stage.bob = None
        gc.collect()
        assert "alice" == await stage.room.who()
        assert 0 == stage.house.chat.detached_count()
        stage.room = None
        gc.collect()
        await settle(lambda: stage.house.chat.detached_count())
        assert "ops" == await (await stage.identity.attach("chat", "ops")).who()

    on_stage(play, "released")


@pytest.mark.parametrize("first", REVOKED + ENDED + LOST, ids=lambda end: end.__name__)
@pytest.mark.parametrize(
    "second", [by_kick, by_abort, by_revoking_the_perspective], ids=lambda end: end.__name__
)
def test_what_ends_twice_is_detached_once(first, second):
    """Two reasons are one end."""

    async def play(stage):
        await first(stage)
        await second(stage)
        await settle(lambda: stage.house.chat.detached_count())

    on_stage(play, "twice")


def test_others_do_not_notice():
    """Another identity, and the same one's other attachment, go on."""

    async def play(stage):
        bob = await (await stage.connection.login("bob", PASSWORD)).attach("chat")
        ops = await stage.identity.attach("chat", "ops")
        await by_key(stage)
        assert ["bob", "ops"] == [await bob.who(), await ops.who()]
        stage.authorizer.kick("alice")
        assert "bob" == await bob.who()
        with pytest.raises(pb.Gone):
            await ops.who()

    on_stage(play, "others")


def test_the_same_perspective_twice_is_two_attachments():
    """Each ends by itself; detach ends the latest."""

    async def play(stage):
        again = await stage.identity.attach("chat", "alice")
        assert again is not stage.user
        assert 2 == stage.house.chat.attach_count("alice")
        await stage.identity.detach(again)
        assert 1 == stage.house.chat.detached_count()
        assert "alice" == await stage.user.who()
        with pytest.raises(pb.Gone):
            await again.who()
        stage.house.chat.seen.clear()

    on_stage(play, "same")


def test_a_detached_that_raises_harms_nobody(caplog):
    """It is logged, and the attachment is over all the same."""

    async def play(stage):
        user = stage.house.chat.users["alice"]
        honest = user.detached

        def detached(client, identity):
            honest(client, identity)
            raise ZeroDivisionError("of detached")

        user.detached = detached
        stage.authorizer.kick("alice")
        with pytest.raises(pb.Gone):
            await stage.user.who()

    on_stage(play, "raises")
    assert "detached failed" in caplog.text


@pytest.mark.parametrize("end", REVOKED, ids=lambda end: end.__name__)
def test_a_call_that_is_under_way_ends_as_does_the_next(end):
    """Or each long poll of who was put out would have one more answer (PB-R36)."""

    async def play(stage):
        entered, stopped = asyncio.Event(), asyncio.Event()

        async def slow(self):
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

        type(stage.house.chat.users["alice"]).perspective_slow = slow
        call = asyncio.ensure_future(_await(stage.user.slow()))
        await entered.wait()
        await end(stage)
        with pytest.raises(pb.Gone, match="it was stopped"):
            await call
        assert stopped.is_set()
        with pytest.raises(pb.Gone):
            await stage.user.slow()

    on_stage(play, "under-way")


async def _await(call):
    return await call


def sqlite(path):
    from cred.stores.sqlite import SqliteStore

    return SqliteStore(path)


@pytest.mark.parametrize("end", [*REVOKED[:3], by_removal, by_nothing], ids=lambda end: end.__name__)
def test_recheck_finds_what_another_process_took_away(end, tmp_path):
    """The same file, another authorizer: as another process has it."""

    async def play(stage):
        elsewhere = cred.Authorizer(sqlite(tmp_path / "users.db"), iterations=4096)
        stage.elsewhere, stage.authorizer = stage.authorizer, elsewhere
        await end(stage)
        await elsewhere.close()
        assert "alice" == await stage.user.who()
        await stage.elsewhere.recheck()
        if end is by_nothing:
            assert "alice" == await stage.user.who()
            await stage.identity.detach(stage.user)
            return
        for held, method in (
            (stage.user, "who"),
            (stage.room, "who"),
            (stage.thing, "poke"),
            (stage.bob, "wave"),
        ):
            with pytest.raises(pb.Gone):
                await getattr(held, method)()

    on_stage(play, "recheck", sqlite(tmp_path / "users.db"))


def test_an_identity_that_another_process_removed_has_no_keys():
    """Until recheck() finds out, asking is refused like anything else: it is no fault of this server."""

    async def play(stage):
        await stage.authorizer.store.remove("alice")
        try:
            await stage.identity.keys()
        except (pb.Gone, pb.Forbidden):
            return
        finally:
            await stage.authorizer.recheck()

    on_stage(play, "removed")


@pytest.mark.parametrize("end", [by_kick, by_logout, by_detach], ids=lambda end: end.__name__)
def test_the_end_of_one_attachment_does_not_look_at_the_others(end, monkeypatch):
    """Who attaches 30 000 times and is then kicked held the loop for 8 s: each end went through them all."""
    compared = []

    def equals(self, other):
        compared.append(self)
        return self is other

    async def play(stage):
        more = [await stage.identity.attach("chat", "ops") for _ in range(20)]
        for kind in (Attachment, Scope):
            monkeypatch.setattr(kind, "__eq__", equals, raising=False)
            monkeypatch.setattr(kind, "__hash__", object.__hash__)
        if end is by_detach:
            for each in reversed(more):
                await stage.identity.detach(each)
        await end(stage)
        assert (0, 1) == (stage.house.chat.attach_count("ops"), stage.house.chat.detached_count())
        monkeypatch.undo()
        assert len(compared) < 5

    on_stage(play, "many")
