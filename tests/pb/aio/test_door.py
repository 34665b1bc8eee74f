"""Who has connected and not shaken hands yet is a stranger: counted from accept on, and refused early."""

from __future__ import annotations

import asyncio
import ssl

import pytest

import cred
import pb
from pb.aio.door import Door
from pb.aio.url import Address
from pb.auth.strangers import MOST_OF_ONE_SOURCE

from ...test_spec import VECTORS, load
from ..auth.doors import PASSWORD
from ..auth.rooms import settle
from ..comparing import assert_same
from ..peers import envelopes_in, hello
from ..pump import messages_in
from .keys import filled
from .loops import Place, run

CONVERSATION = load(VECTORS / "conversations" / "38-locked-out.json")


def counting(scheme, path, test):
    """Serve what asks who is there, and run a test with its strangers."""

    async def main():
        house = await filled()
        house.application.root.throttle = cred.Throttle(strangers_of_source=MOST_OF_ONE_SOURCE)
        async with Place(scheme, path).serve(house.application.root) as server:
            await test(server, house.application.root)

    return main()


def address_of(server):
    address = Address.parse(server.url)
    return address.host, address.port


async def silent(server):
    """Connect over TCP, and say nothing."""
    return await asyncio.open_connection(*address_of(server))


async def hears_the_end(reader):
    """Whether the other side has hung up."""
    try:
        return b"" == await reader.read()
    except ConnectionError:
        return True


@pytest.mark.parametrize("scheme", ["pbs", "ws", "wss"])
def test_who_has_not_shaken_hands_takes_a_place(tmp_path, loop, scheme):
    """A handshake that is drawn out must not be a way around the bound."""

    async def test(server, auth):
        waiting = [await silent(server) for _ in range(MOST_OF_ONE_SOURCE)]
        await settle(lambda: len(auth.strangers) == MOST_OF_ONE_SOURCE)
        reader, writer = await silent(server)
        assert await hears_the_end(reader)
        with pytest.raises(ConnectionError):
            await pb.open_connection(server.url)
        for _, other in [(reader, writer), *waiting]:
            other.close()
        await settle(lambda: not len(auth.strangers))
        async with pb.open_connection(server.url) as connection:
            assert await connection.login("alice", PASSWORD)

    run(counting(scheme, tmp_path, test), loop)


@pytest.mark.parametrize("scheme", ["pb", "pbs", "ws", "wss"])
def test_a_connection_is_counted_once_and_out_when_it_has_logged_in(tmp_path, loop, scheme):
    """At the door and at the root it is the same one."""

    async def test(server, auth):
        async with pb.open_connection(server.url) as connection:
            assert 1 == len(auth.strangers)
            assert await connection.login("alice", PASSWORD)
            assert 0 == len(auth.strangers)
        assert await (await pb.open_connection(server.url)).close() is None
        await settle(lambda: not len(auth.strangers))

    run(counting(scheme, tmp_path, test), loop)


def test_a_handshake_that_fails_leaves_nothing(tmp_path, loop):
    """A scanner that speaks something else."""

    async def test(server, auth):
        for _ in range(MOST_OF_ONE_SOURCE + 1):
            reader, writer = await silent(server)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert (await reader.read())[:1] in (b"", b"\x15")  # nothing, or an alert of TLS
            writer.close()
            await settle(lambda: not len(auth.strangers))

    run(counting("pbs", tmp_path, test), loop)


def test_what_is_said_with_the_last_word_of_the_handshake_arrives(tmp_path, loop):
    """HELLO may come in the same segment, before there is anybody to take it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    heard, said = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(heard, said)

    async def test(server, auth):
        reader, writer = await silent(server)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(said.read())
                heard.write(await reader.read(65536))
        tls.write(hello())
        writer.write(said.read())
        told = b""
        while len(told) < 9:
            heard.write(await reader.read(65536))
            try:
                told += tls.read(65536)
            except ssl.SSLWantReadError:
                pass
        assert b"\x94\x00\xa2PB" == told[4:9]
        await settle(lambda: server.connections)  # it has heard ours
        writer.close()
        await settle(lambda: not len(auth.strangers))

    run(counting("pbs", tmp_path, test), loop)


def test_a_server_that_closes_hangs_up_on_those_at_the_door(tmp_path, loop):
    """They would be let in by a server that is gone."""

    async def test(server, auth):
        reader, writer = await silent(server)
        await settle(lambda: 1 == len(auth.strangers))
        await server.close()
        assert await hears_the_end(reader)
        await settle(lambda: not len(auth.strangers))
        writer.close()

    run(counting("pbs", tmp_path, test), loop)


def test_who_has_arrived_when_the_door_is_closed_is_counted_out(loop):
    """In the very turn, before the handshake has begun: what has not begun cannot tidy up behind itself."""
    entered, left = [], []

    async def main():
        def knock(host):
            asyncio.get_running_loop().call_soon(door.close)  # which is before the task has its turn
            entered.append(host)
            return lambda: left.append(host)

        door = Door(asyncio.Protocol, {"ssl": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)}, knock)
        await door.listen("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*door.sockets[0].getsockname())
        assert await hears_the_end(reader)
        assert ["127.0.0.1"] == entered == left
        assert [-1] == [each.fileno() for each in door.sockets]
        writer.close()

    run(main(), loop)


def test_a_door_that_is_closed_as_soon_as_it_is_open_lets_go_of_its_port(loop):
    """Nobody has come to it yet, and it has not even begun to wait."""

    async def main():
        door = Door(asyncio.Protocol, {}, lambda host: lambda: None)
        await door.listen("127.0.0.1", 0)
        door.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [-1] == [each.fileno() for each in door.sockets]

    run(main(), loop)


def test_who_is_punished_is_not_even_shaken_hands_with(tmp_path):
    """A handshake costs this side more than the one who asks for it."""

    async def test(server, auth):
        for _ in range(100):
            auth.throttle.connection("127.0.0.1").failed("alice")
        assert auth.throttle.penalty_s(cred.source_of("127.0.0.1"))
        reader, writer = await silent(server)
        assert await hears_the_end(reader)
        assert 0 == len(auth.strangers)
        writer.close()

    run(counting("pbs", tmp_path, test))


def test_a_penalty_earned_during_the_handshake_counts_out(tmp_path):
    """Who is refused behind the door has left it."""

    async def test(server, auth):
        reader, writer = await silent(server)
        await settle(lambda: 1 == len(auth.strangers))
        for _ in range(100):
            auth.throttle.connection("127.0.0.1").failed("alice")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            await writer.start_tls(context)
            await hears_the_end(reader)
        except ConnectionError:
            pass
        await settle(lambda: not len(auth.strangers))
        assert [] == server.connections
        writer.close()

    run(counting("pbs", tmp_path, test))


def test_a_refusal_is_hello_with_auth_and_bye_and_waits_for_nothing(tmp_path):
    """A client that sees no `auth` would tell its user that there are no logins here (PB-A51)."""

    async def main():
        house = await filled()
        async with Place("pb", tmp_path).serve(house.application.root) as server:
            for _ in range(3):
                house.application.root.throttle.connection("127.0.0.1").failed("alice")
            address = Address.parse(server.url)
            reader, writer = await asyncio.open_connection(address.host, address.port)
            said = await reader.read()  # to the end, and we have said nothing
            shown = [bytes.fromhex(each["hex"]) for each in CONVERSATION["frames"] if each["dir"] == "S>C"]
            for expected, found, how in zip(shown, envelopes_in(said), ("hello", "bye"), strict=True):
                assert_same(expected[4:], found, how)
            greeting, bye = messages_in(said)
            assert [0, "PB", 1] == greeting[:3]
            assert "SCRAM-SHA-256" in greeting[3]["auth"]
            assert [15, 8, 0] == [bye[0], bye[1], bye[3]]
            assert bye[2].startswith("logins from 127.0.0.1 are refused for ")
            writer.close()

    run(main())


@pytest.mark.parametrize("scheme", ["pbs", "ws", "wss"])
def test_where_a_handshake_would_be_made_first_the_client_says_what_may_be(tmp_path, scheme):
    """It is hung up on without a word, which may mean this too."""

    async def main():
        house = await filled()
        async with Place(scheme, tmp_path).serve(house.application.root) as server:
            for _ in range(3):
                house.application.root.throttle.connection("127.0.0.1").failed("alice")
            with pytest.raises(ConnectionError, match="refuses this address for a while"):
                await pb.open_connection(server.url)

    run(main())


def test_a_handshake_of_tls_that_fails_is_logged(tmp_path, loop, caplog):
    """One line, of who it was."""
    caplog.set_level("INFO", "pb")

    async def test(server, auth):
        reader, writer = await silent(server)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await hears_the_end(reader)
        writer.close()
        await settle(lambda: not len(auth.strangers))

    run(counting("pbs", tmp_path, test), loop)
    (told,) = [record for record in caplog.records if "handshake of TLS" in record.getMessage()]
    assert "connection.refused" == told.pb_event
    assert told.pb_peer.startswith("127.0.0.1:")


def test_an_older_tls_is_refused_and_the_log_says_so(tmp_path, loop, caplog):
    """The words of OpenSSL alone would not tell what is to be done (spec 2.1)."""
    caplog.set_level("INFO", "pb")
    older = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    older.check_hostname, older.verify_mode = False, ssl.CERT_NONE
    older.maximum_version = ssl.TLSVersion.TLSv1_2

    async def test(server, auth):
        with pytest.raises(OSError):
            await asyncio.open_connection(*address_of(server), ssl=older)
        await settle(lambda: not len(auth.strangers))

    run(counting("pbs", tmp_path, test), loop)
    (told,) = [record for record in caplog.records if "handshake of TLS" in record.getMessage()]
    assert "failed: the peer speaks an older TLS only; 1.3 is expected" in told.getMessage()
