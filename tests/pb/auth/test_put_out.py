"""What a user who was put out hears and gets: nothing more, in either direction (PB-R36, PB-R37)."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

import pb

from .doors import PASSWORD, hash_of
from .rooms import Client, Thing, User, play, settle


async def put_out(house):
    """Disable alice, and let her in again later."""
    alice = await house.authorizer.get_identity("alice")
    await alice.disable()
    await alice.enable()


def test_a_callback_of_who_was_put_out_hears_nothing_and_its_end_is_told_once():
    """The program need not know who gave it what: what it has of them is dead, and says so."""

    async def act(house, connection, identity):
        given, told = [], []

        def subscribe(user, reference):
            given.append(reference)
            pb.on_disconnect(reference, lambda each: told.append(each))
            pb.on_disconnect(reference, lambda each: told.append("taken back"))()

        User.perspective_subscribe = subscribe
        user = await identity.attach("chat", "alice")
        mine = Client()
        await user.subscribe(mine)
        await given[0].hold("for alice")
        await put_out(house)
        with pytest.raises(pb.Gone, match="was put out"):
            await given[0].hold("the secret")
        await settle(lambda: told)
        pb.on_disconnect(given[0], lambda each: told.append("late"))
        await settle(lambda: len(told) == 2)
        await connection.close()
        await asyncio.sleep(0)
        assert ([given[0], "late"], "for alice") == (told, mine.held)
        given.clear()
        told.clear()
        del User.perspective_subscribe

    play("callback", act)


def test_detached_sees_the_client_dead_already():
    """What it says to all who are still there must not go to who was put out."""

    async def act(house, connection, identity):
        errors, clients = [], []

        def detached(user, client, identity):
            with pytest.raises(pb.Gone) as caught:
                client.hold.send("goodbye")
            errors.append(caught.value)

        house.chat.on_attach = lambda user, client: clients.append(client)
        before, User.detached = User.detached, detached
        try:
            await identity.attach("chat", "alice", Client())
            gc.collect()
            await settle(lambda: errors)
        finally:
            User.detached = before
            house.chat.seen.append(("detached", "alice"))
        clients.clear()

    play("detached", act)


@pytest.mark.parametrize("how", ["detach", "logout", "disabled"])
def test_calls_under_way_end_whoever_ends_the_attachment(how):
    """The user too, who may have several: one rule is easier to keep than two."""

    async def act(house, connection, identity):
        go, stopped = asyncio.Event(), []

        async def wait(user, result):
            try:
                await go.wait()
            finally:
                stopped.append(result)
            return Thing() if result == "a thing" else result

        User.perspective_wait_for = wait
        user = await identity.attach("chat", "alice")
        calls = [user.wait_for(result) for result in ("a secret", "a thing")]
        await user.who()
        if how == "disabled":
            await put_out(house)
        else:
            await (identity.detach(user) if how == "detach" else identity.logout())
        for call in calls:
            with pytest.raises(pb.Gone, match="it was stopped"):
                await call
        assert ["a secret", "a thing"] == stopped
        del User.perspective_wait_for

    play("under-way", act)


def test_a_method_that_changes_the_own_password_is_answered():
    """It puts its own caller out, who is to learn that it went well."""

    async def act(house, connection, identity):
        async def change(user):
            alice = await house.authorizer.get_identity(user.perspective_name)
            await alice.set_password(hash_of("new"))
            return "changed"

        User.perspective_change = change
        user = await identity.attach("chat", "alice")
        other = await (await connection.login("alice", PASSWORD)).attach("chat", "alice")
        assert "changed" == await user.change()
        for each in (user, other):
            with pytest.raises(pb.Gone):
                await each.who()
        del User.perspective_change

    play("password", act)


def test_a_method_in_a_thread_runs_to_its_end_and_nobody_hears_of_it():
    """As where it is cancelled: a thread cannot be stopped."""

    async def act(house, connection, identity):
        loop, begun = asyncio.get_running_loop(), asyncio.Event()
        go, ended = threading.Event(), threading.Event()

        @pb.in_thread
        def block(user):
            loop.call_soon_threadsafe(begun.set)
            go.wait(20)
            ended.set()
            return "a secret"

        User.perspective_block = block
        user = await identity.attach("chat", "alice")
        call = user.block()
        await begun.wait()
        await put_out(house)
        with pytest.raises(pb.Gone):
            await call
        assert not ended.is_set()
        go.set()
        await asyncio.to_thread(ended.wait, 20)
        del User.perspective_block

    play("thread", act)
