"""Replicas over a connection that comes back: they converge, as the same objects."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
from dataclasses import dataclass, field
from typing import Any

import jelly
import pb

from ..auth.rooms import settle
from .loops import run
from .lost import Spot, back, lose, quick


@dataclass
class Board(pb.Tracked):
    title: str = ""
    notes: list[Any] = field(default_factory=list)
    seats: dict[Any, Any] = field(default_factory=dict)

    def changed(self, field: str) -> None:
        vars(self).setdefault("_seen", []).append(field)
        if self.title == "a bad day":
            raise ValueError(field)


class Stock(jelly.Cacheable, jelly.RemoteCache):
    """A cache of the other kind, which cannot be told what it missed."""

    def __init__(self, n):
        self.n = n
        self.observers = pb.Observers()

    def get_state_to_cache_and_observe_for(self, perspective, observer):
        self.observers.add(observer)
        return {"n": self.n}

    def stopped_observing(self, perspective, observer):
        self.observers.discard(observer)

    def observe_set(self, n):
        self.n = n


class Hall(pb.Root):
    def __init__(self):
        self.board = Board()
        self.stock = Stock(1)
        self.asked = 0

    def remote_board(self):
        self.asked += 1
        return self.board

    def remote_stock(self):
        return self.stock


def registry():
    made = pb.Registry()
    made.add(Board, "game.Board")
    made.add(Stock, "shop.Stock")
    return made


def state(board):
    return (board.title, list(board.notes), dict(board.seats))


def test_a_replica_converges_through_twenty_losses(tmp_path, loop):
    """At whichever end the line is cut, and whatever was under way: `reconnect` means that, for caches."""

    async def main():
        chance = random.Random(20)
        hall = Hall()
        async with (
            Spot(hall, tmp_path, registry=registry()) as spot,
            pb.open_connection(spot.url, registry=registry(), reconnect=quick()) as connection,
        ):
            board = await connection.keep(lambda: connection.root.board())
            for number in range(20):
                hall.board.notes.append(number)
                if chance.random() < 0.5:
                    await asyncio.sleep(0)
                if chance.random() < 0.5:
                    spot.cut()
                else:
                    lose(connection)
                hall.board.seats[number] = number
                await connection.status.wait_for("waiting")
                assert pb.is_stale(board)
                hall.board.title = str(number)
                if chance.random() < 0.5:
                    hall.board.notes.pop(0)
                await connection.status.wait_for("connected")
                assert state(hall.board) == state(board) and not pb.is_stale(board)
            assert board is await connection.root.board()
            assert 22 == hall.asked
            hall.board.title = "still followed"
            await connection.root.stock()
            assert "still followed" == board.title
        await settle(lambda: not hall.board._pb_followers._followers)

    run(main(), loop)


def test_a_replica_goes_on_after_the_server_was_started_anew(tmp_path, caplog):
    """Nothing is left there of what it had: it takes over the new state, and tells what is not as it was."""

    async def main():
        spot = Spot(Hall(), tmp_path, registry=registry())
        await spot.start()
        connection = await pb.open_connection(spot.url, registry=registry(), reconnect=quick())
        board = await connection.keep(lambda: connection.root.board())
        stock = await connection.keep(lambda: connection.root.stock())
        board._mine = "kept"
        await spot.stop()
        await connection.status.wait_for("waiting")
        spot.root = hall = Hall()
        hall.board.notes.append("new")
        hall.board.title = "new"
        hall.stock.n = 5
        await spot.start()
        await connection.status.wait_for("connected")
        assert state(hall.board) == state(board) and ["title", "notes"] == sorted(set(board._seen))[::-1]
        assert "kept" == board._mine and not pb.is_stale(board)
        assert 5 == stock.n and not pb.is_stale(stock)
        hall.board.seats["a"] = 1
        hall.stock.observers.send("set", 6)
        assert board is await connection.root.board() and stock is await connection.root.stock()
        assert {"a": 1} == board.seats and 6 == stock.n

        await spot.stop()
        await connection.status.wait_for("waiting")
        spot.root = hall = Hall()
        hall.board.title = "a bad day"
        await spot.start()
        await connection.status.wait_for("connected")
        assert "a bad day" == board.title and "changed() of a Board failed" in caplog.text

        await connection.close()
        await spot.stop()

    with caplog.at_level(logging.INFO):
        run(main())


def test_a_replica_that_nobody_asks_for_again_is_the_same_object_when_somebody_does(tmp_path):
    """Without `keep`, too: it is stale until then, and says so."""

    async def main():
        hall = Hall()
        async with (
            Spot(hall, tmp_path, registry=registry()) as spot,
            pb.open_connection(spot.url, registry=registry(), reconnect=quick()) as connection,
        ):
            board = await connection.root.board()
            for number in range(3):
                spot.cut()
                await back(connection)
                hall.board.title = str(number)
                if number == 1:
                    continue
                assert pb.is_stale(board)
                assert board is await connection.root.board()
                assert str(number) == board.title and not pb.is_stale(board)
            del board
            gc.collect()
            await connection.root.stock()
            await settle(lambda: not hall.board._pb_followers._followers)

    run(main())


def test_a_loss_while_replicas_are_offered_is_one_more_loss(tmp_path):
    """What waits at the second connection is offered again at the third."""

    async def main():
        hall = Hall()
        async with (
            Spot(hall, tmp_path, registry=registry()) as spot,
            pb.open_connection(spot.url, registry=registry(), reconnect=quick()) as connection,
        ):
            board = await connection.root.board()
            tries = []

            async def fail():
                tries.append(1)
                if len(tries) in (2, 3):
                    lose(connection)
                return await connection.root.stock()

            stock = await connection.keep(fail)
            spot.cut()
            await back(connection)
            assert 4 == len(tries) and not pb.is_stale(stock)
            hall.board.title = "b"
            assert board is await connection.root.board() and "b" == board.title

    run(main())
