"""Hooks: each call is told at both ends, once at its start and once at its end, with what came of it."""

from __future__ import annotations

import pytest

import pb
from pb import context

from .hooked import Root, both, make
from .peers import ask
from .pump import cancel, send


def test_hooks_are_told_of_a_call_at_both_ends():
    """With what it took: the clock of the connection, and the bytes of both payloads."""
    log, _, pump = make()
    outcome = pump.root.wait()
    pump.client.now = pump.server.now = 1.5
    pump.run()
    pump.server.broker.serving.base.broker.tables.exports[0].object.gate.open()
    pump.run()

    assert 1 == outcome.result()
    assert ([("wait", "answered", "")],) * 2 == both(log)
    callee, caller = sorted(log.calls, key=lambda call: call.side)
    assert ("callee", "caller") == (callee.side, caller.side)
    assert ("", "remote", "Root") == (caller.kind, callee.kind, callee.type)
    assert (1, 1) == (caller.call_id, callee.call_id)
    assert (1.5, 0.0) == (caller.seconds, caller.started_at)
    assert (caller.bytes_out, caller.bytes_in) == (callee.bytes_in, callee.bytes_out) == (3, 1)
    assert "<CallEvent caller 'wait' answered>" == repr(caller)


@pytest.mark.parametrize(
    ("method", "args", "outcome", "error"),
    [
        ("echo", ("x" * 40_000,), "answered", ""),
        ("echo", (bytes(1_000_000),), "answered", ""),
        ("fail", (), "failed", "pb.Internal"),
        ("nope", (), "refused", "pb.NoSuchMethod"),
        ("echo", (1, 2, 3), "refused", "pb.BadArguments"),
        ("bad", (), "failed", "pb.Internal"),
    ],
)
def test_hooks_are_told_how_a_call_ended(method, args, outcome, error):
    """By the name that the caller may know; never by a text, which may hold a secret."""
    log, _, pump = make()
    pump.client.broker.root_reference()
    reply = ask(pump.root, method, *args)
    pump.run()

    assert reply.settled == 1
    assert ([(method, outcome, error)],) * 2 == both(log)
    if error == "pb.Internal":
        assert ["", "incident-1"] == sorted(call.incident for call in log.calls)
    names = [name for name in dir(pb.CallEvent) if name[0] != "_"]
    assert {"identity", "method", "error_type", "trace"} <= set(names)
    assert not any("secret" in repr(getattr(call, name)) for call in log.calls for name in names)


def test_hooks_are_told_of_calls_that_want_no_answer():
    """Sent is all that the caller knows; the callee knows how it went."""
    log, root, pump = make()
    send(pump.root, "echo", 1)
    send(pump.root, "fail")
    send(pump.root, "nope")
    send(pump.root, "wait")
    pump.run()
    assert [("wait", "sent", "")] == log.ends("caller")[-1:]
    assert 3 == len(log.ends("callee"))
    root.gate.open()
    pump.run()

    caller, callee = both(log)
    assert [(name, "sent", "") for name in ("echo", "fail", "nope", "wait")] == caller
    assert [
        ("echo", "answered", ""),
        ("fail", "failed", "ZeroDivisionError"),
        ("nope", "refused", "pb.NoSuchMethod"),
        ("wait", "answered", ""),
    ] == callee


def test_hooks_are_told_of_cancelled_and_expired_calls():
    """At the caller when it gives up, at the callee when it has stopped."""
    log, _, pump = make()
    given_up = pump.root.wait()
    pump.run()
    cancel(pump.root, given_up)
    assert [("wait", "cancelled", "")] == log.ends("caller")
    token = context.inherited.set(context.due(1.0))
    pump.root.wait()
    context.inherited.reset(token)
    pump.run()
    pump.advance(2.0)

    caller, callee = both(log)
    assert [("wait", "cancelled", ""), ("wait", "expired", "pb.DeadlineExceeded")] == caller
    assert [("wait", "cancelled", "pb.Cancelled"), ("wait", "expired", "pb.DeadlineExceeded")] == callee


def test_hooks_are_told_of_calls_that_were_lost():
    """Whatever was under way has an end, and then the connection has."""
    log, _, pump = make()
    pump.root.wait()
    pump.run()
    pump.server.broker.serving.hold()
    pump.root.echo()
    pump.run()
    pump.lose()
    pump.server.run_tasks()

    caller, callee = both(log)
    assert [("wait", "lost", "OutcomeUnknown"), ("echo", "lost", "OutcomeUnknown")] == caller
    assert {("wait", "lost", ""), ("echo", "lost", "")} == set(callee)
    assert 2 == len(log.of("closed"))


def test_a_call_that_cannot_be_made_has_an_end_too():
    """An argument that cannot be sent is found before anything is."""
    log, _, pump = make()
    reply = pump.root.echo(object())
    with pytest.raises(pb.Unjellyable):
        send(pump.root, "echo", object())

    assert reply.done()
    assert [("echo", "failed", "Unjellyable")] * 2 == both(log)[0]


def test_calls_that_wait_for_their_turn_are_told_once():
    """Started when they are made, not when they are sent; one may be given up in between."""
    log, root, pump = make(limits=pb.Limits(max_calls=1))
    outcomes = [pump.root.wait(), pump.root.wait(), pump.root.echo(2)]
    cancel(pump.root, outcomes[1])
    root.gate.open()
    pump.run()

    assert 2 == outcomes[2].result()
    caller, callee = both(log)
    assert ["cancelled", "answered", "answered"] == [outcome for _, outcome, _ in caller]
    assert [("wait", "answered", ""), ("echo", "answered", "")] == callee


def test_calls_that_are_held_are_told_once():
    """They arrive before they run."""
    log, _, pump = make()
    pump.server.broker.serving.hold()
    pump.root.echo(1)
    send(pump.root, "echo", 1)
    pump.run()
    assert [] == log.ends("callee")
    pump.server.broker.serving.start_held()
    pump.run()

    assert [("echo", "answered", "")] * 2 == both(log)[1]


def test_a_callback_knows_the_call_it_serves():
    """So who follows calls can tell what led to what."""
    log, _, pump = make()
    mine = Root()
    reply = pump.root.ask(mine)
    pump.run()

    assert 1 == reply.result()
    both(log)
    by = {(call.method, call.side): call for call in log.calls}
    assert 4 == len(by)
    assert all(call.parent is None for call in log.calls), "the chain of all calls is not kept"
