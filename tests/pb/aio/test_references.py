"""The report of references over real connections: of connections, servers and applications, on both faces."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

import cred
import pb
from pb import sync
from pb.testing import pair

PASSWORD = cred.PasswordHash.of("secret", iterations=4096)


class Thing(pb.Referenceable):
    pass


class Member(pb.Perspective):
    def perspective_thing(self):
        return Thing()


class Club(pb.Service):
    perspective_class = Member


class Root(pb.Root):
    def remote_thing(self):
        return Thing()


def club():
    application = pb.Application("club")
    Club("club", application).create_perspective("ann").make_identity(PASSWORD)
    pb.ReferenceReport(application).create_perspective("boss").make_identity(PASSWORD)
    return application


async def thing_of(connection):
    identity = await connection.login("ann", "secret")
    return await (await identity.attach("club")).thing()


def test_ref_report_of_connections_and_servers():
    """A server stands for all of its connections."""

    async def main():
        async with (
            pb.serve(Root(), "pb://127.0.0.1:0") as server,
            pb.open_connection(server.url) as connection,
        ):
            thing = await connection.root.thing()
            [held] = pb.reference_report(server)
            assert ("Thing", "remote", server.connections[0].peer) == (held.type, held.kind, held.holder)
            assert [held.id] == [each.id for each in pb.reference_report(server.connections[0])]
            assert [] == pb.reference_report(connection) and thing is not None

    asyncio.run(main())


def test_ref_report_names_where_it_may_look():
    """Nothing at all, and something else, are slips."""
    with pytest.raises(TypeError, match="needs the connections, servers or applications"):
        pb.reference_report()
    with pytest.raises(TypeError, match="a connection, server or application is expected, not a str"):
        pb.reference_report("pb://127.0.0.1")
    with pytest.raises(TypeError, match="needs the connections or servers"):
        sync.reference_report()


def test_ref_report_is_told_to_whom_it_is_granted_and_to_nobody_else():
    """By a service like any other: who has no key for it cannot attach it."""
    application = club()

    async def main():
        async with pb.serve(pb.AuthRoot(application), "memory://refs") as server:
            async with (
                pb.open_connection(server.url) as hers,
                pb.open_connection(server.url) as connection,
            ):
                thing = await thing_of(hers)
                boss = await connection.login("boss", "secret")
                reporter = await boss.attach("references")
                found = [held async for held in reporter.report()]
                assert ["Thing"] == [each["type"] for each in found if each["identity"] == "ann"][-1:]
                told = [(each["type"], each["service"], each["perspective"]) for each in found]
                assert ("Thing", "club", "ann") in told and ("Reporter", "references", "boss") in told
                assert all(each["age_s"] >= 0 and each["made_at"] == "" for each in found)
                assert found == sorted(found, key=lambda each: -each["age_s"])
                ann = await connection.login("ann", "secret")
                with pytest.raises(pb.Forbidden):
                    await ann.attach("references", "boss")
                assert thing is not None
            for _ in range(20):
                await asyncio.sleep(0)
            assert [] == pb.reference_report(application)
            assert set() == application.faces, "a connection that has ended is not kept"

    asyncio.run(main())


def test_ref_report_of_a_blocking_program():
    """Its connections live in another thread, where the report is made."""
    with sync.serve(Root(), "memory://sync-refs") as server, sync.open_connection(server.url) as connection:
        thing = connection.root.thing()
        assert ["Thing"] == [held.type for held in sync.reference_report(server)]
        assert [] == sync.reference_report(connection) and thing is not None


def test_ref_report_tells_the_creation_site():
    """The line of the server's own method that made what is still held."""

    async def main():
        async with pair(Root()) as (_, server, root):
            tracemalloc.start(2)
            try:
                thing = await root.thing()
                [held] = pb.reference_report(server)
            finally:
                tracemalloc.stop()
            line = Root.remote_thing.__code__.co_firstlineno + 1
            assert held.made_at.startswith(f"{__file__}:{line}") and thing is not None

    asyncio.run(main())
