"""Attachments: what a perspective hands out is its own, and how it ends, exactly once."""

from __future__ import annotations

import gc

import pytest

import jelly
import pb

from .cached import REGISTRY, Door, Keeper, Shop, Stock, User, left_over, name_of
from .peers import ask
from .pump import STEPS, Gate, Pump, run_all, send


def call(pump, reference, name, *args, **kwargs):
    outcome = getattr(reference, name)(*args, **kwargs)
    pump.run()
    return outcome.result()


@STEPS
def test_a_perspective_runs_its_perspective_methods_and_no_others(step):
    """The caller gets a reference; the object stays here."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    ann = pump.call("enter", "ann")

    assert "ann" == call(pump, ann, "name")
    for name in ("wave", "perspective_name", "shop"):
        with pytest.raises(pb.NoSuchMethod):
            call(pump, ann, name)
    assert "ann" == shop.attachments[0].perspective.name


@STEPS
def test_a_perspective_returns_itself_as_the_same_reference(step):
    """Alone and inside of something; and it comes home as itself."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    ann = pump.call("enter", "ann")

    assert ann is call(pump, ann, "self")
    assert ann is call(pump, ann, "user", "ann")
    assert ann is call(pump, ann, "echo", [ann])[0]
    assert pump.call("is", "users", 1) is False
    pump.call("keep", ann)
    assert [shop.users["ann"]] == shop.kept


@pytest.mark.parametrize("flavour", ["none", "copy", "cache", "reference"])
def test_a_perspective_of_any_class_returns_itself_as_the_reference(flavour):
    """Perspectives are any objects: under its own attachment each crosses as what it is there."""
    base = {"none": object, "copy": pb.Copyable, "cache": Stock, "reference": pb.Referenceable}[flavour]

    class Any(base):
        x: int = 0

        def __init__(self):
            super().__init__()

        def perspective_self(self):
            return self

        def perspective_nested(self):
            return [self]

    class Place(pb.Root):
        def remote_enter(self):
            return pb.current_call().attach(Any())

    registry = jelly.Registry()
    if flavour in ("copy", "cache"):
        registry.add(Any, "x.Any")
    pump = Pump(Place(), registry=registry)
    mine = pump.call("enter")

    assert mine is call(pump, mine, "self")
    assert mine is call(pump, mine, "nested")[0]


@STEPS
def test_whatever_is_handed_out_at_however_many_removes_stays_under_the_perspective(step):
    """Referenceables of referenceables; a view at the end of the row knows its actor."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    ann = pump.call("enter", "ann")
    door = call(pump, ann, "door")
    inner = call(pump, door, "enter")
    weapon = call(pump, inner, "enter")

    assert ["ann", "ann"] == [call(pump, each, "who") for each in (door, inner)]
    assert "ann" == call(pump, weapon, "plain")


@STEPS
def test_what_an_adopted_client_is_given_is_under_the_perspective(step):
    """The push of a server to the object a user came with."""
    shop, keeper = Shop(), Keeper()
    pump = Pump(shop, registry=REGISTRY, step=step)
    ann = pump.call("enter", "ann", keeper)
    send(shop.client, "take", shop.weapon, shop.users["ann"], Door())
    pump.run()
    weapon, user, door = keeper.kept

    assert user is ann
    assert ["ann", "ann"] == [call(pump, weapon, "plain"), call(pump, door, "who")]
    assert shop.client is shop.attachments[0].adopt(shop.client)


@STEPS
def test_callbacks_of_a_perspective_method_are_under_the_perspective(step):
    """What is received under it is called under it."""
    shop, keeper = Shop(), Keeper()
    pump = Pump(shop, registry=REGISTRY, step=step)
    ann = pump.call("enter", "ann")
    call(pump, ann, "keep", [keeper])
    send(shop.kept[0][0], "take", shop.weapon)
    pump.run()

    assert "ann" == call(pump, keeper.kept[0], "plain")
    # The same object received under none is another reference, under which no view is sent.
    pump.call("keep", keeper)
    assert shop.kept[1] is not shop.kept[0][0]
    with pytest.raises(pb.Unjellyable):
        send(shop.kept[1], "take", shop.weapon)


@STEPS
def test_what_a_callback_answers_is_received_under_the_perspective(step):
    """A reference in the answer of the client's object, called with a view."""
    shop, keeper, inner = Shop(), Keeper(), Keeper()
    pump = Pump(shop, registry=REGISTRY, step=step)
    ann = pump.call("enter", "ann", keeper)
    keeper.remote_give = lambda: inner
    outcome = ask(shop.client, "give")
    pump.run()
    send(outcome.result(), "take", shop.weapon)
    pump.run()

    assert "ann" == call(pump, inner.kept[0], "plain") == call(pump, ann, "name")


@STEPS
def test_two_users_on_one_connection_are_never_mixed(step):
    """Actors, ids, caches and references received: each has its own."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    keeper = Keeper()
    users = [pump.call("enter", name) for name in ("ann", "bob")]
    weapons, stocks, doors = ([call(pump, user, *what) for user in users] for what in ROUNDS)
    for user in users:
        call(pump, user, "keep", keeper)

    assert ["ann", "bob"] == [call(pump, each, "plain") for each in weapons]
    assert ["ann", "bob"] == [call(pump, each, "who") for each in doors]
    assert stocks[0] is not stocks[1]
    assert 2 == len(shop.stock._observers)
    assert shop.kept[0] is not shop.kept[1]
    assert [True, True] == [call(pump, user, "is", "stock", stocks[1]) for user in users]
    ids = [row.id for row in pump.server.broker.tables.exports.values()]
    assert len(ids) == len({*ids}) == 9
    for reference, name in zip(shop.kept, ["ann", "bob"], strict=True):
        send(reference, "take", shop.weapon)
        pump.run()
        assert name == call(pump, keeper.kept[-1], "plain")
    assert keeper.kept == weapons


ROUNDS = [("get", "weapon"), ("get", "stock"), ("door",)]


@STEPS
def test_one_user_may_be_attached_twice_to_one_connection(step):
    """Each attachment is its own: two references, two views, two ends."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    first, second = pump.call("enter", "ann"), pump.call("enter", "ann")
    assert first is not second
    assert first is call(pump, first, "self")
    shop.attachments[0].detach()
    pump.run()

    with pytest.raises(pb.Gone):
        call(pump, first, "name")
    assert "ann" == call(pump, second, "name")
    assert ["ann"] == shop.ended


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


def test_an_attachment_that_is_never_sent_ends_with_the_connection():
    """Nothing was handed out, so nothing can be released."""

    class Silent(Shop):
        def remote_silent(self):
            self.remote_enter("ann")

    shop = Silent()
    pump = Pump(shop, registry=REGISTRY)
    pump.call("silent")
    assert [] == shop.ended
    pump.lose()

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


def test_nothing_is_attached_to_an_ended_connection():
    """A handler may still run when it has."""

    class Late(Shop):
        async def remote_late(self):
            try:
                await self.gate
            finally:
                try:
                    pb.current_call().attach(Door(), lambda: self.ended.append("never"))
                except Exception as error:
                    self.kept.append(error)

    shop = Late()
    pump = Pump(shop, registry=REGISTRY)
    pump.root.late()
    pump.run()
    pump.lose()

    assert [True] == [isinstance(error, pb.ConnectionLost) for error in shop.kept]
    assert ([], []) == (shop.ended, pump.server.broker.tables.scopes)


def test_an_attachment_belongs_to_its_connection():
    """Sent over another one it is refused at the sender, and so is adopting what came over another."""
    shop = Shop()
    one, two = Pump(shop, registry=REGISTRY), Pump(shop, registry=REGISTRY)
    ann = one.call("enter", "ann")
    shop.attachment = shop.attachments[0]
    with pytest.raises(pb.Forbidden):
        two.call("get", "attachment")
    two.call("keep", Keeper())
    with pytest.raises(TypeError):
        shop.attachment.adopt(shop.kept[0])
    with pytest.raises(TypeError):
        shop.attachment.adopt("client")
    run_all(one, two)

    assert ann is one.call("get", "attachment")
    assert "Attachment of User" in repr(shop.attachment)


@STEPS
def test_a_perspective_may_be_settled_later(step):
    """Until then nothing is seen through it; from then on it is as if it had been given at once."""

    class Later(Shop):
        async def remote_later(self, client):
            attachment = pb.current_call().attach()
            client = attachment.adopt(client)
            self.kept.append(sent_error(client, self.weapon))
            attachment.on_end(lambda: self.ended.append("ann"))
            attachment.perspective = User("ann", self)
            send(client, "take", self.weapon)
            with pytest.raises(ValueError, match="another perspective"):
                attachment.perspective = User("bob", self)
            return attachment

    shop, keeper = Later(), Keeper()
    pump = Pump(shop, registry=REGISTRY, step=step)
    ann = pump.call("later", keeper)

    assert [pb.Unjellyable] == [type(each) for each in shop.kept]
    assert ["ann", "ann"] == [call(pump, ann, "name"), call(pump, keeper.kept[0], "plain")]
    pump.lose()
    assert ["ann"] == shop.ended


def test_an_attachment_is_not_sent_before_its_perspective_is_settled():
    """The peer would get a reference to nothing, for good."""

    class Hasty(Shop):
        def remote_hasty(self):
            return pb.current_call().attach()

    pump = Pump(Hasty(), registry=REGISTRY)
    with pytest.raises(pb.RemoteError):
        pump.call("hasty")
    assert [0] == list(pump.server.broker.tables.exports)
    pump.lose()

    assert [] == left_over(pump)


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


def test_a_handler_that_waits_keeps_its_perspective():
    """Others come and go meanwhile."""

    class Waiting(Door):
        def __init__(self):
            super().__init__()
            self.gate = Gate()

        async def remote_wait(self):
            await self.gate
            return name_of(pb.current_call().perspective)

    shop = Shop(door=Waiting())
    pump = Pump(shop, registry=REGISTRY)
    users = [pump.call("enter", name) for name in ("ann", "bob")]
    doors = [call(pump, user, "get", "door") for user in users]
    outcomes = [door.wait() for door in doors]
    pump.run()
    shop.door.gate.open()
    pump.run()

    assert ["ann", "bob"] == [each.result() for each in outcomes]
