"""A promise tells which method it is of and how it stands, and never what the peer sent."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

import pb
from pb.aio.promise import Promise

from .loops import run


class Root(pb.Root):
    """Something to call."""

    def remote_echo(self, value):
        return value


class Rooms(pb.Root):
    """Something to call what it returns."""

    def remote_room(self):
        return Room()


class Room(pb.Referenceable):
    """What it returns."""

    def remote_look(self):
        return "dark"


class Calls:
    """The calls of a connection, as far as a promise knows them."""

    @property
    def core(self):
        return self

    @property
    def tables(self):
        return self

    def may_log(self, level, event):
        return True

    def cancel(self, id, outcome):
        """Take note of nothing."""


def promise_of(name, id=1):
    """Return a promise as a call makes it."""
    promise = Promise(loop=asyncio.get_running_loop())
    promise._pb_calls, promise._pb_id, promise._pb_name = Calls(), id, name
    return promise


def test_repr_names_the_method_and_the_state(loop):
    """It is what a log of the loop shows."""

    async def main():
        assert "<Promise of a call, not sent yet>" == repr(Promise(loop=asyncio.get_running_loop()))
        assert "<Promise of enter, not sent yet>" == repr(promise_of("enter", 0))
        promise = promise_of("enter")
        assert "<Promise of enter, no answer yet>" == repr(promise)
        promise.set_result("secret")
        assert "<Promise of enter, done>" == repr(promise)
        promise = promise_of("enter")
        promise.cancel()
        assert "<Promise of enter, cancelled>" == repr(promise)
        promise = promise_of("enter")
        promise.set_exception(pb.NoSuchMethod("secret"))
        assert "<Promise of enter, failed with NoSuchMethod>" == repr(promise)
        promise.exception()

    run(main(), loop)


def test_a_failure_that_nobody_looks_at_is_logged_once_with_the_method(caplog):
    """A forgotten await; having shown the promise is not having looked at its error."""

    async def main():
        promise = promise_of("entre")
        promise.set_exception(pb.NoSuchMethod("no method 'entre'"))
        repr(promise)
        del promise
        gc.collect()

    with caplog.at_level(logging.ERROR, "asyncio"):
        asyncio.run(main())

    (record,) = caplog.records
    assert [
        "Promise exception was never retrieved",
        "future: <Promise of entre, failed with NoSuchMethod>",
    ] == record.getMessage().splitlines()


def test_a_promise_names_its_method(loop):
    """In the log of the loop, for one that nobody awaited."""

    async def main():
        async with pb.serve(Root(), "memory://names") as server, pb.open_connection(server.url) as connection:
            promise = connection.root.echo(1)
            assert "<Promise of echo, no answer yet>" == repr(promise)
            await promise
            assert "<Promise of echo, done>" == repr(promise)

    run(main(), loop)


def test_a_method_of_what_is_to_come_can_be_called_idempotent_like_any(place, loop):
    """Whoever pipelines writes the same; what a call returns ends with its connection anyway."""

    async def main():
        async with place.serve(Rooms()) as server, pb.open_connection(server.url) as connection:
            assert "dark" == await connection.root.room().look.idempotent()
            assert "dark" == await connection.root.room().look.within(60).idempotent()
            assert "dark" == await connection.root.room.idempotent().look.idempotent.within(60)()

    run(main(), loop)


def test_a_promise_is_neither_true_nor_false(loop):
    """A forgotten `await` in `if root.is_allowed():` would let everybody in, and say nothing."""

    async def main():
        async with pb.testing.pair(Root()) as (_, _, root):
            promise = root.echo(False)
            for _ in range(2):
                with pytest.raises(
                    TypeError, match=r"^<Promise of echo, .*> is neither true nor false: await it"
                ):
                    assert promise
                assert await promise is False
            # What asyncio does with futures asks none of them for its truth.
            assert [1, 2] == await asyncio.gather(root.echo(1), root.echo(2))
            assert 3 == await asyncio.shield(root.echo(3))
            assert 4 == await asyncio.ensure_future(root.echo(4))
            done, _ = await asyncio.wait({root.echo(5)})
            assert [5] == [each.result() for each in done]
            assert [6] == [await each for each in asyncio.as_completed([root.echo(6)])]

    run(main(), loop)


def test_a_task_group_takes_a_promise_by_wait_for():
    """It takes coroutines only; cancelled with the group, the call is cancelled at the callee."""

    class Slow(pb.Root):
        async def remote_wait(self):
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

        def remote_echo(self, value):
            return value

    async def main():
        async with pb.testing.pair(Slow()) as (_, _, root):
            async with asyncio.TaskGroup() as group:
                first = group.create_task(asyncio.wait_for(root.echo(1), None))
                second = group.create_task(asyncio.wait_for(root.echo(2), None))
            assert (1, 2) == (first.result(), second.result())
            with pytest.raises(ExceptionGroup):
                async with asyncio.TaskGroup() as group:
                    group.create_task(asyncio.wait_for(root.wait(), None))
                    await root.echo(3)
                    raise LookupError
            await stopped.wait()

    stopped = asyncio.Event()
    run(main())
