"""alice attached beside bob, and the ways in which that ends."""

from __future__ import annotations

import cred
import pb

from ..aio.loops import run
from .doors import PASSWORD, hash_of
from .rooms import Client, House, settle


class Stage:
    """alice attached, with a view and a thing of hers, beside bob."""

    def __init__(self, house, server, connection, identity):
        self.house, self.server = house, server
        self.connection, self.identity = connection, identity
        self.authorizer = house.authorizer

    async def attach(self):
        self.user = await self.identity.attach("chat", "alice", Client())
        self.room = await self.user.room()
        self.thing = await self.user.thing()
        self.bob = await self.user.other("bob")
        assert "alice" == await self.room.who()
        assert "poked" == await self.thing.poke()
        assert "alice waves to bob" == await self.bob.wave()


async def by_key(stage):
    await (await stage.authorizer.get_identity("alice")).remove_key("chat", "alice")


async def by_disabling(stage):
    await (await stage.authorizer.get_identity("alice")).disable()


async def by_password(stage):
    await (await stage.authorizer.get_identity("alice")).set_password(hash_of("another"))


async def by_kick(stage):
    stage.authorizer.kick("alice")


async def by_removal(stage):
    await stage.authorizer.remove_identity("alice")


async def by_detach(stage):
    await stage.identity.detach(stage.user)


async def by_logout(stage):
    await stage.identity.logout()


async def by_revoking_the_perspective(stage):
    pb.revoke(stage.house.chat.users["alice"], stage.server)


async def by_ending_it_in_the_server(stage):
    next(iter(stage.house.application.root.attachments.values())).detach()


async def by_nothing(stage):
    await stage.authorizer.add_key("alice", cred.Key("chat", "more"))


async def by_closing(stage):
    await stage.connection.close()


async def by_abort(stage):
    stage.connection.abort()


async def by_closing_the_server(stage):
    await stage.server.close()


REVOKED = [by_key, by_disabling, by_password, by_kick, by_removal]
ENDED = [by_detach, by_logout, by_revoking_the_perspective, by_ending_it_in_the_server]
LOST = [by_closing, by_abort, by_closing_the_server]


def on_stage(play, name, store=None):
    """Run a play with alice attached and bob at home."""

    async def main():
        house = House(store)
        await house.fill()
        house.chat.get_perspective_named("bob")
        async with house.serve(name) as server, pb.open_connection(server.url) as connection:
            stage = Stage(house, server, connection, await connection.login("alice", PASSWORD))
            await stage.attach()
            assert [("attached", "alice")] == house.chat.seen
            await play(stage)
        await settle(house.is_empty)
        await house.authorizer.close()
        assert 1 == house.chat.detached_count()

    run(main())
