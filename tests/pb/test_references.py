"""The report of who holds which of our objects: what a leak is found by."""

from __future__ import annotations

import tracemalloc

import pytest

import pb
from pb.references import made_at, references_of

from .cached import REGISTRY, Stock
from .pump import Pump


class Thing(pb.Referenceable):
    pass


class Slotted(pb.Referenceable):
    __slots__ = ()


class Root(pb.Root):
    def __init__(self):
        self.thing, self.stock = Thing(), Stock(n=1)

    def remote_thing(self):
        return self.thing

    def remote_stock(self):
        return self.stock

    def remote_twice(self):
        return [self.thing, self.thing]


def test_ref_report_tells_what_is_held_since_when_and_in_which_role():
    """The oldest first, and without the root, which is always there."""
    pump = Pump(Root(), registry=REGISTRY)
    pump.server.now = 1.0
    stock = pump.call("stock")
    pump.server.now = 3.0
    thing = pump.call("twice")
    pump.server.now = 7.5
    cache, reference = references_of([pump.client.broker, pump.server.broker])

    assert ("Stock", "cache", 1, 1, 6.5) == (cache.type, cache.kind, cache.id, cache.count, cache.age_s)
    assert ("Thing", "remote", 2, 2, 4.5) == (
        reference.type,
        reference.kind,
        reference.id,
        reference.count,
        reference.age_s,
    )
    assert {"the peer of server"} == {cache.holder, reference.holder}
    assert ("", "", "", "") == (cache.identity, cache.service, cache.perspective, cache.made_at)
    assert stock is not None and thing is not None


def test_ref_report_tells_what_was_revoked_until_it_is_released():
    """A peer that keeps it costs a row."""
    root = Root()
    pump = Pump(root)
    thing = pump.call("thing")
    pump.server.broker.holdings.revoke_object(root.thing)
    [held] = references_of([pump.server.broker])

    assert ("", "gone") == (held.type, held.kind) and thing is not None


class Odd(pb.Referenceable):
    @property
    def perspective_name(self):
        raise RuntimeError("odd")

    def perspective_thing(self):
        return Thing()


class Attaching(pb.Root):
    def remote_thing(self):
        return Thing()

    def remote_enter(self):
        return pb.current_call().attach(Odd())


def test_a_perspective_that_tells_no_name_does_not_spoil_the_report_of_the_others():
    """It is an object of the program, whose name may run anything; its class stands for it."""
    pump = Pump(Attaching())
    thing = pump.call("thing")
    odd = pump.call("enter")
    given = odd.thing()
    pump.run()
    told = {(held.type, held.service, held.perspective) for held in references_of([pump.server.broker])}

    assert {("Thing", "", ""), ("Odd", "", "Odd"), ("Thing", "", "Odd")} == told
    assert thing is not None and given.result() is not None


@pytest.mark.parametrize("kind", [Thing, Slotted, lambda: pb.Limits()], ids=["plain", "slotted", "dataclass"])
def test_ref_report_tells_where_an_object_was_made(kind):
    """As far as tracemalloc was running then: the innermost line first."""
    before = kind()
    tracemalloc.start(4)
    try:
        made = made_here(kind)
        told = made_at(made)
        assert "" == made_at(before)
    finally:
        tracemalloc.stop()

    first, second, *_ = told.split(" < ")
    lines = [made_here.__code__.co_firstlineno + 1, made_here.__code__.co_firstlineno + 1]
    if kind is Thing or kind is Slotted:
        assert f"{__file__}:{lines[0]}" == first
        assert second.startswith(f"{__file__}:")
    else:
        assert f"{__file__}:{lines[1]}" == second
    assert "" == made_at(made), "tracemalloc has stopped"


def made_here(kind):
    return kind()
