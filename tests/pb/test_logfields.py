"""The fields of log records: on every record, under names that are defined once, and without secrets."""

from __future__ import annotations

import ast
import functools
import json
import logging
from pathlib import Path

import pytest

import pb
from cred import _logfields as of_cred
from pb.context import serving
from pb.logfields import EVENTS, FIELDS, fields, log_fault

from .pump import Gate, Pump, send

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def json_formatter():
    """Return the formatter that docs/observing.md shows."""
    page = (ROOT / "docs" / "observing.md").read_text(encoding="utf-8")
    [block] = [part for part in page.split("```python\n") if part.startswith("class Json(")]
    names = {"logging": logging, "json": json}
    exec(block.partition("```")[0], names)
    return names["Json"]()


class Root(pb.Root):
    def __init__(self):
        self.gate = Gate()

    def remote_fail(self):
        raise ZeroDivisionError("secret")

    async def remote_fail_later(self):
        await self.gate
        raise ZeroDivisionError("secret")

    def remote_bad(self):
        return object()

    def remote_note(self, value):
        logging.getLogger("mine").warning("noted")


def written(caplog):
    """Return the records as the formatter writes them."""
    return [json.loads(json_formatter().format(record)) for record in caplog.records]


@functools.cache
def calls():
    """Return each call in the sources, with the path of its file."""
    return [
        (path, node)
        for package in ("pb", "cred", "jelly")
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]


def test_every_record_has_fields():
    """A record without is one that no program can find."""
    bare = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path, call in calls()
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in LEVELS
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "log"
        and "extra" not in {keyword.arg for keyword in call.keywords}
    ]

    assert [] == bare


def test_every_event_is_in_the_table_and_every_one_of_the_table_happens():
    """What is logged under a name that nobody knows is not found, and what never comes is waited for."""
    used = {
        call.args[0].value
        for _, call in calls()
        if isinstance(call.func, ast.Name)
        and call.func.id == "fields"
        and isinstance(call.args[0], ast.Constant)  # else it is one that a caller has named
    }

    assert set(EVENTS) == used


def test_the_documentation_has_every_name():
    """With what it tells, word for word."""
    page = (ROOT / "docs" / "observing.md").read_text(encoding="utf-8")

    assert [] == [name for name, what in (FIELDS | EVENTS).items() if f"| `{name}` | {what} |\n" not in page]


def test_cred_uses_the_same_names():
    """It cannot know pb, so it has them a second time."""
    told = of_cred.fields(
        "login.refused", identity="é\n", service="s", mechanism="m", error=KeyError("secret")
    )

    assert set(told) <= set(FIELDS)
    assert {
        "pb_event": "login.refused",
        "pb_identity": "\\xe9\\n",
        "pb_service": "s",
        "pb_mechanism": "m",
        "pb_error": "KeyError",
    } == told
    assert {"pb_event": "store.unused"} == of_cred.fields("store.unused", identity=None)


@pytest.mark.parametrize("method", ["fail", "fail_later", "bad"])
def test_an_incident_says_whose_call_of_what_it_was(method, caplog):
    """Whoever is told the id by the caller finds the record by it, and knows where to look."""
    pump = Pump(Root())
    outcome = getattr(pump.root, method)()
    pump.run()
    pump.server.broker.tables.exports[0].object.gate.open()
    pump.run()
    [record] = written(caplog)

    assert outcome.error.remote_type == "pb.Internal"
    assert "incident" == record["pb_event"]
    assert "incident-1" == record["pb_incident"]
    assert ("Root 0", method) == (record["pb_object"], record["pb_method"])
    assert "the peer of server" == record["pb_peer"]
    assert "secret" not in json.dumps(record)


def test_a_refused_call_says_what_was_wanted(caplog):
    """The name is the peer's, so it is escaped."""
    caplog.set_level(logging.INFO)
    pump = Pump(Root())
    with pytest.raises(pb.NoSuchMethod):
        pump.call("näh")
    with pytest.raises(pb.BadArguments):
        pump.call("note")
    refused, bad = written(caplog)

    assert ("call.refused", "n\\xe4h", "pb.NoSuchMethod") == (
        refused["pb_event"],
        refused["pb_method"],
        refused["pb_error"],
    )
    assert ("Root 0", "note", "pb.BadArguments") == (bad["pb_object"], bad["pb_method"], bad["pb_error"])


def test_the_records_of_a_program_can_have_the_fields_of_the_call(caplog):
    """Where none is served there are none; what a record has is left alone."""
    caplog.handler.addFilter(pb.CallFields())
    pump = Pump(Root())
    send(pump.root, "note", 1)
    pump.run()
    logging.getLogger("mine").warning("outside", extra={"pb_method": "mine"})
    noted, outside = written(caplog)

    assert ("the peer of server", "Root 0", "note") == (
        noted["pb_peer"],
        noted["pb_object"],
        noted["pb_method"],
    )
    assert {"pb_method": "mine"} == {name: value for name, value in outside.items() if name[:3] == "pb_"}


def test_what_is_said_of_another_peer_has_nothing_of_the_call_that_is_served():
    """One that is called from a handler, say, and whose connection fails."""
    pump, other = Pump(Root()), Pump(Root())
    scope, elsewhere = pump.server.broker.scope, other.server.broker.scope
    other.server.broker.tables.peer_name = "another"
    token = serving.set((scope, 1, 0, "ask"))
    try:
        here = fields("fault", peer="the peer of server")
        there = fields("fault", peer="another")
        under = fields("fault", scope=elsewhere)
        log_fault("another")
    finally:
        serving.reset(token)

    assert ("ask", "Root 0") == (here["pb_method"], here["pb_object"])
    assert {"pb_event": "fault", "pb_peer": "another"} == there == under


def test_what_is_no_text_is_left_out():
    """A peer may send anything as a name, and to log must not fail; nor is such a value shown."""
    assert {"pb_event": "attach.refused"} == fields("attach.refused", service={"a": 1}, identity=7)
    assert {"pb_event": "attach.refused"} == of_cred.fields("attach.refused", service=[1], identity=7)


def test_an_object_that_is_gone_has_no_class_any_more():
    """Its id tells what else was said of it. And a perspective that tells no name breaks nothing."""

    class Unnamed:
        @property
        def perspective_name(self):
            raise RuntimeError("no name")

    pump = Pump(Root())
    scope = pump.server.broker.scope.under(Unnamed())
    scope.identity = "alice"
    row = pump.server.broker.tables.exports[0]
    row.object = None
    told = fields("fault", scope=scope, row=row, code=3, error=pb.RemoteError("x"))
    token = serving.set((scope, 1, 99, "ask"))
    try:
        gone = fields("fault")
    finally:
        serving.reset(token)

    assert ("0", "alice", 3) == (told["pb_object"], told["pb_identity"], told["pb_code"])
    assert "Unnamed" == told["pb_perspective"]
    assert "pb_service" not in told and "pb_object" not in gone
