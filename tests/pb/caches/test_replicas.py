"""Replicas at their holder: zombies, what comes back, and what grows stale."""

from __future__ import annotations

import copy
import gc
import pickle

import pytest

import jelly
import pb
from pb import messages

from ..cached import REGISTRY, Keeper, Room, Shop, Stock, left_over, messages_of
from ..peers import ask
from ..pump import STEPS, Gate, Outcome, Pump, Script, packed, send


def stale_rows(pump):
    return [row.is_stale for row in pump.client.broker.tables.replicas.values()]


@STEPS
def test_a_question_is_answered_by_the_replica(step):
    """Its error too, which leaves the replica as fresh as it was: the owner decides."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    replica = pump.call("get", "stock")
    (observer,) = shop.stock._observers
    good, bad, none, misfit = (
        ask(observer, *what) for what in [("double", 21), ("fail",), ("nope",), ("double", 1, 2)]
    )
    pump.run()

    assert 42 == good.result()
    for outcome, error in [(bad, pb.RemoteError), (none, pb.NoSuchMethod), (misfit, pb.BadArguments)]:
        with pytest.raises(error):
            outcome.result()
    assert not pb.is_stale(replica)
    shop.stock.tell("set", 3)
    pump.run()
    assert 3 == replica.n


class Lent:
    def set(self, n, _force=False):
        self.got = n, _force


@STEPS
def test_a_method_of_another_object_keeps_its_private_parameters(step):
    """The class of the replica knows nothing of it."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    replica = pump.call("get", "stock")
    lent = Lent()
    replica.observe_set = lent.set
    shop.stock._observers.send("set", 1)
    pump.run()
    assert ((1, False), False) == (lent.got, pb.is_stale(replica))
    shop.stock._observers.send("set", 2, True)
    pump.run()
    assert ((1, False), True) == (lent.got, pb.is_stale(replica))


@STEPS
@pytest.mark.parametrize(
    "update",
    [("nope",), ("set",), ("set", 1, 2), ("fail",), ("fail_later",), ("__class__",), ("add", 1)],
    ids=["no method", "too few", "too many", "raises", "raises later", "dunder", "AttributeError"],
)
def test_a_replica_that_missed_an_update_is_stale_and_released(step, update, caplog):
    """The owner stops; the holder can ask; the object sent again is a fresh replica."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    replica = pump.call("get", "stock")
    shop.stock._observers.send(*update)
    shop.stock._observers.send("set", 9)
    pump.run()

    assert pb.is_stale(replica)
    assert 1 == len(shop.stock._stopped)
    assert 0 == len(shop.stock._observers)
    if update != ("fail_later",):
        assert 1 == replica.n
    with pytest.raises(pb.Unjellyable):
        pump.call("is", "stock", replica)
    shop.stock.n = 7
    fresh = pump.call("get", "stock")
    assert fresh is not replica
    assert (7, False, True) == (fresh.n, pb.is_stale(fresh), pb.is_stale(replica))
    shop.stock.tell("set", 8)
    pump.run()
    assert 8 == fresh.n
    del replica, fresh
    caplog.clear()  # its records know the frames that failed
    assert [] == left_over(pump)


@STEPS
def test_a_replica_is_stale_where_the_payload_of_an_update_is_refused(step):
    """A class the holder does not know."""
    other = jelly.Registry()
    other.add(Stock, "shop.Stock")
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, client_registry=other, step=step)
    replica = pump.call("get", "stock")
    shop.stock._observers.send("put", "x", [Room(n=1)])
    pump.run()

    assert pb.is_stale(replica)
    assert 1 == len(shop.stock._stopped)
    del replica
    assert [] == left_over(pump)


def test_a_holder_that_serves_as_many_calls_as_it_may_follows_all_the_same():
    """An owner may have max_calls unanswered; a change is not one more."""
    keeper, shop = Keeper(), Shop()
    pump = Pump(shop, registry=REGISTRY, client_limits=pb.Limits(max_calls=1))
    replica = pump.call("get", "stock")
    pump.call("keep", keeper)
    waiting = shop.kept[0].wait()
    pump.run()
    shop.stock.tell("set", 2)
    pump.run()

    assert (2, False) == (replica.n, pb.is_stale(replica))
    keeper.gate.open(5)
    pump.run()
    assert 5 == waiting.result()


@STEPS
def test_an_update_is_applied_before_a_later_answer_though_calls_are_held(step):
    """While the owner does not read, its calls are not run; its answers are given all the same."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    replica = pump.call("get", "stock")
    pump.client.broker.serving.hold()

    assert 9 == pump.call("tell", "stock", "set", 9)
    assert (9, False) == (replica.n, pb.is_stale(replica))


@STEPS
def test_an_update_with_references_gives_them_back_where_it_is_not_applied(step):
    """Counted and released, whether the method is there or the replica is not."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    replica = pump.call("get", "stock")
    shop.stock._observers.send("nope", Keeper(), Stock(n=2))
    shop.stock._observers.send("put", "x", Keeper())
    pump.run()
    assert pb.is_stale(replica)
    del replica

    assert [] == left_over(pump)


@STEPS
@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "dropped"])
def test_a_cache_that_is_sent_to_a_stale_replica_is_released_at_once(step, is_kept):
    """It crossed the release: whoever has the stale replica is given it, else the payload is refused."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    box = [pump.call("get", "stock")]
    shop.stock._observers.send("fail")
    seen = []
    outcome = pump.root.get("stock")
    outcome.set_result = seen.append
    outcome.set_exception = seen.append
    pump.server.input(pump.client.output(), step)
    down = pump.server.output()
    if not is_kept:
        box.clear()
    pump.client.input(down, step)
    pump.run()

    if is_kept:
        assert seen[0] is box[0]
        assert pb.is_stale(seen[0])
    elif type(seen[0]) is Stock:  # a zombie, kept till GONE
        assert pb.is_stale(seen[0])
    else:
        assert isinstance(seen[0], pb.NoSuchObject)
    assert 1 == len(shop.stock._stopped)
    box.clear()
    seen.clear()
    assert [] == left_over(pump)


@pytest.mark.parametrize(
    "payload",
    [
        [["CACHE", {"n": 10, "__class__": 1}]],
        [["CACHE", {"n": 10, "observe_set": 1}]],
        [["CACHE", [1]]],
        ["unknown", ["CACHE", {"n": 10}]],
        [["CACHE", {"n": 10, "x": "unknown"}]],
    ],
    ids=["private key", "method", "no map", "after the refused", "around the refused"],
)
def test_a_replica_whose_state_was_refused_is_never_given_out(payload):
    """The owner's CACHED may have crossed the refusal; half a state is no state."""
    shop = Shop()
    script = Script(shop, registry=REGISTRY, info={"features": ["cache"]})
    script.say([messages.CALL, 1, 0, "keep", packed([[build(payload)], {}])])
    script.say([messages.CALL, 2, 0, "keep", packed([[build("CACHED")], {}])])
    heard = script.heard()

    assert 1 == messages_of(heard, messages.ERROR)[0][1]
    assert [] == [vars(each) for each in shop.kept if not pb.is_stale(each)]
    released = [number for message in messages_of(heard, messages.RELEASE) for number in message[1]]
    shop.kept.clear()
    gc.collect()
    released += [number for message in script.heard() for number in message[1]]
    assert {1} == set(released[::2])
    assert 2 == sum(released[1::2])


def build(value):
    """Return a value with its words made Exts: CACHE of id 1, CACHED 1, a copy nobody knows."""
    import msgpack

    if value == "unknown":
        return msgpack.ExtType(8, packed(["no.Such", {}]))
    if value == "CACHED":
        return msgpack.ExtType(10, b"\1")
    if type(value) is list and value[:1] == ["CACHE"]:
        return msgpack.ExtType(9, packed([1, "shop.Stock", build(value[1])]))
    if type(value) is list:
        return [build(each) for each in value]
    if type(value) is dict:
        return {key: build(each) for key, each in value.items()}
    return value


def test_a_replica_of_another_connection_is_forbidden():
    """Its state was cut for someone else's eyes. Nothing is counted for it (PB-C23)."""
    shop = Shop()
    one, two = Pump(shop, registry=REGISTRY), Pump(Shop(), registry=REGISTRY)
    replica = one.call("get", "stock")
    with pytest.raises(pb.Forbidden):
        two.call("echo", [replica])
    two.client.broker.tables.set_root(shop, two.client.broker.scope)
    (back,) = [two.server.broker.root_reference()]
    shop.replica = replica
    outcome = back.get("replica")
    two.run()

    with pytest.raises(pb.Forbidden):
        outcome.result()
    assert [] == [number for number in two.client.broker.tables.exports if number]
    assert one.call("is", "stock", replica)


def test_a_copy_of_a_replica_is_an_object_of_its_own():
    """Nobody updates it, and its end releases nothing."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY)
    replica = pump.call("get", "stock")
    copies = [copy.copy(replica), copy.deepcopy(replica), pickle.loads(pickle.dumps(replica))]
    shop.stock.tell("set", 2)
    pump.run()

    assert [{"n": 1}] * 3 == [vars(each) for each in copies]
    for each in copies:
        with pytest.raises(TypeError):
            pb.is_stale(each)
    copies.clear()
    gc.collect()
    pump.run()
    assert (2, []) == (replica.n, shop.stock._stopped)


def test_a_method_that_waits_holds_nobody_up_and_fails_late():
    """Staleness comes when the failure does."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY)
    replica = pump.call("get", "stock")
    gate = Gate()
    type(replica).observe_hang = hang_at(gate)
    try:
        shop.stock._observers.send("hang")
        shop.stock.tell("set", 2)
        pump.run()
        assert (2, False) == (replica.n, pb.is_stale(replica))
        gate.open()
        pump.run()
    finally:
        del type(replica).observe_hang

    assert pb.is_stale(replica)
    assert 1 == len(shop.stock._stopped)


def hang_at(gate):
    async def observe_hang(self):
        await gate
        raise ZeroDivisionError("after waiting")

    return observe_hang


def test_an_update_on_a_stale_replica_is_answered_where_that_is_wanted():
    """The owner asks a replica that has been given up meanwhile."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY)
    replica = pump.call("get", "stock")
    (observer,) = shop.stock._observers
    send(observer, "fail")
    outcome = ask(observer, "double", 1)
    pump.run()

    assert pb.is_stale(replica)
    assert not pb.is_live(replica)
    with pytest.raises(pb.NoSuchObject):
        outcome.result()
    late = Outcome()
    with pytest.raises(pb.DeadReference):
        observer._pb_import.scope.broker.calls.make(observer._pb_import, "double", (1,), {}, late)
