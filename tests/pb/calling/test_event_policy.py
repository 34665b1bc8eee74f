"""Events for a subscriber that is slow: what waits obeys its policy, and nothing grows."""

from __future__ import annotations

import pytest

import pb
from pb.calling.events import EventQueue

from ..pump import Gate, Pump, Script, packed


class Subscriber(pb.Referenceable):
    def __init__(self):
        self.seen = []
        self.gate = Gate()

    async def remote_tick(self, value):
        self.seen.append(value)
        await self.gate

    async def remote_tock(self, value):
        self.seen.append(-value)
        await self.gate

    def remote_fail(self):
        raise pb.Forbidden("not here")


def subscribed(policy, max_queued=3, window=1, on_error=None):
    """Return a subscriber, the events for it, the pump, and how often something moved."""
    subscriber = Subscriber()
    pump = Pump(subscriber, limits=pb.Limits(max_calls=4))
    moved = []
    queue = EventQueue(
        pump.root,
        policy,
        max_queued=max_queued,
        window=window,
        on_error=on_error,
        moved=lambda: moved.append(1),
    )
    return subscriber, queue, pump, moved


def tick(queue, *values):
    for value in values:
        queue.put("tick", (value,), {})


def test_event_policy_wait_keeps_all_in_order_and_says_when_it_is_full():
    """Who sends waits by that."""
    subscriber, queue, pump, moved = subscribed("wait")
    tick(queue, 1, 2, 3)
    assert not queue.is_full
    tick(queue, 4)
    pump.run()
    assert queue.is_full
    assert [1] == subscriber.seen
    assert pb.EventUsage(queued=3, unanswered=1, delivered=0, dropped=0, failed=0) == queue.usage

    subscriber.gate.open()
    pump.run()
    assert [1, 2, 3, 4] == subscriber.seen
    assert queue.is_idle
    assert 4 == len(moved)


def test_event_policy_drop_oldest_drops_what_waits_longest():
    """What is on its way cannot be taken back."""
    subscriber, queue, pump, _ = subscribed("drop_oldest")
    tick(queue, *range(10))
    pump.run()
    subscriber.gate.open()
    pump.run()

    assert [0, 7, 8, 9] == subscriber.seen
    assert 6 == queue.usage.dropped


def test_event_policy_latest_keeps_one_of_each_method_in_its_place():
    """Of a price only the last matters; of two different things neither is lost."""
    subscriber, queue, pump, _ = subscribed("latest", max_queued=1)
    tick(queue, 1, 2)
    queue.put("tock", (7,), {})
    tick(queue, 3)
    queue.put("tock", (8,), {})
    pump.run()
    subscriber.gate.open()
    pump.run()

    assert [1, 3, -8] == subscriber.seen
    assert 2 == queue.usage.dropped


@pytest.mark.unmeasured
@pytest.mark.parametrize("policy", ["drop_oldest", "latest"])
def test_event_policy_keeps_memory_bounded_for_one_who_never_answers(policy):
    """A hundred thousand events, and as many are kept as may."""
    _, queue, pump, _ = subscribed(policy, window=2)
    tick(queue, *range(100_000))
    pump.run()

    usage = queue.usage
    assert 2 == usage.unanswered
    assert usage.queued <= 3
    assert 100_000 == usage.queued + usage.unanswered + usage.dropped
    assert 2 == len(pump.client.broker.calls.pending)


def test_event_policy_leaves_the_window_to_the_peers_max_calls():
    """Events over it wait for their turn like any call."""
    subscriber, queue, pump, _ = subscribed("wait", max_queued=10, window=8)
    tick(queue, *range(10))
    pump.run()
    assert [0, 1, 2, 3] == subscriber.seen
    subscriber.gate.open()
    pump.run()
    assert list(range(10)) == subscriber.seen


def test_event_policy_tells_errors_and_goes_on(caplog):
    """One event that fails says nothing about the next."""

    def logged():  # not what the collector finds of other tests meanwhile
        return [record.getMessage() for record in caplog.records if record.module == "events"]

    told = []
    subscriber, queue, pump, _ = subscribed("wait", max_queued=9, on_error=told.append)
    subscriber.gate.open()
    queue.put("fail", (), {})
    queue.put("tick", (object(),), {})
    tick(queue, 1)
    pump.run()
    assert ["Forbidden", "Unjellyable"] == [type(error).__name__ for error in told]
    assert [1] == subscriber.seen
    assert 2 == queue.usage.failed
    assert [] == logged()

    def worse(error):
        raise ZeroDivisionError

    subscriber, queue, pump, _ = subscribed("wait", max_queued=9, on_error=worse)
    queue.put("fail", (), {})
    pump.run()
    assert ["the on_error of events failed"] == logged()
    assert queue.is_idle

    subscriber, queue, pump, _ = subscribed("wait", max_queued=9)
    for _ in range(5):
        queue.put("fail", (), {})
    pump.run()
    assert 2 == len(logged())
    assert 5 == queue.usage.failed


def test_event_policy_ends_with_the_connection():
    """What waited is dropped, and the next event says what has become of the subscriber."""
    _, queue, pump, moved = subscribed("drop_oldest", window=2)
    tick(queue, 1, 2, 3)
    pump.run()
    pump.lose()

    assert queue.is_idle
    assert not queue.is_full
    assert 0 == queue.usage.queued
    assert 2 == len(moved)
    for _ in range(2):
        with pytest.raises(pb.ConnectionLost):
            tick(queue, 4)


def test_event_policy_notices_a_subscriber_that_has_gone():
    """By the very event that finds out."""
    _, queue, pump, _ = subscribed("latest")
    pump.lose()

    with pytest.raises(pb.DeadReference):
        tick(queue, 1)


def test_event_policy_goes_no_further_once_the_subscriber_is_revoked():
    """Events on their way may be answered even then."""
    script = Script()
    queue = EventQueue(
        script.broker.root_reference(),
        "wait",
        max_queued=9,
        window=2,
        on_error=None,
        moved=lambda: None,
    )
    tick(queue, 1, 2, 3)
    assert [1, 2] == [message[1] for message in script.heard()]
    script.say([3, 2, packed({"type": "pb.Gone", "msg": "revoked"})], [2, 1, packed(None)])

    assert [] == script.heard()
    assert 1 == queue.usage.delivered
    with pytest.raises(pb.Gone):
        tick(queue, 4)
