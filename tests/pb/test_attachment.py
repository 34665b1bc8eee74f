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


@STEPS
def test_a_perspective_that_was_released_is_handed_out_again_as_itself(step):
    """By what it has handed out, which is under the same attachment; and not as a view of itself."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    ann = pump.call("enter", "ann")
    door = call(pump, ann, "door")
    call(pump, door, "take", ann)
    del ann
    gc.collect()
    pump.run()
    held = [export.object for export in pump.server.broker.tables.exports.values()]
    assert not any(each is shop.users["ann"] for each in held)

    again = call(pump, door, "enter")
    assert "ann" == call(pump, again, "name")
    with pytest.raises(pb.NoSuchMethod):
        call(pump, again, "wave")


@pytest.mark.parametrize("flavour", ["none", "reference"])
def test_a_perspective_of_any_class_returns_itself_as_the_reference(flavour):
    """Perspectives are any objects: under its own attachment each crosses as what it is there."""
    base = {"none": object, "reference": pb.Referenceable}[flavour]

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

    pump = Pump(Place())
    mine = pump.call("enter")

    assert mine is call(pump, mine, "self")
    assert mine is call(pump, mine, "nested")[0]


@pytest.mark.parametrize("flavour", ["copy", "cache", "registered"])
def test_what_crosses_by_value_can_be_no_perspective(flavour):
    """Sent back by its own method it would leave as a copy, and a reference to it would be something else."""

    class Any({"copy": pb.Copyable, "cache": Stock, "registered": object}[flavour]):
        x: int = 0

    class Place(pb.Root):
        def remote_enter(self):
            with pytest.raises(TypeError, match="can be no perspective"):
                pb.current_call().attach(Any())
            return True

    registry = jelly.Registry()
    registry.add(Any, "x.Any")

    assert Pump(Place(), registry=registry).call("enter")


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
    assert ([], {}) == (shop.ended, pump.server.broker.tables.scopes)


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


def test_nothing_is_adopted_under_an_attachment_that_is_over():
    """Whoever was just attached and revoked in the middle of it must get no client to be called as."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY)
    pump.call("keep", Keeper())
    attachment = pump.server.broker.holdings.attach(User("ann", shop))
    known = len(pump.server.broker.tables.imports)
    attachment.detach()

    with pytest.raises(pb.Gone, match="the attachment is over"):
        attachment.adopt(shop.kept[0])
    assert known == len(pump.server.broker.tables.imports)


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


def test_a_perspective_whose_roles_are_one_text_is_not_attached(caplog):
    """Said once, where it is made, and not with the first thing that has a field for some only."""
    shop = Shop()
    ann = shop.users["ann"] = User("ann", shop)
    ann.roles = "manager"
    pump = Pump(shop, registry=REGISTRY)

    with pytest.raises(pb.RemoteError):
        pump.call("enter", "ann")
    ann.roles = {"manager"}
    pump.call("enter", "ann")

    assert 1 == len(shop.attachments)
    assert "the roles of a User are a str" in caplog.text
    assert "expected: roles = {'manager'}" in caplog.text
