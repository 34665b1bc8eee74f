"""What time does to a connection that has ended, and whose peer does not read what is left for it."""

from __future__ import annotations

import asyncio
import socket
import sys

import msgpack
import pytest

import pb
from pb.aio import transports
from pb.aio.url import Address
from pb.testing import pair
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


def mute(size):
    return {"idle_s": 0, "ping_after_s": 1e6, "write_high_bytes": size, "write_low_bytes": size // 4}


@pytest.mark.parametrize("frames", [1, 2])
def test_a_large_frame_arrives_over_a_link_that_is_slow(frames):
    """It takes longer than a peer that takes nothing is waited for, and a second try would take as long."""

    async def main():
        async with pair(Big(), faulty=True) as (client, server, root, network):
            began = asyncio.get_running_loop().time()
            network.slow(100_000)
            made = [root.big(3_900_000) for _ in range(frames)]
            assert [3_900_000] * frames == [len(each) for each in await asyncio.gather(*made)]
            assert asyncio.get_running_loop().time() - began > pb.Limits().write_stall_s
            assert client.is_open
            assert server.is_open

    run_by_clock(main())


class Portions:
    """A transport of which the network takes what the test says."""

    set_protocol = asyncio.BaseTransport.set_protocol  # it has none of its own: it is no socket's

    def __init__(self, inner):
        self.inner = inner
        self.waiting = 0

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def get_write_buffer_size(self):
        return self.waiting

    def write(self, data):
        self.waiting += len(data)


@pytest.mark.parametrize("writes", [False, True], ids=["and nothing is added", "and more is added"])
@pytest.mark.parametrize(("taken", "expected"), [(250, "ok"), (240, "BYE 6")])
def test_who_takes_next_to_nothing_does_not_read(taken, expected, writes):
    """Else a peer that takes a byte now and then could have its output held for ever (PB-L16). What is added
    meanwhile hides nothing of what was taken."""
    limits = pb.Limits(**mute(1000), write_stall_s=9)

    async def main():
        async with pair(Big(), limits=limits, client_limits=pb.Limits(**mute(10**6))) as (_, server, root):
            link = server._link
            await root.big(1)
            transport = link.transport = Portions(link.transport)
            transport.waiting = 20_000
            link.pause_writing()
            for _ in range(8):
                await asyncio.sleep(9)
                transport.waiting -= taken
                if writes and link.broker.error is None:
                    link.broker.outbox.put(b"\x93\x02" + bytes(300))
                    link.write_now()
            found = link.broker.error
            transport.inner.abort()
            return "ok" if found is None else f"BYE {found.code}"

    assert expected == run_by_clock(main())


def test_who_lets_too_much_wait_is_told_so_if_it_reads(caplog):
    """It may have got too much at once, and have been about to read it."""

    class Flood(pb.Root):
        def remote_flood(self, callback):
            for _ in range(5):
                callback.note.send(bytes(50_000))

    class Sink(pb.Referenceable):
        def remote_note(self, value):
            pass

    limits = pb.Limits(
        max_frame=60_000, write_max_bytes=120_000, write_high_bytes=110_000, write_low_bytes=100
    )

    async def main():
        async with pair(Flood(), limits=limits) as (client, _, root):
            with pytest.raises(
                pb.OutcomeUnknown, match=r"BYE 6 .*reads too slowly: \d+ bytes wait for it, and 1"
            ):
                await root.flood(Sink())
            await client.wait_closed()

    run_by_clock(main())


class Over:
    """A transport over a socket, or over none."""

    def __init__(self, over):
        self.over = over

    def get_extra_info(self, name):
        assert "socket" == name
        return self.over


def test_what_the_system_knows_of_what_was_taken():
    """TLS tells only of what it has not handed on; nothing is known of what is no network."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as peer:
        peer.connect(server.getsockname())
        there, _ = server.accept()
        with there:
            before = transports.acknowledged_bytes(Over(peer))
            peer.sendall(bytes(10_000))
            there.recv(10_000, socket.MSG_WAITALL)
            there.sendall(b"!")
            peer.recv(1)
            taken = transports.acknowledged_bytes(Over(peer)) - before
    assert (10_000 if sys.platform == "linux" else 0) == taken
    assert 0 == transports.acknowledged_bytes(Over(peer)), "it is closed"
    assert 0 == transports.acknowledged_bytes(Over(None))
    one, two = socket.socketpair()
    with one, two:
        assert 0 == transports.acknowledged_bytes(Over(one))
