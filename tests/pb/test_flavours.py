"""What users of the flavours expect of them, over a connection: the sentences of the promise, one by one."""

from __future__ import annotations

import datetime as dt

import pytest

import jelly
import pb
from jelly import Copyable, RemoteCopy

from .cached import REGISTRY, Shop, Stock, Tag, Ware, Weapon
from .pump import STEPS, Gate, Pump, run_all


class Unknown(Copyable, RemoteCopy):
    """A copy that one side has registered, or neither."""

    n: int

    def __init__(self, n):
        self.n = n


def registries(admitted_by):
    """Return the registries of server and client; those who know the class of copies are named."""
    both = []
    for side in ("server", "client"):
        registry = jelly.Registry()
        registry.include(REGISTRY)
        if side in admitted_by:
            registry.add(Unknown, "x.Unknown")
        both.append(registry)
    return both


@STEPS
@pytest.mark.parametrize("admitted_by", ["neither", "server"])
def test_a_copyable_that_is_not_registered_fails_its_call_while_others_finish(step, admitted_by):
    """In the time of that call: the answer is there when that of the next call is."""
    server, client = registries(admitted_by)
    shop = Shop(unknown=[Unknown(1)], later=Ware(3))
    pump = Pump(shop, registry=server, client_registry=client, step=step)
    slow = pump.root.get_later("later")
    bad, good = pump.root.get("unknown"), pump.root.echo(2)
    pump.run()

    with pytest.raises(pb.Error) as caught:
        bad.result()
    assert (admitted_by == "server") == isinstance(caught.value, jelly.InsecureJelly)
    assert 2 == good.result()
    assert 0 == slow.settled
    shop.gate.open()
    pump.run()
    assert 3 == slow.result().n
    assert {} == pump.client.broker.calls.pending


@STEPS
def test_a_copyable_as_an_argument_the_callee_does_not_know_fails_its_call_only(step):
    """The method does not run, and the caller is told why."""
    server, client = registries("client")
    shop = Shop()
    pump = Pump(shop, registry=server, client_registry=client, step=step)
    bad, good = pump.root.keep(Unknown(1)), pump.root.keep("good")
    pump.run()

    with pytest.raises(pb.Unregistered) as caught:
        bad.result()
    assert isinstance(caught.value, jelly.InsecureJelly)
    assert None is good.result()
    assert ["good"] == shop.kept


@STEPS
def test_two_perspectives_are_sent_different_states_of_one_copyable(step):
    """On one connection, and in whichever order they ask."""
    pump = Pump(Shop(tag=Tag("a tag")), registry=REGISTRY, step=step)
    users = [pump.call("enter", name) for name in ("ann", "bob")]
    outcomes = [user.get("tag") for user in (*users, users[0], pump.root)]
    pump.run()

    expected = ["a tag for ann", "a tag for bob", "a tag for ann", "a tag for None"]
    assert expected == [outcome.result().text for outcome in outcomes]


@STEPS
def test_a_factory_of_a_copyable_may_return_what_is_there_already(step):
    """So things with a name of their own are one object at each side."""
    known = {7: Ware(7)}
    client = jelly.Registry()
    client.add(Ware, "shop.Ware", factory=lambda state: known.setdefault(state["n"], Ware(state["n"])))
    shop = Shop(wares=[Ware(7), [Ware(7)], Ware(8)])
    pump = Pump(shop, registry=REGISTRY, client_registry=client, step=step)
    first, (second,), third = pump.call("get", "wares")

    assert first is second is known[7]
    assert third is known[8]


@pytest.mark.parametrize("under", [None, "ann"])
def test_the_second_transfer_of_a_large_cacheable_takes_less_than_a_hundred_bytes(under):
    """And brings the same replica, not an equal one."""
    pump = Pump(Shop(stock=Stock(text="x" * 1_000_000)), registry=REGISTRY)
    target = pump.root if under is None else pump.call("enter", under)
    sizes, replicas = [], []
    for _ in range(2):
        outcome = target.get("stock")
        pump.server.input(pump.client.output())
        answer = pump.server.output()
        pump.client.input(answer)
        sizes.append(len(answer))
        replicas.append(outcome.result())

    assert sizes[0] > 1_000_000
    assert sizes[1] < 100
    assert replicas[0] is replicas[1]


def test_a_viewable_that_comes_over_another_connection_is_a_proxy_and_never_the_object():
    """Where references are passed on: it still acts for the perspective it was given to, and no other."""
    shop = Shop()
    one, two = (Pump(shop, registry=REGISTRY) for _ in range(2))
    ann, bob = one.call("enter", "ann"), two.call("enter", "bob")
    outcome = ann.get("weapon")
    one.run()
    view = outcome.result()
    outcomes = [getattr(bob, "is")("weapon", view), bob.keep(view)]
    run_all(one, two)
    assert [False, None] == [outcome.result() for outcome in outcomes]
    (arrived,) = shop.kept
    assert isinstance(arrived, pb.RemoteReference)
    assert not isinstance(arrived, Weapon)

    said = arrived.plain()
    run_all(two, one, two)
    assert "ann" == said.result()


@STEPS
def test_a_result_that_cannot_be_sent_holds_nobody_up(step):
    """Neither the caller, nor those who wait for their answers."""
    shop = Shop(thing=object(), gate=Gate(), stock=Stock(n=1))
    pump = Pump(shop, registry=REGISTRY, step=step)
    waiting = [pump.root.wait() for _ in range(3)]
    bad = [pump.root.get_later("thing"), pump.root.get("thing")]
    pump.run()
    assert [0, 1] == [outcome.settled for outcome in bad]
    shop.gate.open(5)
    pump.run()

    assert [5, 5, 5] == [outcome.result() for outcome in waiting]
    for outcome in bad:
        with pytest.raises(pb.RemoteError):
            outcome.result()
    assert 1 == pump.call("get", "stock").n


@STEPS
def test_values_that_are_large_or_rare_cross_in_both_directions(step):
    """Complex numbers, times with an offset, integers of 4,096 bits, and a text of a megabyte."""
    pump = Pump(Shop(), registry=REGISTRY, step=step and 4096 * step)
    zone = dt.timezone(dt.timedelta(hours=5, minutes=30))
    for value in (1 - 2j, dt.datetime(2024, 2, 29, 12, tzinfo=zone), 1 - 2**4096, "é" * 2**19):
        arrived = pump.call("echo", value)

        assert (type(value), value) == (type(arrived), arrived)
