"""A peer that does not read: who sends to it waits or is told, and nothing grows without end."""

from __future__ import annotations

import asyncio
import gc
import itertools
import tracemalloc

import msgpack
import pytest

import jelly
import pb

from ...sizes import exhaustive, sized
from .loops import run

MEBI = 1024 * 1024


def frame(message):
    body = msgpack.packb(message)
    return len(body).to_bytes(4, "big") + body


class Stopped:
    """A peer that says HELLO, takes calls, and reads only when told to."""

    def __init__(self):
        self.reads = asyncio.Event()
        self.ended = asyncio.Event()
        self.heard = 0

    async def serve(self, reader, writer):
        writer.write(frame([0, "PB", 1, {"max_calls": 10}]))
        await self.reads.wait()
        try:
            while data := await reader.read(MEBI):
                self.heard += len(data)
        except ConnectionError:
            pass  # reset, as some tests do
        writer.close()
        self.ended.set()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, limit=1000)
        self.url = f"pb://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc):
        self.reads.set()
        await self.ended.wait()
        self.server.close()


@pytest.mark.unmeasured
@exhaustive
def test_backpressure_of_messages_tells_a_sender_that_does_not_wait():
    """100,000 messages in a row to a peer that has stopped reading hold a few hundred KiB, and then raise."""

    async def main():
        async with Stopped() as peer, pb.open_connection(peer.url) as connection:
            root = connection.root
            gc.collect()
            tracemalloc.start()
            refused = 0
            text = 14 * "some text that is said to a peer who does not listen to it at all"
            for number in range(sized(20_000, 100_000)):  # 19 MB and more, were there no bound
                try:
                    root.note.send(number, text)
                except pb.Busy as error:
                    refused += 1
                    assert "drain()" in str(error)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert refused > 0
            assert peak < 8 * MEBI
            assert connection.usage.bytes_waiting < MEBI
            peer.reads.set()
            await connection.drain()
            root.note.send("heard")
            assert connection.is_open
            connection.abort()  # it says no BYE, and would be waited for

    run(main())


@pytest.mark.unmeasured
def test_backpressure_of_messages_lets_a_sender_wait(loop):
    """With `drain` between them none is lost, and the sender is as fast as the peer."""

    async def main():
        async with Stopped() as peer, pb.open_connection(peer.url) as connection:
            sent = 0

            async def sender():
                nonlocal sent
                for _ in range(5_000):
                    connection.root.note.send(bytes(3_000))
                    sent += 1
                    await connection.drain()

            sending = asyncio.create_task(sender())
            while not connection._link.broker.calls.is_held:  # noqa: ASYNC110 - of which nobody is told
                await asyncio.sleep(0.001)
            before = sent
            await asyncio.sleep(0)
            assert before == sent
            assert not sending.done()
            peer.reads.set()
            await sending
            assert 5_000 == sent
            connection.abort()

    run(main(), loop)


@pytest.mark.unmeasured
def test_backpressure_ends_with_the_connection(loop):
    """Who waits for room is not left waiting, and the next message says what has become of it."""

    async def main():
        async with Stopped() as peer:
            connection = await pb.open_connection(peer.url)
            with pytest.raises(pb.Busy):
                for _ in range(100_000):
                    connection.root.note.send(bytes(1000))
            root = connection.root
            waiting = asyncio.create_task(connection.drain())
            await asyncio.sleep(0)
            assert not waiting.done()
            connection.abort()
            await waiting
            with pytest.raises(pb.NotExecuted):
                root.note.send(1)

    run(main(), loop)


def test_backpressure_of_calls_waits_unless_told_not_to(loop):
    """Over the peer's max_calls a call waits its turn; its `nowait` says instead that it would."""

    async def main():
        async with Stopped() as peer, pb.open_connection(peer.url) as connection:
            root = connection.root
            made = [root.note.nowait(number) for number in range(10)]
            with pytest.raises(pb.Busy, match="would wait for its turn"):
                root.note.nowait(10)
            waits = root.note(10)
            await asyncio.sleep(0)
            assert 10 == connection.usage.calls_made
            assert not waits.done()
            connection.abort()
            outcomes = await asyncio.gather(*made, waits, return_exceptions=True)
            assert [pb.OutcomeUnknown] * 10 + [pb.NotExecuted] == [type(outcome) for outcome in outcomes]

    run(main(), loop)


class Root(pb.Root):
    def remote_echo(self, value):
        return value

    def remote_big(self):
        return bytes(100_000)


def test_backpressure_closes_a_slow_reader_and_nobody_else(loop, caplog):
    """What waits for it has an end in bytes and in time; the reason is told while there is still room."""

    async def main():
        limits = pb.Limits(write_stall_s=0.2, ping_after_s=0.1)
        async with (
            pb.serve(Root(), "pb://127.0.0.1:0", limits=limits) as server,
            pb.open_connection(server.url) as other,
        ):
            host, port = server.url.removeprefix("pb://").split(":")
            _, writer = await asyncio.open_connection(host, int(port), limit=1000)
            calls = [[1, id, 0, "big", msgpack.packb([[], {}])] for id in range(1, 1001)]
            writer.write(frame([0, "PB", 1, {"max_frame": MEBI}]) + b"".join(map(frame, calls)))
            await writer.drain()
            while len(server.connections) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            while len(server.connections) == 2:
                assert "ok" == await other.root.echo("ok")
                await asyncio.sleep(0.01)
            assert "ok" == await other.root.echo("ok")
            writer.transport.abort()

    run(main(), loop)
    (record,) = [record for record in caplog.records if "too slowly" in record.getMessage()]
    assert record.levelname == "WARNING"


def test_backpressure_closes_who_is_told_much_and_does_not_read(loop, caplog):
    """Changes are not held back, as answers are: so many bytes of them may wait, and no more."""
    registry = jelly.Registry()

    @registry.cacheable("test.Board")
    class Board(pb.Tracked):
        text: bytes

        def __init__(self):
            self.text = b""

    class Shown(pb.Root):
        board = Board()

        def remote_board(self):
            return self.board

    async def main():
        limits = pb.Limits(write_stall_s=3600.0, write_max_bytes=2 * MEBI)
        async with (
            pb.serve(Shown(), "pb://127.0.0.1:0", limits=limits, registry=registry) as server,
            pb.open_connection(server.url, registry=registry) as reads,
            pb.open_connection(server.url, registry=registry) as silent,
        ):
            kept = [await connection.root.board() for connection in (reads, silent)]
            silent._link.transport.pause_reading()
            told = 0
            while len(server.connections) == 2 and told < 1000:
                Shown.board.text = bytes(100_000) + told.to_bytes(2, "big")
                told += 1
                await asyncio.sleep(0)
            assert told < 1000
            await reads.root.board()
            assert [False, Shown.board.text] == [pb.is_stale(kept[0]), kept[0].text]
            silent.abort()

    run(main(), loop)
    assert 1 == sum("too slowly" in record.getMessage() for record in caplog.records)


def test_others_have_their_turn_while_held_calls_begin(loop):
    """The calls of one that reads again do not all run in one go (PB-L6)."""

    class Counts(pb.Root):
        def __init__(self):
            self.begun = 0

        def remote_count(self):
            self.begun += 1

    async def main():
        root = Counts()
        async with (
            pb.serve(root, "pb://127.0.0.1:0", limits=pb.Limits(turn_envelopes=8, turn_s=60)) as server,
            pb.open_connection(server.url) as connection,
        ):
            await connection.root.count()
            (link,) = server._places
            link.pause_writing()
            calls = [connection.root.count() for _ in range(40)]
            while link.broker.serving.count < 40:  # noqa: ASYNC110
                await asyncio.sleep(0)
            link.resume_writing()
            seen = [root.begun]
            while root.begun < 41:
                await asyncio.sleep(0)
                seen.append(root.begun)
            assert seen[0] == 9
            assert max(after - before for before, after in itertools.pairwise(seen)) <= 8
            await asyncio.gather(*calls)

    run(main(), loop)
