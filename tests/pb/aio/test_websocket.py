"""WebSocket: how frames and messages correspond, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib

import msgpack
import pytest
from websockets.asyncio.client import connect
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode
from websockets.uri import parse_uri

import pb
from pb import messages

from ..peers import call
from .loops import Place, run
from .sockets import HELLO, LIMIT_S, Root, closed, message, over, socket_to


def test_a_message_is_a_frame_whole_or_in_fragments(loop):
    """Without the length, which WebSocket has itself."""

    async def main(server):
        async with socket_to(server) as socket:
            assert [messages.HELLO, "PB", 1] == msgpack.unpackb(await socket.recv())[:3]
            await socket.send(HELLO)
            await socket.send([bytes([byte]) for byte in message(messages.PING, 7)])
            assert message(messages.PONG, 7) == await socket.recv()
            await socket.send(msgpack.packb([[messages.PING, 8], [messages.PING, 9]]))
            assert [[messages.PONG, 8], [messages.PONG, 9]] == msgpack.unpackb(await socket.recv())

    over(main, loop)


def test_payloads_of_every_size_pass_both_ways(loop):
    """Also those that a link writes in pieces, and that fill its buffer several times (PB-F42)."""

    async def main(server):
        async with pb.open_connection(server.url) as connection:
            for size in (0, 1, 4000, 70_000, 1 << 20, 3 << 20):
                content = bytes(size)
                assert content == await connection.root.echo(content)
            several = [connection.root.echo(bytes(size)) for size in range(90_000, 90_050)]
            assert list(range(90_000, 90_050)) == list(map(len, await asyncio.gather(*several)))

    over(main, loop)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (["text"], 1003),
        ([HELLO, "text"], 1003),
        ([HELLO, message(messages.FINISH, "x")], 4003),
        ([HELLO, b"\xc1"], 4004),
        ([HELLO, b""], 4005),
        ([HELLO, HELLO], 4003),
        ([call()[4:]], 1000),  # before a HELLO there is nobody who could understand a BYE
        ([bytes(5000)], 1000),
        ([HELLO, bytes(70_000)], 1009),
        ([HELLO, message(messages.BYE, messages.BYE_POLICY, "no", 0)], 1000),
    ],
    ids=[
        "text",
        "text later",
        "protocol",
        "malformed",
        "empty",
        "HELLO twice",
        "no HELLO",
        "long HELLO",
        "too long",
        "BYE",
    ],
)
def test_what_breaks_the_protocol_closes_with_a_code_that_says_so(sent, code, loop):
    """That of the BYE and 4,000, or WebSocket's own (PB-F1)."""

    async def main(server):
        async with socket_to(server) as socket:
            with contextlib.suppress(ConnectionClosed):
                for data in sent:
                    await socket.send(data)
            seen, found = await closed(socket)
            assert code == found
            byes = [msgpack.unpackb(data) for data in seen if data[:2] == b"\x94\x0f"]
            if code > 4000 and sent[0] is HELLO:
                assert [code - 4000] == [bye[1] for bye in byes]

    over(main, loop, limits=pb.Limits(max_frame=65_536))


def test_before_its_hello_a_peer_cannot_make_us_keep_much(loop):
    """A message that may not be that long yet is not waited for (PB-F40)."""

    async def main(server):
        client = ClientProtocol(parse_uri(server.url), subprotocols=["pb.1"])
        host, port = server.url.removeprefix("ws://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))

        async def say_and_hear():
            writer.writelines(client.data_to_send())
            client.receive_data(await asyncio.wait_for(reader.read(65_536), LIMIT_S))
            return client.events_received()

        client.send_request(client.connect())
        await say_and_hear()
        client.send_binary(bytes(30_000), fin=False)
        client.send_ping(b"1")
        while not any(getattr(event, "opcode", None) is Opcode.PONG for event in await say_and_hear()):
            pass
        client.send_ping(b"2")
        await say_and_hear()
        writer.close()
        assert 4005 == client.close_rcvd.code

    over(main, loop, limits=pb.Limits(max_frame=65_536))


def test_an_orderly_end_is_a_normal_one(loop):
    """BYE 1 is code 4001; what was called before it is finished."""

    async def main():
        server = await pb.serve(Root(), "ws://127.0.0.1:0")
        async with socket_to(server) as socket:
            await socket.send(HELLO)
            await socket.recv()
            closing = asyncio.ensure_future(server.close())
            bye = msgpack.unpackb(await socket.recv())
            assert [messages.BYE, messages.BYE_GOING_AWAY] == bye[:2]
            await socket.send(message(messages.BYE, 0, "", 0))
            assert ([], 4001) == await closed(socket)
            await closing

    run(main(), loop)


def test_what_refuses_a_client_is_told(loop):
    """Status and reason, or that there is no WebSocket at all."""

    async def main():
        async def http(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 418 Teapot\r\nContent-Length: 5\r\n\r\nshort")
            writer.close()

        async def noise(reader, writer):
            writer.write(b"SSH-2.0-x\r\n\r\n")
            writer.close()

        for answer, text in ((http, "418: short"), (noise, "does not speak WebSocket")):
            listener = await asyncio.start_server(answer, "127.0.0.1", 0)
            port = listener.sockets[0].getsockname()[1]
            with pytest.raises(ConnectionRefusedError, match=text):
                await pb.open_connection(f"ws://127.0.0.1:{port}")
            listener.close()

    run(main(), loop)


def test_a_server_that_does_not_name_the_subprotocol_is_refused(loop):
    """It agreed to something that is not ours."""
    from websockets.asyncio.server import serve

    async def main():
        async with serve(lambda socket: socket.wait_closed(), "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(ConnectionRefusedError, match=r"pb\.1"):
                await pb.open_connection(f"ws://127.0.0.1:{port}")

    run(main(), loop)


def test_the_key_is_checked_before_anything_is_said(loop, tmp_path):
    """As with pbs://: the URL says who is to answer."""

    async def main():
        (tmp_path / "other").mkdir()
        other = Place("wss", tmp_path / "other")
        async with Place("wss", tmp_path).serve(Root()) as server, other.serve(Root()) as wrong:
            pin = server.url.partition("@")[0]
            with pytest.raises(OSError, match="fingerprint"):
                await pb.open_connection(f"{pin}@{wrong.url.partition('@')[2]}")
            assert [] == wrong.connections

    run(main(), loop)


def test_why_the_peer_closed_is_told(loop):
    """What WebSocket says of the end is the reason of the calls that it ended."""

    async def main():
        from websockets.asyncio.server import serve

        async def end(socket):
            await socket.send(HELLO)
            await socket.recv()
            await socket.recv()
            await socket.close(1011, "broken")

        async with serve(end, "127.0.0.1", 0, subprotocols=["pb.1"]) as server:
            port = server.sockets[0].getsockname()[1]
            connection = await pb.open_connection(f"ws://127.0.0.1:{port}")
            with pytest.raises(pb.OutcomeUnknown, match="closed with 1011: broken"):
                await connection.root.echo(1)

    run(main(), loop)


def test_pings_of_a_peer_that_does_not_read_are_not_answered_into_memory(loop):
    """WebSocket has pings of its own, and who sends them may never read the answers."""

    async def main(server):
        async with socket_to(server, ping_interval=None) as socket:
            await socket.send(HELLO)
            await socket.send(message(messages.PING, 1))
            await socket.recv()
            await socket.recv()
            (connection,) = server.connections
            transport = connection._link.transport
            websocket = transport._socket
            websocket.pause_writing()
            before = transport.get_write_buffer_size()
            pong = await socket.ping()
            await socket.send(message(messages.PING, 1))
            await socket.recv()  # our own answers are bounded elsewhere
            assert not pong.done()
            assert before == transport.get_write_buffer_size()
            websocket.resume_writing()
            await asyncio.wait_for(await socket.ping(), LIMIT_S)

    over(main, loop)


class Notes(pb.Root):
    def __init__(self):
        self.noted = []
        self.act = lambda: None

    def remote_note(self, value):
        self.noted.append(value)
        self.act()


async def leave(server, count):
    """Say HELLO, make calls that want no answer, and say goodbye, in one write."""
    socket = await connect(server.url, subprotocols=["pb.1"], compression=None, proxy=None)
    protocol = socket.protocol
    protocol.send_binary(HELLO)
    for number in range(count):
        protocol.send_binary(call(msgpack.packb([[number], {}]), "note", 0)[4:])
    protocol.send_close(1000)
    socket.transport.write(b"".join(protocol.data_to_send()))
    return socket


async def settled(server):
    """Wait until a server has no connection left."""
    async with asyncio.timeout(LIMIT_S):
        while server._places:  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("count", [1, 500])
def test_what_came_before_the_goodbye_is_delivered(count, loop):
    """In one read with it, and also where it is more than one turn of the link."""

    async def main():
        root = Notes()
        async with pb.serve(root, "ws://127.0.0.1:0") as server:
            socket = await leave(server, count)
            await settled(server)
            assert list(range(count)) == root.noted
            await socket.close()

    run(main(), loop)


def test_who_ends_it_in_the_middle_of_what_came_before_a_goodbye_is_let_go(loop):
    """The rest is for nobody, and the other side's goodbye is not waited for twice."""

    async def main():
        root = Notes()
        root.act = lambda: pb.current_call().connection._link.broker.close(messages.BYE_PROTOCOL)
        async with pb.serve(root, "ws://127.0.0.1:0") as server:
            socket = await leave(server, 500)
            await settled(server)
            assert 1 <= len(root.noted) <= 500
            await socket.close()

    run(main(), loop)
