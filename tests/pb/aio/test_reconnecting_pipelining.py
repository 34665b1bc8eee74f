"""Calls on results to come, over a connection that comes back."""

from __future__ import annotations

import asyncio

import pytest

import pb
from pb import messages

from ..auth.rooms import settle
from .loops import run
from .lost import Lobby, Spot, back, lose, quick, record
from .test_pipelining import Writes


class Room(pb.Referenceable):
    """What a call returns, and another is made on."""

    def __init__(self):
        self.added = []

    def remote_add(self, value):
        self.added.append(value)
        return value

    def remote_add_and_lose(self, value):
        if not self.added:
            pb.current_call().connection.abort()
        return self.remote_add(value)

    def remote_next(self):
        return self


class House(Lobby):
    """Rooms, which may be asked for twice."""

    def __init__(self):
        super().__init__()
        self.room = Room()
        self.go = asyncio.Event()

    @pb.idempotent
    def remote_room(self):
        return self.room

    @pb.idempotent
    async def remote_room_later(self):
        self.ran.append("asked")
        await self.go.wait()
        return self.room

    def remote_take(self, room, value):
        return room.remote_add(value)


def session(work, tmp_path, limits=None, **options):
    """Run `work(house, spot, connection)` with one that knows what may run twice; limits are the server's."""

    async def main():
        house = House()
        async with (
            Spot(house, tmp_path, limits=limits) as spot,
            pb.open_connection(spot.url, reconnect=quick(**options)) as connection,
        ):
            assert 0 == await connection.root.echo(0)
            await connection.root.echo(0)  # by now the server has said which methods may run twice
            await work(house, spot, connection)

    run(main())


def test_pipelining_takes_one_round_trip_as_ever(tmp_path):
    """Calls on results, and results among the arguments: the client writes once, and waits once."""

    async def work(house, spot, connection):
        for _ in range(2):
            root = connection.root
            for make, expected in (
                (lambda root: root.room().next().next().add("a"), "a"),
                (lambda root: root.take(root.room().next(), "b"), "b"),
            ):
                writes = Writes(connection._link)
                outcome = make(root)
                await asyncio.sleep(0)
                assert 1 == writes.count and not outcome.done()
                assert expected == await outcome
                # That results are not needed any longer is said once; twice if answers come in two parts.
                assert writes.count <= 3
                connection._link.transport = writes.transport
            lose(connection)
            await back(connection)

    session(work, tmp_path)


def test_to_cancel_a_call_on_a_result_leaves_the_first_call_alone(tmp_path):
    """They are two calls, and only one of them was given up."""

    async def work(house, spot, connection):
        room = connection.root.room_later()
        added = room.add("never")
        await settle(lambda: "asked" in house.ran)
        assert added.cancel()
        await connection.root.echo("the server has heard of it")
        house.go.set()
        assert "yes" == await (await room).add("yes")
        assert ["yes"] == house.room.added

    session(work, tmp_path)


def test_a_call_on_a_result_that_may_have_run_is_not_made_again(tmp_path):
    """Though the first one is: it says of itself that it may be."""

    async def work(house, spot, connection):
        root = connection.root
        room = root.room()
        added = room.add_and_lose("once")
        with pytest.raises(pb.OutcomeUnknown):
            await added
        assert ["once"] == house.room.added
        assert "twice" == await (await room).add("twice"), "its answer came over the next connection"
        taken = root.take(root.room_later(), "waits at the server")
        await settle(lambda: "asked" in house.ran)
        lose(connection)
        with pytest.raises(pb.OutcomeUnknown):
            await taken

    # A turn that ends between the two calls would write the answer to the first.
    session(work, tmp_path, limits=pb.Limits(turn_s=60))


def test_a_call_on_a_result_that_did_not_run_is_made_again_behind_it(tmp_path):
    """Never written, or refused by a BYE: then it is as if it had been made a little later."""

    async def work(house, spot, connection):
        root = connection.root
        await asyncio.sleep(0)  # what was called in this turn is written before the loss is seen
        lose(connection)
        calls = [root.room().add(1), root.take(root.room(), 2), root.room().next().add(3)]
        root.room().add.send(4)  # nobody waits for it, and it is made all the same
        assert [1, 2, 3] == await asyncio.gather(*calls)
        await settle(lambda: 4 in house.room.added)
        assert [1, 2, 3, 4] == sorted(house.room.added)
        for link in list(spot.server._places):
            link.broker.close(messages.BYE_GOING_AWAY)
        assert 5 == await root.room().add(5)
        assert 6 == await root.take(root.room(), 6)

    session(work, tmp_path)


def test_calls_on_results_wait_while_it_is_down_as_long_as_they_have_time(tmp_path):
    """In their order; what is given up meanwhile is not made."""

    async def work(house, spot, connection):
        root = connection.root
        await spot.stop()
        await connection.status.wait_for("waiting")
        room = root.room()
        calls = [room.add(number) for number in range(5)]
        late = room.add.within(0.01)("late")
        given_up = room.add("given up")
        assert given_up.cancel()
        taken = root.take(room, "taken")
        with pytest.raises(pb.DeadlineExceeded):
            await late
        await spot.start()
        assert [0, 1, 2, 3, 4, "taken"] == await asyncio.gather(*calls, taken)
        assert [0, 1, 2, 3, 4] == [each for each in house.room.added if each != "taken"]

    session(work, tmp_path)


def test_calls_on_results_fail_with_it_when_it_is_given_up(tmp_path):
    """The cause says why there was no result."""

    async def work(house, spot, connection):
        root = connection.root
        await spot.stop()
        await connection.status.wait_for("waiting")
        added, taken = root.room().add(1), root.take(root.room(), 2)
        await connection.status.wait_for("failed")
        for call in (added, taken):
            with pytest.raises((pb.BrokenPromise, pb.NotExecuted)) as failed:
                await call
            assert isinstance(failed.value.__cause__ or failed.value, pb.NotExecuted)

    session(work, tmp_path, max_attempts=3)


def test_every_call_on_a_result_runs_at_most_once_wherever_it_is_cut(tmp_path):
    """The connection is lost at one turn of the loop after the other."""

    async def work(house, spot, connection):
        root, states = connection.root, record(connection)
        house.go.set()
        unknown = 0
        for turns in range(12):
            calls = [
                root.room_later().add((turns, 0)),
                root.room().next().add((turns, 1)),
                root.take(root.room_later(), (turns, 2)),
            ]
            for _ in range(turns):
                await asyncio.sleep(0)
            lost = connection._link
            lose(connection)
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            # All may have been answered before it is noticed.
            await settle(lambda lost=lost: connection._link is not lost)
            for number, outcome in enumerate(outcomes):
                ran = house.room.added.count([turns, number]) + house.room.added.count((turns, number))
                if isinstance(outcome, pb.OutcomeUnknown):
                    unknown += 1
                    assert ran <= 1
                else:
                    assert (turns, number) == outcome
                    assert 1 == ran
            await settle(lambda turns=turns: turns + 1 == states.count("connected"))
        assert 0 < unknown < 36

    session(work, tmp_path)
