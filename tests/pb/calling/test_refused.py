"""What came with a refused call is given back at once, not when the cycle collector runs."""

from __future__ import annotations

import gc
import logging

import pytest

import jelly
import pb

from ..pump import Pump


class Stranger(pb.Copyable):
    x = 0


class Server(pb.Root):
    def remote_echo(self, value):
        return value

    def remote_take(self, value):
        raise LookupError("no")

    def remote_one(self, a):
        return None

    remote_value = 5


@pytest.fixture
def no_collector():
    """Without it, only what is free of rings is given back. Captured log records would hold errors, too."""
    gc.collect()
    gc.disable()
    logging.disable()
    yield
    logging.disable(logging.NOTSET)
    gc.enable()


@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("echo", "refused"),
        ("nope", "plain"),
        ("value", "plain"),
        ("take", "plain"),
        ("one", "two"),
    ],
)
def test_references_of_a_call_that_fails_are_released_without_the_collector(no_collector, method, args):
    """A peer that only ever fails must not fill the tables (PB-V36)."""
    registry = jelly.Registry()
    registry.add(Stranger, "a.Stranger", fields=["x"])
    pump = Pump(Server(), client_registry=registry, registry=jelly.Registry())
    thing = pb.Referenceable()
    sent = {"refused": ([thing, Stranger()],), "plain": (thing,), "two": (thing, thing)}[args]

    with pytest.raises(pb.Error):
        pump.call(method, *sent)
    pump.run()

    assert {} == pump.client.broker.tables.exports
    assert {} == pump.server.broker.tables.imports


def test_references_in_an_answer_that_is_refused_are_released_without_the_collector(no_collector):
    """The other direction."""
    registry = jelly.Registry()
    registry.add(Stranger, "a.Stranger", fields=["x"])

    class Giver(pb.Root):
        def remote_give(self):
            return [pb.Referenceable(), Stranger()]

    pump = Pump(Giver(), registry=registry, client_registry=jelly.Registry())
    outcome = pump.root.give()
    pump.run()
    outcome.error = None
    pump.run()

    assert [0] == list(pump.server.broker.tables.exports)
