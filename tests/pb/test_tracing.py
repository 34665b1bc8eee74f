"""Traces: what W3C's texts may be, and that a trace goes wherever the work goes."""

from __future__ import annotations

import contextvars
import gc

import pytest

import pb
from pb import messages
from pb.tracing import MAX_STATE, trace_of

from ..test_spec import unpack
from .peers import ask, envelopes_in
from .pump import Gate, Outcome, Pump
from .pump import send as send_quietly

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ZEROS = "0" * 32


class Root(pb.Root):
    """Says in which trace it is asked, or asks another."""

    def __init__(self):
        self.seen = []
        self.gate = Gate()

    def remote_where(self):
        trace = pb.current_call().trace
        self.seen.append(trace and (trace.traceparent, trace.tracestate))
        return self.seen[-1]

    async def remote_ask(self, other):
        return await ask(other, "where")

    async def remote_ask_later(self, other):
        await self.gate
        return await ask(other, "where")


def test_the_parts_of_a_traceparent_are_read():
    """The example of the Recommendation."""
    trace = pb.Trace(PARENT)

    assert "4bf92f3577b34da6a3ce929d0e0e4736" == trace.trace_id
    assert "00f067aa0ba902b7" == trace.parent_id
    assert trace.is_sampled
    assert not pb.Trace(PARENT[:-1] + "0").is_sampled
    assert {"traceparent": PARENT} == trace.option


@pytest.mark.parametrize(
    "text",
    [
        "",
        None,
        7,
        PARENT.upper(),
        PARENT[:-1],
        PARENT + "0",
        PARENT + "-x",
        PARENT + "\n",
        "ff" + PARENT[2:],
        PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", ZEROS),
        PARENT.replace("00f067aa0ba902b7", ZEROS[:16]),
        PARENT.replace("f", "\uff26"),
        "01" + PARENT[2:] + "x",
    ],
)
def test_what_is_no_traceparent_is_refused_here_and_ignored_from_a_peer(text):
    """A program is told of its mistake; a peer's costs the trace and nothing else (PB-M44)."""
    with pytest.raises(ValueError, match="traceparent is "):
        pb.Trace(text)
    assert trace_of({"traceparent": text}) is None


@pytest.mark.parametrize("more", ["", "-what is to come"])
def test_a_later_version_is_passed_on_as_the_one_that_is_known(more):
    """W3C: only what this version defines is understood, so only that can be vouched for."""
    assert PARENT == pb.Trace("cc" + PARENT[2:-2] + "ff" + more).traceparent


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        (" a=1 ,\t, b=2", "a=1,b=2"),
        ("fw529a3039@dt=FfffffFFfffff", "fw529a3039@dt=FfffffFFfffff"),
        ("0tenant@s=x y", "0tenant@s=x y"),
        ("a=1,a=2", ""),
        ("A=1", ""),
        ("0a=1", ""),
        ("a=", ""),
        ("a", ""),
        ("a=1=2", ""),
        ("a=\x7f", ""),
        ("a=1\n", ""),
        (f"{'a' * 256}=1", f"{'a' * 256}=1"),
        (f"{'a' * 257}=1", ""),
        (f"a={'1' * 256}", f"a={'1' * 256}"),
        (f"a={'1' * 257}", ""),
        (",".join(f"k{n}=1" for n in range(32)), ",".join(f"k{n}=1" for n in range(32))),
        (",".join(f"k{n}=1" for n in range(33)), ""),
        (" " * 20_000, ""),
        (7, ""),
    ],
)
def test_a_tracestate_is_as_w3c_has_it_or_none(text, kept):
    """It is passed on to everybody behind, so it has to be sound; alone it costs no trace."""
    assert kept == pb.Trace(PARENT, text).tracestate


def test_a_long_tracestate_loses_its_long_members_and_then_its_last():
    """Else a peer decides how long each call of ours is."""
    long = f"long={'x' * 200}"
    short = [f"k{n:02}={'y' * 60}" for n in range(10)]

    kept = pb.Trace(PARENT, ",".join([short[0], long, *short[1:]])).tracestate

    assert ",".join(short[:7]) == kept
    assert len(kept) <= MAX_STATE < len(kept) + 65


def test_a_call_is_in_the_trace_of_its_block():
    """Also the one that wants no answer, and none after the block."""
    root = Root()
    pump = Pump(root)
    with pb.trace(PARENT, "a=1") as trace:
        assert PARENT == trace.traceparent
        answers = [pump.root.where()]
        with pb.trace(None):
            answers.append(pump.root.where())
        send_quietly(pump.root, "where")
    answers.append(pump.root.where())
    pump.run()

    assert [[PARENT, "a=1"], None, None] == [a.result() and list(a.result()) for a in answers]
    assert [(PARENT, "a=1"), None, (PARENT, "a=1"), None] == root.seen


def test_a_callback_is_in_the_trace_of_the_call_that_makes_it():
    """The whole way there and back is one trace, whether the handler had to wait in between or not."""
    root, mine = Root(), Root()
    pump = Pump(root, client_root=mine)
    with pb.trace(pb.Trace(PARENT)):
        first, later = pump.root.ask(mine), pump.root.ask_later(mine)
    other = pump.root.ask_later(mine)
    pump.run()
    root.gate.open()
    pump.run()

    assert [PARENT, PARENT, None] == [a.result() and a.result()[0] for a in (first, later, other)]


def test_a_trace_and_a_deadline_do_not_push_each_other_out():
    """Both are inherited, in one variable."""
    from pb import context

    pump = Pump(Root())
    token = context.inherited.set(context.due(pump.client.now + 5.0))
    with pb.trace(PARENT):
        inside = pump.root.where()
    context.inherited.reset(token)
    [sent] = envelopes_in(pump.client.output())

    assert {"ttl": 5000, "trace": {"traceparent": PARENT}} == unpack(sent)[5]
    assert not inside.done()

    with pb.trace(PARENT):
        token = context.inherited.set(context.due(pump.client.now + 5.0))
        pump.root.where()
        context.inherited.reset(token)
    [sent] = envelopes_in(pump.client.output())
    assert {"ttl": 5000, "trace": {"traceparent": PARENT}} == unpack(sent)[5]


def test_calls_that_wait_keep_the_trace_they_were_made_in():
    """They start when somebody else makes room."""
    root = Root()
    pump = Pump(root, limits=pb.Limits(max_calls=1))
    with pb.trace(PARENT):
        slow = pump.root.ask_later(Root())
        pump.run()
        waiting = pump.root.where()
        send_quietly(pump.root, "where")
    plain = pump.root.where()
    pump.run()
    assert not waiting.done()

    root.gate.open()
    pump.run()

    assert slow.done()
    assert [PARENT, None] == [a.result() and a.result()[0] for a in (waiting, plain)]
    assert [(PARENT, ""), (PARENT, ""), None] == root.seen


def test_calls_that_are_held_run_in_the_trace_they_came_with():
    """They begin when the network takes more, which is on nobody's behalf."""
    root = Root()
    pump = Pump(root)
    pump.server.broker.serving.hold()
    with pb.trace(PARENT):
        traced = pump.root.where()
    plain = pump.root.where()
    pump.run()
    assert not traced.done()

    pump.server.broker.serving.start_held()
    pump.run()

    assert [PARENT, None] == [a.result() and a.result()[0] for a in (traced, plain)]


def test_a_large_call_carries_its_trace():
    """Large payloads are written in another way; with options they are not."""
    root = Root()
    pump = Pump(root)
    with pb.trace(PARENT):
        outcome = pump.root.where("x" * 100_000)
        send_quietly(pump.root, "where", "x" * 100_000)
    with pb.trace(None):
        pump.root.where("x" * 100_000)
    sent = [unpack(each) for each in envelopes_in(pump.client.output())]

    assert not outcome.done()
    assert [{"traceparent": PARENT}] * 2 == [each[5]["trace"] for each in sent if len(each) == 6]
    assert [messages.CALL] * 3 == [each[0] for each in sent]


def test_a_trace_is_told_to_whoever_a_call_is_passed_on():
    """A proxy is on the way, not the end of it."""
    behind, front = Root(), Root()
    far = Pump(behind)

    class Proxy(pb.Root):
        def remote_far(self):
            return far.root

    near = Pump(Proxy())
    reference = near.call("far")
    outcome = Outcome()
    with pb.trace(PARENT):
        outcome = reference.where()
    for _ in range(4):
        near.run()
        far.run()

    assert PARENT == outcome.result()[0]
    assert [] == front.seen


def test_a_block_may_be_async():
    """As a deadline's is."""

    async def block():
        async with pb.trace(PARENT) as trace:
            return trace

    step = block()
    with pytest.raises(StopIteration) as done:
        step.send(None)
    assert PARENT == done.value.value.traceparent


OTHER = f"00-{'1' * 32}-{'2' * 16}-01"
THIRD = f"00-{'3' * 32}-{'4' * 16}-01"


def test_a_block_that_is_thrown_away_is_over_though_it_sets_nothing_back():
    """A coroutine that is collected ends in whatever context that happens: calls there inherit what they did
    before it, and so do blocks within them."""
    root = Root()
    pump = Pump(root)

    async def unfinished(traceparent):
        with pb.trace(traceparent):
            await Gate()

    def called():
        pump.call("where")
        return root.seen[-1] and root.seen[-1][0]

    def here():
        with pb.trace(OTHER):
            outer, inner = unfinished(PARENT), unfinished(THIRD)
            for coroutine, traceparent in ((outer, PARENT), (inner, THIRD)):
                coroutine.send(None)
                assert traceparent == called()
            outer.close()  # the outer one first
            assert THIRD == called()
            inner.close()
            assert OTHER == called()
            with pb.trace(None):
                assert called() is None
            with pb.trace(PARENT):
                assert PARENT == called()
            assert OTHER == called()
        assert called() is None

    contextvars.copy_context().run(here)


def test_blocks_that_are_thrown_away_one_after_another_do_not_add_up():
    """In a task that lasts, each would keep the one before it for ever."""

    async def unfinished():
        with pb.trace(PARENT):
            await Gate()

    def blocks():
        gc.collect()
        return sum(type(each).__qualname__ == "_Lent" for each in gc.get_objects())

    def here():
        before = blocks()
        for _ in range(100):
            coroutine = unfinished()
            coroutine.send(None)
            coroutine.close()
        return blocks() - before

    assert 1 == contextvars.copy_context().run(here)
