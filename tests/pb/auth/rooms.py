"""A chat with rooms and users, for tests of what ends when a right does."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import cred
import pb

from ..aio.loops import run
from .doors import PASSWORD, hash_of


class Thing(pb.Referenceable):
    """Something that a perspective hands out."""

    def remote_poke(self):
        return "poked"


class Room(pb.Viewable):
    """Something that each user sees as their own."""

    def __init__(self):
        self.actors = []

    def view_who(self, perspective):
        self.actors.append(perspective.perspective_name)
        return perspective.perspective_name


class User(pb.Perspective):
    """One user; what comes and goes is noted at the service."""

    def attached(self, client, identity):
        self.service.seen.append(("attached", self.perspective_name))
        return self.service.on_attach(self, client)

    def detached(self, client, identity):
        self.service.seen.append(("detached", self.perspective_name))

    def perspective_room(self):
        return self.service.room

    def perspective_thing(self):
        return Thing()

    def perspective_other(self, name):
        return self.service.users[name]

    def perspective_who(self):
        return self.perspective_name

    def perspective_take(self, value):
        return type(value).__name__

    def view_wave(self, perspective):
        return f"{perspective.perspective_name} waves to {self.perspective_name}"


class Chat(pb.Service):
    """Users are made when they are first asked for, and kept."""

    def __init__(self, *args):
        super().__init__(*args)
        self.users: dict[str, User] = {}
        self.room = Room()
        self.seen: list[tuple[str, str]] = []
        self.on_attach: Any = lambda user, client: None

    def get_perspective_named(self, name):
        if name not in self.users:
            self.users[name] = User(name, self)
        return self.users[name]

    def detached_count(self, name="alice"):
        return self.seen.count(("detached", name))


class Client(pb.Referenceable):
    """A client object that looks at what it is sent."""

    def __init__(self):
        self.heard = []

    async def remote_look(self, room):
        self.heard.append(await room.who())

    def remote_hold(self, thing):
        self.held = thing

    def remote_glance(self, thing):
        """Drop it at once."""


class House:
    """A server over memory, or another transport, with alice and bob."""

    def __init__(self, store: Any = None, **options: Any) -> None:
        self.authorizer = cred.Authorizer(store, iterations=4096, **options)
        self.application = pb.Application("house", self.authorizer)
        self.chat = Chat("chat", self.application)

    async def fill(self) -> None:
        """Make the identities."""
        chat = [("chat", "alice"), ("chat", "ops")]
        await self.authorizer.add_identity("alice", hash_of(PASSWORD), keys=chat)
        await self.authorizer.add_identity("bob", hash_of(PASSWORD), keys=[("chat", "bob")])

    def serve(self, name: str, **options: Any) -> Any:
        """Listen."""
        return pb.serve(self.application.root, f"memory://{name}", **options)

    def is_empty(self) -> bool:
        """Whether nobody is there, and nothing was kept."""
        root = self.application.root
        if root.attachments or len(root.strangers):
            return False
        gc.collect()  # an attachment and its scope know each other
        return not (len(root._logged_in) or self.authorizer._live.names())


async def settle(condition: Any) -> None:
    """Let others run until something is so."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - it is others that change it
            await asyncio.sleep(0)


def play(name, act, **options):
    """Run `act(house, connection, identity)` with alice logged in."""

    async def main():
        house = House(**options)
        await house.fill()
        house.chat.get_perspective_named("bob")
        async with house.serve(name) as server, pb.open_connection(server.url) as connection:
            identity = await connection.login("alice", PASSWORD)
            await act(house, connection, identity)
            del identity
        await settle(house.is_empty)
        attached = house.chat.seen.count(("attached", "alice"))
        assert house.chat.detached_count() <= attached

    run(main())
