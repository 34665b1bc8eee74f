"""What pipelined calls leave behind, however they end: nothing."""

from __future__ import annotations

import gc

import pytest

import pb
from pb import context
from pb.tracing import Trace

from ..houses import Mine, assert_quiet, make, waiting_at_home
from ..pump import messages_in
from ..results import tell


def test_giving_up_the_first_fails_those_on_it_at_the_callee():
    """They are told why."""
    house, pump = make()
    first = tell(pump.root, "later", "a")
    second = tell(first, "name")
    pump.run()
    first.give_up()
    here = tell(first, "name")
    pump.run()

    assert ["a"] == house.stopped
    for each in (second, here):
        with pytest.raises(pb.BrokenPromise) as caught:
            each.result()
        assert isinstance(caught.value.__cause__, pb.Cancelled)
    caught = None
    del each, second, here, first
    assert_quiet(pump)


def test_giving_up_a_call_that_waits_at_the_callee_takes_it_out_of_the_line():
    """Those behind it go on, and it never runs."""
    house, pump = make()
    first = tell(pump.root, "later", "a")
    gone, stays = tell(first, "note", 1), tell(first, "note", 2)
    pump.run()
    gone.give_up()
    pump.run()
    house.gates.pop().open()
    pump.run()

    assert [2] == house.heard
    assert None is stays.result()
    del first, gone, stays
    assert_quiet(pump)


def test_a_late_answer_of_a_call_that_was_given_up_is_counted_and_finished():
    """The result had a name; what came of it is released."""
    house, pump = make()
    first = tell(pump.root, "later", "a")
    second = tell(first, "name")
    pump.run()
    first.is_given_up = True  # gone without a word to the callee
    second.is_given_up = True
    house.gates.pop().open()
    pump.run()
    del first, second

    assert_quiet(pump)


def test_time_runs_out_for_a_call_that_waits_at_the_callee():
    """It is answered then, and those behind it go on."""
    house, pump = make()
    first = tell(pump.root, "later", "a")
    late = tell(first, "note", 1, at=5.0)
    stays = tell(first, "note", 2)
    pump.run()
    pump.server.now = 6.0
    pump.server.broker.deadlines.sweep()
    pump.run()
    with pytest.raises(pb.DeadlineExceeded):
        late.result()
    house.gates.pop().open()
    pump.run()

    assert [2] == house.heard
    assert None is stays.result()


def test_a_call_that_had_to_wait_has_its_own_time_and_not_that_of_whom_it_waited_for():
    """What starts it is the end of another call, in whose context a deadline is in force."""
    house, pump = make()
    first = tell(pump.root, "later", "a", at=50.0)
    left = tell(first, "left")
    pump.run()
    house.gates.pop().open()
    pump.run()

    assert None is left.result()


@pytest.mark.parametrize("how", ["wire", "here"])
def test_a_lost_connection_fails_all(how):
    """What waits at the callee did not run, but the caller cannot know."""
    house, pump = make()
    first = tell(pump.root, "later", "a")
    if how == "here":
        pump.run()
    second = tell(first, "note", 1)
    third = tell(pump.root, "names", first)
    pump.run()
    pump.lose()
    pump.server.run_tasks()

    assert isinstance(first.error, pb.OutcomeUnknown)
    for each in (second, third):
        assert isinstance(each.error, (pb.OutcomeUnknown, pb.BrokenPromise))
    assert [] == house.heard
    assert 0 == pump.client.broker.calls.kept
    assert 0 == pump.server.broker.serving.count


def test_what_did_not_run_because_of_a_goodbye_is_not_finished():
    """The callee never heard of it."""
    _, pump = make()
    pump.server.broker.close()
    second = tell(tell(pump.root, "room", "a"), "name")
    pump.run()

    assert isinstance(second.error, (pb.NotExecuted, pb.BrokenPromise))
    assert None is pump.server.error
    assert 0 == pump.client.broker.calls.kept


def test_as_many_results_are_kept_as_the_peer_allows():
    """Above that the caller waits."""
    _, pump = make(limits=pb.Limits(max_calls=3))
    rooms = [tell(pump.root, "room", str(number)) for number in range(2)]
    names = [tell(rooms[0], "name")]
    names.append(tell(rooms[1], "name"))
    pump.run()

    assert ["0", "1"] == [each.result() for each in names]
    del rooms, names
    assert_quiet(pump)


def test_calls_that_wait_are_run_once_answers_are_read():
    """While the peer does not read, what has got its result waits on, in order."""
    house, pump = make()
    first = tell(pump.root, "later", "a")
    tell(first, "note", 1)
    tell(first, "note", 2)
    pump.run()
    serving = pump.server.broker.serving
    serving.hold()
    house.gates.pop().open()
    pump.run()
    assert [] == house.heard
    serving.start_held()
    pump.run()

    assert [1, 2] == house.heard


def test_an_argument_that_cannot_be_sent_fails_the_call_alone():
    """And what it named is finished all the same."""
    _, pump = make()
    room = tell(pump.root, "room", "a")
    bad, good = tell(room, "note", object()), tell(room, "name")
    worse = tell(pump.root, "names", room, object())
    pump.run()

    for each in (bad, worse):
        with pytest.raises(pb.Unjellyable):
            each.result()
    assert "a" == good.result()
    del room, bad, good, each, worse
    assert_quiet(pump)


def test_a_method_here_that_is_given_up_before_it_has_begun_does_not_begin():
    """Its coroutine is thrown away."""
    _, pump = make()
    mine = Mine()
    pump.call("keep", mine)
    wait = tell(tell(pump.root, "peer"), "wait")
    flight = pump.client.output()
    pump.server.input(flight)
    pump.client.broker.receive_data(pump.server.output())
    wait.give_up()
    pump.run()

    assert wait.is_given_up
    assert [] == mine.gate.waiting


def test_what_was_adopted_is_pinned_with_what_it_was_adopted_from():
    """Of the two only the other one is counted."""
    house, pump = make()
    original = pump.call("room", "x")
    attachment = pump.client.broker.holdings.attach(Mine())
    adopted = attachment.adopt(original)
    first = tell(pump.root, "later", "a")
    names = tell(first, "names", adopted)
    pump.client.broker.tables.drop_now(adopted._pb_import)
    del original, adopted
    gc.collect()
    pump.run()
    assert 2 == len(pump.server.broker.tables.exports)
    house.gates.pop().open()
    pump.run()

    assert ["x"] == names.result()


def test_a_method_here_may_be_done_when_it_is_given_up():
    """What it returns then is nobody's."""
    _, pump = make()
    mine = Mine()
    pump.call("keep", mine)
    wait = tell(tell(pump.root, "peer"), "wait")
    pump.run()
    wait.is_given_up = True
    mine.gate.open(7)

    assert 0 == wait.settled


def test_a_pipelined_call_belongs_to_the_trace_it_is_made_in():
    """As every call (PB-M44)."""
    _, pump = make()
    trace = Trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    token = context.inherited.set(context.Inherited(None, trace))
    try:
        tell(tell(pump.root, "room", "a"), "name")
    finally:
        context.inherited.reset(token)

    assert ["trace" in call[5] for call in messages_in(pump.client.output())] == [True, True]


def test_a_method_here_that_is_thrown_away_is_settled_by_the_loop():
    """Whoever waits would go on in the middle of the collector."""
    pump, wait, task = waiting_at_home()
    pump.client.run_tasks()
    task.coroutine.close()
    assert 0 == wait.settled
    pump.run()

    assert isinstance(wait.error, pb.Cancelled)
