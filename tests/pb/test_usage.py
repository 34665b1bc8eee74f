"""What a connection holds, beside what it may hold."""

from __future__ import annotations

import dataclasses

import pytest

import pb
from pb import messages
from pb.usage import usage_of

from .pump import Gate, Pump, Script, send
from .streamers import Source

LIMITS = pb.Limits(max_calls=4, max_refs=10, max_streams=2, window=2, useless_requests=100)


class Thing(pb.Referenceable):
    pass


class Server(pb.Root):
    def __init__(self):
        self.gate = Gate()
        self.kept = []

    async def remote_wait(self):
        await self.gate

    async def remote_hold(self, value):
        await self.gate

    def remote_keep(self, *values):
        self.kept += values

    def remote_things(self, count):
        return [Thing() for _ in range(count)]

    def remote_ints(self):
        return Source()


def both(pump, bytes_waiting=0):
    return [usage_of(side.broker, bytes_waiting) for side in (pump.client, pump.server)]


def test_usage_of_a_connection_that_does_nothing_is_nothing():
    """But for its root, which is not counted."""
    for usage in both(Pump(Server(), limits=LIMITS)):
        shares = usage.shares
        assert shares.pop("references_given") in (0, 1 / 11)
        assert {0.0} == set(shares.values())


def test_usage_tells_calls_and_messages_at_both_ends():
    """Those on their way against max_calls of who serves them, and those that wait for their turn."""
    pump = Pump(Server(), limits=LIMITS)
    for _ in range(6):
        pump.root.wait()
    send(pump.root, "keep", 1)
    pump.run()
    client, server = both(pump)

    assert (4, 2, 1) == (client.calls_made, client.calls_waiting, client.messages_waiting)
    assert (1.0, 1 / 4096) == (client.shares["calls_made"], client.shares["messages_waiting"])
    assert "calls_waiting" not in client.limits, "so many as this program makes"
    assert (4, 1.0) == (server.calls_served, server.shares["calls_served"])


def test_usage_tells_what_the_arguments_of_running_calls_take():
    """At who serves them."""
    pump = Pump(Server(), limits=LIMITS)
    pump.root.hold(bytes(100_000))
    pump.run()
    client, server = both(pump)

    assert (0, 0.0) == (client.call_bytes, client.shares["call_bytes"])
    assert 100_000 <= server.call_bytes < 110_000
    assert server.call_bytes / LIMITS.max_call_bytes == server.shares["call_bytes"]


def test_usage_tells_references_without_the_root():
    """The limit does not count it, so ten of ten are all."""
    pump = Pump(Server(), limits=LIMITS)
    root, held = pump.root, pump.call("things", 5)
    client, server = both(pump)
    assert (6, 0.5) == (client.references_held, round(client.shares["references_held"], 1))
    assert (6, 11) == (server.references_given, server.limits["references_given"])
    held += pump.call("things", 5)
    client, server = both(pump)

    assert 1.0 == client.shares["references_held"] == server.shares["references_given"]
    with pytest.raises(pb.TooLarge):
        pump.call("things", 1)
    assert 10 == len(held) and root is pump.root


def test_usage_tells_streams_and_what_of_them_waits():
    """At who sends them, and at who takes them."""
    pump = Pump(Server(), limits=LIMITS)
    stream = pump.call("ints")
    pump.run()
    client, server = both(pump)

    assert (1, 0.5) == (client.streams_taken, client.shares["streams_taken"])
    assert (1, 0.5) == (server.streams_sent, server.shares["streams_sent"])
    assert 0 < client.stream_bytes < 1000
    assert client.stream_bytes / LIMITS.max_stream_bytes == client.shares["stream_bytes"]
    assert stream is not None


def test_usage_tells_bytes_in_every_place_where_they_wait():
    """In the transport, in messages that nobody takes, and in the frame that is arriving."""
    pump = Pump(Server(), limits=LIMITS)
    pump.client.broker.calls.hold()
    send(pump.root, "keep", bytes(64 * 1024))
    pump.server.broker.receive_data(b"\0\1\0\0" + bytes(1000))
    client, server = both(pump, 1024 * 1024)

    assert (0.25, 1 / 16) == (round(client.shares["bytes_held_up"], 2), client.shares["bytes_waiting"])
    assert (1000, 1000 / LIMITS.max_frame) == (server.bytes_arriving, server.shares["bytes_arriving"])


def test_usage_tells_what_of_the_budget_is_spent():
    """It comes back with time."""
    script = Script(Server(), limits=LIMITS)
    script.say(*[[messages.PING, number] for number in range(26)])
    spent = usage_of(script.side.broker, 0)
    script.side.now += 0.5
    later = usage_of(script.side.broker, 0)
    script.side.now += 1e6

    assert (26, 0.25) == (spent.useless_requests, spent.shares["useless_requests"])
    assert 10 == later.useless_requests
    assert 0 == usage_of(script.side.broker, 0).useless_requests


def test_usage_before_the_peers_hello_knows_no_limits_of_the_peer():
    """They are in it. Where nothing is allowed, all of it is used."""
    usage = usage_of(Pump(Server(), limits=LIMITS, greet=False).client.broker, 0)
    none = dataclasses.replace(usage, limits={"calls_served": 0})

    assert {"calls_made", "references_given", "streams_sent"}.isdisjoint(usage.limits)
    assert {"calls_served": 1.0} == none.shares
