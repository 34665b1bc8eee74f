"""Whether a method is asynchronous makes no difference to what it may return without `await`."""

from __future__ import annotations

import asyncio

import pytest

import pb
from pb import sync
from pb.calling.awaiting import awaited, is_awaitable

from ..aio.loops import run
from ..pump import Gate, Pump


class Listener(pb.Referenceable):
    async def remote_hear(self, words):
        return f"heard {words}"


class Root(pb.Root):
    def __init__(self):
        self.gate = Gate()
        self.seen = []

    def remote_plain(self, listener):
        return listener.hear("a plain one")

    async def remote_promise(self, listener):
        return listener.hear("it")

    async def remote_coroutine(self, listener):
        return self.remote_promise(listener)

    async def remote_gate(self):
        return self.gate

    async def remote_stopped(self):
        return self.wait()

    async def wait(self):
        try:
            await self.gate
        except BaseException as error:
            self.seen.append(type(error).__name__)
            raise

    async def remote_fails(self):
        return self.fail()

    async def fail(self):
        raise pb.Error("told")

    async def remote_endless(self):
        return Endless()

    async def remote_used(self):
        used = asyncio.sleep(0)
        used.close()
        return used


class Endless:
    """Gives itself, without waiting for anything."""

    def __await__(self):
        return self
        yield


RETURNS = [("plain", "heard a plain one"), ("promise", "heard it"), ("coroutine", "heard it")]


@pytest.mark.parametrize(("method", "value"), RETURNS)
def test_a_promise_that_a_method_returns_is_waited_for(method, value):
    """An `async def` that passes a call on reads as well without `await`."""

    async def main():
        async with (
            pb.serve(Root(), "memory://awaiting") as server,
            pb.open_connection(server.url) as connection,
        ):
            assert value == await getattr(connection.root, method)(Listener())

    run(main())


@pytest.mark.parametrize(("method", "value"), RETURNS[1:])
def test_it_is_waited_for_at_the_blocking_face_too(method, value):
    """Its asynchronous methods run on a loop."""

    class Both(Root):
        async def remote_promise(self, listener):
            return self.hear(listener)

        async def hear(self, listener):
            return await asyncio.to_thread(listener.hear, "it")

    with sync.serve(Both(), "pb://127.0.0.1:0") as server, sync.open_connection(server.url) as connection:
        assert value == getattr(connection.root, method)(Listener())


def test_a_method_is_stopped_where_it_waits_for_what_it_returned():
    """It is one call, and its task one task."""
    pump = Pump(Root())
    root = pump.server.broker.tables.exports[0].object
    outcome = pump.root.stopped()
    pump.run()
    assert not outcome.settled
    [served] = pump.server.broker.serving.running.values()
    served.cancel()
    pump.run()

    with pytest.raises(pb.Cancelled):
        outcome.result()
    assert ["Cancelled"] == root.seen


def test_the_error_of_what_was_returned_is_that_of_the_call():
    """As if it had been awaited."""
    with pytest.raises(pb.Error, match="told"):
        Pump(Root()).call("fails")


@pytest.mark.parametrize(
    ("method", "why"),
    [("endless", "Endless, the last of 8 awaitables"), ("used", "cannot reuse already awaited")],
)
def test_what_never_comes_to_a_value_fails_the_call_and_keeps_the_loop_for_nobody(caplog, method, why):
    """Each step runs at once: nothing else would ever have its turn."""
    pump = Pump(Root())
    with pytest.raises(pb.RemoteError, match="incident-1"):
        pump.call(method)

    assert why in caplog.text
    assert 0 == pump.server.broker.serving.count


def test_a_value_needs_one_await():
    """The usual case."""

    async def value():
        return 7

    coroutine = awaited(value())
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    assert 7 == done.value.value


@pytest.mark.parametrize(("kind", "answer"), [(Endless, True), (Gate, True), (int, False), (pb.Root, False)])
def test_a_class_is_asked_whether_it_can_be_awaited(kind, answer):
    """Once for each; what is told is of classes only."""
    assert answer is is_awaitable(kind)
