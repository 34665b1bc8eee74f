"""Locks and changes that go on: the little that needs a loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from cred._loop import Locks, Unbroken, in_thread

from .helpers import run


def test_one_name_is_held_by_one_at_a_time():
    """And the lock is forgotten with the last who wants it."""

    async def main():
        locks, seen = Locks(), []

        async def hold(name, number):
            async with locks.of(name):
                seen.append(("in", number))
                await asyncio.sleep(0)
                seen.append(("out", number))

        await asyncio.gather(hold("a", 1), hold("a", 2), hold("a", 3))
        return seen, len(locks)

    assert ([(way, n) for n in (1, 2, 3) for way in ("in", "out")], 0) == run(main())


def test_who_stops_waiting_leaves_the_lock_to_others():
    """A connection lost in the queue must not block the name for ever."""

    async def main():
        locks = Locks()
        async with locks.of("a"):
            waiting = asyncio.ensure_future(locks.of("a").__aenter__())
            await asyncio.sleep(0)
            assert 1 == len(locks)
            waiting.cancel()
            await asyncio.wait([waiting])
        async with locks.of("a"):
            pass
        return len(locks)

    assert 0 == run(main())


def test_slow_work_is_done_elsewhere():
    """The loop has connections to serve."""
    assert threading.main_thread() is not run(in_thread(threading.current_thread))


def test_a_change_goes_on_without_who_asked():
    """And its error reaches who is still there."""

    async def main():
        unbroken, done, gate = Unbroken(), [], asyncio.Event()

        async def change():
            await gate.wait()
            done.append(1)

        asking = asyncio.ensure_future(unbroken.run(change()))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        gate.set()
        for _ in range(3):
            await asyncio.sleep(0)
        assert ([1], set()) == (done, unbroken._tasks)

        async def fail():
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await unbroken.run(fail())

    run(main())
