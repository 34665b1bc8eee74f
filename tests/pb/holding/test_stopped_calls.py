"""Calls that run on what is taken away: their callers are told at once, and they stop (PB-R33, PB-R36)."""

from __future__ import annotations

import pytest

import pb

from ..cached import REGISTRY, Keeper, Shop
from ..leavers import Waiting, detach, enter
from ..pump import STEPS, Gate, Outcome, Pump, run_all, send


@STEPS
def test_a_call_that_runs_under_it_is_answered_at_once_and_stopped(step):
    """Neither its data nor an incident: the caller has lost what it asked."""
    shop, pump, ann = enter(step=step)
    outcomes = [ann.wait(), ann.wait(shop)]
    pump.run()
    detach(shop, pump)

    for outcome in outcomes:
        with pytest.raises(pb.Gone, match="it was stopped"):
            outcome.result()
    assert ["stopped", "stopped", "ann"] == sorted(shop.ended, key=len, reverse=True)
    assert 0 == pump.server.incidents
    assert (0, None) == (pump.server.broker.serving.count, shop.attachments[0].scope.perspective)


def test_one_that_is_slow_to_stop_keeps_its_place_and_tells_nothing(caplog):
    """Or who comes and goes could have more methods run than max_calls; and its data come too late."""
    shop, pump, ann = enter()
    outcome = ann.deaf()
    pump.run()
    detach(shop, pump)
    serving = pump.server.broker.serving
    with pytest.raises(pb.Gone):
        outcome.result()
    assert (1, {}) == (serving.count, serving.running)

    shop.other.open()
    pump.run()
    assert (0, [], []) == (serving.count, [*serving._quiet], caplog.records)


def test_one_that_fails_when_it_is_stopped_is_logged(caplog):
    """That is the program's mistake, and nobody else would hear of it."""
    shop, pump, ann = enter()
    outcome = ann.fail_when_stopped()
    pump.run()
    detach(shop, pump)

    with pytest.raises(pb.Gone):
        outcome.result()
    (record,) = caplog.records
    assert record.exc_info[0] is ZeroDivisionError


def test_a_call_that_wants_no_answer_is_stopped_too():
    """It serves the user who has left."""
    shop, pump, ann = enter()
    send(ann, "wait")
    pump.run()
    detach(shop, pump)

    assert ["ann", "stopped"] == sorted(shop.ended)
    assert 0 == pump.server.broker.serving.count


def test_a_cancel_that_crosses_is_nothing():
    """The caller gave it up, and was put out at the same time."""
    shop, pump, ann = enter()
    outcome = ann.deaf()
    pump.run()
    pump.client.broker.calls.cancel(outcome.id, outcome)
    pump.run()
    detach(shop, pump)
    shop.other.open()
    pump.run()

    with pytest.raises(pb.Gone):
        outcome.result()
    assert 0 == pump.server.broker.serving.count


def test_calls_under_others_go_on():
    """Bob's, and those of nobody, on the same connection."""
    shop, pump, _ = enter()
    shop.users["bob"] = Waiting("bob", shop)
    bob = pump.call("enter", "bob")
    outcomes = [bob.wait(), pump.root.wait()]
    pump.run()
    detach(shop, pump)
    shop.gate.open("of nobody")
    pump.run()

    assert ["a secret", "of nobody"] == [outcome.result() for outcome in outcomes]


def test_what_a_stopped_call_waits_for_is_stopped_in_turn():
    """The client is asked by the method, and both are given up."""
    shop, pump, ann = enter()
    keeper = Keeper()
    outcome = ann.ask(keeper)
    pump.run()
    detach(shop, pump)

    with pytest.raises(pb.Gone):
        outcome.result()
    for side in (pump.client, pump.server):
        assert (0, {}) == (side.broker.serving.count, side.broker.calls.pending)


def test_a_call_that_is_passed_on_is_answered_at_once_and_stopped_there():
    """Whoever serves it need not have heard of the user."""
    far = Pump(Shop())
    shop, pump, ann = enter(Shop(far=far.root))
    passed_on = ann.get("far")
    pump.run()
    outcome = passed_on.result().wait()
    run_all(pump, far)
    assert 1 == far.server.broker.serving.count
    shop.attachments[0].detach()
    run_all(pump, far)

    with pytest.raises(pb.Gone, match="it was stopped"):
        outcome.result()
    assert (0, {}) == (far.server.broker.serving.count, far.client.broker.calls.pending)
    assert 0 == pump.server.broker.serving.count


def test_a_call_that_is_passed_on_and_has_no_time_left_ends_once():
    """Its own end comes from there, too late."""
    far = Pump(Shop())
    shop = Shop(far=far.root)
    pump = Pump(shop, registry=REGISTRY)
    handle, outcome = pump.call("get", "far")._pb_import, Outcome()
    pump.client.broker.calls.make(handle, "wait", (), {}, outcome, None, 1.0)
    run_all(pump, far)
    pump.client.now = pump.server.now = far.client.now = 2.0
    far.client.broker.deadlines.sweep()
    run_all(pump, far)

    with pytest.raises(pb.DeadlineExceeded):
        outcome.result()
    assert (0, 0) == (pump.server.broker.serving.count, far.server.broker.serving.count)


def test_a_call_that_ends_because_another_does_is_not_told_twice():
    """One method waits for the other, here in the same program."""

    class Chain(pb.Referenceable):
        def __init__(self):
            self.gate = Gate()

        async def remote_first(self):
            try:
                await Gate()
            finally:
                self.gate.open("released")

        async def remote_second(self):
            return await self.gate

    shop = Shop(chain=Chain())
    pump = Pump(shop, registry=REGISTRY)
    chain = pump.call("get", "chain")
    first, second = chain.first(), chain.second()
    pump.run()
    pump.server.broker.holdings.revoke_object(shop.chain)
    pump.run()

    with pytest.raises(pb.Gone):
        first.result()
    assert "released" == second.result()


def test_calls_on_a_revoked_object_end_but_for_the_one_that_revokes():
    """One rule for whatever is taken away: names, objects, users (PB-R33)."""

    class Door(pb.Referenceable):
        async def remote_wait(self):
            await Gate()

        async def remote_close(self):
            return pb.current_call()._scope.broker.holdings.revoke_object(self)

    shop = Shop(door=Door())
    pump = Pump(shop, registry=REGISTRY)
    door = pump.call("get", "door")
    waits, other = door.wait(), pump.root.wait()
    pump.run()
    closes = door.close()
    pump.run()

    assert 1 == closes.result()
    with pytest.raises(pb.Gone, match="revoked while the call ran"):
        waits.result()
    assert not other.settled


def test_an_object_is_taken_from_one_attachment_and_stays_under_others():
    """Two users of one connection hold it under two ids."""
    shop, pump, ann = enter()
    bob = pump.call("enter", "bob")
    of_ann, of_bob, of_nobody = ann.get("weapon"), bob.get("weapon"), pump.root.get("stock")
    pump.run()
    holdings, user = pump.server.broker.holdings, shop.users["bob"]

    assert (True, False) == (holdings.has_attached(user), holdings.has_attached(object()))
    assert 1 == holdings.revoke_from(shop.weapon, lambda scope: scope.perspective is user)
    assert 0 == holdings.revoke_from(shop.stock, lambda scope: True)
    pump.run()
    plain = of_ann.result().plain()
    pump.run()
    assert "ann" == plain.result()
    with pytest.raises(pb.Gone):
        gone = of_bob.result().plain()
        pump.run()
        gone.result()
    assert not pb.is_stale(of_nobody.result())


def test_a_message_that_takes_it_away_is_let_finish_and_no_other_is():
    """None of them has an id."""
    shop, pump, ann = enter()
    send(ann, "wait")
    pump.run()
    send(ann, "leave")
    pump.run()
    assert ["stopped"] == [each for each in shop.ended if each in {"stopped", "left"}]
    shop.other.open()
    pump.run()

    assert ["stopped", "left"] == [each for each in shop.ended if each in {"stopped", "left"}]
    assert 0 == pump.server.broker.serving.count


def test_a_message_that_is_stopped_ends_no_stream_that_came_with_an_answer():
    """That belongs to no call, and has no number either."""
    streams = Pump(Shop()).server.broker.streams
    streams.consumers[7] = type("Row", (), {"call_id": 0})()  # to stop it would need what it has not got
    streams.stop_of_call(0)

    assert [7] == [*streams.consumers]
