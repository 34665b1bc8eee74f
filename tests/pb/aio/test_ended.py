"""What still runs when its connection has ended finds the connection that it knew, until it ends too.

What a program keeps of a connection, in a WeakKeyDictionary for one, is there as long as anything of its own
runs that may ask for it, and goes without the collector with the last of that.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest

import pb

from ..auth.rooms import settle
from .loops import Place, run


class Root(pb.Root):
    """Methods that go on behind the end, and ask for the connection as long as they do."""

    def __init__(self):
        self.users = weakref.WeakKeyDictionary()
        self.ids = set()
        self.began = self.ended = 0
        self.is_over = threading.Event()

    def note(self):
        """Note which connection this is, and whether it is known."""
        connection = pb.current_call().connection
        self.ids.add(id(connection))
        return self.users.setdefault(connection, f"user {len(self.ids)}")

    async def wait(self):
        self.began += 1
        try:
            await asyncio.Event().wait()
        finally:
            await settle(self.is_over.is_set)  # as if its data took a while to be written
            self.end()

    def end(self):
        if self.note() == "user 1":
            self.ended += 1

    async def remote_known(self):
        self.note()
        await self.wait()

    async def remote_unknown(self):
        """The connection is asked for behind the end only, again and again."""
        try:
            await self.wait()
        finally:
            gc.collect()
            self.note()

    async def remote_stream(self):
        self.note()
        yield 1
        await self.wait()

    @pb.in_thread
    def remote_thread(self):
        self.note()
        self.began += 1
        self.is_over.wait(30)
        self.end()


def by_the_client(connection, server):
    connection.abort()


def by_the_server(connection, server):
    server.connections[0].abort()


def for_a_fault(connection, server):
    connection._link.transport.write(b"\xff\xff\xff\xff")


ENDS = [by_the_client, by_the_server, for_a_fault]


@pytest.mark.parametrize("method", ["known", "unknown", "stream", "thread"])
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_what_runs_on_finds_the_connection_that_it_knew(tmp_path, method, end, loop):
    """It is freed with the last of them."""

    async def main():
        root = Root()
        async with Place("pb", tmp_path).serve(root) as server:
            connection = await pb.open_connection(server.url)
            calls = [getattr(connection.root, method)() for _ in range(2)]
            streams = (
                [asyncio.ensure_future(anext(aiter(call))) for call in calls] if method == "stream" else []
            )
            await settle(lambda: root.began == 2)
            gc.disable()
            try:
                end(connection, server)
                await connection.wait_closed()
                await settle(lambda: not server.connections)
                for _ in range(4):
                    await asyncio.sleep(0)
                kept = len(root.users)
                root.is_over.set()
                await settle(lambda: root.ended == 2 and not root.users)
            finally:
                gc.enable()
            await asyncio.gather(*calls, *streams, return_exceptions=True)
            return kept, len(root.ids)

    assert (0 if method == "unknown" else 1, 1) == run(main(), loop)


class Giver(pb.Root):
    def remote_thing(self):
        return pb.Referenceable()


class Told:
    """What a program is told with, and all that this leads to."""

    def __init__(self, told):
        self.told = told

    def __call__(self, reference):
        self.told.append(reference)


def test_nobody_is_kept_who_would_be_told_of_a_reference_that_was_dropped(tmp_path, loop):
    """Else whoever subscribes again and again fills the memory of who wants to know when it goes."""

    async def main():
        told, kept, callbacks, forget = [], [], [], None
        async with Place("pb", tmp_path).serve(Giver()) as server:
            connection = await pb.open_connection(server.url)
            for number in range(1000):
                thing, callback = await connection.root.thing(), Told(told)
                taken_back = pb.on_disconnect(thing, callback)
                callbacks.append(weakref.ref(callback))
                if number % 200 == 0:
                    kept.append(thing)
                    forget = forget or taken_back
            del thing, callback, taken_back
            gc.collect()
            left = sum(each() is not None for each in callbacks)
            forget()
            forget()
            await connection.close()
            await settle(lambda: len(told) >= 4)
            await asyncio.sleep(0)
            return left, told == kept[1:]

    left, is_told = run(main(), loop)
    assert left <= 16
    assert is_told, "those that are held, in their order, but for the one that was taken back"


class Middle(pb.Root):
    """Hands on what it was given."""

    def remote_keep(self, thing):
        self.kept = thing

    def remote_get(self):
        return self.kept

    def remote_own(self):
        self.own = Thing()
        return self.own


class Thing(pb.Referenceable):
    """Something to be called."""


def test_who_holds_what_was_passed_on_is_told_when_that_has_gone(loop):
    """Its connection lives, but the object is there no more: a worker that another one knows, say."""

    async def main():
        middle, told = Middle(), []
        async with pb.serve(middle, "memory://told-of-gone") as server:
            far = await pb.open_connection(server.url)
            await far.root.keep(Thing())
            async with pb.open_connection(server.url) as near:
                proxy, own = await near.root.get(), await near.root.own()
                pb.on_disconnect(proxy, lambda each: told.append(("taken back", each)))()
                pb.on_disconnect(proxy, lambda each: told.append(("proxy", each)))
                pb.on_disconnect(own, lambda each: told.append(("own", each)))
                await far.close()
                await settle(lambda: told)
                assert [("proxy", proxy)] == told
                pb.on_disconnect(proxy, lambda each: told.append(("late", each)))
                await settle(lambda: len(told) == 2)
                assert pb.is_live(own)
                pb.revoke(middle.own, server)
                await settle(lambda: len(told) == 3)
                assert [("late", proxy), ("own", own)] == told[1:]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert 3 == len(told)

    run(main(), loop)
