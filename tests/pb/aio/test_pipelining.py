"""Promises that are called before they are there, as a program sees them."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

import jelly
import pb
from pb.aio.promise import Followed

from .loops import Writes, run


class Empty(pb.Error):
    """What both sides know."""


class Room(pb.Referenceable):
    def __init__(self, root, name):
        self.root = root
        self.name = name

    def remote_room(self, name):
        return Room(self.root, name)

    def remote_look(self):
        return f"you are in the {self.name}"

    def remote_result(self):
        return "of the room"

    def remote_note(self, value):
        self.root.notes.append(value)

    async def remote_later(self, value):
        await asyncio.sleep(0)
        self.root.notes.append(value)

    def remote_late(self, number, value):
        self.root.notes.append(number)

    def remote_empty(self):
        raise Empty("nobody is here")

    async def remote_forever(self):
        self.root.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.root.cancelled.set()
            raise

    def remote_names(self, *rooms):
        return [each.name for each in rooms]

    def remote_same(self, value):
        return value


class Root(pb.Root, Room):
    def __init__(self):
        Room.__init__(self, self, "hall")
        self.notes = []
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()


def registry():
    made = jelly.Registry()
    made.add(Empty, "rooms.Empty")
    return made


async def session(work, **options):
    """Run `work(root, connection)` over a connection in memory."""
    root = Root()
    options = {"registry": registry(), **options}
    async with (
        pb.serve(root, "memory://pipelining", **options) as server,
        pb.open_connection(server.url, **options) as connection,
    ):
        await work(root, connection)


def test_pipelining_takes_one_round_trip(place, loop):
    """Four dependent calls in one expression: the server answers all of them with one write."""

    async def main():
        unhurried = pb.Limits(turn_s=60.0)  # on a busy machine a turn may end between two answers
        async with (
            place.serve(Root(), limits=unhurried) as server,
            pb.open_connection(server.url) as connection,
        ):
            await connection.root.look()  # else its greeting is counted too
            (link,) = server._places
            answered = Writes(link)
            for round_trips in range(1, 4):
                assert "you are in the c" == await connection.root.room("a").room("b").room("c").look()
                assert round_trips == answered.count

    run(main(), loop)


def test_a_call_is_sent_when_it_is_awaited_and_not_before(place, loop):
    """What was called on it is then known. Another awaited in the same expression does not send it."""

    async def main():
        async with place.serve(Root()) as server, pb.open_connection(server.url) as connection:
            root = connection.root
            sent = Writes(connection._link)
            for _ in range(2):  # then it is known what an answer looks like
                await root.look()
            ready = root.look()
            assert 2 == sent.count
            ready.__await__()
            assert 3 == sent.count
            await ready
            room = root.room("a")
            await ready
            assert 3 == sent.count
            assert "you are in the a" == await room.look()

    run(main(), loop)


def test_pipelining_fails_all_with_the_same_cause(loop):
    """The first fails, and so do all others, with its error as their cause; nothing is left in the log."""

    async def work(root, connection):
        first = connection.root.empty()
        rest = [first.room("a")]
        for _ in range(3):
            rest.append(rest[-1].room("b"))
        found = await asyncio.gather(first, *rest, return_exceptions=True)
        assert isinstance(found[0], Empty)
        for error in found[1:]:
            assert isinstance(error, pb.BrokenPromise)
            assert error.__cause__ is found[0]
        with pytest.raises(pb.BrokenPromise):
            await connection.root.empty().look()

    run(session(work), loop)


def test_ordering_of_ten_thousand_calls_of_every_kind(loop):
    """Sent without answer, plain and async, on a reference and on the promise of it: they begin in order."""

    async def work(root, connection):
        room = connection.root.room("a")
        reference = None
        made = []
        for number in range(10_000):
            on = reference if reference is not None and number % 2 else room
            kind = number % 4
            if kind == 0:
                on.note.send(number)
            elif kind == 1:
                made.append(on.note(number))
            else:
                made.append(on.note.within(60)(number))
            if number == 3_000:
                reference = await room
            if number % 500 == 0:
                await asyncio.sleep(0)
        await asyncio.gather(*made)
        assert list(range(10_000)) == root.notes

    run(session(work), loop)


@pytest.mark.parametrize("is_awaited", [True, False], ids=["awaited", "handed over"])
@pytest.mark.parametrize("is_late", [False, True], ids=["at once", "a turn later"])
@pytest.mark.parametrize(("what", "order"), [("room", [0, 1, 2]), ("same", [0, 2, 1])])
def test_ordering_of_a_call_that_is_handed_a_promise(loop, what, order, is_late, is_awaited):
    """It begins when that is there; what is behind it waits only where the peer does, for an object."""

    async def work(root, connection):
        made = [connection.root.late(0, None)]
        value = getattr(connection.root, what)("a")
        if is_late:
            await asyncio.sleep(0)
        if is_awaited:
            value = await value
        made += [connection.root.late(1, value), connection.root.late(2, None)]
        await asyncio.gather(*made)
        assert ([0, 1, 2] if is_awaited else [0, 2, 1] if is_late else order) == root.notes

    run(session(work), loop)


def test_what_has_left_is_waited_for(loop):
    """In a later turn of the loop a call on a promise takes two round trips, and is right."""

    async def work(root, connection):
        room = connection.root.room("a")
        await asyncio.sleep(0)
        assert not room.done()
        assert "you are in the a" == await room.look()
        assert "you are in the b" == await room.room("b").look()

    run(session(work), loop)


def test_names_of_a_future_are_those_of_the_future(loop):
    """For a remote method of such a name there is `call_remote`."""

    async def work(root, connection):
        room = connection.root.room("a")
        with pytest.raises(asyncio.InvalidStateError):
            room.result()
        assert "of the room" == await pb.call_remote(room, "result")
        with pytest.raises(AttributeError, match="_secret"):
            _ = room._secret
        with pytest.raises(pb.NoSuchMethod):
            pb.call_remote(room, "_secret")

    run(session(work), loop)


def test_callbacks_deadlines_and_calls_without_answer(loop):
    """All that a method of a reference can do, one of a promise can."""

    async def work(root, connection):
        got = asyncio.get_running_loop().create_future()
        room = connection.root.room("a")
        assert room.look(pbcallback=got.set_result) is None
        assert "you are in the a" == await got
        failed = asyncio.get_running_loop().create_future()
        connection.root.room("b").empty(pberrback=failed.set_result)
        assert isinstance(await failed, Empty)
        with pytest.raises(pb.DeadlineExceeded):
            await connection.root.room("c").forever.within(0.01)()
        await asyncio.wait_for(root.cancelled.wait(), 5)
        connection.root.room("d").note.send(1)
        assert "hall" in await connection.root.look()
        assert [1] == root.notes
        method = connection.root.room("e").look
        assert "<PromisedMethod look of <Promise of room, no answer yet>>" == repr(method)
        with pytest.raises(TypeError, match="pbcallback"):
            method(pbcallback=1)
        with pytest.raises(pb.NoSuchMethod):
            room.__class__.__getattr__(room, "x" * 200).send()

    run(session(work), loop)


def test_promises_are_arguments(loop):
    """Wherever they stand; where they cannot be named they are waited for."""

    async def work(root, connection):
        a, b = connection.root.room("a"), connection.root.room("b")
        assert ["a", "b"] == await connection.root.names(a, b)
        assert ["a", "b"] == await connection.root.room("c").names(a, connection.root.room("b"))
        flushed = connection.root.room("d")
        await asyncio.sleep(0)
        assert ["d"] == await connection.root.names(flushed)
        number = connection.root.same(5)
        assert [5, 5] == await connection.root.same([number, number])

    run(session(work), loop)


def test_cancelling_a_pipelined_call_reaches_the_callee(loop):
    """As an ordinary one; and cancelling the first stops it, and fails the second."""

    async def work(root, connection):
        forever = connection.root.room("a").forever()
        await asyncio.wait_for(root.started.wait(), 5)
        task = asyncio.ensure_future(forever)
        task.cancel()
        await asyncio.wait_for(root.cancelled.wait(), 5)
        with pytest.raises(asyncio.CancelledError):
            await forever
        root.cancelled.clear()
        first = connection.root.forever()
        second = first.look()
        await connection.root.look()
        assert first.cancel()
        assert not first.cancel()
        await asyncio.wait_for(root.cancelled.wait(), 5)
        with pytest.raises(pb.BrokenPromise) as caught:
            await second
        assert isinstance(caught.value.__cause__, pb.Cancelled)
        with pytest.raises(pb.BrokenPromise):
            await first.look()

    run(session(work), loop)


class Chain(pb.Root):
    """Calls its caller back, and waits for that."""

    def __init__(self):
        self.stopped = asyncio.Event()
        self.left = None

    async def remote_back(self, other):
        try:
            return await other.wait()
        except asyncio.CancelledError:
            self.stopped.set()
            raise


class Waiter(pb.Referenceable):
    def __init__(self):
        self.started = asyncio.Event()
        self.stopped = asyncio.Event()

    async def remote_wait(self):
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.stopped.set()
            raise


async def settled(connection):
    """Wait until nothing is under way any longer, either way: the late answers have come."""
    for _ in range(100):
        await asyncio.sleep(0)
    return connection.usage.calls_made + connection.usage.calls_served


@pytest.mark.parametrize("how", ["cancel", "deadline"])
def test_cancel_and_deadline_go_through_callbacks(loop, how):
    """A calls B, B calls A back: when the first call ends, so does what it led to, on both sides."""

    async def main():
        chain, waiter = Chain(), Waiter()
        async with (
            pb.serve(chain, "memory://chain") as server,
            pb.open_connection(server.url) as connection,
        ):
            method = connection.root.back
            call = asyncio.ensure_future((method.within(0.05) if how == "deadline" else method)(waiter))
            await asyncio.wait_for(waiter.started.wait(), 5)
            if how == "cancel":
                call.cancel()
            with pytest.raises(asyncio.CancelledError if how == "cancel" else pb.DeadlineExceeded):
                await call
            await asyncio.wait_for(chain.stopped.wait(), 5)
            await asyncio.wait_for(waiter.stopped.wait(), 5)
            assert 0 == await asyncio.wait_for(settled(connection), 5)

    run(main(), loop)


def test_a_failure_that_was_passed_on_is_not_logged(caplog):
    """`await first().second()` has told it; that nobody awaited the first is no forgotten await."""

    async def work(root, connection):
        with pytest.raises(pb.BrokenPromise):
            await connection.root.empty().look()
        gc.collect()

    with caplog.at_level(logging.ERROR, "asyncio"):
        run(session(work))

    assert [] == caplog.records


def test_ordinary_promises_stay_what_they_are(loop):
    """Who pays for pipelining is who uses it."""

    async def work(root, connection):
        plain = connection.root.look()
        assert pb.Promise is type(plain)
        room = connection.root.room("a")
        look = room.look()
        assert Followed is type(room)
        assert pb.Promise is type(look)
        await asyncio.gather(plain, look)
        assert pb.Promise is type(room.look())
        settled = connection.root.room("b")
        await settled
        assert "you are in the b" == await settled.look()
        assert pb.Promise is type(settled)

    run(session(work), loop)


def test_a_promise_over_a_connection_that_reconnects_can_be_called(loop):
    """What it is made on may have to wait for a connection, so what is called on it waits here."""

    async def main():
        async with (
            pb.serve(Root(), "memory://lasting") as server,
            pb.open_connection(server.url, reconnect=True) as connection,
        ):
            assert "you are in the b" == await connection.root.room("a").room("b").look()
            assert ["c"] == await connection.root.names(connection.root.room("c"))

    run(main(), loop)
