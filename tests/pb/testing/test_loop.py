"""The loop with a clock that is told: order is kept, threads are waited for, and what hangs is found."""

from __future__ import annotations

import asyncio
import threading

import pytest

import pb
from pb.testing import Clock, Stuck, run


def test_an_hour_takes_no_time_and_comes_after_a_minute():
    """The order of timers is what a test is about, not their length."""
    seen = []

    async def sleep(seconds):
        await asyncio.sleep(seconds)
        seen.append((seconds, asyncio.get_running_loop().time()))

    async def main():
        await asyncio.gather(sleep(3600), sleep(60), sleep(0))

    clock = Clock(100.0)
    run(main(), clock=clock)

    assert [(0, 100.0), (60, 160.0), (3600, 3700.0)] == seen
    assert 3700.0 == clock()


def test_a_clock_does_not_go_backwards():
    """Timers that were due would be due again."""
    clock = Clock(5.0)
    with pytest.raises(ValueError, match="-1"):
        clock.advance(-1)

    assert "<Clock at 5 s>" == repr(clock)


def test_what_waits_for_ever_is_found_at_once():
    """With the tasks that wait; elsewhere this is a test that hangs."""

    async def lost():
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Stuck, match="lost"):
        run(lost(), limit_s=None)


def test_what_never_ends_ends_at_the_limit():
    """A loop that ticks for ever is no deadlock."""

    async def ticking():
        while True:  # noqa: ASYNC110
            await asyncio.sleep(1)

    clock = Clock()
    with pytest.raises(TimeoutError):
        run(ticking(), clock=clock, limit_s=10)

    assert 10.0 == clock.now


def test_a_thread_is_waited_for_while_the_clock_stands_still():
    """Deriving a key takes a while, and must not look like an hour."""

    async def main():
        loop = asyncio.get_running_loop()
        go = threading.Event()
        loop.call_later(3600, go.set)
        working = asyncio.ensure_future(asyncio.to_thread(go.wait, 0.05))
        before = loop.time()
        assert not await working
        assert before == loop.time()

    run(main())


def test_a_thread_of_somebody_else_may_still_wake_it():
    """It is no deadlock while anybody could."""

    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(future.set_result, 7))
        loop.call_soon(thread.start)
        value = await future
        thread.join()
        return value

    assert 7 == run(main())


def test_an_error_that_nobody_saw_fails_the_test():
    """It would be a line in a log."""

    async def main():
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(1)

    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run(main())


def test_a_task_that_is_left_over_fails_the_test():
    """Somebody forgot to end it."""
    kept = []

    async def main():
        kept.append(asyncio.create_task(asyncio.sleep(10), name="forgotten"))

    with pytest.raises(AssertionError, match="forgotten"):
        run(main())


def test_it_serves_over_sockets_too():
    """What is readable is read before the clock moves."""

    class Root(pb.Root):
        def remote_echo(self, value):
            return value

    async def main():
        # Connecting takes the kernel a moment on the wall, in which this clock may well have run for hours.
        limits = pb.Limits(hello_timeout_s=10**9, idle_s=10**9)
        async with (
            pb.serve(Root(), "pb://127.0.0.1:0", limits=limits) as server,
            pb.open_connection(server.url, limits=limits, timeout=10**9) as connection,
        ):
            return await connection.root.echo(1)

    assert 1 == run(main(), limit_s=None)


def test_within_a_loop_it_says_so_and_leaves_nothing_behind():
    """A plugin for asynchronous tests brings a loop, too."""

    async def main():
        await asyncio.sleep(0)

    async def test():
        run(main())

    with pytest.raises(RuntimeError, match="call it from a def"):
        asyncio.run(test())
