"""Calls on results to come, as the peer serves them, between two brokers."""

from __future__ import annotations

import pytest

import pb

from ..houses import Insufficient, Stock, assert_quiet, make, pump_frames
from ..pump import STEPS, messages_in
from ..results import tell


@STEPS
def test_dependent_calls_leave_in_one_flight(step):
    """Four calls, each on the result of the one before: all their frames go before any answer comes."""
    _, pump = make(step)
    last = tell(tell(tell(tell(pump.root, "room", "a"), "room", "b"), "room", "c"), "name")
    flight = messages_in(pump.client.output())
    assert [(1, 0), (2, -1), (3, -2), (4, -3)] == [(call[1], call[2]) for call in flight]
    assert [{"keep": True}] * 3 == [call[5] for call in flight[:3]]
    assert 5 == len(flight[3])

    pump.server.input(pump_frames(flight), step)
    pump.run()
    assert "c" == last.result()
    del last
    assert_quiet(pump)


def test_a_peer_without_the_feature_is_sent_nothing_of_it():
    """What it did not announce it would not understand."""
    _, pump = make()
    pump.client.broker.calls.peer_pipelines = False
    second = tell(tell(pump.root, "room", "a"), "names", tell(pump.root, "room", "b"))
    flight = pump.client.output()
    assert [5, 5] == [len(call) for call in messages_in(flight)]
    pump.server.input(flight)
    pump.run()

    assert ["b"] == second.result()
    third = tell(pump.root, "names", tell(pump.root, "room", "c"))
    pump.run()
    assert ["c"] == third.result()
    del second, third
    assert_quiet(pump)


@pytest.mark.parametrize("is_named", [True, False], ids=["at the peer", "here"])
def test_a_chain_fails_with_the_cause_of_its_first(is_named):
    """However long it is, each call of it tells why the first one failed."""
    _, pump = make()
    first = tell(pump.root, "fail")
    if not is_named:
        flight = pump.client.output()
    second = tell(first, "name")
    third = tell(second, "name")
    if not is_named:
        pump.server.input(flight)
    pump.run()

    with pytest.raises(Insufficient):
        first.result()
    for each in (second, third):
        with pytest.raises(pb.BrokenPromise) as caught:
            each.result()
        assert first.error is caught.value.__cause__
        assert caught.value.is_of_own_call
    first.error = second.error = third.error = caught = None
    del first, second, third, each
    assert_quiet(pump)


def test_what_is_called_on_a_plain_value_is_not_run():
    """Only objects can be called."""
    _, pump = make()
    first = tell(pump.root, "same", [1])
    second = tell(first, "append")
    pump.run()

    assert [1] == first.result()
    with pytest.raises(pb.NotPipelinable):
        second.result()


def test_an_argument_that_fails_fails_the_call():
    """With its cause; before it is sent, if that is known."""
    house, pump = make()
    failed = tell(pump.root, "fail")
    on_way = tell(pump.root, "note", failed)
    pump.run()
    known = tell(pump.root, "note", failed)
    on_promise = tell(tell(pump.root, "room", "a"), "note", [failed])
    pump.run()

    for each in (on_way, known, on_promise):
        with pytest.raises(pb.BrokenPromise) as caught:
            each.result()
        assert failed.error is caught.value.__cause__
    assert [] == house.heard


@pytest.mark.parametrize("kind", ["cache", "stream"])
def test_what_is_kept_up_to_date_does_not_go_with_a_call_that_may_have_to_wait(kind):
    """What is told of it would overtake it; so the caller waits instead (PB-S4)."""
    house, pump = make()

    async def rows():
        yield 1

    value = Stock() if kind == "cache" else rows()
    room = tell(pump.root, "room", "a")
    tell(room, "keep", value)
    tell(room, "note", 1)
    tell(pump.root, "names", room, Stock())
    flight = messages_in(pump.client.output())
    assert [0] == [call[2] for call in flight]
    pump.server.input(pump_frames(flight))
    pump.run()

    assert [1] == house.heard
    assert 1 == len(house.kept)
    assert None is pump.client.broker.error


def test_calls_keep_their_order_behind_one_that_waits_for_another_result():
    """On the promise, on what it becomes, and with arguments or without (PB-P18)."""
    house, pump = make()
    room = tell(pump.root, "room", "a")
    slow = tell(pump.root, "later", "slow")
    tell(room, "note", slow)
    tell(room, "note", 2)
    pump.run()
    tell(room, "note", 3)
    tell(pump.root, "note", "other")
    gone = tell(room, "note", 4)
    last = tell(room, "note", 5)
    pump.run()
    assert ["other"] == house.heard
    gone.give_up()
    pump.run()
    house.gates.pop().open()
    pump.run()

    assert ["other", "slow", 2, 3, 5] == [getattr(each, "name", each) for each in house.heard]
    assert None is last.result()
