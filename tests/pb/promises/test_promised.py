"""Results to come that are called here, wait here, or stand among arguments."""

from __future__ import annotations

import logging

import pytest

import jelly
import pb
from pb import context
from pb.promises.pipelining import call_promised

from ..houses import Mine, Stock, assert_quiet, make, waiting_at_home
from ..pump import Cancelled, messages_in, send
from ..results import tell

CHAIN = 3_000  # three times as many calls as Python nests


class Holder(pb.Cacheable):
    """Tells its observer what it is told to."""

    def watch(self, pump):
        registry = jelly.Registry()
        registry.add(Holder, "shop.Holder")
        pump.client.broker.scope.encoder = jelly.Encoder(registry)
        pump.client.broker.calls.encode(pump.client.broker.scope, "x", (self,), {})

    def get_state_to_cache_and_observe_for(self, perspective, observer):
        self.observer = observer
        return {}

    def stopped_observing(self, perspective, observer):
        pass

    def tell(self, value):
        handle = self.observer._pb_import
        handle.scope.tables.late = None
        handle.scope.broker.calls.send(handle, "set", (value,), {})


def test_where_the_first_has_left_the_second_waits_for_its_answer():
    """It is too late to ask that the result be kept; the outcome is the same."""
    house, pump = make()
    first = tell(pump.root, "later", "a")
    pump.run()
    second = tell(first, "name")
    third = tell(second, "upper")
    assert 0 == pump.client.broker.calls.kept
    house.gates.pop().open()
    pump.run()

    assert "a" == second.result()
    with pytest.raises(pb.NotPipelinable, match="str"):
        third.result()
    del first, second, third
    assert_quiet(pump)


def test_a_settled_promise_is_called_like_what_it_has_become():
    """Also when it was called before; a failed one fails what is called on it."""
    _, pump = make()
    first = tell(pump.root, "room", "a")
    pump.run()
    second, third = tell(first, "name"), tell(first, "name")
    failed = tell(pump.root, "fail")
    pump.run()
    broken = tell(failed, "name")

    assert "a" == second.value == third.value
    assert isinstance(broken.error, pb.BrokenPromise)
    del first, second, third
    assert_quiet(pump)


def test_a_replica_does_not_go_home_with_a_call_that_may_have_to_wait():
    """It could be given up meanwhile."""
    house, pump = make()
    stock = Stock()
    house.kept.append(stock)
    replica = pump.call("peer")
    room = tell(pump.root, "room", "a")
    same = tell(room, "keep", replica)
    assert [0] == [call[2] for call in messages_in(pump.client.output())]
    assert not same.done()


def test_what_comes_home_is_called_here_in_order():
    """The peer cannot: it would have to call back, and what is called then would overtake it."""
    house, pump = make()
    mine = Mine()
    pump.call("keep", mine)
    home = tell(pump.root, "peer")
    first = tell(home, "note", 1)
    chain = tell(tell(first, "note", 2), "note", tell(pump.root, "same", 3))
    wait = tell(home, "wait")
    failed = tell(home, "fail")
    missing = tell(home, "no_such")
    pump.run()

    assert mine is home.result() is first.result()
    assert [1, 2] == mine.heard[:2]
    assert mine is chain.result()
    assert [1, 2, 3] == mine.heard
    assert not wait.done()
    mine.gate.open(7)
    assert 7 == wait.result()
    with pytest.raises(RuntimeError, match="StopIteration"):
        failed.result()
    with pytest.raises(pb.NoSuchMethod):
        missing.result()
    house.kept.clear()
    del home, first, chain, wait, failed, missing
    assert_quiet(pump)


def test_a_call_here_can_be_given_up_and_waits_for_its_arguments():
    """As one at the peer."""
    house, pump = make()
    mine = Mine()
    pump.call("keep", mine)
    slow = tell(pump.root, "later", "slow")
    pump.run()
    home = tell(pump.root, "peer")
    wait = tell(home, "wait")
    noted = tell(home, "note", slow)
    broken = tell(home, "note", tell(pump.root, "fail"))
    pump.run()
    assert [] == mine.heard
    wait.give_up()
    house.gates.pop().open()
    pump.run()

    assert wait.is_given_up
    assert 0 == wait.settled
    assert [slow.value] == mine.heard
    assert mine is noted.result()
    assert isinstance(broken.error, pb.BrokenPromise)


def test_a_method_here_that_is_cancelled_by_others_fails_its_call():
    """Whoever stops the task is not the caller."""
    _, pump = make()

    class Stopped:
        def __await__(self):
            raise Cancelled
            yield

    mine = Mine(Stopped())
    pump.call("keep", mine)
    wait = tell(tell(pump.root, "peer"), "wait")
    pump.run()

    assert isinstance(wait.error, pb.Cancelled)


def test_a_method_here_ends_its_call_whose_task_is_stopped_before_its_first_step():
    """By the program, or by its own caller; it has not begun then."""
    _, pump = make()
    mine = Mine()
    pump.call("keep", mine)
    home = tell(pump.root, "peer")
    stopped, given_up = tell(home, "wait"), tell(home, "wait")
    pump.server.broker.receive_data(pump.client.output())
    pump.client.broker.receive_data(pump.server.output())
    first, _ = pump.client.tasks
    first.cancel()
    given_up.give_up()
    pump.run()

    assert isinstance(stopped.error, pb.Cancelled)
    assert 0 == given_up.settled
    assert [] == mine.gate.waiting


def test_a_method_here_whose_loop_is_gone_before_its_first_step_settles_nothing():
    """Nobody is there to be told; and no warning says that it was never awaited."""
    _, wait, task = waiting_at_home()
    task.coroutine.close()

    assert 0 == wait.settled


def test_a_method_here_may_give_up_its_call_in_its_first_step():
    """Where tasks run at once it has none yet that could be stopped, and goes on to its end."""
    _, pump = make()

    class Hasty(Mine):
        async def remote_wait(self):
            wait.give_up()
            self.heard.append("goes on")

    mine = Hasty()
    pump.call("keep", mine)
    wait = tell(tell(pump.root, "peer"), "wait")
    pump.client.runs_at_once = True
    pump.run()

    assert 0 == wait.settled
    assert ["goes on"] == mine.heard


def test_a_reference_that_comes_home_is_called_where_it_leads():
    """A reference of another connection went out, and comes back as what it is."""
    _, right = make()
    _, left = make()
    there = right.call("room", "far")
    left.call("keep", there)
    home = tell(left.root, "peer")
    name = tell(home, "name")
    left.run()
    right.run()

    assert there is home.result()
    assert "far" == name.result()
    assert right.client.broker.calls is name.calls


def test_a_promise_of_another_connection_is_waited_for():
    """It has no name here."""
    _, right = make()
    _, left = make()
    there = tell(right.root, "same", 5)
    same = tell(left.root, "same", there)
    left.run()
    assert not same.done()
    right.run()
    left.run()

    assert 5 == same.result()


def test_time_runs_out_for_a_call_that_waits_here():
    """It is not sent."""
    house, pump = make()
    first = tell(pump.root, "later", "a")
    pump.run()
    late = tell(first, "note", 1, at=5.0)
    token = context.inherited.set(context.due(50.0))
    try:
        kept = tell(first, "left")
    finally:
        context.inherited.reset(token)
    pump.client.now = 6.0
    pump.client.broker.deadlines.sweep()
    with pytest.raises(pb.DeadlineExceeded, match="not sent"):
        late.result()
    house.gates.pop().open()
    pump.run()

    assert [] == house.heard
    assert 44 == kept.result()


@pytest.mark.unmeasured
def test_no_stack_is_used_by_long_chains():
    """Neither where they succeed nor where they fail, at the callee nor at the caller."""
    _, pump = make(limits=pb.Limits(max_calls=2 * CHAIN))
    last = pump.root
    for _ in range(CHAIN):
        last = tell(last, "room", "a")
    pump.run()
    assert isinstance(last.result(), pb.RemoteReference)

    last = tell(pump.root, "fail")
    for _ in range(CHAIN):
        last = tell(last, "room", "a")
    pump.run()
    assert isinstance(last.error, pb.BrokenPromise)

    pump.client.broker.calls.peer_pipelines = False
    last = tell(pump.root, "fail")
    for _ in range(CHAIN):
        last = tell(last, "room", "a")
    pump.run()
    assert isinstance(last.error, pb.BrokenPromise)

    mine = Mine()
    pump.call("keep", mine)
    last = tell(pump.root, "peer")
    for number in range(CHAIN):
        last = tell(last, "note", number)
    pump.run()
    assert mine is last.result()
    assert list(range(CHAIN)) == mine.heard


def test_what_was_released_by_hand_is_released_after_the_call_that_sends_it_home():
    """The call may have to wait, and its payload is not read before."""
    house, pump = make()
    room = pump.call("room", "x")
    handle = room._pb_import
    first = tell(pump.root, "later", "a")
    names = tell(first, "names", room)
    again = tell(first, "names", room)
    pump.client.broker.tables.drop_now(handle)
    pump.run()
    assert 2 == len(pump.server.broker.tables.exports)
    house.gates.pop().open()
    pump.run()

    assert ["x"] == names.result() == again.result()
    del first, names, again, room, handle
    assert_quiet(pump)


def test_where_more_calls_are_made_than_the_peer_takes_they_wait_here():
    """A call on a promise is no exception."""
    house, pump = make(limits=pb.Limits(max_calls=2))
    first, second = tell(pump.root, "later", "a"), tell(pump.root, "later", "b")
    name = tell(first, "name")
    pump.run()
    for gate in house.gates:
        gate.open()
    pump.run()

    assert "a" == name.result()
    assert isinstance(second.result(), pb.RemoteReference)


def test_calls_that_want_no_answer_keep_their_place(caplog):
    """On a promise they have an id all the same; nobody but the log hears of their answer."""
    house, pump = make()
    room = tell(pump.root, "room", "a")
    for number in range(3):
        call_promised(room._pb_promise(), "note", (number,), {}, None)
    call_promised(room._pb_promise(), "fail", (), {}, None)
    pump.run()
    assert not caplog.records
    caplog.set_level(logging.INFO, "pb")
    call_promised(room._pb_promise(), "fail", (), {}, None)
    number = tell(pump.root, "same", 7)
    root = pump.root
    send(root, "note", number)
    pump.run()

    assert [0, 1, 2, 7] == house.heard
    assert "fail, which wanted no answer, failed" in caplog.text


def test_a_call_that_waits_for_its_turn_can_be_called():
    """It has no id yet, so what is called on it waits here."""
    house, pump = make(limits=pb.Limits(max_calls=1))
    tell(pump.root, "later", "a")
    room = tell(pump.root, "room", "b")
    name = tell(room, "name")
    assert 0 == room.id
    pump.run()
    house.gates.pop().open()
    pump.run()

    assert "b" == name.result()


def test_observers_cannot_be_told_of_a_promise():
    """There is nobody who could wait for it, without being overtaken."""
    _, pump = make()
    room = tell(pump.root, "room", "a")
    stock = Holder()
    pump.client.broker.tables.set_root(stock, pump.client.broker.scope)
    stock.watch(pump)
    with pytest.raises(pb.Unjellyable, match="await it first"):
        stock.tell(room)


def test_a_promise_in_an_answer_is_an_error_of_the_method():
    """A method awaits what it returns."""
    house, pump = make()
    house.remote_leak = lambda: [tell(pump.server.broker.root_reference(), "x")]
    with pytest.raises(pb.RemoteError, match="internal error"):
        pump.call("leak")


def test_a_promise_cannot_be_written_where_there_is_no_connection():
    """Nobody would know of it."""
    _, pump = make()
    room = tell(pump.root, "room", "a")
    with pytest.raises(pb.Unjellyable, match="no connection"):
        jelly.Encoder(jelly.Registry()).dumps([room])
