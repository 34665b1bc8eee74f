"""Hooks, the audit log and OpenTelemetry over real connections, with logins and callbacks."""

from __future__ import annotations

import asyncio
import itertools
import logging

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import cred
import pb
from pb import sync
from pb.testing import pair

SECRET = "p4ss w0rd"


class Listener(pb.Referenceable):
    async def remote_heard(self, text):
        return text


class Member(pb.Perspective):
    async def perspective_say(self, listener):
        return await listener.heard("hi")

    def perspective_fail(self, secret):
        raise RuntimeError(secret)


class Chat(pb.Service):
    perspective_class = Member


async def said(url, **options):
    """Log in, call a method that calls back, and one that fails; then be refused."""
    async with pb.open_connection(url, **options) as connection:
        identity = await connection.login("alice", SECRET)
        member = await identity.attach("chat")
        assert "hi" == await member.say(Listener())
        with pytest.raises(pb.RemoteError):
            await member.fail(SECRET)
        with pytest.raises(pb.NoSuchMethod):
            await member.call_nothing()
        with pytest.raises(pb.Forbidden):
            await identity.attach("cellar")
        with pytest.raises(pb.LoginFailed):
            await connection.login("bob", "wrong")


def application(hooks):
    made = pb.Application("chat")
    chat = Chat("chat", made)
    chat.create_perspective("alice").make_identity(cred.PasswordHash.of(SECRET, iterations=4096))
    made.listen("pb://127.0.0.1:0", hooks=hooks)
    return made


def test_audit_tells_who_has_called_what_and_what_came_of_it(caplog):
    """Row by row, and no value of any argument, result or password."""
    events = []

    async def main():
        async with application([pb.AuditLog(events.append)]).running() as [server]:
            await said(server.url)

    asyncio.run(main())

    calls = [event for event in events if event["event"] == "call" and event["service"]]
    assert [
        ("say", "answered", ""),
        ("fail", "failed", "pb.Internal"),
        ("call_nothing", "refused", "pb.NoSuchMethod"),
    ] == [(each["method"], each["outcome"], each["error"]) for each in calls]
    for each in calls:
        assert ("alice", "chat", "alice") == (each["identity"], each["service"], each["perspective"])
        assert each["object"].startswith("Member ")
        assert each["bytes_in"] > 0 and each["bytes_out"] > 0 and each["ms"] >= 0
        assert each["peer"].startswith("127.0.0.1:")
    assert calls[1]["incident"] in caplog.text
    # The attachment is told of by itself: the calls of the protocol that made it are not written.
    attachments = [
        (each["event"], each["identity"], each["service"], each["perspective"], each["outcome"])
        for each in events
        if each["event"] in ("attach", "attach refused", "detach")
    ]
    assert [
        ("attach", "alice", "chat", "alice", "answered"),
        ("attach refused", "alice", "cellar", "", "refused"),
        ("detach", "alice", "chat", "alice", "answered"),
    ] == attachments
    assert {"call_nothing", "fail", "say"} == {each["method"] for each in events if each["event"] == "call"}
    logins = [
        (each["event"], each["identity"], each["outcome"]) for each in events if "login" in each["event"]
    ]
    assert [("login", "alice", "answered"), ("login refused", "bob", "refused")] == logins
    assert SECRET not in repr(events) and "wrong" not in repr(events)


def test_audit_goes_to_a_logger_redacted(caplog):
    """What is taken out is not written; None writes nothing."""
    caplog.set_level(logging.INFO, "audit")

    def redact(event):
        return None if event.get("method") == "quiet" else event | {"peer": "-"}

    class Root(pb.Root):
        def remote_quiet(self):
            return 1

        def remote_loud(self):
            return 2

    async def main():
        async with pair(
            Root(), hooks=pb.AuditLog(logging.getLogger("audit"), redact=redact, callers=True)
        ) as (_, _, root):
            await root.quiet()
            with pb.trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"):
                await root.loud()
            with pytest.raises(pb.NoSuchMethod):
                await pb.call_remote(root, "nope")

    asyncio.run(main())

    records = [record for record in caplog.records if record.name == "audit"]
    assert {"loud", "nope"} == {record.audit["method"] for record in records}
    assert {"-"} == {record.audit["peer"] for record in records}
    loud = [record for record in records if record.audit["method"] == "loud"]
    assert ["callee", "caller"] == sorted(record.audit["side"] for record in loud)
    assert {"4bf92f3577b34da6a3ce929d0e0e4736"} == {record.audit["trace_id"] for record in loud}
    assert "method=loud outcome=answered" in loud[0].getMessage()


def spans_of(exporter):
    return sorted(exporter.get_finished_spans(), key=lambda span: span.start_time)


def tracing():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter, provider, pb.otel.Tracing(provider)


def test_hooks_make_one_pair_of_spans_for_each_call_in_one_trace():
    """There, and back by a callback: each span the child of the one that led to it."""
    exporter, provider, hooks = tracing()
    server = pb.otel.Tracing(provider)
    within = provider.get_tracer("test")

    class Root(pb.Root):
        async def remote_ask(self, listener):
            with within.start_as_current_span("inside"):
                return await listener.heard("hi")

    async def main():
        async with (
            pb.serve(Root(), "memory://spans", hooks=server),
            pb.open_connection("memory://spans", hooks=hooks) as connection,
        ):
            with within.start_as_current_span("outside"):
                assert "hi" == await connection.root.ask(Listener())
            with pytest.raises(pb.NoSuchMethod):
                await connection.root.nope(SECRET)

    asyncio.run(main())

    outside, ask, asked, inside, hear, heard, nope, noped = spans_of(exporter)
    chain = [outside, ask, asked, inside, hear, heard]
    for parent, child in itertools.pairwise(chain):
        assert parent.context.span_id == child.parent.span_id, child.name
    assert {outside.context.trace_id} == {span.context.trace_id for span in chain}
    assert [SpanKind.CLIENT, SpanKind.SERVER] * 3 == [
        span.kind for span in (ask, asked, hear, heard, nope, noped)
    ]
    assert nope.parent is None and nope.context.trace_id == noped.context.trace_id != outside.context.trace_id
    assert ("perspective_broker", "ask") == (ask.attributes["rpc.system"], ask.attributes["rpc.method"])
    assert "Root" == asked.attributes["rpc.service"]
    for span in (nope, noped):
        assert StatusCode.ERROR is span.status.status_code
        assert "pb.NoSuchMethod" == span.attributes["error.type"]
    assert ask.attributes["rpc.request.size"] == asked.attributes["rpc.request.size"] > 0
    assert ask.attributes["rpc.response.size"] == asked.attributes["rpc.response.size"] > 0
    assert SECRET not in "".join(span.to_json() for span in spans_of(exporter))


def test_hooks_make_spans_with_who_is_asking_and_incidents_but_no_secrets():
    """A login is calls too."""
    exporter, _, hooks = tracing()

    async def main():
        async with application(hooks).running() as [server]:
            await said(server.url)

    asyncio.run(main())

    spans = {span.name: span for span in spans_of(exporter)}
    assert ("alice", "alice", "chat") == tuple(
        spans["Member/fail"].attributes[name] for name in ("enduser.id", "pb.perspective", "rpc.service")
    )
    assert 16 == len(spans["Member/fail"].attributes["pb.incident"])
    text = "".join(span.to_json() for span in spans_of(exporter))
    assert SECRET not in text and "wrong" not in text


def test_hooks_are_told_of_calls_on_results_to_come():
    """Those are pipelined, or wait here; either way each is one call."""
    methods = []

    class Log(pb.Hooks):
        def call_ended(self, call):
            methods.append((call.method, call.side, call.outcome))

    class Room(pb.Referenceable):
        def remote_look(self):
            return "dark"

    class House(pb.Root):
        def remote_room(self):
            return Room()

        def remote_none(self):
            return None

    async def main():
        async with pair(House(), hooks=Log()) as (_, _, root):
            assert "dark" == await root.room().look()
            with pytest.raises(pb.NotPipelinable):
                await root.none().look()
            promise = root.room()
            await asyncio.sleep(0)
            assert "dark" == await promise.look()

    asyncio.run(main())

    assert 3 == methods.count(("room", "caller", "answered")) + 1
    assert 2 == methods.count(("look", "caller", "answered"))
    assert 2 == methods.count(("look", "callee", "answered"))
    assert 1 == methods.count(("look", "caller", "refused"))


def test_hooks_are_told_of_a_blocking_program():
    """Its methods run in threads; hooks are called on the loop all the same."""
    told = []

    class Log(pb.Hooks):
        def call_ended(self, call):
            told.append((call.method, call.side, call.outcome))

    class Root(pb.Root):
        def remote_trace(self):
            return pb.current_call().trace.trace_id

        def remote_fail(self):
            raise pb.Forbidden("no")

    with (
        sync.serve(Root(), "pb://127.0.0.1:0", hooks=Log()) as server,
        sync.open_connection(server.url, hooks=Log()) as connection,
    ):
        with pb.trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"):
            assert "4bf92f3577b34da6a3ce929d0e0e4736" == connection.root.trace()
        with pytest.raises(pb.Forbidden):
            connection.root.fail()

    assert [("fail", "callee", "refused"), ("fail", "caller", "refused")] == sorted(told)[:2]
    assert [("trace", "callee", "answered"), ("trace", "caller", "answered")] == sorted(told)[2:]


def test_what_are_no_hooks_is_refused_where_it_was_given():
    """Not when the first connection is made."""
    with pytest.raises(TypeError, match=r"from pb\.Hooks"):
        pb.serve(pb.Root(), "memory://x", hooks=print)
    with pytest.raises(TypeError, match=r"from pb\.Hooks"):
        pb.open_connection("memory://x", hooks=pb.Hooks)


def test_tracing_that_was_not_set_up_makes_no_traces():
    """OpenTelemetry without a provider does nothing, and so do its hooks."""
    seen = []

    class Root(pb.Root):
        def remote_trace(self):
            seen.append(pb.current_call().trace)

    async def main():
        async with pair(Root(), hooks=pb.otel.Tracing()) as (_, _, root):
            await root.trace()

    asyncio.run(main())

    assert [None] == seen


def test_tracing_says_what_is_missing(monkeypatch):
    """It is an extra."""
    import sys

    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    with pytest.raises(ImportError, match=r"perspective-broker\[otel\]"):
        pb.otel.Tracing()
