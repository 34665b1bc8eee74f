"""A connection that comes back, as programs see it: `open_connection(url, reconnect=True)`."""

from __future__ import annotations

import asyncio
import gc

import pytest

import pb
from pb import messages

from ..auth.rooms import settle
from .loops import run
from .lost import ROUND, Lobby, Spot, back, lose, quick, record


def test_the_root_works_again_and_is_the_same_object(tmp_path, loop):
    """Twenty times, over one reference that the program has never asked for anew."""

    async def main():
        async with Spot(Lobby(), tmp_path) as spot:
            async with pb.open_connection(spot.url, reconnect=quick()) as connection:
                states, root = record(connection), connection.root
                for number in range(20):
                    spot.cut()
                    await back(connection)
                    assert number == await root.echo(number)
                    assert root is connection.root
                    assert connection is pb.connection_of(root)
                assert ROUND * 20 == states
                assert "<LastingConnection with" in repr(connection)
            assert [*ROUND * 20, "closed"] == states
            assert not connection.is_open
            await settle(lambda: not spot.server.connections)

    run(main(), loop)


def test_it_waits_for_a_server_that_is_restarted(tmp_path):
    """Each try that fails is told, with why and how many there were."""

    async def main():
        spot = Spot(Lobby(), tmp_path)
        await spot.start()
        url = spot.url
        connection = await pb.open_connection(url, reconnect=quick())
        changes = []
        connection.status.watch(changes.append)
        await spot.stop()
        await settle(lambda: connection.status.attempts >= 3)
        assert isinstance(connection.status.error, OSError)
        assert connection.is_open and not connection.is_ready
        await spot.start()
        await connection.status.wait_for("connected")
        assert "again" == await connection.root.echo("again")
        waits = [change for change in changes if change.state.value == "waiting"]
        assert list(range(len(waits))) == [change.attempts for change in waits]
        assert None is connection.status.error and 0 == connection.status.attempts
        await connection.close()
        await spot.stop()

    run(main())


def test_a_reference_that_a_call_gave_is_dead_and_says_what_to_do(tmp_path):
    """Only the program knows how to get it again."""

    async def main():
        async with (
            Spot(Lobby(), tmp_path) as spot,
            pb.open_connection(spot.url, reconnect=quick()) as connection,
        ):
            counter = await connection.root.counter()
            assert 1 == await counter.add()
            spot.cut()
            await back(connection)
            with pytest.raises(pb.DeadReference, match=r"connection.keep\(\.\.\.\)"):
                await counter.add()
            assert 2 == await (await connection.root.counter()).add()

    run(main())


def test_what_is_kept_is_got_again_as_the_same_object(tmp_path, caplog):
    """As long as the program holds it, and where the server still has it."""

    async def main():
        lobby = Lobby()
        async with (
            Spot(lobby, tmp_path) as spot,
            pb.open_connection(spot.url, reconnect=quick()) as connection,
        ):
            asked = []

            async def get():
                asked.append(1)
                return await connection.root.counter()

            counter = await connection.keep(get)
            for number in range(1, 4):
                assert number == await counter.add()
                spot.cut()
                await back(connection)
            fresh = await connection.root.counter()
            assert fresh is counter and 4 == await fresh.add()

            lobby.counter = 7
            spot.cut()
            await back(connection)
            assert "a LastingReference was kept, and now it is an int" in caplog.text
            with pytest.raises(pb.DeadReference):
                await counter.add()

            del counter, fresh
            gc.collect()
            spot.cut()
            await back(connection)
            assert 5 == len(asked)
            with pytest.raises(TypeError, match="a reference or a replica can be kept, not an int"):
                await connection.keep(lambda: connection.root.echo(3))

    run(main())


def test_calls_made_while_it_is_down_wait_for_it(tmp_path):
    """In their order; for as long as they have time, and no longer."""

    async def main():
        lobby = Lobby()
        spot = Spot(lobby, tmp_path)
        await spot.start()
        connection = await pb.open_connection(spot.url, reconnect=quick())
        root = connection.root
        await spot.stop()
        await connection.status.wait_for("waiting")
        calls = [root.echo(number) for number in range(5)]
        late = root.echo.within(0.01)("late")
        given_up = root.echo("given up")
        async with pb.deadline(0.01):
            inherited = root.echo("inherited")
        with pytest.raises(TimeoutError, match="the call had; it was not sent and did not run"):
            await late
        with pytest.raises(pb.DeadlineExceeded):
            await inherited
        assert given_up.cancel()
        named = pb.call_remote(root, "echo", "named")
        await spot.start()
        assert [0, 1, 2, 3, 4, "named"] == await asyncio.gather(*calls, named)
        assert [0, 1, 2, 3, 4, "named"] == lobby.ran
        assert 0 == len(connection.calls)
        await connection.close()
        await spot.stop()

    run(main())


def test_calls_may_fail_at_once_instead(tmp_path):
    """For programs that would rather know; and no more wait than were allowed to."""

    async def main():
        for options, most in (({"calls": "fail"}, 0), ({"max_waiting": 2}, 2)):
            async with Spot(Lobby(), tmp_path) as spot:
                connection = await pb.open_connection(spot.url, reconnect=quick(**options))
                root = connection.root
                await spot.stop()
                await connection.status.wait_for("waiting")
                waiting = [root.echo(number) for number in range(most)]
                with pytest.raises(pb.NotExecuted, match="the connection is down"):
                    await root.echo("one more")
                await connection.close()
                for outcome in await asyncio.gather(*waiting, return_exceptions=True):
                    assert isinstance(outcome, pb.NotExecuted) and "it was closed" in str(outcome)
                with pytest.raises(pb.NotExecuted):
                    await root.echo("after the end")

    run(main())


def test_a_call_whose_outcome_is_unknown_is_made_again_only_where_it_may(tmp_path):
    """What the server declares, or the caller; of all others it is said that nobody knows (PB-K3)."""

    async def main():
        lobby = Lobby()
        async with (
            Spot(lobby, tmp_path) as spot,
            pb.open_connection(spot.url, reconnect=quick()) as connection,
        ):
            root = connection.root
            await root.echo("what may run twice is known from here on")
            calls = [
                root.hang("once"),
                root.look("declared there"),
                root.hang.idempotent("declared here"),
                root.hang.within(30).idempotent("in time"),
                root.look.within(30)("both"),
            ]
            await settle(lambda: 6 == len(lobby.ran))
            lose(connection)
            unknown, *values = await asyncio.gather(*calls, return_exceptions=True)
            assert isinstance(unknown, pb.OutcomeUnknown)
            assert ["declared there", "declared here", "in time", "both"] == values
            assert [1, 2, 2] == [
                lobby.ran.count(each) for each in ("once", "declared there", "declared here")
            ]

    run(main())


def test_a_call_that_certainly_did_not_run_is_made_again(tmp_path):
    """It was never written, so it can have done nothing."""

    async def main():
        lobby = Lobby()
        async with (
            Spot(lobby, tmp_path) as spot,
            pb.open_connection(spot.url, reconnect=quick()) as connection,
        ):
            lose(connection)
            call = connection.root.echo("written by the next")  # the loss is seen before the end of this turn
            assert "written by the next" == await call
            for link in list(spot.server._places):
                link.broker.close(messages.BYE_GOING_AWAY)
            assert "after the bye" == await connection.root.echo("after the bye")

    run(main())


def test_callbacks_of_the_papers_form_are_called_too(tmp_path):
    """The old way of calling is a way of calling."""

    async def main():
        async with (
            Spot(Lobby(), tmp_path) as spot,
            pb.open_connection(spot.url, reconnect=quick()) as connection,
        ):
            got = []
            lose(connection)
            connection.root.echo("value", pbcallback=got.append, pberrback=got.append)
            await settle(lambda: ["value"] == got)

    run(main())
