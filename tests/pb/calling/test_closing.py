"""Closing in good order: nothing that was begun is lost, nothing new begins, and both sides know what ran."""

from __future__ import annotations

import pytest

import pb
from pb import messages
from pb.wire.state import State

from ..pump import STEPS, Gate, Outcome, Pump, Script, packed, send

NOTHING = packed([[], {}])


class Server(pb.Root):
    def __init__(self):
        self.gate = Gate()
        self.seen = []
        self.errors = []

    def remote_echo(self, value):
        return value

    def remote_note(self, value):
        self.seen.append(value)

    async def remote_wait(self):
        return await self.gate

    async def remote_ask(self, callback):
        await self.gate
        return await Asked(callback.note("asked"))

    async def remote_tell(self, callback):
        await self.gate
        send(callback, "note", "told")


class Asked(Gate):
    """Waits for the outcome of a call: the test opens it when that has come."""

    waiting_for = []

    def __init__(self, outcome):
        super().__init__()
        self.outcome = outcome
        self.waiting_for.append(self)


class Listener(pb.Referenceable):
    def __init__(self):
        self.seen = []

    def remote_note(self, value):
        self.seen.append(value)
        return f"noted {value}"


@pytest.fixture(autouse=True)
def asked():
    """The handlers that wait for an outcome of theirs."""
    Asked.waiting_for = []
    return Asked.waiting_for


def settle(pump, asked):
    """Run until nothing moves, handlers that got their answer included."""
    pump.run()
    while asked and asked[0].outcome.settled:
        gate = asked.pop(0)
        gate.open(gate.outcome.result())
        pump.run()


@STEPS
def test_a_close_finishes_what_is_under_way_and_starts_nothing_new(step):
    """Nothing is lost, nothing hangs."""
    root = Server()
    pump = Pump(root, step=step)
    waiting = pump.root.wait()
    pump.run()
    pump.client.broker.close()
    refused = pump.root.echo(1)
    pump.run()

    with pytest.raises(pb.NotExecuted, match="closing"):
        refused.result()
    assert not pump.client.has_ended

    root.gate.open("in time")
    pump.run()

    assert "in time" == waiting.result()
    assert pump.client.has_ended
    assert None is pump.client.error


@STEPS
def test_the_side_that_was_asked_may_be_the_one_that_works(step):
    """The server closes while it serves; the side that said BYE first closes the transport (PB-F32)."""
    root = Server()
    pump = Pump(root, step=step)
    waiting = pump.root.wait()
    pump.run()
    pump.server.broker.close(messages.BYE_GOING_AWAY, "restart")
    pump.run()
    refused = pump.root.echo(1)
    with pytest.raises(pb.NotExecuted, match=r"BYE 1 \(going away\): restart"):
        refused.result()
    assert not pump.server.has_ended

    root.gate.open("done")
    pump.run()

    assert "done" == waiting.result()
    assert pump.server.has_ended
    assert not pump.client.has_ended


@STEPS
def test_calls_that_cross_a_bye_are_told_that_they_did_not_run(step):
    """So that they may be made elsewhere (PB-F29)."""
    root = Server()
    pump = Pump(root, step=step)
    first = pump.root.note(1)
    pump.server.input(pump.client.output())
    crossing = pump.root.note(2)
    up = pump.client.output()
    pump.server.broker.close(messages.BYE_GOING_AWAY)
    pump.client.input(pump.server.output(), step)
    pump.server.input(up, step)
    pump.run()

    assert None is first.result()
    with pytest.raises(pb.NotExecuted, match="BYE 1"):
        crossing.result()
    assert [1] == root.seen


@STEPS
def test_when_both_say_bye_at_once_both_are_first(step):
    """Each finishes the other's calls that it began, and both close (spec 2.7)."""
    root, listener = Server(), Server()
    pump = Pump(root, client_root=listener, step=step)
    up, down = pump.root.wait(), pump.server.broker.root_reference().wait()
    pump.run()
    crossing_up = pump.root.note("up")
    crossing_down = pump.server.broker.root_reference().note("down")
    pump.client.broker.close()
    pump.server.broker.close()
    pump.run()

    for crossing in (crossing_up, crossing_down):
        with pytest.raises(pb.NotExecuted):
            crossing.result()
    assert [] == root.seen + listener.seen
    root.gate.open("up")
    listener.gate.open("down")
    pump.run()

    assert ["up", "down"] == [up.result(), down.result()]
    assert pump.client.has_ended
    assert pump.server.has_ended


@STEPS
@pytest.mark.parametrize("closer", ["client", "server"])
def test_a_handler_may_still_call_the_peer_it_serves(step, closer, asked):
    """What was begun can only finish that way (PB-F31)."""
    root, listener = Server(), Listener()
    pump = Pump(root, step=step)
    waiting = pump.root.ask(listener)
    pump.run()
    getattr(pump, closer).broker.close()
    pump.run()
    root.gate.open()
    settle(pump, asked)

    assert "noted asked" == waiting.result()
    assert ["asked"] == listener.seen
    assert getattr(pump, closer).has_ended


@pytest.mark.parametrize("closer", ["client", "server"])
def test_a_handler_may_still_tell_the_peer_it_serves(closer):
    """The same without an answer."""
    root, listener = Server(), Listener()
    pump = Pump(root)
    waiting = pump.root.tell(listener)
    pump.run()
    getattr(pump, closer).broker.close()
    pump.run()
    root.gate.open()
    pump.run()

    assert None is waiting.result()
    assert ["told"] == listener.seen


def test_a_serving_call_that_crosses_the_peers_bye_is_run(asked):
    """It was sent after our own BYE, of which `last` does not speak (spec 2.7)."""
    root, listener = Server(), Listener()
    pump = Pump(root)
    waiting = pump.root.ask(listener)
    pump.run()
    pump.server.broker.close()
    bye = pump.server.output()
    root.gate.open()  # the handler calls back after the server's BYE
    serving = pump.server.output()
    pump.client.input(bye + serving)
    settle(pump, asked)

    assert "noted asked" == waiting.result()
    assert pump.server.has_ended


def test_a_call_dropped_after_bye_may_be_cancelled():
    """The caller cannot know yet (spec 3.1, "The unexpected")."""
    root = Server()
    script = Script(root)
    script.broker.close()
    assert [[15, 0, "", 0]] == script.heard()
    script.say([1, 1, 0, "note", packed([["dropped"], {}])], [4, 1], [1, 0, 0, "note", NOTHING])
    script.say([1, 2, 0, "note", b"not even msgpack"], [13, 5])

    assert [[14, 5]] == script.heard()
    assert [] == root.seen
    assert State.LEAVING is script.broker.state


def test_a_dropped_call_keeps_the_rules_for_ids():
    """What it says is not looked at, where it stands is."""
    script = Script(Server())
    script.broker.close()
    script.say([1, 5, 0, "note", NOTHING], [1, 5, 0, "note", NOTHING])

    assert [15, 3] == script.heard()[-1][:2]


@pytest.mark.parametrize("fields", [[], [1], [1, 0, "note"], ["1", 0, "note", NOTHING]])
def test_a_dropped_call_is_a_call(fields):
    """A peer that breaks the rules is one also then."""
    script = Script(Server())
    script.broker.close()
    script.say([1, *fields])

    assert [15, 3] == script.heard()[-1][:2]


def test_an_abort_while_leaving_counts_no_dropped_calls():
    """They did not run, and its `last` says so."""
    script = Script(Server())
    script.say([1, 1, 0, "note", packed([[1], {}])])
    script.broker.close()
    script.say([1, 2, 0, "note", packed([[2], {}])], [99])

    assert [15, 3, "unknown message code 99", 1] == script.heard()[-1]


def test_everything_but_calls_goes_on_while_leaving():
    """References are given back and pings answered (PB-F32)."""
    pump = Pump(Server())
    thing = pb.Referenceable()
    pump.server.broker.tables.exports[0].object.remote_thing = lambda: thing
    remote = pump.call("thing")
    waiting = pump.root.wait()
    pump.run()
    pump.client.broker.close()
    pump.run()
    del remote
    pump.run()

    assert [0] == list(pump.server.broker.tables.exports)
    pump.server.broker.tables.exports[0].object.gate.open(1)
    pump.run()
    assert 1 == waiting.result()


def test_calls_that_wait_for_their_turn_do_not_run():
    """They were never sent."""
    root = Server()
    pump = Pump(root, limits=pb.Limits(max_calls=1))
    sent, waiting = pump.root.wait(), pump.root.note("late")
    pump.run()
    pump.client.broker.close()

    with pytest.raises(pb.NotExecuted, match="closing"):
        waiting.result()
    root.gate.open()
    pump.run()
    assert None is sent.result()
    assert [] == root.seen


def test_the_peers_bye_fails_the_calls_that_wait_for_their_turn():
    """They will never be sent."""
    root = Server()
    pump = Pump(root, limits=pb.Limits(max_calls=1))
    sent, waiting = pump.root.wait(), pump.root.note("late")
    pump.run()
    pump.server.broker.close()
    pump.run()

    with pytest.raises(pb.NotExecuted, match="BYE 0"):
        waiting.result()
    root.gate.open()
    pump.run()
    assert None is sent.result()


def test_a_call_given_up_is_not_settled_by_a_bye():
    """Nobody waits for it."""
    script = Script()
    given_up = Outcome()
    given_up.is_given_up = True
    script.broker.calls.make(script.broker.root_reference()._pb_import, "echo", (), {}, given_up)
    script.heard()
    script.say([15, 0, "", 0])

    assert 0 == given_up.settled
    assert {} == script.broker.calls.pending


@STEPS
def test_bye_is_answered_with_bye_once(step):
    """Whoever says it, and however often (PB-F27, PB-F30)."""
    script = Script(Server(), step=step)
    script.say([1, 3, 0, "note", NOTHING], [15, 1, "\x1b[2J", 0])
    assert [3, [15, 0, "", 3]] == [m[0] if m[0] == 3 else m for m in script.heard()]
    script.broker.close()
    script.broker.close()
    script.say([15, 0, "", 0])

    assert [] == script.heard()
    assert not script.side.has_ended  # the side that said it first closes


def test_closing_twice_is_closing_once():
    """With another code too."""
    script = Script(Server())
    script.broker.close()
    script.broker.close(1)
    assert [[15, 0, "", 0]] == script.heard()
    script.say([15, 0, "", 0])

    assert script.side.has_ended
    script.broker.close()
    assert [] == script.heard()


def test_closing_before_the_peers_hello_is_the_end():
    """There is nothing under way; what the peer hears is a HELLO and a BYE (PB-F27)."""
    script = Script(Server(), greet=False)
    script.broker.close()

    assert script.side.has_ended
    assert None is script.side.error
    assert [0, 15] == [message[0] for message in script.heard()]


def test_losing_the_connection_settles_every_call_once():
    """What was written may have run; what was not has not."""
    pump = Pump(Server())
    sent = pump.root.wait()
    pump.run()
    unsent = pump.root.wait()
    pump.lose()

    with pytest.raises(pb.OutcomeUnknown):
        sent.result()
    with pytest.raises(pb.NotExecuted):
        unsent.result()
    assert not pump.client.broker.tables.is_open


def test_losing_the_connection_stops_the_handlers():
    """Nobody waits for them."""
    root = Server()
    pump = Pump(root)
    pump.root.wait()
    send(pump.root, "wait")
    pump.run()
    assert 2 == pump.server.broker.serving.count
    pump.lose()

    assert 0 == pump.server.broker.serving.count
    assert b"" == pump.server.output()


def test_a_dead_reference_says_so_through_the_outcome():
    """One way to fail, not two."""
    pump = Pump(Server())
    root = pump.root
    pump.lose()

    with pytest.raises(pb.DeadReference):
        root.echo(1).result()
    with pytest.raises(pb.DeadReference):
        send(root, "echo", 1)
