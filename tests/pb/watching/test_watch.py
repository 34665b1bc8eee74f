"""Hooks: what is looked up once, so that nobody pays for what nobody wants to know."""

from __future__ import annotations

import pytest

import pb

from ..hooked import Log, Root
from ..pump import Pump


def test_what_no_hook_overrides_costs_nothing():
    """Then the classes that do not watch do the work: nothing is even asked."""

    class Quiet(pb.Hooks):
        pass

    class Logins(pb.Hooks):
        def logged_in(self, login):
            pass

    class Served(pb.Hooks):
        sides = frozenset(("callee",))

        def call_ended(self, call):
            pass

    class Bytes(pb.Hooks):
        def bytes_sent(self, connection, count):
            pass

    kinds = {}
    for name, hooks in {
        "quiet": Quiet(),
        "logins": Logins(),
        "served": Served(),
        "bytes": Bytes(),
        "all": [Quiet(), Log()],
    }.items():
        broker = Pump(Root(), hooks=hooks).server.broker
        kinds[name] = [type(each).__name__ for each in (broker, broker.calls, broker.serving, broker.tables)]

    assert {
        "quiet": ["Broker", "Calls", "Serving", "Tables"],
        "logins": ["WatchedBroker", "Calls", "Serving", "Tables"],
        "served": ["WatchedBroker", "Calls", "WatchedServing", "Tables"],
        "bytes": ["MeteredBroker", "Calls", "Serving", "Tables"],
        "all": ["WatchedBroker", "WatchedCalls", "WatchedServing", "WatchedTables"],
    } == kinds


def test_a_hook_may_be_set_on_the_object():
    """Whoever counts one thing need not write a class."""
    ended = []
    hooks = pb.Hooks()
    hooks.call_ended = ended.append
    Pump(Root(), hooks=hooks).call("echo", 1)

    assert ["callee", "caller"] == sorted(call.side for call in ended)


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_hooks_are_told_of_the_calls_of_the_side_they_name(side):
    """A server that writes down what it is asked need not pay for what it asks."""
    log = Log()
    log.sides = {side}
    pump = Pump(Root(), client_root=Root(), hooks=log)
    pump.call("ask", Root())

    assert {side} == {call.side for call in log.calls} and 2 == len(log.of("ended"))


def test_sides_that_are_none_are_refused():
    """A string is a collection of letters, and "server" is no side."""
    for sides in ("caller", {"server"}):
        log = Log()
        log.sides = sides
        with pytest.raises(TypeError, match=r'sides of a Log are not a set of "caller" and "callee"'):
            Pump(hooks=log)


def test_a_hook_is_told_of_references_of_a_perspective_that_tells_no_name():
    """Nor does the call fail that hands them out."""

    class Odd(pb.Referenceable):
        @property
        def perspective_name(self):
            raise RuntimeError("odd")

        def perspective_thing(self):
            return pb.Referenceable()

    class Attaching(pb.Root):
        def remote_enter(self):
            return pb.current_call().attach(Odd())

    class Given(pb.Hooks):
        def __init__(self):
            self.given = []

        def reference_given(self, reference):
            self.given.append((reference.type, reference.perspective))

    hooks = Given()
    pump = Pump(Attaching(), hooks=hooks)
    thing = pump.call("enter").thing()
    pump.run()

    assert [("Odd", "Odd"), ("Referenceable", "Odd")] == hooks.given and thing.result() is not None


def test_what_are_no_hooks_is_refused():
    """The class itself is the usual slip."""
    with pytest.raises(TypeError, match="hooks= is the class itself"):
        Pump(hooks=Log)
    with pytest.raises(TypeError, match="hooks= is a str"):
        Pump(hooks=["x"])
