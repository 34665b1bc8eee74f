"""In debug mode the log names the method that held up the loop, and says for how long."""

from __future__ import annotations

import asyncio
import types

import pytest

import pb
from pb.testing import Loop


@types.coroutine
def one_step():
    yield


class Sluggish(pb.Root):
    """Methods that take their time, by a clock that they move on."""

    def __init__(self, clock):
        self.clock = clock

    def remote_compute(self, seconds):
        self.clock.advance(seconds)
        return "computed"

    async def remote_fetch(self, before, after):
        self.clock.advance(before)
        await one_step()
        self.clock.advance(after)
        return "fetched"

    async def remote_fail(self):
        try:
            await one_step()
        finally:
            self.clock.advance(3)
        raise KeyError("fails as ever")

    async def remote_wait(self):
        await asyncio.sleep(5)
        return "waited"

    async def remote_hang(self):
        await asyncio.Event().wait()


def told_of(test, caplog, debug=True):
    """Run a test with a client of such an object; return what the log says of it."""
    loop = Loop()
    loop.set_debug(debug)

    async def main():
        async with (
            pb.serve(Sluggish(loop.clock), "memory://sluggish") as server,
            pb.open_connection(server.url) as connection,
        ):
            await test(connection.root)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())
    return [each for each in caplog.records if getattr(each, "pb_event", "") == "call.slow"]


@pytest.mark.parametrize(
    ("method", "args", "result", "took_s"),
    [
        ("compute", [2.5], "computed", "2.500"),
        ("fetch", [2.5, 0], "fetched", "2.500"),
        ("fetch", [0, 2.5], "fetched", "2.500"),
    ],
)
def test_a_method_that_blocks_is_named(caplog, method, args, result, took_s):
    """Whichever of its steps it is."""

    async def test(root):
        assert result == await pb.call_remote(root, method, *args)

    (told,) = told_of(test, caplog)
    assert f"Sluggish.remote_{method} blocked the loop for {took_s} s" in told.getMessage()
    assert "pb.in_thread" in told.getMessage()
    assert ("WARNING", method) == (told.levelname, told.pb_method)


def test_a_method_that_waits_or_is_quick_is_not(caplog):
    """Waiting holds up nobody; and what is stopped is stopped as ever."""

    async def test(root):
        assert "waited" == await root.wait()
        assert "computed" == await root.compute(0.09)
        with pytest.raises(pb.DeadlineExceeded):
            await root.hang.within(7)()

    assert [] == told_of(test, caplog)


def test_one_that_blocks_and_fails_is_named_and_fails(caplog):
    """As it would have."""

    async def test(root):
        with pytest.raises(pb.RemoteError, match="internal error"):
            await root.fail()

    (told,) = told_of(test, caplog)
    assert "Sluggish.remote_fail blocked the loop for 3.000 s" in told.getMessage()


def test_a_loop_that_does_not_debug_is_not_watched(caplog):
    """It would cost each call."""

    async def test(root):
        assert "computed" == await root.compute(2.5)

    assert [] == told_of(test, caplog, debug=False)


def test_what_holds_up_the_loop_for_long_is_told_and_then_named(caplog):
    """Peers that are not answered take the connection for lost, and do the work again: who owns the method is
    to know. Which it was the first time nobody has looked at."""

    async def test(root):
        assert "computed" == await root.compute(40)
        await asyncio.sleep(1)
        assert "computed" == await root.compute(0.9)
        assert "computed" == await root.compute(2.5)
        async with pb.open_connection("memory://sluggish") as late:
            assert "fetched" == await late.root.fetch(0, 3)
        assert "computed" == await root.compute(40)
        await asyncio.sleep(1)

    first, *named = [each.getMessage() for each in told_of(test, caplog, debug=False)]
    assert "the event loop was held up for" in first
    assert [
        "Sluggish.remote_compute blocked the loop for 2.500 s",
        "Sluggish.remote_fetch blocked the loop for 3.000 s",
        "Sluggish.remote_compute blocked the loop for 40.000 s",
    ] == [each.partition(",")[0] for each in named]
