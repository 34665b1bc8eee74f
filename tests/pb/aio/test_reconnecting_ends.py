"""A connection that comes back: how it begins, how long it is tried, and how it ends."""

from __future__ import annotations

import asyncio
import gc

import pytest

import pb
from pb import messages
from pb.aio import tls

from ..auth.doors import PASSWORD
from ..auth.rooms import settle
from ..peers import hello
from ..pump import frame
from .keys import filled
from .loops import run
from .lost import Lobby, Spot, back, quick, record


def test_another_key_of_the_server_ends_it_for_good(tmp_path):
    """Who sits in the place of the server now is not asked a second time."""

    async def main():
        spot = Spot(Lobby(), tmp_path, "pbs")
        await spot.start()
        port = spot.url.rpartition(":")[2]
        connection = await pb.open_connection(spot.url, reconnect=quick())
        await spot.stop()
        key = tmp_path / "other.pem"
        tls.create(key)
        async with pb.serve(Lobby(), f"pbs://127.0.0.1:{port}", tls=key):
            await connection.wait_closed()
        assert "failed" == connection.status.state.value
        assert "fingerprint" in str(connection.status.error) or "key" in str(connection.status.error)

    run(main())


def test_what_ended_with_its_connection_has_one_remedy(tmp_path):
    """Over a connection that comes back another one than over one that does not, and never both."""

    async def main():
        async with Spot(Lobby(), tmp_path) as spot:
            connection = await pb.open_connection(spot.url, reconnect=quick())
            root = connection.root
            counter = await root.counter()
            spot.cut()
            await back(connection)
            with pytest.raises(pb.DeadReference) as caught:
                await counter.add()
            text = str(caught.value)
            assert text.endswith("; get it anew over the one after it, or let connection.keep(...) do so")
            assert 1 == text.count("get ")
            counter = await root.counter()
            await connection.close()
            with pytest.raises(pb.DeadReference, match=r"; get a new reference over a new connection$"):
                await counter.add()

    run(main())


def test_it_gives_up_where_it_was_told_to(tmp_path):
    """After so many tries, or so much time."""

    async def main():
        for options in ({"max_attempts": 3}, {"give_up_s": 0.0}):
            spot = Spot(Lobby(), tmp_path)
            await spot.start()
            connection = await pb.open_connection(spot.url, reconnect=quick(**options))
            await spot.stop()
            await connection.wait_closed()
            assert "failed" == connection.status.state.value
            assert options.get("max_attempts", 1) == connection.status.attempts

    run(main())


def test_the_first_connection_fails_at_once_unless_that_is_not_wanted(tmp_path):
    """A wrong host name is a mistake; a server that is started later is not."""

    async def main():
        spot = Spot(Lobby(), tmp_path)
        with pytest.raises(OSError):
            await pb.open_connection(spot.place.url, reconnect=quick())
        with pytest.raises(OSError):
            await pb.open_connection(spot.place.url, reconnect=quick(retries_first=True, max_attempts=2))
        opening = asyncio.ensure_future(
            pb.open_connection(spot.place.url, reconnect=quick(retries_first=True))._open()
        )
        await asyncio.sleep(0.01)
        await spot.start()
        connection = await opening
        assert 1 == await connection.root.echo(1)
        await connection.close()
        await spot.stop()

    run(main())


@pytest.mark.parametrize("after", ["nothing", "hello", "the call"])
def test_a_failure_within_the_beginning_is_tried_again(tmp_path, after):
    """Before the HELLO, behind it, and in the middle of logging in."""

    async def main():
        house = await filled()
        spot = Spot(house.application.root, tmp_path)
        await spot.start()
        connection = await pb.open_connection(spot.url, reconnect=quick())
        states = record(connection)
        identity = await connection.login("alice", PASSWORD)
        alice = await identity.attach("chat")
        await spot.stop()
        rounds = []

        async def hang_up(reader, writer):
            rounds.append(1)
            if after != "nothing":
                writer.write(hello(auth=["SCRAM-SHA-256"]) if after == "the call" else hello())
                await reader.read(100_000)
            writer.transport.abort()

        path = str(tmp_path / "socket")
        impostor = await asyncio.start_unix_server(hang_up, path)
        if after == "hello":  # no auth: there is no login any longer, and that is final
            await connection.wait_closed()
            assert "failed" == connection.status.state.value
            impostor.close()
            await impostor.wait_closed()
            return
        await settle(lambda: len(rounds) >= 3)
        impostor.close()
        await impostor.wait_closed()
        (tmp_path / "socket").unlink(missing_ok=True)
        await spot.start()
        await connection.status.wait_for("connected")
        assert "alice" == await alice.who()
        assert "connected" == states[-1]
        await connection.close()
        await spot.stop()

    run(main())


def test_closing_while_it_is_away_ends_it_cleanly(tmp_path):
    """In every state: waiting, dialling, and in the middle of logging in."""

    async def main():
        house = await filled()
        for state in ("waiting", "connecting", "restoring"):
            async with Spot(house.application.root, tmp_path) as spot:
                connection = await pb.open_connection(spot.url, reconnect=quick())
                identity = await connection.login("alice", PASSWORD)
                alice = await identity.attach("chat")
                spot.cut()
                await connection.status.wait_for(state)
                call = alice.who()
                await connection.close()
                await connection.close()
                assert "closed" == connection.status.state.value
                with pytest.raises(pb.NotExecuted):
                    await call
                await settle(lambda: not spot.server.connections)
                with pytest.raises(pb.DeadReference, match="no root: the connection is closed: "):
                    connection._root = None
                    connection.root  # noqa: B018
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert [] == [task for task in others if "_come_back" in repr(task)]

    run(main())


def test_aborting_ends_it_too(tmp_path):
    """What is aborted is not to come back by itself."""

    async def main():
        async with Spot(Lobby(), tmp_path) as spot:
            connection = await pb.open_connection(spot.url, reconnect=quick())
            call = connection.root.hang("x")
            await settle(lambda: spot.root.ran)
            connection.abort()
            with pytest.raises(pb.OutcomeUnknown):
                await call
            await connection.wait_closed()
            assert "closed" == connection.status.state.value

    run(main())


def test_the_waits_grow_until_it_has_lasted(tmp_path):
    """A server that drops everybody at once is not dialled in a loop."""

    async def main():
        delays = []

        async def sleep(seconds):
            delays.append(seconds)
            await asyncio.sleep(0)

        options = pb.Reconnect(sleep=sleep, chance=lambda: 1.0, stable_s=1000.0)
        async with (
            Spot(Lobby(), tmp_path) as spot,
            pb.open_connection(spot.url, reconnect=options) as connection,
        ):
            for _ in range(4):
                spot.cut()
                await back(connection)
            connection._since -= 1000.0
            spot.cut()
            await back(connection)
        assert [0.1, 0.2, 0.4, 0.8, 0.1] == delays

    run(main())


@pytest.mark.parametrize("says", ["nothing", "with its HELLO", "behind its HELLO"])
def test_it_waits_long_where_nobody_is_let_in(tmp_path, says):
    """The server counts each dial from there, and the longer it goes on the longer it refuses."""

    async def main():
        delays = []

        async def sleep(seconds):
            delays.append(seconds)
            await asyncio.sleep(0)

        async def turn_away(reader, writer):
            if says != "nothing":
                writer.write(hello())
                if says == "behind its HELLO":
                    await reader.read(1)
                    await asyncio.sleep(0.01)
                writer.write(frame([messages.BYE, messages.BYE_POLICY, "not now", 0]))
            writer.close()

        options = pb.Reconnect(sleep=sleep, chance=lambda: 0.0)
        spot = Spot(Lobby(), tmp_path)
        await spot.start()
        connection = await pb.open_connection(spot.url, reconnect=options)
        await spot.stop()
        impostor = await asyncio.start_unix_server(turn_away, str(tmp_path / "socket"))
        await settle(lambda: len(delays) >= 4)
        await connection.close()
        impostor.close()
        await impostor.wait_closed()
        assert delays[:4] == ([0.0, 0.0, 5.0, 10.0] if says == "nothing" else [0.0, 5.0, 10.0, 20.0])

    run(main())


def test_get_object_at_and_connect_reconnect_too(tmp_path):
    """They own their connection: it comes back as long as somebody holds what they gave."""

    async def main():
        house = await filled()
        async with Spot(Lobby(), tmp_path) as spot:
            root = await pb.get_object_at(spot.url, reconnect=quick())
            for number in range(3):
                connection = pb.connection_of(root)
                spot.cut()
                await back(connection)
                assert number == await root.echo(number)
            del root
            gc.collect()
            await connection.wait_closed()
            assert "closed" == connection.status.state.value
        async with Spot(house.application.root, tmp_path) as spot:
            alice = await pb.connect(spot.url, "alice", PASSWORD, "chat", reconnect=quick())
            connection = pb.connection_of(alice)
            spot.cut()
            await back(connection)
            assert "alice" == await alice.who()
            del alice
            gc.collect()
            await connection.wait_closed()
            await settle(lambda: not spot.server.connections)

    run(main())


def test_a_loss_while_the_loop_ends_makes_no_noise(caplog):
    """`asyncio.run` has cancelled all tasks by then, and the one that would come back is not among them."""
    tasks = []

    async def main():
        server = await pb.serve(Lobby(), "memory://late")
        connection = await pb.open_connection(server.url, reconnect=True)

        async def lose_late():
            try:
                await asyncio.Event().wait()
            finally:
                connection._link.connection_lost(None)

        tasks.append(asyncio.ensure_future(lose_late()))
        await asyncio.sleep(0)
        tasks.append(connection)

    connecting = asyncio.Runner()
    try:
        connecting.run(main())
    finally:
        connecting.close()
    task = tasks[1]._task
    assert not task.done()
    tasks[1]._task = None
    del task
    gc.collect()
    assert "Task was destroyed" not in caplog.text
