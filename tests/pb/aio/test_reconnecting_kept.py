"""A connection that comes back, and is lost again while what is kept is being got: the next try is soon."""

from __future__ import annotations

import asyncio

import pytest

import pb
from pb.testing import run

from ..auth.rooms import settle
from .lost import back, lose


class Board(pb.Referenceable):
    def remote_read(self):
        return "read"


class Hall(pb.Root):
    """Gives out what is kept; what gives it may run twice."""

    def __init__(self):
        self.board = Board()

    @pb.idempotent
    async def remote_board(self):
        return self.board


# By the bounds of the waits, 0.1 s and doubled each time: chance chooses the longest.
LONGEST = pb.Reconnect(chance=lambda: 1.0)
GETS = {
    "kept": lambda connection: connection.keep(lambda: connection.root.board()),
    "kept by a call declared here": lambda connection: connection.keep(
        lambda: connection.root.board.idempotent()
    ),
    "named": lambda connection: connection.get_object("lobby"),
}


def lose_while_restoring(connection, times):
    """Lose the link the next times that something is being got again, when its call is under way."""
    left = [None] * times

    def watch(change):
        if change.state is pb.ConnectionState.RESTORING and left:
            left.pop()
            asyncio.get_running_loop().call_soon(lose, connection)

    connection.status.watch(watch)


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("get", GETS.values(), ids=GETS)
def test_a_loss_while_what_is_kept_is_got_again_is_noticed_at_once(get, times):
    """The call that gets it may be made again, and would wait for the connection that waits for it."""

    async def main():
        hall, loop = Hall(), asyncio.get_running_loop()
        async with pb.serve(hall, "memory://kept") as server:
            server.publish("lobby", hall.board)
            async with pb.open_connection(server.url, reconnect=LONGEST) as connection:
                board = await get(connection)
                lose_while_restoring(connection, times)
                began = loop.time()
                lose(connection)
                await back(connection)
                waits = [0.1, 0.2, 0.4, 0.8][: times + 1]
                assert pytest.approx(sum(waits)) == loop.time() - began
                assert "read" == await board.read()
                assert 0 == len(connection.calls), "no call is left behind that waits for a connection"

    run(main())


def test_a_loss_before_anything_is_got_again_is_noticed_at_once():
    """Between the HELLO and the task that waits for it, nobody is restoring yet."""

    async def main():
        hall, loop, fresh = Hall(), asyncio.get_running_loop(), []
        async with (
            pb.serve(hall, "memory://gap") as server,
            pb.open_connection(server.url, reconnect=LONGEST) as connection,
        ):
            board, dial = await connection.keep(lambda: connection.root.board()), connection._dial

            async def dial_and_lose(home):
                made = await dial(home)
                if not fresh:
                    fresh.append(made)
                    made._link.transport.abort()
                    await settle(lambda: made._link.transport is None)
                return made

            connection._dial = dial_and_lose
            began = loop.time()
            lose(connection)
            await back(connection)
            assert pytest.approx(0.1 + 0.2) == loop.time() - began
            assert "read" == await board.read()

    run(main())


def test_what_does_not_come_while_it_is_got_again_is_waited_for_only_so_long():
    """A server that is there and does not answer: the try fails, and says that it took too long."""

    async def main():
        hall, loop, asked = Hall(), asyncio.get_running_loop(), []

        class Slow(Hall):
            @pb.idempotent
            async def remote_board(self):
                asked.append(loop.time())
                if len(asked) == 2:
                    await asyncio.Event().wait()
                return hall.board

        async with (
            pb.serve(Slow(), "memory://slow") as server,
            pb.open_connection(server.url, reconnect=LONGEST) as connection,
        ):
            board = await connection.keep(lambda: connection.root.board())
            lose(connection)
            await connection.status.wait_for("waiting")
            await connection.status.wait_for("restoring")
            await connection.status.wait_for("waiting")
            assert isinstance(connection.status.error, TimeoutError)
            await connection.status.wait_for("connected")
            assert "read" == await board.read()
        assert pytest.approx(pb.Limits().connect_timeout_s + 0.2) == asked[2] - asked[1]

    run(main())


class Refused(pb.Error):
    """An error of the application."""


REGISTRY = pb.Registry()
REGISTRY.add(Refused, "test.Refused")


def test_what_is_kept_and_cannot_be_had_again_says_why():
    """The status has it when it tells of the connection, and calls fail by it until it is there again."""

    async def main():
        told = []

        class Strict(Hall):
            is_shut = False

            @pb.idempotent
            async def remote_board(self):
                if self.is_shut:
                    raise Refused("no such board of yours")
                return self.board

        strict = Strict()
        async with (
            pb.serve(strict, "memory://strict", registry=REGISTRY) as server,
            pb.open_connection(server.url, reconnect=LONGEST, registry=REGISTRY) as connection,
        ):
            board = await connection.keep(lambda: connection.root.board())
            twice = await connection.keep(lambda: connection.root.board())
            assert board is twice
            other = await pb.call_remote(connection.root, "board")
            assert other is board
            status = connection.status
            status.watch(lambda change: told.append((change.state.value, len(status.kept_lost))))
            strict.is_shut = True
            lose(connection)
            await back(connection)
            assert ("connected", 1) == told[-1]
            ((lost, why),) = status.kept_lost
            assert lost is board and isinstance(why, Refused)
            for _ in range(2):
                with pytest.raises(
                    pb.DeadReference, match="could not be had again over this connection: no such"
                ) as raised:
                    await board.read()
                assert isinstance(raised.value.__cause__, Refused)
            strict.is_shut = False
            lose(connection)
            await back(connection)
            assert "read" == await board.read()
            assert [] == status.kept_lost

    run(main())
