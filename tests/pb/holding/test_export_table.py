"""The table of exports, where it refuses."""

from __future__ import annotations

import pytest

import jelly
import pb

from ..pump import Pump
from .test_tables import Server, exported


class Door(pb.Referenceable):
    """Something to hand out."""


def test_nothing_is_handed_out_over_an_ended_connection():
    """A row made now would never be taken back, and nobody would be told of its end."""
    pump = Pump(pb.Root())
    broker = pump.server.broker
    pump.lose()
    with pytest.raises(jelly.Unjellyable, match="a hook has just ended"):
        broker.tables.export(Door(), broker.scope)

    assert {} == broker.tables.exports


def test_what_goes_home_is_not_given_back_with_a_payload_that_is_not_sent():
    """It was never counted (R14), and its id, which is the peer's, may be that of something of ours too."""
    pump = Pump(Server())
    (thing,) = pump.call("thing")
    pump.call("keep", Door())
    assert {1: 1} == exported(pump.client) == exported(pump.server)

    for value in (thing, [thing, Door()], {"x": (thing, thing)}):
        with pytest.raises(jelly.Unjellyable):
            pump.root.echo(value, object()).result()
    assert {1: 1} == exported(pump.client)


def test_a_state_that_is_a_plain_value_stands_in_a_graph_too():
    """It has no identity and becomes no part; it is written where it stands."""
    registry = jelly.Registry()

    @registry.cacheable("x.Seven")
    class Seven(pb.Cacheable, pb.RemoteCache):
        def get_state_to_cache_and_observe_for(self, perspective, observer):
            return 7

        def set_copyable_state(self, state):
            self.state = state

    shared = [1]

    class Place(pb.Root):
        def remote_get(self):
            return [shared, Seven(), shared]

    first, seven, second = Pump(Place(), registry=registry).call("get")

    assert first is second
    assert 7 == seven.state
