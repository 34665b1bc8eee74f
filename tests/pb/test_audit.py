"""The audit log: who has called which method of what, what came of it, how much and how long it was."""

from __future__ import annotations

import logging

import pytest

import pb
from pb import context

from .peers import ask
from .pump import Gate, Pump, cancel, send

FIELDS = {
    "event",
    "side",
    "peer",
    "identity",
    "service",
    "perspective",
    "object",
    "method",
    "outcome",
    "error",
    "incident",
    "bytes_in",
    "bytes_out",
    "ms",
    "trace_id",
}


class Member:
    """A perspective, as cred makes them."""

    perspective_name = "ann the modérator"

    class service:
        name = "chat"

    def __init__(self):
        self.gate = Gate()

    def perspective_say(self, text):
        return text

    def perspective_fail(self):
        raise ZeroDivisionError("secret")

    def perspective_bad(self):
        return object()

    async def perspective_wait(self):
        await self.gate


class Door(pb.Root):
    def __init__(self):
        self.member = Member()

    def remote_enter(self):
        attached = pb.current_call().attach(self.member)
        attached.scope.identity = "ann"
        return attached


def entered(**options):
    """Return the events, a pump, its door and what a member of it holds."""
    events = []
    pump = Pump(Door(), hooks=pb.AuditLog(events.append, **options))
    member = pump.call("enter")
    events.clear()
    return events, pump, member


def told(events):
    return [(each["method"], each["outcome"], each["error"]) for each in events]


def test_audit_of_a_call_tells_all_of_it():
    """In bytes of the payloads and in milliseconds of the connection's clock; text in ASCII."""
    events, pump, member = entered()
    answer = ask(member, "say", "xyz")
    waits = ask(member, "wait")
    pump.run()
    pump.server.now = 0.25
    pump.server.broker.tables.exports[0].object.member.gate.open()
    pump.run()

    assert 1 == answer.settled == waits.settled
    common = {
        "event": "call",
        "side": "callee",
        "peer": "the connection of server",
        "identity": "ann",
        "service": "chat",
        "perspective": "ann the mod\\xe9rator",
        "object": "Member 1",
        "outcome": "answered",
        "error": "",
        "incident": "",
        "trace_id": "",
    }
    assert [
        common | {"method": "say", "bytes_in": 7, "bytes_out": 4, "ms": 0.0},
        common | {"method": "wait", "bytes_in": 3, "bytes_out": 1, "ms": 250.0},
    ] == events
    assert set(events[0]) == FIELDS


@pytest.mark.parametrize(
    ("method", "args", "outcome", "error", "incident"),
    [
        ("say", ("x",), "answered", "", ""),
        ("fail", (), "failed", "pb.Internal", "incident-1"),
        ("bad", (), "failed", "pb.Internal", "incident-1"),
        ("say", (), "refused", "pb.BadArguments", ""),
        ("n\x1bpe", (), "refused", "pb.NoSuchMethod", ""),
    ],
)
def test_audit_of_every_outcome(method, args, outcome, error, incident):
    """Those that were not run too; and no word of what was in it."""
    events, pump, member = entered()
    ask(member, method, *args)
    pump.run()
    [event] = events

    assert (outcome, error, incident) == (event["outcome"], event["error"], event["incident"])
    assert method.replace("\x1b", "\\x1b") == event["method"]
    assert ("ann", "chat") == (event["identity"], event["service"])
    assert event["bytes_in"] > 0 and event["bytes_out"] > 0
    assert "secret" not in repr(event)


def test_audit_of_what_is_stopped():
    """By the caller, by time, by the end of the connection: each is an event, and each only one."""
    events, pump, member = entered()
    given_up = ask(member, "wait")
    pump.run()
    cancel(member, given_up)
    pump.run()
    token = context.inherited.set(context.due(1.0))
    ask(member, "wait")
    context.inherited.reset(token)
    pump.run()
    pump.advance(2.0)
    ask(member, "wait")
    pump.run()
    pump.lose()
    pump.server.run_tasks()

    assert [
        ("wait", "cancelled", "pb.Cancelled"),
        ("wait", "expired", "pb.DeadlineExceeded"),
        ("wait", "lost", ""),
    ] == told(events)


def test_audit_of_what_wants_no_answer():
    """It was done all the same."""
    events, pump, member = entered()
    send(member, "say", "x")
    send(member, "fail")
    pump.run()

    assert [("say", "answered", ""), ("fail", "failed", "ZeroDivisionError")] == told(events)
    assert {("ann", 0)} == {(each["identity"], each["bytes_out"]) for each in events}


def test_audit_of_callers_is_written_where_it_is_wanted():
    """Who calls from here: nobody, where a connection has no perspective of its own."""
    events, pump, member = entered(callers=True)
    ask(member, "say", "x")
    pump.run()

    assert [("callee", "ann", "Member 1"), ("caller", "", "1")] == [
        (each["side"], each["identity"], each["object"]) for each in events
    ]


def test_audit_in_a_log_is_one_line_and_an_event(caplog):
    """What is empty is left out of the line."""
    caplog.set_level(logging.INFO, "audit")
    pump = Pump(Door(), hooks=pb.AuditLog(logging.getLogger("audit")))
    member = pump.call("enter")
    ask(member, "say", "x")
    pump.run()
    record = caplog.records[-1]

    assert FIELDS == set(record.audit)
    ask(member, 'a "b" c=d')
    pump.run()
    assert r'method="a \"b\" c=d" outcome=refused' in caplog.records[-1].getMessage()
    assert (
        'event=call side=callee peer="the connection of server" identity=ann service=chat '
        'perspective="ann the mod\\xe9rator" object="Member 1" method=say outcome=answered bytes_in=5 '
        "bytes_out=2 ms=0.0"
    ) == record.getMessage()
