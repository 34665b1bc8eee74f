"""Of an attachment that has ended nothing is kept, at neither side. spec/9-login.md, PB-A48."""

from __future__ import annotations

import gc
import weakref

import pytest

import pb

from .doors import PASSWORD
from .rooms import Client, User, settle
from .stage import ENDED, REVOKED, on_stage


async def by_session(stage):
    session = bytes(16)
    await pb.call_remote(stage.identity._reference, "supersede", session)
    again = await stage.connection.login("alice", PASSWORD)
    await pb.call_remote(again._reference, "supersede", session)


async def by_release(stage):
    stage.user = stage.room = stage.thing = stage.bob = None
    gc.collect()
    await settle(lambda: stage.house.chat.detached_count())


class Hoarder(User):
    """Made for one attachment, it keeps its client for good."""

    def attached(self, client, identity):
        self.service.seen.append(("attached", self.perspective_name))
        user = Hoarder(self.perspective_name, self.service)
        user.client = client
        return user


@pytest.mark.parametrize("kind", [User, Hoarder])
@pytest.mark.parametrize("end", [*REVOKED, *ENDED[:3], by_session, by_release], ids=lambda end: end.__name__)
def test_nothing_is_kept_of_the_client_that_attached(end, kind):
    """Over one login that attaches for ever, each would stay in the memory of both sides, up to max_refs."""

    async def play(stage):
        (face,) = stage.house.application.faces
        tables = face.broker.tables
        stage.house.chat.users["alice"] = kind("alice", stage.house.chat)
        await stage.identity.detach(stage.user)
        gc.collect()
        await settle(lambda: not tables.scopes)
        before = set(tables.imports)
        stage.house.chat.seen.clear()
        client = Client()
        stage.user = await stage.identity.attach("chat", "alice", client)
        stage.room, stage.thing = await stage.user.room(), await stage.user.thing()
        assert len(before) < len(tables.imports)
        kept = weakref.ref(client)
        del client
        await end(stage)
        stage.user = stage.room = stage.thing = None

        def is_forgotten():
            gc.collect()
            return kept() is None and before >= set(tables.imports)

        await settle(is_forgotten)

    on_stage(play, "forgotten")
