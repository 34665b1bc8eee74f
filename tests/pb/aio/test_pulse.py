"""What time does to a connection that has ended, and whose peer does not read what is left for it."""

from __future__ import annotations

import asyncio
import socket

import msgpack
import pytest

import pb
from pb.aio import transports
from pb.aio.url import Address
from pb.testing import run as run_by_clock

from ..peers import call, frame, hello
from .loops import run

LIMITS = pb.Limits(idle_s=2, ping_after_s=1, write_stall_s=30)
SIZE = 1_000_000


class Big(pb.Root):
    def remote_big(self, size):
        return bytes(size)


class Glutton(asyncio.Protocol):
    """Asks for much, and says and reads nothing any more."""

    def __init__(self):
        self.received = 0

    def connection_made(self, transport):
        self.transport = transport
        asked = [call(msgpack.packb([[SIZE], {}]), "big", id) for id in range(1, 4)]
        transport.write(hello(max_frame=4 << 20) + b"".join(asked))
        transport.pause_reading()

    def data_received(self, data):
        self.received += len(data)

    def connection_lost(self, error):
        self.transport = None


@pytest.mark.parametrize("reason", ["silence", "a violation"])
def test_who_is_shut_out_and_does_not_read_is_not_waited_for(reason, caplog):
    """Its output would be held for as long as it likes, and its place with it."""

    async def main():
        async with pb.serve(Big(), "memory://gluttons", limits=LIMITS) as server:
            glutton = Glutton()
            await transports.connect(Address.parse("memory://gluttons"), lambda: glutton, None)
            await asyncio.sleep(0.1)
            (link,) = server._places
            assert link.transport.get_write_buffer_size() >= SIZE
            if reason == "a violation":
                glutton.transport.write(frame([99]))
            await asyncio.sleep(LIMITS.idle_s + 1)
            assert not link.broker.calls.is_open, "it is shut out"
            assert {link} == set(server._places), "and its output waits"
            await asyncio.sleep(LIMITS.write_stall_s)
            assert not server._places
            assert None is glutton.transport
            assert None is link._pulse._timer

    run_by_clock(main())


def test_who_is_shut_out_and_reads_gets_what_was_written(caplog):
    """Slowly, but steadily, with the BYE that says why."""

    async def main():
        limits = pb.Limits(
            idle_s=2, ping_after_s=1, write_stall_s=30, write_high_bytes=1000, write_low_bytes=500
        )
        async with pb.serve(Big(), "memory://readers", limits=limits) as server:
            reader = Glutton()
            await transports.connect(Address.parse("memory://readers"), lambda: reader, None)
            await asyncio.sleep(5)
            assert 1 == len(server._places)
            while reader.transport is not None:
                before = reader.received
                reader.transport.resume_reading()
                while reader.received == before and reader.transport is not None:  # noqa: ASYNC110
                    await asyncio.sleep(0)
                if reader.transport is not None:
                    reader.transport.pause_reading()
                await asyncio.sleep(20)
            assert reader.received > SIZE

    run_by_clock(main())


def test_a_socket_that_is_not_read_is_closed_too(loop, caplog):
    """By a real network: the system would keep both ends as long as the peer acknowledges."""

    async def main():
        limits = pb.Limits(idle_s=0.1, ping_after_s=0.05, write_stall_s=0.4)
        async with pb.serve(Big(), "pb://127.0.0.1:0", limits=limits) as server:
            port = int(server.url.rpartition(":")[2])
            with socket.socket() as peer:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                peer.setblocking(False)
                await asyncio.get_running_loop().sock_connect(peer, ("127.0.0.1", port))
                asked = [call(msgpack.packb([[4_000_000], {}]), "big", id) for id in range(1, 9)]
                peer.sendall(hello(max_frame=4 << 20) + b"".join(asked))
                async with asyncio.timeout(10):
                    while not server._places:  # noqa: ASYNC110
                        await asyncio.sleep(0.005)
                    while server._places:  # noqa: ASYNC110 - nobody is told
                        await asyncio.sleep(0.005)

    run(main(), loop)
