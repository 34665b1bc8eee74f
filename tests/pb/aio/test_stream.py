"""Streams over every transport and under every loop: what a program sees."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools

import pytest

import pb

from .loops import run


class Root(pb.Root):
    def __init__(self):
        self.made = 0
        self.closed = asyncio.Event()
        self.kept = None

    async def remote_ints(self, count=None):
        try:
            for number in itertools.count() if count is None else range(count):
                self.made = number + 1
                yield number
        finally:
            self.closed.set()

    def remote_plain(self, count):
        yield from range(count)

    def remote_list(self):
        return [1, 2]

    async def remote_forever(self):
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            self.closed.set()

    async def remote_sum(self, numbers):
        return sum([number async for number in numbers])

    async def remote_first(self, numbers):
        async for number in numbers:
            return number
        return None

    async def remote_scoped(self):
        async with asyncio.timeout(60):  # which must be left in the task that entered it
            for number in range(40):
                await asyncio.sleep(0)
                yield number

    def remote_keep(self, stream):
        self.kept = stream

    def remote_made(self):
        return self.made

    def remote_peer(self):
        return pb.current_call().connection.peer

    async def remote_who(self):
        yield pb.current_call().connection.peer

    async def remote_slow_start(self):
        await asyncio.sleep(3600)
        return iter([1])


@contextlib.asynccontextmanager
async def connected(place, **options):
    """Serve a root at a place; yield the root and a reference to it."""
    root = Root()
    async with (
        place.serve(root, **options) as server,
        pb.open_connection(server.url, **options) as connection,
    ):
        yield root, connection.root


def test_stream_of_a_call_directly_and_of_its_result(place, loop):
    """`async for` takes what a call returns as it is, or awaited."""

    async def main():
        async with connected(place) as (_, ref):
            assert [*range(100)] == [number async for number in ref.ints(100)]
            assert [*range(100)] == [number async for number in await ref.plain(100)]
            assert isinstance(await ref.ints(1), pb.Stream)
            assert [await ref.peer()] == [peer async for peer in ref.who()]
            assert [*range(40)] == [number async for number in ref.scoped()]

    run(main(), loop)


def test_break_of_a_stream_runs_the_producers_finally(place, loop):
    """At once, not when some collector comes by; the next call finds it done."""

    async def main():
        async with connected(place) as (root, ref):
            async for number in ref.ints():
                if number == 20:
                    break
            await root.closed.wait()
            assert root.made <= 20 + 16 + 1

    run(main(), loop)


def test_stream_of_infinite_ints_is_never_more_than_the_window_ahead_of_a_stopped_consumer(place):
    """Over a real network too."""

    async def main():
        async with connected(place, limits=pb.Limits(window=4)) as (root, ref):
            stream = await ref.ints()
            for taken in range(10):
                for _ in range(3):
                    assert await ref.made() <= taken + 4
                assert taken == await anext(stream)
            await stream.aclose()
            await root.closed.wait()

    run(main())


def test_who_gives_up_waiting_for_an_item_may_wait_again(place):
    """As with a queue: only the waiting is cancelled."""

    async def main():
        async with connected(place) as (root, ref):
            stream = await ref.forever()
            assert 1 == await anext(stream)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0.01)
            assert not root.closed.is_set()
            await stream.aclose()
            await root.closed.wait()

    run(main())


@pytest.mark.parametrize("way", ["aclose", "drop", "aclosing", "cancel", "error"])
def test_every_way_to_leave_a_stream_closes_its_producer(place, way):
    """Whatever ends the loop."""

    async def main():
        async with connected(place) as (root, ref):
            if way == "aclose":
                stream = await ref.forever()
                assert 1 == await anext(stream)
                await stream.aclose()
                await stream.aclose()
                assert [] == [item async for item in stream]
            elif way == "drop":
                stream = await ref.ints()
                del stream
                gc.collect()
            elif way == "aclosing":
                async with contextlib.aclosing(await ref.ints()) as stream:
                    await anext(stream)
            elif way == "cancel":
                arrived = asyncio.Event()

                async def consume():
                    async for _ in ref.forever():
                        arrived.set()

                task = asyncio.create_task(consume())
                await arrived.wait()
                task.cancel()
                await asyncio.wait([task])
                assert task.cancelled()
            else:
                with pytest.raises(ZeroDivisionError):
                    async for number in ref.ints():
                        1 / number
            await asyncio.wait_for(root.closed.wait(), 10)

    run(main())


def test_a_stream_as_an_argument_in_both_directions(place, loop):
    """Async generators, and plain iterators that do not block."""

    async def main():
        closed = asyncio.Event()

        async def numbers():
            try:
                for number in itertools.count(5):
                    yield number
            finally:
                closed.set()

        async with connected(place) as (_, ref):
            assert 45 == await ref.sum(iter(range(10)))
            assert 4950 == await ref.sum(number for number in range(100))
            assert 5 == await ref.first(numbers())
            await closed.wait()

    run(main(), loop)


def test_what_is_no_stream_says_so(place):
    """Instead of an error about some method with underscores."""

    async def main():
        async with connected(place) as (_, ref):
            with pytest.raises(TypeError, match="brought a list, which is no stream"):
                async for _ in ref.list():
                    pass
            with pytest.raises(pb.NoSuchMethod):
                async for _ in ref.nothing():
                    pass

    run(main())


def test_a_loop_over_a_call_that_is_given_up_cancels_the_call(place):
    """Before there is a stream."""

    async def main():
        async with connected(place) as (_, ref):
            rows = ref.slow_start().__aiter__()
            await rows.aclose()
            assert [] == [item async for item in rows]
            rows = ref.ints().__aiter__()
            assert rows is rows.__aiter__()
            await ref.made()
            await rows.aclose()
            assert [] == [item async for item in rows]

    run(main())


def test_a_deadline_covers_the_stream(place):
    """The block, and the call alone."""

    async def main():
        async with connected(place) as (root, ref):
            with pytest.raises(TimeoutError):
                async with pb.deadline(0.05):
                    async for _ in ref.forever():
                        pass
            await root.closed.wait()
            root.closed.clear()
            with pytest.raises(pb.DeadlineExceeded):
                async for _ in ref.forever.within(0.05)():
                    pass
            await root.closed.wait()

    run(main())


def test_a_lost_connection_is_told_at_both_ends(place):
    """The consumer gets ConnectionLost, the producer its `finally`."""

    async def main():
        async with connected(place) as (root, ref):
            stream = await ref.forever()
            assert 1 == await anext(stream)
            pb.connection_of(ref).abort()
            with pytest.raises(pb.ConnectionLost):
                await anext(stream)
            await root.closed.wait()

    run(main())


def test_closing_waits_for_a_stream_that_is_under_way(place):
    """What has begun is finished."""

    async def main():
        async with connected(place) as (_, ref):
            stream = await ref.ints(100)
            closing = asyncio.create_task(pb.connection_of(ref).close())
            assert [*range(100)] == [number async for number in stream]
            await closing

    run(main())


def test_a_stream_is_passed_on_and_no_longer_read_here(place):
    """Its items go to whom it was sent."""

    async def main():
        async with connected(place) as (root, ref):
            stream = await ref.ints()
            await ref.keep(stream)
            with pytest.raises(RuntimeError, match="sent on"):
                await anext(stream)
            assert [0, 1, 2] == [await anext(root.kept) for _ in range(3)]
            await root.kept.aclose()
            await root.closed.wait()

    run(main())


def test_calls_get_through_while_a_stream_runs(place, loop):
    """A producer that never waits, with a consumer that never stops, keeps nobody from being served."""

    async def main():
        async with connected(place) as (_, ref):
            taken = 0

            async def consume():
                nonlocal taken
                async for _ in ref.ints():
                    taken += 1

            task = asyncio.create_task(consume())
            for _ in range(20):
                await ref.made()
            task.cancel()
            await asyncio.wait([task])
            assert taken > 20

    run(main(), loop)


def test_a_stream_that_nobody_can_get_hold_of_is_stopped_at_once(place):
    """In the answer to a call that was given up, when nothing else is to be written."""

    async def main():
        async with connected(place) as (root, ref):
            call = ref.ints()
            await asyncio.sleep(0)  # it is written
            call.cancel()
            await asyncio.wait_for(root.closed.wait(), 10)
            ref.keep.send([ref, iter([1])])
            await ref.made()
            root.kept = None
            gc.collect()

    run(main())


def test_a_connection_that_is_kept_by_a_stream_closes_with_it(place):
    """The last reference is gone before; the end of the stream is the end of the connection."""

    async def main():
        async with place.serve(Root()) as server:
            ref = await pb.get_object_at(server.url)
            connection = pb.connection_of(ref)
            stream = await ref.ints(100)
            del ref
            gc.collect()
            assert [*range(100)] == [number async for number in stream]
            await asyncio.wait_for(connection.wait_closed(), 10)

    run(main())
