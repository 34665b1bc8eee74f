"""How attachments end: exactly once, and with everything that was handed out under them."""

from __future__ import annotations

import gc

import pytest

import jelly
import pb

from .cached import REGISTRY, Door, Keeper, Shop, Stock, User, left_over, name_of
from .peers import ask
from .pump import STEPS, Cancelled, Pump, send


def call(pump, reference, name, *args, **kwargs):
    outcome = getattr(reference, name)(*args, **kwargs)
    pump.run()
    return outcome.result()


ROUNDS = [("get", "weapon"), ("get", "stock"), ("door",)]


ENDS = {
    "detached": lambda pump, shop, box: shop.attachments[0].detach(),
    "revoked": lambda pump, shop, box: pump.server.broker.holdings.revoke_object(shop.users["ann"]),
    "revoked by its attachment": lambda pump, shop, box: pump.server.broker.holdings.revoke_object(
        shop.attachments[0]
    ),
    "lost": lambda pump, shop, box: pump.lose(),
    "closed by the server": lambda pump, shop, box: (pump.server.broker.close(), pump.run(), pump.lose()),
    "closed by the client": lambda pump, shop, box: (pump.client.broker.close(), pump.run(), pump.lose()),
    "released": lambda pump, shop, box: (box.clear(), gc.collect()),
}


@STEPS
@pytest.mark.parametrize("how", ENDS)
def test_an_attachment_ends_exactly_once_however_it_ends(step, how):
    """And everything under it is dead for good."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    ann = pump.call("enter", "ann")
    box = [ann, *(call(pump, ann, *what) for what in ROUNDS)]
    references = [] if how == "released" else [box[0], box[1], box[3]]
    stock = None if how == "released" else box[2]
    del ann
    assert ([], False) == (shop.ended, shop.attachments[0].is_over)
    ENDS[how](pump, shop, box)
    pump.run()

    assert (["ann"], True) == (shop.ended, shop.attachments[0].is_over)
    assert [shop.users["ann"]] == [perspective for perspective, _ in shop.stock._stopped]
    for reference, name in zip(references, ["name", "plain", "who"], strict=bool(references)):
        with pytest.raises((pb.Gone, pb.ConnectionLost, pb.DeadReference)):
            call(pump, reference, name)
    assert stock is None or pb.is_stale(stock)
    shop.attachments[0].detach()
    pump.lose()
    assert ["ann"] == shop.ended
    box.clear()
    del references, stock
    assert [] == left_over(pump)


@STEPS
def test_releasing_the_perspective_alone_ends_nothing(step):
    """It lives as long as anything it handed out."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    ann = pump.call("enter", "ann")
    door = call(pump, ann, "door")
    del ann
    gc.collect()
    pump.run()
    assert [] == shop.ended
    assert "ann" == call(pump, door, "who")
    del door
    gc.collect()
    pump.run()

    assert ["ann"] == shop.ended


@STEPS
@pytest.mark.parametrize(
    "how", ["running", "held", "held and cancelled", "passed on", "passed on and failing"]
)
def test_a_call_keeps_its_attachment_until_it_is_answered(step, how):
    """Who writes `root.enter(name).thing()` holds the perspective no longer than until it is called."""
    shop = Shop(door=Door())
    pump = Pump(shop, registry=REGISTRY, step=step)
    far = Pump(Shop(door=Door()), registry=REGISTRY)
    shop.far = far.root
    ann = pump.call("enter", "ann")
    target, serving = ann, pump.server.broker.serving
    if how.startswith("passed on"):
        target = call(pump, ann, "get", "far")
        name = "door" if how == "passed on" else "nothing"
    elif how.startswith("held"):
        serving.hold()
    outcome = target.get_later("door") if how == "running" else target.get("door" if how[0] == "h" else name)
    pump.run()
    del ann, target
    gc.collect()
    pump.run()
    assert ([], False) == (shop.ended, shop.attachments[0].is_over)

    if how == "held and cancelled":
        pump.client.broker.calls.cancel(outcome.id, outcome)
        pump.run()
    shop.gate.open()
    serving.start_held()
    for _ in range(3):
        far.run()
        pump.run()

    if how in ("held and cancelled", "passed on and failing"):
        assert 0 == outcome.settled or outcome.error is not None
    else:
        assert 1 == outcome.settled
        assert isinstance(outcome.result(), pb.RemoteReference)
        assert [] == shop.ended
    del outcome
    assert [] == left_over(pump)
    assert ["ann"] == shop.ended


@STEPS
@pytest.mark.parametrize("error", [ValueError, Cancelled, KeyboardInterrupt])
def test_what_one_raises_when_it_is_told_of_the_end_keeps_no_other_from_being_told(step, error):
    """Also what is no Exception: a CancelledError comes out of every future that was cancelled."""

    class Spoiler(Stock):
        def stopped_observing(self, perspective, observer):
            super().stopped_observing(perspective, observer)
            raise error

    class House(Shop):
        def remote_enter(self, name):
            return pb.current_call().attach(User(name, self), lambda: self.leave(name))

        def leave(self, name):
            self.ended.append(name)
            raise error

    registry = jelly.Registry()
    registry.include(REGISTRY)
    registry.add(Spoiler, "x.Spoiler")
    things = [Spoiler(n=1), Stock(n=2), Spoiler(n=3), Stock(n=4)]
    shop = House(things=things)
    pump = Pump(shop, registry=registry, step=step)
    held = [pump.call("get", "things"), *(pump.call("enter", name) for name in ("ann", "bob", "zoe"))]
    pump.lose()

    assert [1, 1, 1, 1] == [len(each._stopped) for each in things]
    assert ["ann", "bob", "zoe"] == sorted(shop.ended)
    assert 4 == len(held)


@STEPS
def test_what_is_released_before_the_perspective_is_handed_out_ends_nothing(step):
    """A login that shows the client something first, and then waits, still returns the perspective."""

    class Slow(Shop):
        async def remote_come_in(self, client):
            attachment = pb.current_call().attach(self, lambda: self.ended.append("over"))
            await ask(attachment.adopt(client), "look", self.weapon)
            await self.gate
            return attachment

    class Client(pb.Referenceable):
        def remote_look(self, weapon):
            pass

    shop = Slow()
    pump = Pump(shop, registry=REGISTRY, step=step)
    outcome = pump.root.come_in(Client())
    pump.run()
    gc.collect()
    pump.run()
    assert [] == shop.ended
    shop.gate.open()
    pump.run()

    assert not isinstance(outcome.error, Exception)
    del outcome
    assert [] == left_over(pump)
    assert ["over"] == shop.ended


def test_an_attachment_whose_answer_cannot_be_sent_ends():
    """The peer never heard of it."""

    class Broken(Shop):
        def remote_broken(self):
            return [self.remote_enter("ann"), object()]

    shop = Broken()
    pump = Pump(shop, registry=REGISTRY)
    with pytest.raises(pb.RemoteError):
        pump.call("broken")

    assert ["ann"] == shop.ended
    assert [] == left_over(pump)


def test_an_attachment_that_is_never_sent_ends_with_the_call():
    """Nothing was handed out, so nothing can be released: it would stay as long as the connection."""

    class Silent(Shop):
        def remote_silent(self):
            self.remote_enter("ann")

    shop = Silent()
    pump = Pump(shop, registry=REGISTRY)
    pump.call("silent")

    assert ["ann"] == shop.ended


def test_what_is_called_at_the_end_may_fail(caplog):
    """It is logged, and the others are told."""

    class Broken(Shop):
        def remote_enter(self, name):
            def ended():
                self.ended.append(name)
                if name == "ann":
                    raise ZeroDivisionError("at the end")

            return pb.current_call().attach(Door(), ended)

    shop = Broken()
    pump = Pump(shop, registry=REGISTRY)
    both = [pump.call("enter", name) for name in ("ann", "bob")]
    pump.lose()

    assert ["ann", "bob"] == shop.ended
    assert 1 == len(caplog.records)
    assert 2 == len(both)


@STEPS
def test_calls_that_crossed_the_end_are_answered_gone(step):
    """The callee no longer knows what they are about."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    ann = pump.call("enter", "ann")
    door = call(pump, ann, "door")
    outcomes = [ann.name(), door.who(), door.take(ann), pump.root.keep(door)]
    up = pump.client.output()
    shop.attachments[0].detach()
    pump.server.input(up, step)
    pump.run()

    for outcome in outcomes:
        with pytest.raises(pb.Gone):
            outcome.result()
    assert [] == shop.kept
    del ann, door, outcomes, outcome
    assert [] == left_over(pump)


@STEPS
@pytest.mark.parametrize("what", ["weapon", "stock", "door", "users"])
def test_a_running_method_of_an_ended_attachment_hands_out_nothing(step, what):
    """Neither what is new nor what was handed out before; a plain value is its own business."""
    shop = Shop(door=Door())
    pump = Pump(shop, registry=REGISTRY, step=step)
    ann = pump.call("enter", "ann")
    shop.users = shop.users["ann"] if what == "users" else shop.users
    before = call(pump, ann, "get", "door")
    outcome = ann.get_later(what)
    pump.run()
    shop.attachments[0].detach()
    pump.run()
    shop.gate.open()
    pump.run()

    with pytest.raises(pb.Error):
        outcome.result()
    assert [[1, 1], [2, 1]] == [
        [row.id, row.count] for row in pump.server.broker.tables.exports.values() if row.id
    ]
    assert 0 == len(shop.stock._observers)
    with pytest.raises((pb.Gone, pb.Unjellyable)):
        raise sent_error(shop.attachments[0].adopt(shop_client(shop, pump)), shop.weapon)
    assert before is not None


def shop_client(shop, pump):
    pump.call("keep", Keeper())
    return shop.kept[-1]


def sent_error(reference, value):
    """Return what is raised when a value is sent, or None."""
    try:
        send(reference, "take", value)
    except Exception as error:
        return error
    return None


def test_what_is_to_be_called_at_the_end_is_called_where_that_was_missed():
    """Registered after the end; and whoever was registered before is not called."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY)
    ann = pump.call("enter", "ann")
    shop.attachments[0].on_end(lambda: shop.ended.append("first"))
    pump.lose()
    assert ["first"] == shop.ended
    shop.attachments[0].on_end(lambda: shop.ended.append("second"))

    assert ["first", "second"] == shop.ended
    assert ann is not None


def test_the_end_of_an_attachment_may_detach_others():
    """Whoever is told of an end tidies up."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY)
    both = [pump.call("enter", name) for name in ("ann", "bob")]
    shop.ended = Chain(shop.attachments)
    pump.lose()

    assert ["ann", "bob"] == sorted(shop.ended)
    assert [True, True] == [each.is_over for each in shop.attachments]
    assert 2 == len(both)


class Chain(list):
    def __init__(self, attachments):
        super().__init__()
        self.attachments = attachments

    def append(self, name):
        super().append(name)
        for attachment in self.attachments:
            attachment.detach()


def test_a_revocation_whose_ends_detach_others_ends_each_once():
    """Two attachments of one perspective: the end of the first ends the second."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY)
    both = [pump.call("enter", "ann") for _ in range(2)]
    shop.ended = Chain(shop.attachments)
    pump.server.broker.holdings.revoke_object(shop.users["ann"])
    pump.run()

    assert ["ann", "ann"] == shop.ended
    assert 2 == len(both)


def test_a_call_that_outlives_its_attachment_knows_for_whom_it_runs():
    """And when it is over nothing leads from what was received to whoever it was received for."""

    class Late(User):
        async def perspective_later(self):
            try:
                await self.shop.gate
            finally:
                self.shop.kept.append(name_of(pb.current_call().perspective))

    shop = Shop()
    shop.users["ann"] = Late("ann", shop)
    pump = Pump(shop, registry=REGISTRY)
    ann = pump.call("enter", "ann", Keeper())
    scope = shop.attachments[0].scope
    outcome = ann.later()
    pump.run()
    shop.attachments[0].detach()
    pump.run()

    with pytest.raises(pb.Gone):
        outcome.result()
    assert ["ann"] == shop.kept
    assert (None, "ann") == (scope.perspective, shop.attachments[0].perspective.name)
    assert scope is shop.client._pb_import.scope
