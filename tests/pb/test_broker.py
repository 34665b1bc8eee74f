"""The broker: its states, its HELLO, its signs of life, and what it owes to its surroundings."""

from __future__ import annotations

from operator import attrgetter

import pytest

import pb
from pb.broker import Broker
from pb.errors import printable
from pb.wire.state import NEXT, RECEIVES, State

from .lobbies import Noting as Root
from .pump import STEPS, Pump, Script, frame, packed

# --- states


def test_every_state_says_what_it_takes():
    """Spec 2.8, as a table (PB-F37)."""
    everything = set(range(1, 16))

    assert {0} == set(RECEIVES[State.GREETING])
    assert everything == set(RECEIVES[State.OPEN])
    assert everything == set(RECEIVES[State.LEAVING])
    assert everything == set(RECEIVES[State.DRAINING])
    assert set() == set(RECEIVES[State.CLOSED])


def test_what_the_table_names_is_there():
    """It is looked up when such a message comes, which would be too late to find a slip."""
    broker = Pump(Root()).server.broker
    named = {name for row in RECEIVES.values() for name in row.values()}

    assert [] == [name for name in sorted(named) if not callable(attrgetter(name)(broker))]


def test_every_state_has_an_end():
    """Whatever happens, the connection can be closed."""
    assert all(NEXT[state, "end"] is State.CLOSED for state in State)


@STEPS
def test_a_connection_opens_when_both_have_said_hello(step):
    """And each face is told once."""
    pump = Pump(Root(), greet=False, step=step)
    assert State.GREETING is pump.client.broker.state
    pump.run()

    assert State.OPEN is pump.client.broker.state
    assert State.OPEN is pump.server.broker.state
    assert pump.client.is_open


def test_no_call_is_made_before_the_peers_hello():
    """Its limits are not known yet, and nothing was sent: it may be made again."""
    pump = Pump(Root(), greet=False)
    outcome = pump.root.echo(1)

    with pytest.raises(pb.NotExecuted, match="HELLO"):
        outcome.result()


@STEPS
def test_a_peer_may_call_right_behind_its_hello(step):
    """One round trip less (PB-F21)."""
    script = Script(Root(), step=step, greet=False)
    script.say([0, "PB", 1, {}], [1, 1, 0, "echo", packed([[5], {}])])
    hello, answer = script.heard()

    assert 0 == hello[0]
    assert [2, 1, packed(5)] == answer


# --- liveness


@STEPS
@pytest.mark.parametrize("token", [0, 7, -(2**63), 2**64 - 1, "", "x" * 64, "é" * 32])
def test_a_ping_is_answered_with_its_token(step, token):
    """At once and in order (PB-M34)."""
    script = Script(step=step)
    script.say([13, token], [13, "next"])

    assert [[14, token], [14, "next"]] == script.heard()


@STEPS
def test_a_pong_is_a_sign_of_life_asked_for_or_not(step):
    """Nothing else is to be done (PB-M36)."""
    pump = Pump(Root(), step=step)
    pump.client.broker.heard = False
    pump.client.broker.ping("are you there?")
    pump.run()

    assert pump.client.broker.heard
    script = Script(step=step)
    script.say([14, 99])
    assert [] == script.heard()
    assert State.OPEN is script.broker.state


def test_a_connection_is_unused_when_nothing_of_the_peer_is_held_or_awaited():
    """One that was opened for its references may close then."""
    pump = Pump(Root(), greet=False)
    assert not pump.client.broker.is_unused
    pump.run()
    assert pump.client.broker.is_unused
    root = pump.root
    assert not pump.client.broker.is_unused
    outcome = root.wait()
    pump.run()
    del root
    pump.client.output()
    assert not pump.client.broker.is_unused

    pump.server.broker.tables.exports[0].object.gate.open()
    pump.run()
    assert None is outcome.result()
    assert pump.client.broker.is_unused


# --- the surroundings


def test_the_text_of_a_peer_is_made_fit_for_a_log():
    """One line, escaped, bounded (PB-E8)."""
    assert "plain text" == printable("plain text")
    assert "a\\nb\\x1b[31m" == printable("a\nb\x1b[31m")
    assert 200 == len(printable("x" * 1000))
    assert 200 == len(printable("\n" * 1000))


def test_data_is_not_referred_to_after_the_return():
    """The buffer it lies in belongs to the transport."""
    script = Script(Root())
    for cut in (0, 3, 9):
        data = bytearray(frame([13, 1]) + frame([13, 2])[:cut])
        with memoryview(data) as view:
            script.broker.receive_data(view)
        script.broker.receive_data(frame([13, 2])[cut:])
        assert [[14, 1], [14, 2]] == script.heard()


def test_brokers_made_with_a_root_publish_it():
    """A face may know it from the start."""
    root = Root()
    script = Script(None)
    other = Broker(script.side, script.broker.codec, pb.Limits(), root=root)

    assert root is other.tables.exports[0].object
    assert script.side.connection == other.connection
