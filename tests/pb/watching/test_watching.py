"""Hooks: traces and contexts that they put around calls; references, bytes, and what they are not told of."""

from __future__ import annotations

import contextlib
import contextvars
import gc

import msgpack
import pytest

import pb
from pb import context

from ..cached import REGISTRY, Stock
from ..hooked import Log, Root, Thing, both, make
from ..peers import ask
from ..pump import Pump, Script, packed, send
from ..results import tell

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ANSWER_1 = msgpack.ExtType(3, b"\1")  # the result of call 1
OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01"


def test_what_a_hook_puts_in_the_place_of_a_trace_is_what_is_inherited():
    """That is how spans come in between."""

    class Spans(pb.Hooks):
        def call_started(self, call):
            call.trace = pb.Trace(OTHER if call.side == "caller" else PARENT)

    root, mine = Root(), Root()
    pump = Pump(root, client_root=mine, hooks=[Spans(), Log()])
    pump.call("echo")
    assert PARENT == root.trace.traceparent

    root = Root()
    plain = Pump(root)
    plain.client.broker.close()
    pump = Pump(root, hooks=[OnlyCaller()])
    pump.call("echo")
    assert OTHER == root.trace.traceparent


@pytest.mark.parametrize("how", ["call", "send", "promised"])
def test_a_trace_of_a_hook_is_that_of_one_call_only(how):
    """Whether it wants an answer or not, and also on a result to come; what is called next has none of it."""
    root = Root()
    pump = Pump(root, client_root=Root(), hooks=OnlyCaller())
    if how == "call":
        ask(pump.root, "echo")
    elif how == "send":
        send(pump.root, "echo")
    else:
        tell(tell(pump.root, "me"), "echo")
    assert context.inherited.get() is None
    pump.run()

    assert OTHER == root.trace.traceparent


def test_a_call_that_names_a_result_is_told_when_it_runs():
    """It is not read before, and what a hook makes of its trace is inherited by it alone."""

    class Spans(Log):
        def call_started(self, call):
            super().call_started(call)
            call.trace = pb.Trace(OTHER)

    log, root = Spans(), Root()
    script = Script(root, hooks=log)
    named = packed([[ANSWER_1], {}])
    script.say([1, 1, 0, "later", packed([[], {}]), {"keep": True}], [1, 2, 0, "echo", named, {"needs": [1]}])
    script.side.run_tasks()
    assert ["later"] == [call.method for call in log.calls]
    root.gate.open()
    script.side.run_tasks()

    assert ["later", "echo"] == [call.method for call in log.calls]
    assert OTHER == root.trace.traceparent
    assert context.inherited.get() is None


def test_a_call_that_turns_out_to_be_on_ones_own_object_is_told_once():
    """It crosses nothing: no bytes of an answer are its."""
    log, _, pump = make()
    answer = tell(tell(pump.root, "echo", Thing()), "look")
    pump.run()

    assert "dark" == answer.result()
    assert [("echo", "answered", ""), ("look", "answered", "")] == both(log)[0]
    assert [1, 0] == [call.bytes_in > 0 for call in log.of("ended") if call.side == "caller"]


class OnlyCaller(pb.Hooks):
    def call_started(self, call):
        if call.side == "caller":
            call.trace = pb.Trace(OTHER)


def test_what_a_hook_enters_is_seen_by_the_method():
    """A variable that it sets in the context, say."""
    variable = contextvars.ContextVar("variable", default=0)

    class Around(pb.Hooks):
        @contextlib.contextmanager
        def around(self, call):
            token = variable.set(call.call_id)
            yield
            variable.reset(token)

    class Asked(pb.Root):
        def remote_get(self):
            return variable.get()

    pump = Pump(Asked(), hooks=Around())

    assert [1, 2, 0] == [pump.call("get"), pump.call("get"), variable.get()]


class Broken(pb.Hooks):
    def around(self, call):
        raise RuntimeError("around")


def _fails(self, *what):
    raise RuntimeError("told")


for _name in vars(pb.Hooks):
    if _name.startswith(("call_", "bytes_", "connection_", "reference_")):
        setattr(Broken, _name, _fails)


@pytest.mark.parametrize("how", ["call", "send", "promised"])
def test_the_only_hook_may_raise(how, caplog):
    """However a call is made, and whether it is told by itself or with others."""
    pump = Pump(Root(), hooks=Broken())
    if how == "call":
        assert 1 == pump.call("echo", 1)
    elif how == "send":
        send(pump.root, "echo", 1)
    else:
        assert "dark" == ask_twice(pump).result()
    pump.run()

    texts = [record.getMessage() for record in caplog.records]
    calls = {"call": 2, "send": 2, "promised": 4}[how]
    assert calls == texts.count("a hook failed: call_started of a Broken")
    assert calls == texts.count("a hook failed: call_ended of a Broken")


def ask_twice(pump):
    answer = tell(tell(pump.root, "thing"), "look")
    pump.run()
    return answer


def test_a_hook_that_raises_is_logged_and_changes_nothing(caplog):
    """What watches must not be what breaks."""

    class BadEnd(pb.Hooks):
        @contextlib.contextmanager
        def around(self, call):
            yield
            raise RuntimeError("end")

    class NoEnd(pb.Hooks):
        def around(self, call):
            return None

    after = Log()
    pump = Pump(Root(), hooks=[Broken(), BadEnd(), NoEnd(), after])

    assert 1 == pump.call("echo", 1)
    assert 2 == len(after.of("ended")), "those behind it are told all the same"
    with pytest.raises(pb.NoSuchMethod):
        pump.call("nope")
    told = {record.getMessage() for record in caplog.records}
    assert {
        f"a hook failed: {name} of a Broken"
        for name in ("call_started", "call_ended", "bytes_sent", "connection_opened", "reference_received")
    } <= told
    assert "a hook failed: around of a Broken" in told
    assert any("the end of what its around() returned" in each for each in told)


def test_hooks_are_told_of_references_on_both_sides():
    """Given and returned at the owner, received and dropped at the holder."""
    log, _, pump = make()
    thing = pump.call("thing")
    del thing
    gc.collect()
    pump.run()

    [given], [returned] = log.of("given"), log.of("returned")
    assert ("owner", "remote", "Thing", 1) == (given.side, given.kind, given.type, given.id)
    assert given == returned
    assert [0, 1] == [each.id for each in log.of("received")]
    assert 1 in [each.id for each in log.of("dropped")]


def test_hooks_are_told_of_what_is_returned_by_revoking_and_by_the_end():
    """Each once."""
    log, root, pump = make()
    thing = pump.call("thing")
    pump.server.broker.holdings.revoke_object(root.thing)
    pump.run()
    assert 1 == len(log.of("returned"))
    other = pump.call("thing")
    assert thing is not other
    del thing
    gc.collect()
    pump.run()
    pump.lose()

    assert 2 == len(log.of("returned"))
    assert [("the connection of client"), ("the connection of server")] == sorted(log.of("closed"))


@pytest.mark.parametrize("step", [None, 1], ids=["whole", "bytewise"])
def test_hooks_are_told_of_every_byte(step):
    """As many as the other side has written, also of long frames that are read in another way."""

    class Bytes(pb.Hooks):
        def __init__(self):
            self.count = {"in": 0, "out": 0}

        def bytes_received(self, connection, count):
            self.count["in"] += count

        def bytes_sent(self, connection, count):
            self.count["out"] += count

    count = Bytes()
    pump = Pump(Root(), hooks=count, step=step)
    pump.call("echo", "x" * 1000)
    reader = pump.client.broker.reader

    assert count.count["in"] == count.count["out"] > 2000
    before = count.count["in"]
    pump.client.broker.reader.feed(b"\0\0\x80\0" + b"\0" * 5)
    reader.hold()
    reader.next_body()
    reader.hold()
    if reader.frame is not None:
        reader.room()
        reader.filled(10)
        assert before + 10 == count.count["in"]


def test_updates_of_replicas_are_no_calls():
    """They are told by the thousand, and say nothing that their owner does not know."""
    log, stock = Log(), Stock(n=1)

    class Shop(pb.Root):
        def remote_stock(self):
            return stock

    pump = Pump(Shop(), registry=REGISTRY, hooks=log)
    replica = pump.call("stock")
    stock.tell("set", 3)
    stock._observers.send("fail_later")
    pump.run()

    assert 3 == replica.n
    assert ["stock", "stock"] == [call.method for call in log.calls]


def test_a_peer_that_breaks_the_protocol_is_told_as_the_end_of_the_connection():
    """Wrong shapes reach the watching code before they are checked."""
    for frame in ([2, 1], [2, 1, 5], [3, 1], [2], [1, 1, 99, "echo", b"\x92\x90\x80"]):
        log = Log()
        script = Script(Root(), hooks=log)
        script.say(frame)

        assert len(log.of("opened")) >= len(log.of("closed"))


def test_calls_that_wait_in_a_line_are_lost_with_the_connection():
    """They have arrived and will never run; a result they wait for will never be there."""
    log = Log()
    script = Script(Root(), hooks=log)
    none = packed([[], {}])
    script.say([1, 1, 0, "wait", none, {"keep": True}], [1, 2, 0, "echo", none, {"needs": [1]}])
    script.say([1, 3, 0, "echo", none])
    script.side.lose()
    script.side.run_tasks()

    assert {("wait", "lost"), ("echo", "lost")} == {each[:2] for each in log.ends("callee")}
    assert [1, 3] == sorted(call.call_id for call in log.of("ended"))


def test_questions_to_replicas_are_told_at_the_owner():
    """They are calls of his; at the holder they are updates."""
    log, stock = Log(), Stock(n=1)

    class Shop(pb.Root):
        def remote_stock(self):
            return stock

    pump = Pump(Shop(), registry=REGISTRY, hooks=log)
    replica = pump.call("stock")
    [observer] = stock._observers
    answer = ask(observer, "set", 5)
    pump.run()

    assert answer.settled == 1 and 5 == replica.n
    send(observer, "set", 6)
    pump.run()
    assert 6 == replica.n
    assert [("set", "answered", "")] == [each for each in log.ends("caller") if each[0] == "set"]
    assert not [each for each in log.ends("callee") if each[0] == "set"]


def test_a_connection_that_never_opened_is_not_closed():
    """Whoever counts them must come out at zero."""
    log = Log()
    script = Script(Root(), hooks=log, greet=False)
    script.side.lose()

    assert [] == log.of("opened") == log.of("closed")


def test_hooks_that_do_nothing_cost_nobody_anything():
    """The base class is what one derives from, and is one itself."""
    assert pb.Hooks().around(None) is None
    assert 1 == Pump(Root(), hooks=pb.Hooks()).call("echo", 1)


def test_a_callback_is_told_the_call_that_made_it():
    """As long as both run, with an answer or without one; and never over a connection that is not watched."""
    parents = {}

    class Parents(pb.Hooks):
        def call_started(self, call):
            parents[call.side, call.method] = call.parent and (call.parent.side, call.parent.method)

    mine = Root()
    pump = Pump(Root(), client_root=mine, hooks=Parents())
    pump.call("ask", mine)
    assert {
        ("caller", "ask"): None,
        ("callee", "ask"): None,
        ("caller", "echo"): ("callee", "ask"),
        ("callee", "echo"): None,
    } == parents
    send(pump.root, "ask", mine)
    parents.clear()
    pump.run()
    assert ("callee", "ask") == parents["caller", "echo"]

    served = Parents()
    served.sides = {"caller"}
    pump = Pump(Root(), client_root=mine, hooks=served)
    pump.call("ask", mine)
    assert parents["caller", "echo"] is None
