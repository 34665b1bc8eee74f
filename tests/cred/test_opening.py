"""Revocation while somebody attaches: the store said yes, and the right is gone when attached() is done."""

from __future__ import annotations

import asyncio

import pytest

import cred
from cred import Key, NotPermitted

from .alice import ALICE, Noting, attached
from .helpers import run


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        (lambda authorizer: authorizer.set_disabled("alice", True), False),
        (lambda authorizer: authorizer.set_password("alice", None), False),
        (lambda authorizer: authorizer.remove_key("alice", Key("shop", "alice")), False),
        (lambda authorizer: authorizer.remove_identity("alice"), False),
        (lambda authorizer: authorizer.remove_key("alice", Key("chat", "alice")), True),
    ],
    ids=["disabled", "password", "its key", "removed", "another key"],
)
def test_what_is_just_being_attached_is_cut_too(change, allowed):
    """The store said yes, attached() takes its time, and the right is gone when it is done."""

    async def main():
        authorizer, _, alice, attachments = await attached()
        entered, leave = asyncio.Event(), asyncio.Event()

        class Slow(Noting):
            async def attached(self, client, identity):
                entered.set()
                await leave.wait()

        for one in attachments:
            one.end()
        authorizer.services["shop"].perspective_class = Slow
        attaching = asyncio.ensure_future(alice.attach("shop"))
        await entered.wait()
        await change(authorizer)
        leave.set()
        try:
            attachment = await attaching
        except NotPermitted:
            return False, authorizer.services["shop"].attach_count("alice")
        return attachment.is_live, authorizer.services["shop"].attach_count("alice")

    assert (allowed, int(allowed)) == run(main())


def test_who_is_kicked_while_attaching_is_not_attached():
    """The store knows nothing of it."""

    async def main():
        authorizer, _, alice, attachments = await attached()
        perspectives = []

        class Kicking(Noting):
            def attached(self, client, identity):
                perspectives.append(self)
                authorizer.kick("alice")

        for one in attachments:
            one.end()
        authorizer.services["shop"].perspective_class = Kicking
        with pytest.raises(NotPermitted):
            await alice.attach("shop")
        return perspectives[0].gone

    assert 1 == run(main())


def test_a_revocation_during_the_second_look_is_seen_too():
    """attached() disturbs itself, and the store is slow: the answer to the second question is late."""

    class Slow(cred.MemoryStore):
        answered = None

        async def get(self, name):
            record = await super().get(name)
            if self.answered is not None:
                self.answered()
            return record

    async def main():
        store = Slow()
        await store.add(ALICE)
        authorizer, _, alice, attachments = await attached(store)

        def while_looking_again():
            store.answered = None
            authorizer.kick("alice")

        class Disturbing(Noting):
            async def attached(self, client, identity):
                await authorizer.remove_key("alice", Key("chat", "alice"))
                store.answered = while_looking_again

        authorizer.services["shop"].perspective_class = Disturbing
        for one in attachments:
            one.end()
        with pytest.raises(NotPermitted):
            await alice.attach("shop")
        return authorizer.services["shop"].attach_count("alice")

    assert 0 == run(main())


def test_all_who_are_just_attaching_are_cut():
    """Two connections of one person; the first to be done does not end the watch over the other."""

    async def main():
        authorizer, _, alice, attachments = await attached()
        gates = {"shop": asyncio.Event(), "chat": asyncio.Event()}

        class Slow(Noting):
            async def attached(self, client, identity):
                await gates[self.service.name].wait()

        for one in attachments:
            one.end()
        for name in gates:
            authorizer.services[name].perspective_class = Slow
        shop, chat = (asyncio.ensure_future(alice.attach(name)) for name in gates)
        await asyncio.sleep(0)
        gates["shop"].set()
        assert (await shop).is_live
        await authorizer.set_disabled("alice", True)
        gates["chat"].set()
        with pytest.raises(NotPermitted):
            await chat
        return shop.result().is_live, authorizer._live._openings

    assert (False, {}) == run(main())
