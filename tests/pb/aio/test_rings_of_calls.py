"""What a call leaves that failed, or was refused: nothing for the collector of garbage to find.

An error knows the functions it went through. Where one of these knows the error, all that they know is kept
until the collector runs: the arguments of calls, and the references among them.
"""

from __future__ import annotations

import asyncio
import gc

import pytest

import jelly
import pb
from pb.testing import pair

from .loops import run

COUNT = 5


class Known(pb.Error):
    """What both sides have registered."""


class Root(pb.Root):
    def remote_echo(self, value=None):
        return value

    def remote_fail(self):
        raise ValueError("an incident")

    def remote_known(self):
        raise Known("an error")

    async def remote_known_later(self):
        await asyncio.sleep(0)
        raise Known("an error")

    def remote_unsendable(self):
        return [object()]

    async def remote_rows(self):
        yield 1
        raise Known("an error")

    async def remote_wait(self):
        await asyncio.Event().wait()


async def rows(root):
    async for _ in await root.rows():
        pass


async def cancelled(root):
    call = asyncio.ensure_future(root.wait())
    await asyncio.sleep(0)
    call.cancel()
    await call


async def unheard(root):
    root.nope.send()
    root.fail.send()
    await root.echo()


FAILS = {
    "no such method": lambda root: root.nope(),
    "bad arguments": lambda root: root.echo(1, 2),
    "an incident": lambda root: root.fail(),
    "an error": lambda root: root.known(),
    "an error, later": lambda root: root.known_later(),
    "a result that cannot be sent": lambda root: root.unsendable(),
    "an argument that cannot be sent": lambda root: root.echo([object()]),
    "a result too deep": lambda root: root.echo([[[[[[[[1]]]]]]]]),
    "no time": lambda root: root.echo.within(0)(),
    "a stream": rows,
    "a promise": lambda root: root.known().echo(),
    "cancelled": cancelled,
    "unheard": unheard,
}


async def failed(fail, root):
    for _ in range(COUNT):
        try:
            await fail(root)
        except (Exception, asyncio.CancelledError):
            pass
    for _ in range(3):
        await asyncio.sleep(0)
        await root.echo()


def found_by_the_collector():
    """Collect garbage; return the errors that only the collector could free."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return [type(each).__name__ for each in gc.garbage if isinstance(each, BaseException)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


@pytest.mark.parametrize("fail", FAILS.values(), ids=FAILS)
def test_a_call_that_fails_leaves_no_ring(fail):
    registry = jelly.Registry()
    registry.add(Known, "rings.Known")

    async def main():
        async with pair(Root(), registry=registry, limits=pb.Limits(max_depth=6)) as (_, _, root):
            await failed(fail, root)  # the first time things are made that last
            gc.collect()
            gc.disable()
            try:
                await failed(fail, root)
                assert [] == found_by_the_collector()
            finally:
                gc.enable()

    run(main())
