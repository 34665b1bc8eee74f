"""Leaving takes a bounded time on both sides, whoever of them began and whoever loses patience."""

from __future__ import annotations

import contextvars
import gc

import msgpack
import pytest

import pb
from pb import messages
from pb.bounds.leaving import awaited, ends_at, is_within_call

from ..cached import REGISTRY, Stock
from ..pump import Gate, Pump, Script, cancel, messages_in, packed, send
from ..streamers import taken

LIMITS = pb.Limits(drain_s=30)


class Server(pb.Root):
    runs = 0

    async def remote_wait(self):
        await Gate()

    def remote_echo(self, value):
        return value

    def remote_run(self):
        self.runs += 1

    def remote_take(self, thing):
        self.thing = thing


def advance(script, seconds):
    """Let time go by for a side."""
    script.side.now += seconds
    script.side.wake()


@pytest.mark.parametrize("first", ["we", "peer"])
@pytest.mark.parametrize("is_busy", [False, True], ids=["idle", "busy"])
def test_a_drain_is_over_in_time_whoever_began_it(first, is_busy):
    """Here the peer never does its part: it does not answer our BYE, or says its own and does not close."""
    script = Script(Server(), limits=LIMITS)
    if is_busy:
        script.say([messages.CALL, 1, 0, "wait", packed([[], {}])])
        script.side.run_tasks()
    if first == "we":
        script.broker.close()
    else:
        script.say([messages.BYE, 0, "", 0])

    advance(script, 29.9)
    script.say([messages.PING, 1])
    assert not script.side.has_ended

    advance(script, 0.2)
    assert script.side.has_ended
    assert (None, 0) == (script.side.error, script.broker.serving.count)
    assert 0 == len(script.broker.deadlines)


def test_the_time_to_leave_runs_from_the_first_bye_only():
    """A second one, of either side, gives no more of it."""
    script = Script(Server(), limits=LIMITS)
    script.say([messages.CALL, 1, 0, "wait", packed([[], {}])], [messages.BYE, 0, "", 0])
    script.side.run_tasks()

    for _ in range(3):
        advance(script, 9)
        script.say([messages.BYE, 0, "", 0])
        script.broker.close()
        assert not script.side.has_ended
    advance(script, 4)

    assert script.side.has_ended


def test_there_is_one_time_to_leave_and_it_is_the_cores():
    """Whoever waits asks for it; of what has ended already, the output may take as long again."""
    script = Script(Server(), limits=LIMITS)
    script.side.now = 5
    script.say(WAIT, BYE)
    assert 35 == ends_at(script.broker, now=17)
    script.side.lose()

    assert 47 == ends_at(script.broker, now=17)


def test_who_left_in_time_is_not_cut_later():
    """Nothing is left of the clock."""
    pump = Pump(Server(), limits=LIMITS)
    pump.root.echo(1)
    pump.client.broker.close()
    pump.run()

    assert pump.client.has_ended
    assert 0 == len(pump.client.broker.deadlines)


def test_a_call_that_is_cut_says_why():
    """Its caller cannot know what became of it."""
    pump = Pump(Server(), limits=LIMITS)
    waiting = pump.root.wait()
    pump.run()
    pump.client.broker.close()
    pump.run()
    pump.advance(31)

    with pytest.raises(pb.OutcomeUnknown, match="leaving took longer than 30 s"):
        waiting.result()


def test_a_call_that_was_given_up_is_not_awaited():
    """Its answer may still come; nobody would read it."""
    pump = Pump(Server())
    first, _second = pump.root.wait(), pump.root.wait()
    pump.run()
    assert (2, 2) == (awaited(pump.client.broker), awaited(pump.server.broker))

    cancel(pump.root, first)

    assert 1 == awaited(pump.client.broker)


NONE = packed([[], {}])
REF = packed([[msgpack.ExtType(1, b"\1")], {}])  # an object of the peer's
WAIT = [messages.CALL, 1, 0, "wait", NONE]
BYE = [messages.BYE, 0, "", 0]


def late(script, *messages_):
    """Say these; return the type of the error for each that was answered."""
    script.say(*messages_)
    script.side.run_tasks()
    answers = [each for each in script.heard() if each[0] in (messages.ANSWER, messages.ERROR)]
    return [each[2] if each[0] == messages.ANSWER else unpack_error(each[2]) for each in answers]


def unpack_error(payload):
    return msgpack.unpackb(payload)["type"]


@pytest.mark.parametrize("who", ["the peer", "both"])
def test_calls_after_bye_that_can_serve_nothing_are_refused(who):
    """PB-F47: a peer that has left has nothing new run; whether it wants an answer, or names a result."""
    root = Server()
    script = Script(root, limits=LIMITS)
    script.say(WAIT, [messages.CALL, 2, 0, "wait", NONE, {"keep": True}])
    if who == "both":
        script.broker.close()
    named = packed([[msgpack.ExtType(3, b"\2")], {}])
    told = late(
        script,
        BYE,
        [messages.CALL, 3, 0, "run", NONE],
        [messages.CALL, 0, 0, "run", NONE],
        [messages.CALL, 4, 0, "nope", NONE],
        [messages.CALL, 5, -2, "run", NONE],
        [messages.CALL, 6, 0, "echo", named, {"needs": [2]}],
        [messages.OBSERVE, 7, 9, "set", NONE],
    )

    assert (["pb.Busy"] * 5, 0) == (told, root.runs)
    assert 2 == script.broker.serving.count, "what was running goes on"


def test_what_a_refused_call_brings_is_given_back():
    """It was counted when it was sent."""
    script = Script(Server(), limits=LIMITS)
    late(script, WAIT, BYE)
    script.say([messages.CALL, 2, 0, "take", REF])
    gc.collect()
    script.side.run_tasks()

    assert [[messages.RELEASE, [1, 1]]] == [each for each in script.heard() if each[0] == messages.RELEASE]


@pytest.mark.parametrize("what", ["call", "message", "stream", "cache"])
def test_calls_after_bye_that_may_serve_are_run(what):
    """As long as this side awaits something of the peer; and where it cannot know whether it still does."""
    root, stock = Server(), Stock(n=1)
    root.remote_stock = lambda: stock
    script = Script(root, limits=LIMITS, registry=REGISTRY, info={"features": ["cache", "stream"]})
    script.say(WAIT)
    if what == "cache":
        script.say([messages.CALL, 2, 0, "stock", NONE])
    elif what == "stream":
        script.say([messages.CALL, 2, 0, "take", packed([[msgpack.ExtType(5, b"\1")], {}])])
    else:
        script.say([messages.CALL, 2, 0, "take", REF])
        (root.thing.look if what == "call" else lambda: send(root.thing, "look"))()
    script.heard()
    told = late(script, [messages.BYE, 0, "", 1], [messages.CALL, 3, 0, "run", NONE])

    assert ([packed(None)], 1) == (told, root.runs)
    if what == "call":
        answered = [messages.ANSWER, 1, packed(1)]
        assert ["pb.Busy"] == late(script, answered, [messages.CALL, 4, 0, "run", NONE])


def test_who_calls_on_and_on_after_bye_is_cut():
    """Each of them it could know to be useless (spec 6.5)."""
    limits = pb.Limits(max_calls=4, useless_requests=100, useless_per_s=33)
    script = Script(Server(), limits=limits)
    late(script, WAIT, BYE)
    late(script, *([messages.CALL, 0, 0, "run", NONE] for _ in range(110)))

    assert script.side.has_ended
    assert "a call after BYE" in str(script.side.error)


@pytest.mark.parametrize("state", ["greeting", "open", "leaving", "draining", "closed"])
def test_who_gives_up_has_said_bye_once_and_waits_for_nothing(state):
    """What was sent goes before it; what was sent of calls may have run, what was not has certainly not."""
    pump = Pump(Server(), client_limits=LIMITS, greet=state != "greeting")
    broker, outcomes = pump.client.broker, []
    if state != "greeting":
        outcomes.append(pump.root.wait())
        pump.run()
    if state == "leaving":
        broker.close()
    elif state == "draining":
        broker.close()
        pump.run()
    elif state == "closed":
        broker.give_up("the first time")
    elif state == "open":
        send(pump.root, "run")
    assert state.upper() == broker.state.name
    broker.give_up("the program has failed")
    said = messages_in(pump.client.output())

    assert [0 if state == "draining" else 1] == [sum(each[0] == messages.BYE for each in said)]
    assert (["run"] if state == "open" else []) == [each[3] for each in said if each[0] == messages.CALL]
    assert "CLOSED" == broker.state.name and pump.client.has_ended
    for outcome in outcomes:
        with pytest.raises(pb.OutcomeUnknown, match="first" if state == "closed" else "program has failed"):
            outcome.result()


def test_who_gives_up_what_it_awaits_still_finishes_what_it_serves():
    """A handler may be what awaits it; once none runs, nobody does who matters."""
    pump = Pump(Server(), client_root=Server(), limits=LIMITS)
    served = pump.root.wait()
    asked = pump.server.broker.root_reference().wait()
    pump.run()
    broker = pump.server.broker
    assert 2 == awaited(broker)
    broker.gives_up = True
    broker.close()
    pump.run()
    assert (1, "DRAINING") == (awaited(broker), broker.state.name)
    cancel(pump.root, served)
    pump.run()

    assert pump.server.has_ended
    with pytest.raises(pb.OutcomeUnknown):
        asked.result()


class Inside(pb.Root):
    """Tells for which connections its methods run within a call."""

    def __init__(self):
        self.pumps = []
        self.seen = []
        self.gate = Gate()

    def look(self):
        return [is_within_call(pump.server.broker) for pump in self.pumps]

    async def remote_look(self):
        self.here = contextvars.copy_context()
        self.seen.append(self.look())
        await self.gate
        self.seen.append(self.look())

    async def remote_wait(self):
        await self.gate

    async def remote_stream(self):
        self.here = contextvars.copy_context()
        yield self.look()
        await self.gate
        yield self.look()


@pytest.fixture
def inside():
    """Two clients of one root."""
    root = Inside()
    root.pumps += [Pump(root), Pump(root)]
    return root


def test_outside_of_a_call_nobody_waits_for_himself(inside):
    """Whoever closes a connection there may wait until it has ended."""
    assert [False, False] == inside.look()


@pytest.mark.parametrize("is_wanted", [True, False], ids=["call", "message"])
def test_a_method_is_within_a_call_of_its_own_connection_until_it_ends(inside, is_wanted):
    """It may wait for the end of another; and what it has started, once it is over, for that of its own."""
    first, second = inside.pumps
    for pump, name in ((second, "wait"), (first, "look")):  # one of the same id runs over the other
        if is_wanted:
            getattr(pump.root, name)()
        else:
            send(pump.root, name)
        pump.run()
    inside.gate.open()

    assert [[True, False]] * 2 == inside.seen
    assert [False, False] == inside.here.run(inside.look)


def test_a_stream_is_made_within_its_call_though_that_is_answered(inside):
    """Leaving waits for its last item, too."""
    _, second = inside.pumps
    stream = second.call("stream")
    assert [[False, True]] == taken(stream, second)
    assert 0 == second.server.broker.serving.count
    assert [False, True] == inside.here.run(inside.look)
    inside.gate.open()

    assert [[False, True]] == taken(stream, second)
    assert [False, False] == inside.here.run(inside.look)
