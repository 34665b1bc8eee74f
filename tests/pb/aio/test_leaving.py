"""Leaving: who hangs is not waited for where nothing else is awaited, and what is under way is finished."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgpack
import pytest

import pb
from pb.aio import leaving
from pb.aio.url import Address

from ..auth.rooms import settle
from ..peers import frame, hello
from ..pump import messages_in
from .loops import run

# Longer than run() lets anything take: who waits for it fails.
FOR_EVER = pb.Limits(drain_s=3600, idle_s=0)
IMPATIENT = replace(FOR_EVER, bye_answer_s=0.01)
CALL, ANSWER, BYE = 1, 2, 15


class Root(pb.Root):
    """Answers when it is told to."""

    def __init__(self):
        self.is_asked = False
        self.may_answer = asyncio.Event()

    async def remote_wait(self):
        self.is_asked = True
        await self.may_answer.wait()
        return "done"


async def hanging(server, *said):
    """Connect, say HELLO and more, and answer nothing from then on."""
    address = Address.parse(server.url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(hello() + b"".join(map(frame, said)))
    await settle(lambda: server.connections)
    return reader, writer


def test_a_peer_that_hangs_without_a_call_does_not_hold_the_end(loop):
    """It does not answer BYE, and nothing of it is lost."""

    async def main():
        async with pb.serve(Root(), "pb://127.0.0.1:0", limits=IMPATIENT) as server:
            reader, writer = await hanging(server)
            await server.close()
            assert [0, BYE] == [each[0] for each in messages_in(await reader.read())]
            writer.close()

    run(main(), loop)


def test_what_is_under_way_is_finished_though_the_peer_hangs(loop, monkeypatch):
    """However often it is looked whether it still is; then the peer has its answer, and no more time."""

    async def main():
        root = Root()
        async with pb.serve(root, "pb://127.0.0.1:0", limits=IMPATIENT) as server:
            call = [CALL, 1, 0, "wait", msgpack.packb([[], {}])]
            reader, writer = await hanging(server, call)
            await settle(lambda: root.is_asked)
            closing = asyncio.create_task(server.close())
            looks = []
            real = leaving._is_idle

            def look(link):
                looks.append(real(link))
                return looks[-1]

            monkeypatch.setattr(leaving, "_is_idle", look)
            await settle(lambda: len(looks) > 3)
            assert not any(looks) and not closing.done()
            root.may_answer.set()
            await closing
            assert [0, BYE, ANSWER] == [each[0] for each in messages_in(await reader.read())]
            writer.close()

    run(main(), loop)


@pytest.mark.parametrize("drain_s", [0, 0.01])
def test_what_has_not_finished_in_time_is_cut(loop, drain_s):
    """Also where there is no time at all."""

    async def main():
        root = Root()
        async with (
            pb.serve(root, "pb://127.0.0.1:0", limits=pb.Limits(drain_s=drain_s)) as server,
            pb.open_connection(server.url) as connection,
        ):
            answer = connection.root.wait()
            await settle(lambda: root.is_asked)
            await server.close()
            with pytest.raises(pb.ConnectionLost):
                await answer

    run(main(), loop)


@pytest.mark.parametrize("who", ["server", "connection"])
def test_who_gives_up_closing_leaves_no_connection_behind(loop, who):
    """The peer keeps it alive with signs of life, and says nothing else, for as long as it likes."""

    async def main():
        async with pb.serve(Root(), "pb://127.0.0.1:0", limits=FOR_EVER) as server:
            reader, writer = await hanging(server)
            (connection,) = server.connections
            closing = asyncio.create_task((server if who == "server" else connection).close())
            await settle(lambda: connection._link.lost is not None)
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            assert [0, BYE] == [each[0] for each in messages_in(await reader.read())]
            await connection.wait_closed()
            writer.close()

    run(main(), loop)


def test_closing_a_server_that_is_given_up_at_once_ends_all(loop):
    """Also what it had not come to."""

    async def main():
        async with pb.serve(Root(), "pb://127.0.0.1:0", limits=FOR_EVER) as server:
            reader, writer = await hanging(server)
            (connection,) = server.connections
            closing = asyncio.create_task(server.close())
            asyncio.get_running_loop().call_soon(closing.cancel)
            with pytest.raises(asyncio.CancelledError):
                await closing
            await connection.wait_closed()
            await reader.read()
            writer.close()

    run(main(), loop)


def test_a_call_that_was_given_up_does_not_hold_the_end(loop):
    """Its answer would be nobody's."""

    async def main():
        asked = asyncio.Event()

        async def silent(reader, writer):
            writer.write(hello())
            while b"wait" not in await reader.read(1000):
                pass
            asked.set()
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        url = f"pb://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, pb.open_connection(url, limits=IMPATIENT) as connection:
            call = asyncio.ensure_future(connection.root.wait())
            await asked.wait()
            call.cancel()

    run(main(), loop)


class Rude(pb.Root):
    """Ends the connection in a method, and notes what begins."""

    def __init__(self):
        self.begun = []

    def remote_end(self):
        pb.current_call().connection.abort()

    async def remote_late_end(self):
        self.remote_end()

    def remote_note(self, number):
        self.begun.append(number)

    async def remote_late_note(self, number):
        self.begun.append(number)

    async def remote_rows(self):
        self.begun.append("rows")
        yield 1

    def remote_self(self):
        self.begun.append("self")
        return self


@pytest.mark.parametrize("turn", [{}, {"turn_envelopes": 1}], ids=["one turn", "many turns"])
def test_no_call_begins_after_abort(place, loop, turn):
    """Neither what came in the same frame, nor what has come and begins a turn later."""

    async def main():
        root = Rude()
        async with place.serve(root, limits=pb.Limits(**turn)) as server:
            connection = await pb.open_connection(server.url)
            of = connection.root
            calls = [of.note(1)] if turn else [of.note(1), of.late_note(2)]
            calls += [of.end(), of.note(3), of.late_note(4), of.rows(), of.self().note(5), of.note(of.self())]
            of.note.send(6)
            of.late_note.send(7)
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert {pb.OutcomeUnknown} == {type(each) for each in outcomes[-6:]}
            await connection.wait_closed()
        assert [1] == root.begun

    run(main(), loop)


def test_no_call_begins_after_abort_in_a_task(place, loop):
    """The tasks of what came behind it in the same frame are there already; what they run is not begun."""

    async def main():
        root = Rude()
        async with place.serve(root) as server:
            connection = await pb.open_connection(server.url)
            of = connection.root
            calls = [of.late_note(1), of.late_end(), of.late_note(2), of.late_note(3)]
            of.late_note.send(4)
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert {pb.OutcomeUnknown} == {type(each) for each in outcomes[1:]}
            await connection.wait_closed()
        assert [1] == root.begun

    run(main(), loop)


def test_a_call_after_abort_is_not_sent(place, loop):
    """The loop tells of the end a turn later; a call made until then may be made again, and says so."""

    async def main():
        root = Root()
        async with place.serve(root) as server:
            connection = await pb.open_connection(server.url)
            before = connection.root.wait()
            connection.abort()
            with pytest.raises(pb.NotExecuted, match="this side has ended the connection"):
                await connection.root.wait()
            with pytest.raises(pb.ConnectionLost):
                await before
            connection.abort()  # again, which does nothing

    run(main(), loop)


def test_streams_that_are_waited_for_are_told_of_as_calls_are(loop, caplog):
    """Whoever waits for the end of a server wants to know for what."""
    caplog.set_level("INFO")

    class Endless(pb.Root):
        async def remote_numbers(self):
            number = 0
            while True:
                yield number
                number += 1

        async def remote_wait(self):
            await asyncio.Event().wait()

    async def main():
        limits = replace(FOR_EVER, drain_s=0.01)
        async with (
            pb.serve(Endless(), "pb://127.0.0.1:0", limits=limits) as server,
            pb.open_connection(server.url) as connection,
        ):
            async for _ in connection.root.numbers():
                break
            kept = connection.root.numbers()
            await anext(aiter(kept))
            waits = connection.root.wait()
            await settle(lambda: 1 == server.connections[0]._link.broker.serving.count)
            await server.close()
            with pytest.raises(pb.ConnectionLost):
                await waits
            del kept

    run(main(), loop)
    assert ": 1 calls and 1 streams are awaited" in caplog.text
