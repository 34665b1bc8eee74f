"""WebSocket: what a flood of its own frames costs, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib

import msgpack
import pytest
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

import pb
from pb import messages
from pb.aio.websocket import WebSocket

from ..peers import call
from .loops import run
from .sockets import HELLO, LIMIT_S, Root, ask, closed, over, socket_to

FEW = pb.Limits(useless_requests=100, max_calls=10)


class Network(asyncio.Transport):
    """A network that keeps what is written, and is lost after so many writes."""

    def __init__(self, writes=1_000_000):
        super().__init__()
        self.left = writes
        self.written = b""
        self.is_reading = True

    def write(self, data):
        assert not self.is_closing(), "asyncio would log this"
        self.left -= 1
        self.written += data

    def is_closing(self):
        return self.left <= 0

    def close(self):
        self.left = 0

    def pause_reading(self):
        self.is_reading = False

    def resume_reading(self):
        self.is_reading = True

    @property
    def pongs(self):
        return self.written.count(b"\x8a\x00")


@contextlib.contextmanager
def on(network, limits):
    """The server's side of a WebSocket connection without a link yet."""
    socket = WebSocket(Protocol(Side.SERVER), limits)
    socket.connection_made(network)
    yield socket
    socket.connection_lost(None)


def masked(opcode, data=b"", fin=True):
    """A frame of a client."""
    return Frame(opcode, data, fin).serialize(mask=True)


@pytest.mark.parametrize(
    "frame",
    [
        masked(Opcode.PING),
        masked(Opcode.PONG),
        masked(Opcode.BINARY, b"x", fin=False) + masked(Opcode.CONT, fin=False) * 9,
        masked(Opcode.BINARY, b"x", fin=False) + masked(Opcode.CONT, b"x" * 63, fin=False) * 9,
    ],
    ids=["pings", "pongs", "empty fragments", "tiny fragments"],
)
@pytest.mark.parametrize("greeting", [[], [HELLO]], ids=["stranger", "greeted"])
def test_a_flood_of_frames_that_say_nothing_ends_the_connection(frame, greeting, loop, caplog):
    """Each costs as much as a message does, so they are counted, before HELLO too (PB-F46)."""

    async def main(server):
        async with socket_to(server, ping_interval=None) as socket:
            for data in greeting:
                await socket.send(data)
            flood = frame + masked(Opcode.CONT, fin=False) * 1000 if frame[0] < 0x80 else frame * 1000
            socket.transport.write(flood)
            _, found = await closed(socket)
            assert 4006 == found

    over(main, loop, limits=FEW)
    told = [record for record in caplog.records if record.name == "pb"]
    assert [("connection.failed", 6)] == [(record.pb_event, record.pb_code) for record in told]


@pytest.mark.parametrize(
    ("sent", "code", "text"),
    [
        (Frame(Opcode.BINARY, b"x").serialize(mask=False), 3, "WebSocket: "),
        (masked(Opcode.CONT, b"x"), 3, "WebSocket: "),
        (masked(Opcode.BINARY, bytes(70_000)), 5, "WebSocket: "),
        (masked(Opcode.TEXT, b"x"), 3, "a text message"),
    ],
    ids=["unmasked", "continuation of nothing", "too long", "text"],
)
def test_what_breaks_websocket_is_logged_once(sent, code, text, loop, caplog):
    """Whoever runs the server learns why it has hung up."""

    async def main():
        with on(Network(), pb.Limits()) as socket:
            socket.protocol.max_message_size = 65_536
            socket.data_received(sent)
            socket.data_received(sent)

    run(main(), loop)
    (told,) = [record for record in caplog.records if record.name == "pb"]
    assert ("connection.failed", code) == (told.pb_event, told.pb_code)
    assert text in told.getMessage()


@pytest.mark.parametrize(
    ("sent", "limits"),
    [(b"\0\1\2\r\n\r\n", pb.Limits()), (b"GET /", pb.Limits(hello_timeout_s=0.01))],
    ids=["garbage", "late"],
)
def test_a_handshake_that_fails_is_logged(sent, limits, loop, caplog):
    """One line, of who it was."""
    caplog.set_level("INFO", "pb")

    async def main():
        async with pb.serve(Root(), "ws://127.0.0.1:0", limits=limits) as server:
            await ask(server, sent)

    run(main(), loop)
    (told,) = [record for record in caplog.records if "handshake of WebSocket" in record.getMessage()]
    assert "connection.refused" == told.pb_event
    assert told.pb_peer.startswith("127.0.0.1:")


def test_of_a_flood_no_more_is_answered_than_the_budget(loop):
    """All that was read with it is dropped, and all that comes later."""

    async def main():
        network = Network()
        with on(network, FEW) as socket:
            for _ in range(20):
                socket.data_received(masked(Opcode.PING) * 1000)
                await asyncio.sleep(0)
            # As many as the budget holds, and those of the same piece.
            assert 110 <= network.pongs <= 110 + 2048 // 6

    run(main(), loop)


def test_who_sends_messages_may_send_pings(loop):
    """As many as messages, without end; and fragments that carry something cost nothing."""

    async def main(server):
        async with socket_to(server, ping_interval=None) as socket:
            await socket.send(HELLO)
            await socket.recv()
            for number in range(300):
                socket.protocol.send_ping(b"")
                socket.protocol.send_binary(call(msgpack.packb([[number], {}]), "echo", number + 1)[4:])
            body = call(msgpack.packb([[bytes(64_000)], {}]), "echo", 301)[4:]
            parts = [body[at : at + 64] for at in range(0, len(body), 64)]
            socket.protocol.send_binary(parts[0], fin=False)
            for part in parts[1:]:
                socket.protocol.send_continuation(part, fin=False)
            socket.protocol.send_continuation(b"", fin=True)
            socket.transport.write(b"".join(socket.protocol.data_to_send()))
            answered = set()
            async with asyncio.timeout(LIMIT_S):
                while len(answered) < 301:
                    found = msgpack.unpackb(await socket.recv())
                    answered |= {each[1] for each in (found if isinstance(found[0], list) else [found])}

    over(main, loop, limits=FEW)


def test_a_large_read_is_worked_off_in_turns(loop):
    """What was read at once may hold tens of thousands of frames, and others are waiting (PB-L6)."""

    async def main():
        network = Network()
        with on(network, pb.Limits(useless_requests=10_000)) as socket:
            socket.data_received(masked(Opcode.PING) * 5000)
            seen = [network.pongs]
            assert not network.is_reading
            while not network.is_reading:
                await asyncio.sleep(0)
                seen.append(network.pongs)
            turns = [later - sooner for sooner, later in zip([0, *seen], seen, strict=False)]
            assert 5000 == seen[-1]
            assert max(turns) <= 256 + 2048 // 6

    run(main(), loop)


def test_what_waits_for_its_turn_is_read_before_the_end(loop):
    """The other side's last word comes behind it."""

    async def main():
        network = Network()
        with on(network, pb.Limits(useless_requests=10_000)) as socket:
            socket.data_received(masked(Opcode.PING) * 1000)
            socket.eof_received()
            assert 1000 == network.pongs

    run(main(), loop)


def test_nobody_is_answered_who_has_gone(loop):
    """Each write to a network that is lost would leave a line in the log."""

    async def main():
        network = Network(writes=2)
        with on(network, pb.Limits(useless_requests=100_000)) as socket:
            for _ in range(20):
                socket.data_received(masked(Opcode.PING) * 1000)
                await asyncio.sleep(0)
            assert network.is_closing()
            assert network.pongs <= 2 * (256 + 2048 // 6)

    run(main(), loop)


class Silent(Network):
    """A network on which nothing is answered; it notes that it was cut."""

    def __init__(self):
        super().__init__()
        self.cut = asyncio.Event()

    def abort(self):
        self.left = 0
        self.cut.set()


def test_who_never_answers_a_close_has_no_longer_than_the_drain(loop):
    """What WebSocket has to say at the end is part of leaving, not ten seconds on top (PB-L8)."""

    async def main():
        network = Silent()
        with on(network, pb.Limits(drain_s=0.01)) as socket:
            bye = msgpack.packb([messages.BYE, messages.BYE_GOING_AWAY, "", 0])
            socket.write(len(bye).to_bytes(4, "big") + bye)
            socket.close()
            await asyncio.wait_for(network.cut.wait(), 5)  # half of what a close alone may take
            assert (4001).to_bytes(2, "big") in network.written

    run(main(), loop)
