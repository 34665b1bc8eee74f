"""A third conversation, over a connection that comes back: whatever was cut, it goes on where it was.

Client and server are the real ones, on a loop whose clock is told, with a `Network` between them that cuts
the first connections after so many bytes and lets the next ones be.
"""

from __future__ import annotations

import asyncio
import itertools
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import jelly
import pb
from pb.testing import held

from ..auth.doors import PASSWORD, alice, hash_of
from .session import LOST

REGISTRY = jelly.Registry()


@REGISTRY.cacheable("faults.Page")
@dataclass(eq=False)
class Page(pb.Tracked):
    """What both sides have, and the server changes."""

    lines: list[int] = field(default_factory=list)


class Thing(pb.Referenceable):
    def remote_poke(self):
        return "poked"


class User(pb.Perspective):
    """Does what is done once at most, and what may be done again."""

    def attached(self, client, identity):
        self.service.seen.append("attached")
        self.service.clients.append(client)
        pb.on_disconnect(client, self.service.told.append)
        self.client = client

    def detached(self, client, identity):
        self.service.seen.append("detached")
        self.client = None

    def perspective_once(self, tag):
        self.service.ran.append(tag)
        self.service.page.lines.append(len(self.service.page.lines))
        return tag

    def perspective_look(self, tag):
        """Its caller says that it may be done again."""
        self.service.ran.append(tag)
        return tag

    @pb.idempotent
    def perspective_see(self, tag):
        """That it may be, the caller learns beside the first call, or over the next connection."""
        self.service.ran.append(tag)
        return tag

    async def perspective_ask(self, tag):
        """Call back before the answer."""
        self.service.ran.append(tag)
        return await self.client.poke()

    def perspective_page(self):
        return self.service.page

    def perspective_thing(self):
        return self.service.thing


class Chat(pb.Service):
    """One user's, with a journal of what ran."""

    def __init__(self, *args):
        super().__init__(*args)
        self.page = Page()
        self.thing = Thing()
        self.ran = []
        self.seen = []
        self.clients = []
        self.told = []  # those whose end was told
        self.user = User("alice", self)

    def get_perspective_named(self, name):
        return self.user


class AtOnce(ThreadPoolExecutor):
    """Does at once what else is done in a thread: a password's proof, of which threads are half the cost."""

    def submit(self, function, /, *args, **kwargs):
        done = Future()
        try:
            done.set_result(function(*args, **kwargs))
        except BaseException as error:
            done.set_exception(error)
        return done


class Site:
    """A server, and what became of each conversation with it."""

    numbers = itertools.count()

    def __init__(self):
        self.application = pb.Application("site", registry=REGISTRY)
        self.chat = Chat("chat", self.application)
        self.url = f"memory://site-{next(self.numbers)}"
        self.credentials = alice()
        self.alive = []  # what must not outlive its conversation
        self.server = None

    async def __aenter__(self):
        """Make the one identity there is, and listen."""
        asyncio.get_running_loop().set_default_executor(AtOnce())
        keys = [("chat", "alice")]
        await self.application.authorizer.add_identity("alice", hash_of(PASSWORD), keys=keys)
        self.server = await pb.serve(self.application.root, self.url, registry=REGISTRY)
        return self

    async def __aexit__(self, *exc):
        await self.server.close()

    async def converse(self, network, losses=0):
        """Say everything there is to say over a network that is calm after so many losses, and check it.

        Returns how many bytes the last connection carried, up and down.
        """
        chat, outcomes, lost = self.chat, {}, 0
        chat.ran, chat.seen, chat.clients, chat.told, chat.page = [], [], [], [], Page()

        async def sleep(seconds):
            nonlocal lost
            lost += 1
            if lost >= losses:
                network.calm()
            await asyncio.sleep(seconds)

        def call(tag, method):
            outcomes[tag] = asyncio.ensure_future(method(tag))

        options = pb.Reconnect(
            first_s=0.01, max_s=0.01, stable_s=0.0, refused_s=0.0, retries_first=True, sleep=sleep
        )
        async with pb.open_connection(network.url, registry=REGISTRY, reconnect=options) as connection:
            identity = await again(lambda: connection.login(credentials=self.credentials))
            user = await again(lambda: identity.attach("chat", client=Thing()))
            page = await again(lambda: connection.keep(lambda: user.page()))
            thing = await again(lambda: connection.keep(lambda: user.thing()))
            for number in range(2):
                call(f"once {number}", user.once)
                call(f"look {number}", user.look.idempotent)
                call(f"see {number}", user.see)
                await asyncio.wait(outcomes.values())
                call(f"ask {number}", user.ask)
            await asyncio.wait(outcomes.values())
            assert "poked" == await again(lambda: thing.poke())
            call("look last", user.look.idempotent)
            await outcomes["look last"]
            assert [("chat", "alice")] == await again(identity.keys)
            assert page.lines == chat.page.lines == list(range(len(page.lines)))
            assert not pb.is_stale(page)
            self.alive += map(weakref.ref, (connection, user, page, thing))
            (relay,) = network.connections
        assert_ended(connection)
        while self.server.connections:  # noqa: ASYNC110 - it hears of the end a little later
            await asyncio.sleep(0)
        await asyncio.sleep(1)  # of the clock that is told; and so do those it tells
        self.check(outcomes)
        return relay.up.carried, relay.down.carried

    def check(self, outcomes):
        """Check what is promised of calls, of who is told, and of what is left."""
        ran, seen = self.chat.ran, self.chat.seen
        for tag, outcome in outcomes.items():
            times, error = ran.count(tag), outcome.exception()
            said = f"{tag} ran {times} times: {error!r}"
            if tag.startswith(("look", "see")):
                assert times and error is None, said
            else:
                assert times <= 1, said
                assert times >= 1 if error is None else isinstance(error, pb.OutcomeUnknown), said
            if error is None:
                assert outcome.result() == ("poked" if tag.startswith("ask") else tag)
        assert ["attached", "detached"] * (len(seen) // 2) == seen, "there once at a time, and each end told"
        assert len(seen) // 2 == len(self.chat.clients)
        assert self.chat.clients == self.chat.told
        assert 0 == len(self.application.root.strangers) + len(self.application.root.attachments)


def assert_ended(connection):
    """Check that a connection holds nothing; without a collection, which costs more than all the rest."""
    assert {} == held(connection)


async def again(make):
    """Do what a program does that wants something: ask once more where the connection was lost meanwhile."""
    while True:
        try:
            return await make()
        except LOST:
            pass
