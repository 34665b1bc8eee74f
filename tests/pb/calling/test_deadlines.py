"""Calls that have only so much time: at the caller, at the callee, and at whom it calls in turn."""

from __future__ import annotations

import gc
from fractions import Fraction

import pytest

import pb
from pb import context, messages
from pb.calling.deadlines import Deadlines, seconds_of

from ...test_spec import unpack
from ..peers import envelopes_in
from ..pump import Gate, Outcome, Pump, Script, packed


class Clock:
    """Time that stands still until it is told to go on."""

    def __init__(self):
        self.now = 100.0
        self.wakes = []

    def __call__(self):
        return self.now


def make():
    clock = Clock()
    return clock, Deadlines(clock, clock.wakes.append)


def test_one_timer_serves_all():
    """The next is asked for only where it is earlier than the one that is set."""
    clock, deadlines = make()
    ended = []
    deadlines.add("late", 110.0, lambda: ended.append("late"))
    deadlines.add("soon", 105.0, lambda: ended.append("soon"))
    deadlines.add("later", 120.0, lambda: ended.append("later"))
    assert [110.0, 105.0] == clock.wakes

    clock.now = 105.0
    deadlines.sweep()
    assert ["soon"] == ended
    assert [110.0, 105.0, 110.0] == clock.wakes

    deadlines.discard("late")
    clock.now = 130.0
    deadlines.sweep()
    assert ["soon", "later"] == ended
    assert 0 == len(deadlines)
    assert 3 == len(clock.wakes)


def test_what_ends_one_may_end_another():
    """Ending a call runs code that may settle a second one that is due as well."""
    clock, deadlines = make()
    ended = []
    deadlines.add("first", 101.0, lambda: (ended.append("first"), deadlines.discard("second")))
    deadlines.add("second", 101.0, lambda: ended.append("second"))
    clock.now = 102.0
    deadlines.sweep()

    assert ["first"] == ended


class Shop(pb.Root):
    """Slow, and asks the caller in turn."""

    def __init__(self):
        self.gate = Gate()
        self.left = []

    async def remote_slow(self):
        try:
            return await self.gate
        finally:
            self.left.append("slow")

    async def remote_ask(self, other):
        outcome = Outcome()
        handle = other._pb_import
        handle.scope.broker.calls.make(handle, "wait", (), {}, outcome)
        self.left.append(outcome)
        await self.gate

    def remote_note(self):
        self.left.append("note")


class Waiter(pb.Referenceable):
    async def remote_wait(self):
        await Gate()


def call(pump, method, *args, within=None):
    """Call the server's root with a deadline; return the outcome."""
    outcome = Outcome()
    broker = pump.client.broker
    at = None if within is None else pump.client.now + within
    broker.calls.make(pump.root._pb_import, method, args, {}, outcome, None, at)
    return outcome


def go_on(pump, seconds):
    """Let time pass on both sides, and their timers run."""
    for side in (pump.client, pump.server):
        side.now += seconds
        side.broker.deadlines.sweep()
    pump.run()


def test_a_call_ends_on_time_on_both_sides():
    """The caller gets DeadlineExceeded, a TimeoutError, and the handler is stopped."""
    shop = Shop()
    pump = Pump(shop)
    outcome = call(pump, "slow", within=5.0)
    pump.run()
    go_on(pump, 4.0)
    assert not outcome.done()
    go_on(pump, 1.0)

    with pytest.raises(TimeoutError) as caught:
        outcome.result()
    assert isinstance(caught.value, pb.DeadlineExceeded)
    assert ["slow"] == shop.left
    assert {} == pump.client.broker.calls.pending
    assert 0 == pump.server.broker.serving.count
    assert 0 == len(pump.client.broker.deadlines) == len(pump.server.broker.deadlines)


def test_an_answer_in_time_takes_the_deadline_away():
    """Nothing is kept of it."""
    shop = Shop()
    pump = Pump(shop)
    outcome = call(pump, "slow", within=5.0)
    pump.run()
    shop.gate.open(7)
    pump.run()

    assert 7 == outcome.result()
    assert 0 == len(pump.client.broker.deadlines) == len(pump.server.broker.deadlines)


def test_an_error_in_time_takes_the_deadline_away_too():
    """An error is an answer."""
    pump = Pump(Shop())
    outcome = call(pump, "no_such", within=5.0)
    pump.run()

    with pytest.raises(pb.NoSuchMethod):
        outcome.result()
    assert 0 == len(pump.client.broker.deadlines)


def test_the_callee_alone_ends_it_where_the_caller_does_not():
    """Each side keeps the time for itself: a caller may have gone, or have no clock."""
    shop = Shop()
    pump = Pump(shop)
    outcome = call(pump, "slow", within=5.0)
    pump.run()
    pump.server.now += 6.0
    pump.server.broker.deadlines.sweep()
    pump.run()

    with pytest.raises(pb.DeadlineExceeded, match="it was stopped"):
        outcome.result()


def test_a_call_that_waits_for_its_turn_may_run_out_of_time():
    """It was never sent, and says so."""
    shop = Shop()
    pump = Pump(shop)
    pump.client.broker.calls.peer_max_calls = 1
    first = call(pump, "slow")
    second = call(pump, "note", within=2.0)
    pump.run()
    go_on(pump, 3.0)
    with pytest.raises(pb.DeadlineExceeded, match="not sent"):
        second.result()
    shop.gate.open()
    pump.run()

    assert None is first.result()
    assert ["slow"] == shop.left


def test_a_call_that_waited_keeps_its_deadline_when_it_is_sent():
    """What is left of it goes with the call."""
    shop = Shop()
    pump = Pump(shop)
    pump.client.broker.calls.peer_max_calls = 1
    first = call(pump, "note")
    second = call(pump, "slow", within=5.0)
    pump.run()
    assert None is first.result()
    go_on(pump, 6.0)

    with pytest.raises(pb.DeadlineExceeded):
        second.result()


def test_what_is_called_in_turn_has_no_more_time():
    """The deadline in force in a handler is that of its call."""
    shop = Shop()
    pump = Pump(shop)
    call(pump, "ask", Waiter(), within=5.0)
    pump.run()
    (nested,) = shop.left
    assert not nested.done()
    go_on(pump, 6.0)

    with pytest.raises(pb.DeadlineExceeded):
        nested.result()


def test_the_earlier_of_two_deadlines_counts():
    """A block with a deadline does not give a call more time, nor less than its own."""
    pump = Pump(Shop())
    token = context.inherited.set(context.due(pump.client.now + 2.0))
    try:
        outcome = call(pump, "slow", within=50.0)
    finally:
        context.inherited.reset(token)
    pump.run()
    go_on(pump, 3.0)

    with pytest.raises(pb.DeadlineExceeded):
        outcome.result()


@pytest.mark.parametrize("within", [0.0, -1.0])
def test_a_call_that_is_late_already_is_not_sent(within):
    """Whoever works out what time is left may come to nothing: the text says that it did not run."""
    pump = Pump(Shop())
    pump.client.output()

    with pytest.raises(pb.DeadlineExceeded, match="over before it began; it was not sent") as caught:
        call(pump, "note", within=within)
    assert caught.value.is_of_own_call
    assert b"" == pump.client.output()
    assert {} == pump.client.broker.calls.pending


def test_no_time_left_is_told_without_running():
    """By a peer that sends it all the same."""
    shop = Shop()
    script = Script(shop)
    script.say([messages.CALL, 1, 0, "note", packed([[], {}]), {"ttl": 0}])
    (error,) = [unpack(each) for each in envelopes_in(script.side.output())]

    assert "pb.DeadlineExceeded" == unpack(error[2])["type"]
    assert [] == shop.left


@pytest.mark.parametrize(
    ("seconds", "error", "text"),
    [
        ("1", TypeError, r"within\(\) takes seconds, not a str"),
        (None, TypeError, r"within\(\) takes seconds, not a NoneType"),
        (float("nan"), ValueError, "finite number of seconds, not nan"),
        (float("inf"), ValueError, "not inf; for ever is without it"),
    ],
)
def test_what_is_no_time_is_refused_where_it_is_given(seconds, error, text):
    """Not as an error of arithmetic in each call, long after."""
    with pytest.raises(error, match=text):
        seconds_of(seconds, "within")


def test_any_real_number_of_seconds_will_do():
    """And what is over already is a matter of the call."""
    for seconds in (5, 0.5, Fraction(1, 2), 0, -1):
        assert seconds == seconds_of(seconds, "within")


def test_a_call_held_too_long_is_not_begun():
    """Its time went by while the peer did not read."""
    shop = Shop()
    script = Script(shop)
    script.broker.serving.hold()
    script.say([messages.CALL, 1, 0, "note", packed([[], {}]), {"ttl": 1000}])
    script.side.now += 2.0
    script.broker.serving.start_held()
    (error,) = [unpack(each) for each in envelopes_in(script.side.output())]

    assert "pb.DeadlineExceeded" == unpack(error[2])["type"]
    assert [] == shop.left


def test_a_call_that_was_cancelled_does_not_expire_as_well():
    """One reason is enough."""
    shop = Shop()
    pump = Pump(shop)
    outcome = call(pump, "slow", within=5.0)
    pump.run()
    (served,) = pump.server.broker.serving.running.values()
    served.cancel()
    served.expire()
    pump.run()

    with pytest.raises(pb.Cancelled):
        outcome.result()


def test_a_timed_call_may_bring_a_new_cache():
    """What waits for the snapshot goes out behind a call with a deadline too."""
    registry = pb.Registry()

    @registry.cacheable("x.Count", from_clients=True)
    class Count(pb.Cacheable, pb.RemoteCache):
        def get_state_to_cache_and_observe_for(self, perspective, observer):
            observer_of.append(observer)
            observers = pb.Observers()
            observers.add(observer)
            observers.send("set", 2)
            return {"n": 1}

        def observe_set(self, n):
            self.n = n

    observer_of = []

    class Keep(pb.Root):
        def remote_keep(self, count):
            self.count = count

    keep = Keep()
    pump = Pump(keep, registry=registry)
    outcome = call(pump, "keep", Count(), within=5.0)
    pump.run()

    assert None is outcome.result()
    assert 2 == keep.count.n


def test_a_call_that_nobody_waits_for_expires_quietly():
    """Whoever gave up has cancelled it already."""
    shop = Shop()
    pump = Pump(shop)
    outcome = call(pump, "slow", within=5.0)
    outcome.is_given_up = True
    pump.run()
    pump.client.now += 6.0
    pump.client.broker.deadlines.sweep()

    assert 0 == outcome.settled
    assert [[messages.CALL, 1]] == [message[:2] for message in pump_said(pump)]


def pump_said(pump):
    """Return what the client has left to say, and before it what it has said."""
    return [[messages.CALL, 1], *(unpack(each) for each in envelopes_in(pump.client.output()))]


def test_a_call_whose_object_was_revoked_while_it_was_held_is_not_run():
    """Held, because the peer does not read; revoked meanwhile."""
    shop = Shop()
    script = Script(shop)
    inner = Waiter()
    shop.remote_give = lambda: inner
    inner.remote_poke = lambda: shop.left.append("poke")
    script.say([messages.CALL, 1, 0, "give", packed([[], {}])])
    script.side.output()
    script.broker.serving.hold()
    script.say([messages.CALL, 2, 1, "poke", packed([[], {}])])
    script.broker.holdings.revoke_object(inner)
    script.broker.serving.start_held()
    gone, error = [unpack(each) for each in envelopes_in(script.side.output())]

    assert [messages.GONE, [1]] == gone
    assert "pb.Gone" == unpack(error[2])["type"]
    assert [] == shop.left


def test_a_handler_that_is_thrown_away_unfinished_is_answered_by_the_loop(caplog):
    """Not by who throws it away, as the collector does in the middle of whatever."""
    pump = Pump(Shop())
    answer = call(pump, "slow")
    pump.run()
    (served,) = pump.server.broker.serving.running.values()
    gc.collect()  # what others have thrown away
    caplog.clear()
    releases = pump.server.releases
    served.task.coroutine.close()
    assert not caplog.records
    assert releases + 1 == pump.server.releases

    pump.run()
    (record,) = caplog.records
    assert "incident" in record.message
    assert "pb.Internal" == answer.error.remote_type
    assert 0 == pump.server.broker.serving.count
