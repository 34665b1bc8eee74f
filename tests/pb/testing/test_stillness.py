"""A test that waits for ever is told so, by the names of its functions, although connections keep alive."""

from __future__ import annotations

import asyncio

import pytest

import pb
from pb.testing import Clock, Stuck, pair, run


class Hang(pb.Root):
    async def remote_hang(self):
        await asyncio.Event().wait()

    def remote_echo(self, value):
        return value


def test_a_method_that_never_answers_is_found_although_the_connection_is_kept_alive():
    """Its signs of life go on for as long as the program does."""

    async def main():
        async with pair(Hang()) as (_, _, root):
            await root.hang()

    with pytest.raises(Stuck) as stuck:
        run(main(), limit_s=None)

    text = str(stuck.value)
    assert text.startswith("2 tasks wait and nothing is left that could wake one: ")
    assert "; " == text[text.index("wait()") + len("wait()") :][:2]
    assert "Hang.remote_hang, test_stillness.py:" in text and ": await asyncio.Event().wait()" in text
    assert "main, test_stillness.py:" in text and ": await root.hang()" in text


def test_it_is_found_before_the_limit():
    """The limit would say less."""

    async def main():
        async with pair(Hang()):
            await asyncio.Event().wait()

    clock = Clock()
    with pytest.raises(Stuck, match="main"):
        run(main(), clock=clock)

    assert 86_400 > clock.now


def test_what_a_test_that_is_stuck_holds_is_cleaned_up():
    """Its `finally` runs, as that of a cancelled task does."""
    seen = []

    async def main():
        async with pair(Hang()) as (_, _, root):
            try:
                await root.hang()
            finally:
                seen.append(await root.echo("still open"))

    with pytest.raises(Stuck):
        run(main(), limit_s=None)

    assert ["still open"] == seen


def test_a_dead_peer_is_found_by_the_timer_of_the_connection():
    """It takes a while of nothing but that timer, and is no deadlock."""

    async def main():
        async with pair(Hang(), faulty=True) as (_, _, root, network):
            call = root.hang()
            await asyncio.sleep(1)
            network.half_open()
            with pytest.raises(pb.OutcomeUnknown):
                await call

    run(main(), limit_s=None)


def test_a_connection_that_waits_for_its_greeting_is_no_deadlock():
    """The time for HELLO is a timer of the same kind."""

    async def main():
        async with pb.serve(Hang(), "memory://mute") as server, pb.testing.Network(server.url) as network:
            network.half_open()
            with pytest.raises((OSError, pb.Error)):
                await pb.open_connection(network.url, timeout=None)

    run(main(), limit_s=None)


def test_bytes_that_are_an_hour_under_way_are_waited_for():
    """The network has them, and no task goes on meanwhile."""

    async def main():
        limits = pb.Limits(idle_s=10**6, ping_after_s=10**5)
        async with pair(Hang(), faulty=True, limits=limits) as (_, _, root, network):
            network.delay(3600)
            return await root.echo(7)

    assert 7 == run(main(), limit_s=None)


def test_a_timer_of_the_program_is_waited_for():
    """And what comes of it may take its time again."""

    async def main():
        async with pair(Hang(), faulty=True) as (_, _, root, network):
            call = root.hang()
            asyncio.get_running_loop().call_later(3600, network.half_open)
            with pytest.raises(pb.OutcomeUnknown):
                await call

    run(main(), limit_s=None)


def test_a_connection_that_may_be_silent_for_years_is_not_waited_for():
    """By the clock that would be over at once, but each look costs some microseconds."""

    async def main():
        async with pair(Hang(), limits=pb.Limits(idle_s=10**12)) as (_, _, root):
            await root.hang()

    with pytest.raises(Stuck):
        run(main(), limit_s=None)


def test_nothing_is_kept_in_order_to_see_who_goes_on():
    """Who waited for an answer and has it drops it when it likes; the connection is clean then."""

    class Maker(pb.Root):
        def remote_make(self):
            return pb.Referenceable()

    async def main():
        async with pair(Maker(), faulty=True) as (client, _, root, network):
            network.delay(0.1)
            await root.make()
            await asyncio.sleep(0)
            assert "references to the peer's objects" not in pb.testing.held(client)

    run(main())


def test_the_limit_says_who_was_waiting_and_for_what():
    """A bare TimeoutError says nothing at all."""

    async def tick():
        await asyncio.sleep(1)

    async def main():
        while True:
            await tick()

    with pytest.raises(TimeoutError) as late:
        run(main(), limit_s=10)

    text = str(late.value)
    assert text.startswith("it has not ended within limit_s=10 s of its clock: main in ")
    assert "tick, test_stillness.py:" in text and text.endswith(": await asyncio.sleep(1)")


def test_a_test_that_does_not_end_when_it_is_cancelled_has_the_limit_once_more():
    """Or it would be cut off in the middle of its `finally`."""
    seen = []

    async def main():
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(9)
            seen.append(asyncio.get_running_loop().time())

    with pytest.raises(TimeoutError):
        run(main(), clock=Clock(), limit_s=10)

    assert [19.0] == seen


def test_tasks_that_were_left_over_are_named_by_their_functions():
    """Task-6 is in nobody's program."""
    kept = []

    async def forgotten():
        await asyncio.sleep(10)

    async def main():
        kept.append(asyncio.create_task(forgotten()))

    with pytest.raises(AssertionError) as left:
        run(main())

    text = str(left.value)
    assert text.startswith("1 task was left running: ")
    assert "forgotten, test_stillness.py:" in text and text.endswith(": await asyncio.sleep(10)")


def test_many_are_named_in_part():
    """The first ten show what it is."""

    async def lost():
        await asyncio.get_running_loop().create_future()

    async def main():
        await asyncio.gather(*(lost() for _ in range(20)))

    with pytest.raises(Stuck, match=r"^21 tasks wait .*; \.\.\.$") as stuck:
        run(main())

    assert 10 == str(stuck.value).count("test_stillness.py")
