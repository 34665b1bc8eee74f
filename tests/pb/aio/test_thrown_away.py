"""Handlers that are thrown away in the middle of what they wait for, as by the end of their loop.

That may be while Python collects garbage, and so in the middle of anything: nothing is to begin there.
CPython 3.11 crashes where a context variable is set while it makes room for another one.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import types
from contextvars import ContextVar, copy_context

import pytest

import pb
from pb import context
from pb.testing import pair

from .loops import run

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Root(pb.Root):
    """Has methods that never return, and notes what is begun and ended."""

    def __init__(self):
        self.noted = []
        self.begun = asyncio.Event()

    async def wait(self):
        self.noted.append("begun")
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.noted.append("thrown away")

    async def remote_wait(self):
        async with pb.deadline(60):
            await self.wait()

    def remote_next(self, *values):
        self.noted.append("next")

    async def remote_numbers(self):
        yield 1
        await self.wait()

    async def remote_exit(self):
        await asyncio.sleep(0)
        raise GeneratorExit

    async def remote_exits(self):
        yield 1
        await asyncio.sleep(0)
        raise GeneratorExit

    def remote_home(self, value):
        return value


class Home(pb.Referenceable):
    remote_exit = Root.remote_exit


async def behind_a_result(root):
    """A call that needs the result stands in the line of its object, and another stands behind it."""
    waits = root.wait()
    return waits, root.next(waits), root.next()


async def a_message(root):
    root.wait.send()


async def a_stream(root):
    numbers = await root.numbers()
    return await anext(numbers), asyncio.ensure_future(anext(numbers))


class Count(pb.Hooks):
    """Counts what has ended."""

    def __init__(self):
        self.ended = 0

    def call_ended(self, call):
        self.ended += 1


WAITS = {
    "a call, and others behind its result": behind_a_result,
    "a message": a_message,
    "a stream": a_stream,
}


def collected():
    """Collect garbage; return who used a context variable meanwhile, and how."""
    users = []

    def look(frame, event, what):
        # Not where it is refused, as in a context that is not its own.
        if event == "c_return" and isinstance(getattr(what, "__self__", None), ContextVar):
            users.append((frame.f_code.co_qualname, what.__name__))

    sys.setprofile(look)
    try:
        gc.collect()
    finally:
        sys.setprofile(None)
    return users


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of sockets left open
@pytest.mark.parametrize("watched", [False, True], ids=["unwatched", "watched"])
@pytest.mark.parametrize("waits", WAITS)
def test_nothing_begins_in_the_collector(waits, watched):
    """Neither what stands behind the call, nor a hook, nor anything that sets a context variable."""
    served = Root()
    hooks = Count() if watched else None
    kept = []

    async def first_run():
        server = await pb.serve(served, "pb://127.0.0.1:0", hooks=hooks)
        connection = await pb.open_connection(server.url)
        kept.append((server, connection, await WAITS[waits](connection.root)))
        await served.begun.wait()
        for _ in range(5):
            await asyncio.sleep(0)

    async def another():
        async with pair(Root()) as (_, _, root):
            await root.next()

    gc.collect()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(first_run())
    loop.close()
    asyncio.run(another())  # when another loop begins, what closed ones left is let go of
    ended = hooks and hooks.ended
    kept.clear()
    del loop
    assert [] == [where for where, what in collected() if what != "get"]
    assert ["begun", "thrown away"] == served.noted
    assert ended == (hooks and hooks.ended)


def apply(function, *args):
    return function(*args)


@types.coroutine
def stop_here():
    yield


async def in_a_deadline():
    async with pb.deadline(60):
        await stop_here()


async def in_a_trace():
    async with pb.trace(None):
        await stop_here()


async def in_both():
    async with pb.deadline(60), pb.trace(None), pb.deadline(30):
        await stop_here()


@pytest.mark.parametrize("elsewhere", [False, True], ids=["in its context", "in another"])
@pytest.mark.parametrize("is_collected", [False, True], ids=["closed", "collected"])
@pytest.mark.parametrize("block", [in_a_deadline, in_a_trace, in_both])
def test_a_block_that_is_thrown_away_sets_nothing_and_ends(block, is_collected, elsewhere):
    """Even where who drives it by hand does so in the context in which it is thrown away."""

    async def drive():
        driven = block()
        in_context = copy_context().run if elsewhere else apply
        in_context(driven.send, None)
        return driven

    async def body():
        with pb.trace(TRACE):
            for _ in range(3):
                driven = await drive()
                ring = [driven]
                ring.append(ring)
                if not is_collected:
                    driven.close()
                del ring, driven
                assert [] == [where for where, what in collected() if what != "get"]
                found = context.inherited.get()
                assert (None, TRACE, None) == (found.at, found.trace.traceparent, found.call)
                assert (5.0, TRACE) == (found._replace(at=5.0).at, found._replace(at=5.0).trace.traceparent)
            async with pair(Root()) as (_, _, root):
                await root.next()
            async with pb.deadline(60):
                assert TRACE == context.inherited.get().trace.traceparent
                assert context.due_at() > asyncio.get_running_loop().time()
        assert context.inherited.get() is None

    run(body())


@pytest.mark.parametrize("watched", [False, True], ids=["unwatched", "watched"])
def test_a_method_that_raises_what_throws_coroutines_away_is_answered(watched):
    """So are those that stand behind its result; to both sides it looks the same as what is thrown away."""

    async def body():
        hooks = Count() if watched else None
        async with pair(Root(), hooks=hooks) as (_, _, root):
            fails = root.exit()
            behind = root.next(fails)
            with pytest.raises(pb.RemoteError, match="internal error"):
                await fails
            with pytest.raises(pb.BrokenPromise):
                await behind
            with pytest.raises(pb.Cancelled, match="stopped"):
                async for _ in await root.exits():
                    pass
            home = root.home(Home())
            with pytest.raises(pb.Cancelled):
                await home.exit()
            root.exit.send()
            for _ in range(3):
                assert await root.next() is None
        return hooks

    hooks = run(body())
    if hooks is not None:
        assert 2 * 8 == hooks.ended  # at the caller and at the callee
