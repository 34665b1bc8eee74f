"""Strangers at the door: what comes to an open port and is no peer. One line in the log; it stays open."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import ssl
import sys

import msgpack
import pytest

import pb
from pb import messages
from pb.aio.link import Link
from pb.aio.url import Address

from ...sizes import exhaustive, sized
from ..peers import call, frame, hello
from .loops import Place, run

# Every wait of a test ends by then.
LIMIT_S = 10

CLIENT_HELLO = bytes.fromhex(
    "160301007a010000760303" + "11" * 32 + "00" + "0006130113021303" + "0100"
    "0047" + "002b0003020304" + "000d000a0008040308040401050300" + "0a00040002001d"
    "003300260024001d0020" + "22" * 32
)
NOISE = random.Random(1).randbytes(5000)
STRANGERS = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a TLS ClientHello": CLIENT_HELLO,
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a line": b"\n",
    "zeros": bytes(5000),
    "noise": NOISE,
    "4 GiB": b"\xff\xff\xff\xff",
    "256 MiB": b"\x0f\xff\xff\xff",
    "another version": frame([messages.HELLO, messages.MAGIC, 0, {}]),
    "another magic": frame([messages.HELLO, "XX", 1, {}]),
    "a call first": call(),
    "half a length": b"\x00\x00",
    "half a frame": b"\x00\x00\x0f\x00\x94\x00",
    "nothing": b"",
    "HELLO and noise": hello() + NOISE,
    "HELLO and HTTP": hello() + b"GET / HTTP/1.1\r\n\r\n",
    "HELLO and a bad payload": hello() + call(b"\xc1"),
    "HELLO twice": hello() + hello(),
    "HELLO and BYE": hello() + frame([messages.BYE, messages.BYE_POLICY, "go away\r\n\x1b[31m", 0]),
}


class Root(pb.Root):
    def remote_echo(self, value):
        return value

    def remote_big(self):
        return bytes(1 << 20)


class Door:
    """One way to a server: `connect` gives a stranger's reader and writer."""

    def __init__(self, way, path):
        self.is_inside = way == "inside pbs"
        self.place = Place("pbs" if self.is_inside else way, path)

    def serve(self, **limits):
        """Listen, with little patience for who says nothing."""
        return self.place.serve(Root(), limits=pb.Limits(**{"hello_timeout_s": 0.05, **limits}))

    async def connect(self, server):
        address = Address.parse(server.url)
        if address.scheme == "pb+unix":
            return await asyncio.open_unix_connection(address.path)
        context = None
        if self.is_inside:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return await asyncio.open_connection(address.host, address.port, ssl=context)

    async def visit(self, server, data):
        """Say something, and hear the server out to the end."""
        reader, writer = await self.connect(server)
        try:
            writer.write(data)
            async with asyncio.timeout(LIMIT_S):
                return await reader.read()
        except (ConnectionError, ssl.SSLError):
            return b""  # it may hang up on what it has not read
        finally:
            writer.close()
            with_what = await asyncio.gather(writer.wait_closed(), return_exceptions=True)
            assert with_what in ([None], [with_what[0]])


WAYS = ["pb", "pbs", "inside pbs", "pb+unix"] if sys.platform != "win32" else ["pb", "pbs", "inside pbs"]


@pytest.fixture(params=WAYS)
def door(request, tmp_path):
    """Each way to a server in turn; `pbs` speaks to the TLS port without TLS."""
    return Door(request.param, tmp_path)


def assert_one_line(caplog, most=1):
    """Whatever a stranger does, it is worth at most one line, and never a traceback."""
    lines = [record for record in caplog.records if record.levelno >= logging.INFO]
    assert len(lines) <= most, [record.getMessage()[:200] for record in lines]
    for record in lines:
        assert record.exc_info is None
        assert record.getMessage().isprintable()
        assert len(record.getMessage()) < 400


async def assert_open(server):
    """A good client is served."""
    async with asyncio.timeout(LIMIT_S), pb.open_connection(server.url) as connection:
        assert "hello" == await connection.root.echo("hello")


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_stranger_is_sent_away_with_one_line(door, loop, stranger, caplog):
    """A scanner, a browser, a client of another version: nobody is waked for it at night."""
    caplog.set_level(logging.INFO)
    # A TLS port waits for the rest of what might become a handshake: there, the stranger hangs up first.
    waits_for_more = door.place.scheme == "pbs" and not door.is_inside

    async def main():
        async with door.serve() as server:
            if waits_for_more:
                _, writer = await door.connect(server)
                writer.write(STRANGERS[stranger])
                writer.close()
                await asyncio.gather(writer.wait_closed(), return_exceptions=True)
            else:
                await door.visit(server, STRANGERS[stranger])
            await assert_open(server)
            assert [] == server.connections

    run(main(), loop)
    assert_one_line(caplog)


@pytest.mark.parametrize("data", [b"", b"\x00\x00\x00", hello(), hello()[:9], hello() + call()[:-1]], ids=len)
def test_who_connects_and_hangs_up_is_not_worth_a_line(door, loop, data, caplog):
    """Load balancers do it all day."""

    async def main():
        async with door.serve(hello_timeout_s=10) as server:
            for _ in range(10):
                _, writer = await door.connect(server)
                writer.write(data)
                writer.transport.abort()
            await assert_open(server)

    run(main(), loop)
    assert_one_line(caplog, most=0)


@pytest.mark.parametrize("door", [way for way in WAYS if way != "pbs"], indirect=True)
def test_who_greets_and_falls_silent_in_a_frame_is_sent_away(door, loop, caplog):
    """Half a frame is no sign of life for ever. (Without TLS nobody greets at a TLS port.)"""

    async def main():
        async with door.serve(idle_s=0.1) as server:
            told = await door.visit(server, hello() + b"\x00\x01\x00\x00\x95")
            assert messages.BYE_IDLE in [each[1] for each in bodies(told) if each[0] == messages.BYE]
            await assert_open(server)

    run(main(), loop)
    assert_one_line(caplog)


def bodies(data):
    """Return the single envelopes in what a server said."""
    found = []
    while len(data) >= 4:
        size = int.from_bytes(data[:4], "big")
        found.append(msgpack.unpackb(data[4 : 4 + size]))
        data = data[4 + size :]
    return found


def test_a_version_that_is_not_spoken_is_told_so(loop, tmp_path):
    """An old client that only sees a lost connection is debugged for a day."""
    door = Door("pb", tmp_path)

    async def main():
        async with door.serve() as server:
            greeting, bye = bodies(await door.visit(server, STRANGERS["another version"]))
            assert [messages.HELLO, messages.MAGIC, messages.VERSION] == greeting[:3]
            assert [messages.BYE, messages.BYE_VERSION] == bye[:2]

    run(main(), loop)


@exhaustive
def test_hundreds_at_once_are_sent_away_and_a_client_is_served(door, loop, caplog):
    """One line each, at most; and while they wait, the door is open to others."""
    count = sized(100, 500)

    async def main():
        async with door.serve(hello_timeout_s=LIMIT_S) as server:
            # One by one: the queue of a unix socket that is full refuses, where TCP waits.
            strangers = [await door.connect(server) for _ in range(50 if door.is_inside else count)]
            for number, (_, writer) in enumerate(strangers):
                writer.write([b"", b"\x00", b"GET / HTTP/1.1\r\n", NOISE[:100]][number % 4])
            await assert_open(server)
            for _, writer in strangers:
                writer.transport.abort()
            await assert_open(server)
            assert [] == server.connections

    run(main(), loop)
    assert_one_line(caplog, most=count)


def test_strangers_leave_nothing_behind(door, loop, monkeypatch):
    """A connection that never was must not be kept by the server for ever."""
    # A log record keeps the error, the error its frames, and these the connection.
    monkeypatch.setattr(logging.getLogger("pb"), "disabled", True)
    gc.collect()
    before = sum(type(each) is Link for each in gc.get_objects())

    async def main():
        async with door.serve() as server:
            for _ in range(20):
                await door.visit(server, b"GET / HTTP/1.1\r\n\r\n")
            await assert_open(server)
            gc.collect()
            assert sum(type(each) is Link for each in gc.get_objects()) - before < 5

    run(main(), loop)


@pytest.mark.parametrize("max_frame", [2 << 20, 2**53 - 1])
def test_who_never_reads_is_sent_away_before_memory_is_full(loop, tmp_path, max_frame, caplog):
    """What waits for a reader is bounded by our word, not by the size of frames that it says it takes."""
    door = Door("pb", tmp_path)

    async def main():
        async with door.serve(write_max_bytes=2 << 20, write_stall_s=0.3) as server:
            _, writer = await door.connect(server)
            writer.write(hello(max_frame=max_frame))
            writer.write(b"".join(call(method="big", id=id) for id in range(1, 65)))
            most = 0
            async with pb.open_connection(server.url) as connection:
                while len(server.connections) > 1:  # bounded by the limit of every test
                    await connection.root.echo(1)
                    most = max(most, *(each.usage.bytes_waiting for each in server.connections))
            writer.transport.abort()
            assert most < 4 << 20

    run(main(), loop)
    assert_one_line(caplog)
