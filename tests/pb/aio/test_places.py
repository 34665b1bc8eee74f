"""How many connections a server takes, whatever its root is, and what one hears that is too many."""

from __future__ import annotations

import asyncio
import ssl

import pytest

import pb
from pb import messages
from pb.aio.places import Places
from pb.testing import Clock, Side

from ...test_spec import VECTORS, load
from ..auth.rooms import settle
from ..comparing import assert_same
from ..peers import envelopes_in, frame, hello
from .loops import Place, run
from .test_door import address_of, hears_the_end, silent

CONVERSATION = load(VECTORS / "conversations" / "39-full.json")
TWO = pb.Limits(max_connections=2)


class Echo(pb.Root):
    def remote_echo(self, x):
        return x


@pytest.mark.parametrize("scheme", ["pb", "pbs", "pb+unix", "ws", "wss", "memory"])
def test_a_plain_root_takes_so_many_connections_and_then_others_again(tmp_path, loop, scheme, caplog):
    """Each costs memory and a file, and whoever can connect could open them without end."""
    caplog.set_level("INFO", "pb")

    async def main():
        async with Place(scheme, tmp_path).serve(Echo(), limits=TWO) as server:
            first, second = [await pb.open_connection(server.url) for _ in range(2)]
            with pytest.raises(ConnectionError):
                third = await pb.open_connection(server.url)
                await third.root.echo(0)  # where the HELLO was read before the BYE behind it had come
            assert [1, 2] == [await first.root.echo(1), await second.root.echo(2)]
            await first.close()
            await settle(lambda: 1 == len(server.connections))
            async with pb.open_connection(server.url) as third:
                assert 3 == await third.root.echo(3)
            await second.close()

    run(main(), loop)
    (told,) = [record for record in caplog.records if "connection.refused" == record.pb_event]
    assert "max_connections: 2 are open already" in told.getMessage()
    assert told.exc_info is None


def test_who_is_too_many_is_told_so_before_saying_anything(tmp_path):
    """What conversation 39 shows, from the socket."""

    async def main():
        limits = pb.Limits(max_connections=1)
        server = await Place("pb", tmp_path).serve(Echo(), limits=limits)
        async with server, pb.open_connection(server.url):
            reader, writer = await silent(server)
            said = envelopes_in(await reader.read())
            writer.close()
            with pytest.raises(ConnectionError, match="max_connections: 1 are open already; try again"):
                await pb.open_connection(server.url)
        shown = [bytes.fromhex(each["hex"]) for each in CONVERSATION["frames"] if each["dir"] == "S>C"]
        for expected, found, how in zip(shown, said, ("hello", "bye"), strict=True):
            assert_same(expected[4:], found, how)

    run(main())


def ends_in(caplog):
    return [
        each.getMessage().split(" ends: ")[1] for each in caplog.records if " ends: " in each.getMessage()
    ]


@pytest.mark.parametrize(
    ("code", "said"),
    [(messages.BYE_POLICY, "error"), (messages.BYE_INTERNAL, "log"), (None, "error")],
    ids=["refused", "cut", "no HELLO"],
)
def test_why_no_connection_comes_about_is_said_once(loop, caplog, code, said):
    """By the error that opening it raises, and only where there is none by the log."""

    async def main():
        async def peer(reader, writer):
            bye = b"" if code is None else frame([messages.BYE, code, "not today", 0])
            writer.write(hello() + bye if bye else frame([messages.HELLO, "XX", 1, {}]))
            await reader.read()
            writer.close()

        async with await asyncio.start_server(peer, "127.0.0.1", 0) as server:
            url = f"pb://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            if said == "error":
                with pytest.raises(ConnectionError if code else pb.ProtocolError, match=r"not today|HELLO"):
                    await pb.open_connection(url)
            else:
                connection = await pb.open_connection(url)
                assert not connection.is_open
                await connection.wait_closed()

    run(main(), loop)
    assert (["the peer said BYE 9 (internal error): not today"] if said == "log" else []) == ends_in(caplog)


def test_why_a_connection_ends_is_said_once_it_was_opened(loop, caplog):
    """Then nobody waits for it."""

    async def main():
        async def peer(reader, writer):
            writer.write(hello())
            await reader.readuntil(b"echo")
            writer.write(frame([messages.BYE, messages.BYE_POLICY, "not today", 0]))
            await reader.read()
            writer.close()

        async with await asyncio.start_server(peer, "127.0.0.1", 0) as server:
            url = f"pb://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            connection = await pb.open_connection(url)
            with pytest.raises(pb.ConnectionLost, match="not today"):
                await connection.root.echo(1)
            await connection.wait_closed()

    run(main(), loop)
    assert ["the peer said BYE 8 (policy): not today"] == ends_in(caplog)


def test_no_bound_is_none(tmp_path):
    """For whoever lets the system bound them."""

    async def main():
        async with Place("pb", tmp_path).serve(Echo(), limits=pb.Limits(max_connections=0)) as server:
            one, other = [await pb.open_connection(server.url) for _ in range(2)]
            assert [1, 2] == [await one.root.echo(1), await other.root.echo(2)]
            await one.close()
            await other.close()

    run(main())


@pytest.mark.parametrize("scheme", ["pbs", "ws", "wss"])
def test_who_shakes_hands_takes_a_place_until_that_has_failed(tmp_path, loop, scheme, caplog):
    """Else a handshake that is drawn out would be a way around the bound."""
    caplog.set_level("INFO", "pb")

    async def main():
        async with Place(scheme, tmp_path).serve(Echo(), limits=pb.Limits(max_connections=1)) as server:
            reader, writer = await silent(server)
            other, its_writer = await silent(server)
            assert await hears_the_end(other)
            assert ["max_connections: 1"] == [
                each.getMessage().split(" refused: ")[1][:18] for each in caplog.records
            ]
            its_writer.close()
            writer.write(b"\0" * 100)
            await reader.read()  # an alert, or an answer of HTTP, and the end
            writer.close()
            for _ in range(100):
                try:
                    connection = await pb.open_connection(server.url)
                    break
                except ConnectionError:
                    await asyncio.sleep(0)
            assert 5 == await connection.root.echo(5)
            await connection.close()

    run(main(), loop)


def test_a_handshake_that_fails_at_a_plain_root_is_one_line_and_many_are_few(tmp_path, loop, caplog):
    """Nobody would know that clients have the wrong key or scheme; and a scanner must not fill the log."""
    caplog.set_level("INFO", "pb")

    async def main():
        async with Place("pbs", tmp_path).serve(Echo()) as server:
            for _ in range(30):
                reader, writer = await silent(server)
                writer.write(b"GET / HTTP/1.1\r\n\r\n")
                assert (await reader.read())[:1] in (b"", b"\x15")  # nothing, or an alert of TLS
                writer.close()

    run(main(), loop)
    told = [record for record in caplog.records if "handshake of TLS failed" in record.getMessage()]
    assert 20 <= len(told) < 30
    assert {("connection.refused", None)} == {(record.pb_event, record.exc_info) for record in told}
    assert told[0].pb_peer.startswith("127.0.0.1:")


def test_who_does_not_trust_the_key_leaves_a_line_too(tmp_path, loop, caplog):
    """The client says why it goes, in an alert."""
    caplog.set_level("INFO", "pb")

    async def main():
        async with Place("pbs", tmp_path).serve(Echo()) as server:
            host, port = address_of(server)
            with pytest.raises(ssl.SSLError):
                await asyncio.open_connection(host, port, ssl=ssl.create_default_context())
            await settle(lambda: caplog.records)

    run(main(), loop)
    (told,) = [record for record in caplog.records if "handshake of TLS failed" in record.getMessage()]
    assert "connection.refused" == told.pb_event


def test_one_is_counted_once_from_the_door_on_until_it_has_gone():
    """By the server as a whole, and by its root until it wants no longer."""
    left = []
    places = Places(pb.Limits(max_connections=2), Clock(), lambda address: lambda: left.append(address))
    place = places.knock("a")
    visitor = Side("visitor", None, None, pb.Limits())
    visitor.entered = place
    places.enter(visitor)
    other = places.knock("b")
    with pytest.raises(pb.Forbidden, match="max_connections: 2"):
        places.knock("c")
    assert ([], 1, 1) == (left, len(places), places.in_door)

    other()
    other()
    place()
    assert (["b", "a"], 1, 0) == (left, len(places), places.in_door)
    places.discard(visitor)
    assert 0 == len(places)


def test_who_arrives_while_the_server_closes_is_sent_away():
    """It is none of those that are told of the end, and would be served by nobody's server for ever."""
    places = Places(pb.Limits(max_connections=2), Clock(), None)
    there, late = (Side(name, None, None, pb.Limits()) for name in ("there", "late"))
    for each in (there, late):
        each.entered = None
    places.enter(there)

    assert [there] == places.close()
    with pytest.raises(pb.Forbidden, match="is being closed"):
        places.enter(late)
    with pytest.raises(pb.Forbidden, match="is being closed"):
        places.knock("127.0.0.1")
    assert ([there], 0) == (list(places), places.in_door)
