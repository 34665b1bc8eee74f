"""What ends with an attachment: all that was received under it (PB-R36)."""

from __future__ import annotations

import gc
import weakref

import pytest

import jelly
import pb

from ..cached import REGISTRY, Keeper, Shop, Stock, left_over
from ..leavers import call, detach, enter
from ..pump import STEPS, Outcome, Pump, cancel, run_all, send

NESTED = {
    "alone": lambda value: value,
    "in a list": lambda value: [value],
    "in a copy": lambda value: {"deep": [(value,)]},
}


def first_of(value):
    while not isinstance(value, pb.RemoteReference):
        value = next(iter(value.values() if isinstance(value, dict) else value))
    return value


@STEPS
@pytest.mark.parametrize("shape", NESTED)
def test_a_reference_that_came_as_an_argument_is_dead(step, shape):
    """Whoever was put out would else hear whatever the program goes on telling him."""
    shop, pump, ann = enter(step=step)
    mine = Keeper()
    call(pump, ann, "keep", NESTED[shape](mine))
    theirs = first_of(shop.kept[0])
    detach(shop, pump)

    with pytest.raises(pb.Gone, match="came from a user who has left, or was put out"):
        call(pump, theirs, "take", 1)
    with pytest.raises(pb.Gone, match="came from a user who has left, or was put out"):
        send(theirs, "take", 2)
    assert [] == mine.kept
    assert not pump.client.broker.tables.exports  # its count was given back
    del theirs, ann
    shop.kept.clear()
    assert [] == left_over(pump)


@STEPS
def test_the_client_and_what_its_answers_bring_is_dead(step):
    """It came by the identity, and was adopted; what it answers came under the perspective."""
    shop, inner = Shop(), Keeper()
    pump = Pump(shop, registry=REGISTRY, step=step)
    keeper = Keeper()
    keeper.remote_give = lambda: inner
    ann = pump.call("enter", "ann", keeper)
    theirs = call(pump, shop.client, "give")
    detach(shop, pump)

    for reference in (theirs, shop.client):
        with pytest.raises(pb.Gone):
            call(pump, reference, "take", 1)
    assert not pump.client.broker.tables.exports
    del ann, theirs, shop.client
    assert [] == left_over(pump)


def test_what_came_under_none_or_another_attachment_lives():
    """Each has a handle of its own: the object is reached as long as one of them lives."""
    shop, pump, ann = enter()
    bob = pump.call("enter", "bob")
    mine = Keeper()
    call(pump, ann, "keep", mine)
    call(pump, bob, "keep", mine)
    pump.call("keep", mine)
    detach(shop, pump)
    of_ann, of_bob, of_nobody = shop.kept

    with pytest.raises(pb.Gone):
        call(pump, of_ann, "take", "ann")
    call(pump, of_bob, "take", "bob")
    detach(shop, pump, 1)
    with pytest.raises(pb.Gone):
        call(pump, of_bob, "take", "bob")
    call(pump, of_nobody, "take", "nobody")
    assert ["bob", "nobody"] == mine.kept


def test_what_comes_again_under_a_new_attachment_is_another_reference():
    """The dead one stays so: whoever kept it is not let in again by somebody else's login."""
    shop, pump, ann = enter()
    mine = Keeper()
    call(pump, ann, "keep", mine)
    detach(shop, pump)
    again = pump.call("enter", "ann")
    call(pump, again, "keep", mine)
    old, new = shop.kept

    assert old is not new
    call(pump, new, "take", 1)
    with pytest.raises(pb.Gone):
        call(pump, old, "take", 2)
    assert [1] == mine.kept


def test_a_dead_reference_can_be_adopted_and_sent_home_no_more():
    """Neither is a way around."""
    shop, pump, ann = enter()
    call(pump, ann, "keep", Keeper())
    bob = pump.call("enter", "bob")
    detach(shop, pump)

    with pytest.raises(pb.DeadReference):
        shop.attachments[1].adopt(shop.kept[0])
    with pytest.raises(pb.Gone, match="the result holds a reference that is dead"):
        call(pump, bob, "get", "kept")


def test_a_replica_that_came_under_it_is_stale():
    """What a client publishes is followed no longer than its user is there."""
    shop, pump, ann = enter()
    stock = Stock(n=1)
    call(pump, ann, "keep", stock)
    (replica,) = shop.kept
    stock.tell("set", 2)
    pump.run()
    assert (2, False) == (replica.n, pb.is_stale(replica))
    detach(shop, pump)
    stock.tell("set", 3)
    pump.run()

    assert (2, True) == (replica.n, pb.is_stale(replica))
    assert [None] == [perspective for perspective, _ in stock._stopped]
    shop.kept.clear()
    del replica, ann
    assert [] == left_over(pump)


def test_a_replica_that_was_given_back_before_it_ended_is_nobodys():
    """Released, and confirmed by its owner."""
    shop, pump, ann = enter()
    call(pump, ann, "keep", Stock(n=1))
    shop.kept.clear()
    gc.collect()
    pump.run()
    detach(shop, pump)
    del ann

    assert [] == left_over(pump)


def test_one_that_is_passed_on_to_another_connection_is_gone_there():
    """Whoever got it from this side reached the same user."""
    shop, pump, ann = enter()
    mine = Keeper()
    call(pump, ann, "keep", mine)
    far = Pump(Shop(theirs=shop.kept[0]), registry=REGISTRY)
    passed_on = far.call("get", "theirs")
    outcome = passed_on.take(1)
    run_all(far, pump)
    outcome.result()
    waiting = passed_on.wait()
    run_all(far, pump)
    shop.attachments[0].detach()
    run_all(far, pump)

    with pytest.raises(pb.Gone):
        waiting.result()
    with pytest.raises(pb.Gone):
        call(far, passed_on, "take", 2)
    mine.gate.open()
    run_all(far, pump)
    assert [1] == mine.kept
    assert (0, 0) == (far.server.broker.serving.count, far.client.broker.serving.count)
    assert {} == pump.server.broker.calls.pending


@STEPS
def test_calls_on_it_that_have_no_answer_end(step):
    """Those on the way, whose callee is stopped, and those that wait for their turn."""
    shop, pump, ann = enter(step=step, client_limits=pb.Limits(max_calls=1))
    mine = Keeper()
    call(pump, ann, "keep", mine)
    on_its_way = shop.kept[0].wait()
    waits = shop.kept[0].echo(1)
    send(shop.kept[0], "take", "told later")
    pump.run()
    assert 2 == pump.server.broker.calls.waiting
    detach(shop, pump)

    for outcome in (on_its_way, waits):
        with pytest.raises(pb.Gone):
            outcome.result()
    assert (0, {}) == (pump.server.broker.calls.waiting, pump.server.broker.calls.pending)
    assert (0, []) == (pump.client.broker.serving.count, mine.kept)
    assert 0 == pump.server.broker.calls.room.waiting


def test_an_answer_that_crossed_is_counted_and_given_back():
    """It may hold references; nobody waits for it."""
    shop, pump, ann = enter()
    mine = Keeper()
    call(pump, ann, "keep", mine)
    outcome = shop.kept[0].echo(shop)  # comes home
    other = shop.kept[0].wait()
    pump.run()
    mine.gate.open(Keeper())
    pump.client.run_tasks()
    crossing = pump.client.output()
    shop.attachments[0].detach()
    pump.server.input(crossing)
    pump.run()

    assert outcome.result() is shop
    with pytest.raises(pb.Gone):
        other.result()
    gc.collect()
    pump.run()
    assert not pump.client.broker.tables.exports


def test_a_call_with_a_deadline_is_not_ended_twice():
    """Its time is nobody's business any more."""
    shop, pump, ann = enter()
    call(pump, ann, "keep", Keeper())
    outcome = pb_within(shop.kept[0], "wait", 5.0)
    done = pb_within(shop.kept[0], "wait", 1.0)
    pump.run()
    pump.advance(2.0)
    detach(shop, pump)
    pump.advance(5.0)

    with pytest.raises(pb.Gone):
        outcome.result()
    with pytest.raises(pb.DeadlineExceeded):
        done.result()
    assert 0 == len(pump.server.broker.deadlines)


def test_calls_on_what_came_under_others_are_waited_for():
    """And one whose time is over is over: nobody is told of it twice."""
    shop, pump, ann = enter()
    mine = Keeper()
    pump.call("keep", mine)
    call(pump, ann, "keep", mine)
    of_nobody, of_ann = shop.kept
    waits, late = of_nobody.wait(), pb_within(of_ann, "wait", 1.0)
    pump.server.input(pump.client.output())
    pump.client.input(pump.server.output())
    pump.server.now = 2.0
    pump.server.broker.deadlines.sweep()
    detach(shop, pump)
    with pytest.raises(pb.DeadlineExceeded):
        late.result()
    mine.gate.open("here")
    pump.run()

    assert "here" == waits.result()


def test_one_whose_time_is_over_while_it_waits_is_told_so():
    """It was not sent, and is not given up a second time."""
    shop, pump, ann = enter(client_limits=pb.Limits(max_calls=1))
    call(pump, ann, "keep", Keeper())
    first, waits = shop.kept[0].wait(), shop.kept[0].echo(1)
    cancel(shop.kept[0], first)
    waits.is_given_up = True
    shop.attachments[0].detach()

    assert (0, 0, 0) == (first.settled, waits.settled, pump.server.broker.calls.waiting)


def test_what_its_owner_has_revoked_before_is_given_back_when_it_is_dropped():
    """It was dead already, and what is owed for it is owed as ever."""
    shop, pump, ann = enter()
    mine = Keeper()
    call(pump, ann, "keep", mine)
    pump.client.broker.holdings.revoke_object(mine)
    pump.run()
    detach(shop, pump)

    with pytest.raises(pb.Gone):
        call(pump, shop.kept[0], "take", 1)
    shop.kept.clear()
    del ann
    assert [] == left_over(pump)


def test_an_older_reference_that_stands_for_what_came_is_dead_too():
    """One that was kept over a lost connection, and is known again."""
    shop, pump, ann = enter()
    lost = Pump(Shop(theirs=Keeper()), registry=REGISTRY)
    older = lost.call("get", "theirs")
    lost.lose()
    call(pump, ann, "keep", Keeper())
    (fresh,) = shop.kept
    fresh._pb_import.scope.tables.take_over(fresh, older)
    outcome = older.echo(1)
    pump.run()
    assert 1 == outcome.result()
    detach(shop, pump)

    for reference in (fresh, older):
        with pytest.raises(pb.Gone):
            call(pump, reference, "take", 1)


def pb_within(reference, method, seconds):
    handle, outcome = reference._pb_import, Outcome()
    calls = handle.scope.broker.calls
    at = calls.deadlines.after(seconds)
    outcome.id = calls.make(handle, method, (), {}, outcome, None, at)
    return outcome


def test_what_is_said_of_it_is_told_once_when_it_ends():
    """Watchers of its scope: each once, now where it is over, and none that was taken back."""
    shop, pump, ann = enter()
    call(pump, ann, "keep", Keeper())
    scope, of, heard = shop.kept[0]._pb_import.scope, weakref.ref(shop.kept[0]), []
    scope.watch(lambda: heard.append("first"), of)
    scope.watch(lambda: heard.append("never"), of)()
    detach(shop, pump)
    scope.watch(lambda: heard.append("late"), of)()
    pump.lose()

    assert ["first", "late"] == heard


def test_what_is_said_of_it_is_told_when_the_connection_ends():
    """Its attachment ends with that."""
    shop, pump, ann = enter()
    call(pump, ann, "keep", Keeper())
    heard = []
    shop.kept[0]._pb_import.scope.watch(lambda: heard.append("lost"), weakref.ref(shop.kept[0]))
    pump.lose()

    assert ["lost"] == heard


def test_what_a_payload_brings_that_ends_what_it_comes_under_is_dead():
    """A hook of a copy may put its own user out, and keep what comes behind it."""

    class Ends(pb.Copyable, pb.RemoteCopy):
        def get_state_to_copy(self):
            return {}

        def set_copyable_state(self, state):
            if shop.attachments:
                shop.attachments[0].detach()

    class Keeps(pb.Copyable, pb.RemoteCopy):
        def __init__(self, *values):
            self.values = [*values]

        def get_state_to_copy(self):
            return self.values

        def set_copyable_state(self, state):
            shop.kept += state

    registry = jelly.Registry()
    registry.include(REGISTRY)
    registry.add(Ends, "x.Ends")
    registry.add(Keeps, "x.Keeps")
    shop = Shop()
    pump = Pump(shop, registry=registry)
    ann = pump.call("enter", "ann")
    stock = Stock(n=1)
    outcome = ann.echo([Ends(), Keeps(Keeper(), stock)])
    pump.run()

    with pytest.raises(pb.Gone):
        outcome.result()
    reference, replica = shop.kept
    with pytest.raises(pb.Gone):
        call(pump, reference, "take", 1)
    assert pb.is_stale(replica)
    assert 1 == len(stock._stopped)
    shop.kept.clear()
    del reference, replica, ann
    assert [] == left_over(pump)
