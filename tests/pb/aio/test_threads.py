"""Methods that block, and those that do not; and the way back to the loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

import pb

from ..auth.rooms import settle
from .loops import run


def here():
    return threading.current_thread() is threading.main_thread()


class Level(pb.Tracked):
    height: int = 0


class Root(pb.Root):
    def __init__(self):
        self.level = Level()
        self.closed_in = []
        self.go_on = threading.Event()
        self.is_stepping = False

    @pb.in_thread
    def remote_rows(self, count):
        try:
            for _ in range(count):
                yield here(), pb.current_call().connection.is_open
        finally:
            self.closed_in.append(here())

    @pb.in_thread
    def remote_slow_rows(self):
        try:
            yield 1
            self.is_stepping = True
            self.go_on.wait()
            yield 2
        finally:
            self.closed_in.append(here())

    @pb.in_thread
    def remote_bad_rows(self):
        yield 1
        raise pb.Forbidden("no more")

    @pb.in_thread
    def remote_raise_it(self, height):
        assert not here()
        pb.on_loop(setattr, self.level, "height", height)
        with pytest.raises(ZeroDivisionError):
            pb.on_loop(divmod, 1, 0)
        return pb.on_loop(here)

    @pb.in_thread
    def remote_change(self):
        self.level.height += 1

    def remote_on_the_loop(self):
        return pb.on_loop(here)


@pytest.mark.parametrize("method", ["a coroutine", "an async generator"])
def test_an_async_method_is_no_matter_for_a_thread(method):
    """It would only make a coroutine there, and that would be the result."""

    async def remote_wait():
        return 1

    async def remote_rows():
        yield 1

    with pytest.raises(TypeError, match=r"remote_\w+ is an async def .* leave in_thread out"):
        pb.in_thread(remote_wait if method == "a coroutine" else remote_rows)


def test_the_steps_of_a_generator_run_in_threads(place, loop):
    """Each may block, as those of a cursor do; so may what is done at its end, and whoever takes no more."""

    async def main():
        root = Root()
        async with place.serve(root) as server, pb.open_connection(server.url) as connection:
            assert [(False, True)] * 3 == [row async for row in connection.root.rows(3)]
            stream = await connection.root.rows(10**9)
            assert (False, True) == await anext(stream)
            await stream.aclose()
            await settle(lambda: len(root.closed_in) == 2)
            assert [False, False] == root.closed_in
            with pytest.raises(pb.Forbidden, match="no more"):
                assert [1] == [row async for row in connection.root.bad_rows()]

    run(main(), loop)


def test_a_step_that_has_begun_ends_before_its_generator_is_closed(loop):
    """Python cannot close a generator that runs."""

    async def main():
        root = Root()
        async with pb.serve(root, "memory://steps") as server, pb.open_connection(server.url) as connection:
            stream = await connection.root.slow_rows()
            assert 1 == await anext(stream)
            await settle(lambda: root.is_stepping)
            await stream.aclose()
            await connection.root.on_the_loop()
            assert [] == root.closed_in
            root.go_on.set()
            await settle(lambda: root.closed_in)

    run(main(), loop)


def test_what_belongs_to_the_loop_is_done_there(loop):
    """An object that others follow is the loop's; the error says how to reach it."""

    async def main():
        root = Root()
        async with pb.serve(root, "memory://on-loop") as server, pb.open_connection(server.url) as connection:
            assert await connection.root.raise_it(3)
            assert 3 == root.level.height
            assert await connection.root.on_the_loop()

    run(main(), loop)


def test_who_serves_no_call_has_no_loop():
    """A thread of the program knows which loop it means."""
    with pytest.raises(RuntimeError, match="call_soon_threadsafe"):
        pb.on_loop(print)


def test_ctrl_c_while_a_method_runs_ends_the_loop_behind_the_answer():
    """As while any callback runs: the user wants an end, and the caller is not left waiting. What a library
    raises as SystemExit for what it was given ends one call."""

    class Interrupted(pb.Root):
        def remote_interrupt(self):
            raise KeyboardInterrupt

        async def remote_interrupt_later(self):
            await asyncio.sleep(0)
            raise KeyboardInterrupt

        def remote_exit(self):
            raise SystemExit(3)

    async def connect():
        server = await pb.serve(Interrupted(), "memory://interrupted")
        return server, await pb.open_connection("memory://interrupted")

    async def end():
        await connection.close()
        await server.close()

    loop = asyncio.new_event_loop()
    try:
        server, connection = loop.run_until_complete(connect())
        for method in ("interrupt", "interrupt_later"):
            call = pb.call_remote(connection.root, method)
            with pytest.raises(KeyboardInterrupt):
                loop.run_until_complete(asyncio.wait_for(asyncio.Event().wait(), 5))
            with pytest.raises(pb.Cancelled, match="has stopped it"):
                loop.run_until_complete(call)
        with pytest.raises(pb.RemoteError, match=r"pb\.Internal"):
            loop.run_until_complete(connection.root.exit())
        loop.run_until_complete(end())
    finally:
        loop.close()
