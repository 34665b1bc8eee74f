"""Sessions that are cut in the middle of a login, and those that are dead and do not know it."""

from __future__ import annotations

import asyncio
import socket
import struct

import msgpack
import pytest

import cred
import pb
from pb.aio.url import Address

from ..aio.loops import run
from .doors import CALL, PASSWORD, hash_of
from .rooms import House, play, settle


class Seat(pb.Perspective):
    """For one client at a time: who comes later takes the place of who sits there."""

    def __init__(self, name, service):
        super().__init__(name, service)
        self.client = None

    def attached(self, client, identity):
        self.service.seen.append("attached")
        former, self.client = self.client, client
        if former is not None:
            pb.connection_of(former).abort()

    def detached(self, client, identity):
        self.service.seen.append("detached")
        if self.client is client:
            self.client = None

    def perspective_sit(self):
        return "here"


class Table(pb.Service):
    perspective_class = Seat

    def __init__(self, *args):
        super().__init__(*args)
        self.seen: list[str] = []


class Silent:
    """A peer that logs in and attaches by hand, and then neither reads nor writes nor hangs up."""

    def __init__(self, url):
        self.address = Address.parse(url)
        self.id = 0

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection(self.address.host, self.address.port)
        self.hello = msgpack.packb([0, "PB", 1, {}])
        self.put(self.hello)
        self.server_hello = await self.get()
        return self

    async def __aexit__(self, *exc):
        self.writer.close()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)

    def put(self, body):
        self.writer.write(len(body).to_bytes(4, "big") + body)

    async def get(self):
        return await self.reader.readexactly(int.from_bytes(await self.reader.readexactly(4), "big"))

    async def call(self, target, method, *args):
        self.id += 1
        self.put(msgpack.packb([CALL, self.id, target, method, msgpack.packb([args, {}])]))
        answer = msgpack.unpackb(await self.get(), ext_hook=msgpack.ExtType)
        assert [2, self.id] == answer[:2]
        return msgpack.unpackb(answer[2], ext_hook=msgpack.ExtType)

    def prover(self):
        hellos = cred.hello_hash(self.hello, self.server_hello)
        return cred.ScramClient("alice", PASSWORD, hello_hash=hellos)

    def drop(self):
        """Vanish with a reset, as a machine that was switched off and on again does."""
        found = self.writer.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@pytest.mark.parametrize("steps", range(6))
def test_a_peer_that_drops_in_the_middle_of_a_login_leaves_no_half_session(steps):
    """At each step: connected, challenged, proof under way, logged in, attach under way, attached."""

    async def main():
        house = House()
        await house.fill()
        root = house.application.root
        async with pb.serve(root, "pb://127.0.0.1:0") as server, Silent(server.url) as peer:
            prover = peer.prover()
            if steps >= 1:
                step = await peer.call(0, "login", prover.mechanism, prover.start())
            if steps >= 2:
                proof = prover.respond(step["data"])
                target = int.from_bytes(step["next"].data, "big")
                if steps == 2:
                    payload = msgpack.packb([[proof], {}])
                    peer.put(msgpack.packb([CALL, 2, target, "respond", payload]))
                    await peer.writer.drain()
                else:
                    step = await peer.call(target, "respond", proof)
            if steps >= 4:
                target = int.from_bytes(step["identity"].data, "big")
                if steps == 4:
                    peer.put(msgpack.packb([CALL, 3, target, "attach", msgpack.packb([["chat"], {}])]))
                    await peer.writer.drain()
                else:
                    await peer.call(target, "attach", "chat", "alice")
            peer.drop()
            await settle(lambda: not server.connections and not server._places)
            await settle(house.is_empty)
            async with pb.connect(server.url, "alice", PASSWORD, "chat", "alice") as user:
                assert "alice" == await user.who()
        await settle(house.is_empty)
        assert house.chat.seen.count(("attached", "alice")) == house.chat.detached_count()

    run(main())


def test_a_new_login_takes_the_place_of_a_stale_session(caplog):
    """A half-open connection may hold a seat for minutes; its owner is back at once, and it is told once."""

    async def main():
        authorizer = cred.Authorizer(iterations=4096)
        table = Table("table", authorizer)
        table.create_perspective("alice")
        await authorizer.add_identity("alice", hash_of(PASSWORD), keys=[("table", "alice")])
        root = pb.AuthRoot(authorizer)

        class Client(pb.Referenceable):
            pass

        async with pb.serve(root, "pb://127.0.0.1:0") as server, Silent(server.url) as stale:
            prover = stale.prover()
            step = await stale.call(0, "login", prover.mechanism, prover.start())
            step = await stale.call(
                int.from_bytes(step["next"].data, "big"), "respond", prover.respond(step["data"])
            )
            client = msgpack.ExtType(1, b"\x01")
            await stale.call(int.from_bytes(step["identity"].data, "big"), "attach", "table", "alice", client)
            assert ["attached"] == table.seen

            async with pb.open_connection(server.url) as connection:
                identity = await connection.login("alice", PASSWORD)
                seat = await identity.attach("table", client=Client())
                await settle(lambda: "detached" in table.seen)
                assert ["attached", "attached", "detached"] == table.seen
                assert "here" == await seat.sit()
                assert 1 == len(server.connections)
                assert 1 == table.attach_count("alice")
        await settle(lambda: 2 == table.seen.count("detached"))
        assert 4 == len(table.seen)

    run(main())
    assert "Traceback" not in caplog.text


def test_a_session_ends_the_earlier_logins_of_its_own_identity_and_no_others():
    """Whoever learns somebody else's session, or is given the same, ends nothing of theirs (PB-K6)."""
    session, other = b"s" * 16, b"o" * 64

    async def act(house, connection, identity):
        bob = await connection.login("bob", PASSWORD)
        unnamed, elsewhere = [await connection.login("alice", PASSWORD) for _ in range(2)]
        logins = {"alice": identity, "bob": bob, "unnamed": unnamed, "elsewhere": elsewhere}
        users = {name: await login.attach("chat") for name, login in logins.items()}
        await identity._reference.supersede(session)
        await elsewhere._reference.supersede(other)

        await bob._reference.supersede(session)
        assert ["alice", "bob", "alice", "alice"] == [await user.who() for user in users.values()]

        again = await connection.login("alice", PASSWORD)
        await again._reference.supersede(session)
        assert 1 == house.chat.detached_count(), "before it is answered"
        with pytest.raises(pb.Gone):
            await users.pop("alice").who()
        assert ["bob", "alice", "alice"] == [await user.who() for user in users.values()]

        for wrong in (b"s" * 15, b"s" * 65, "s" * 16, None, [session]):
            with pytest.raises(pb.Forbidden, match="a session is"):
                await again._reference.supersede(wrong)
        assert "alice" == await (await again.attach("chat")).who()

    play("session", act)
