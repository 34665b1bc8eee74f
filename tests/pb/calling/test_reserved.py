"""Methods with a colon in their name: those of the specification, which no object publishes."""

from __future__ import annotations

import gc

import msgpack
import pytest

import pb

from ..peers import NO_ARGUMENTS, ask
from ..pump import STEPS, Pump, Script, run_all


class Lamp(pb.Viewable):
    @pb.idempotent
    def view_look(self, actor):
        return "dark"

    def view_switch(self, actor):
        return "light"

    @pb.idempotent
    def remote_look_in_another_way(self):
        return "dark"


class User(pb.Referenceable):
    def __init__(self):
        self.lamp = Lamp()

    def perspective_lamp(self):
        return self.lamp

    @pb.idempotent
    def perspective_name(self):
        return "alice"


class Room(pb.Root):
    @pb.idempotent
    def remote_look(self):
        return "room"

    def remote_count_up(self):
        return 2

    @pb.idempotent
    def hidden(self):
        return "no"

    def remote_enter(self):
        return pb.current_call().attach(User())

    def remote_lend(self, thing):
        self.thing = thing
        return thing

    def __getattr__(self, name):
        assert ":" not in name
        raise AttributeError(name)


def safe(pump, reference):
    outcome = ask(reference, "pb:idempotent")
    pump.run()
    return outcome.result()


@STEPS
def test_every_object_says_which_of_its_methods_may_run_twice(step):
    """Those it publishes under this reference: of a view its views, of a perspective the user's."""
    pump = Pump(Room(), step=step)
    user = pump.call("enter")
    lamp = user.lamp()
    pump.run()

    assert ["look"] == safe(pump, pump.root)
    assert ["name"] == safe(pump, user)
    assert ["look"] == safe(pump, lamp.result())


def test_a_proxy_asks_the_object_it_stands_for():
    """What may run twice is known where it runs."""
    near, far = Pump(Room()), Pump(Room())
    lent = near.root.lend(far.root)
    run_all(near, far)
    assert lent.result() is far.root
    thing = near.server.broker.tables.imports
    reference = next(iter(thing.values()))()
    outcome = ask(reference, "pb:idempotent")
    run_all(near, far)

    assert ["look"] == outcome.result()


@pytest.mark.parametrize(
    "name", ["pb:", "pb:nonsense", ":", "pb:idempotent:", "PB:idempotent", "remote_:look"]
)
def test_an_unknown_name_with_a_colon_is_refused_as_any_other(name):
    """Nor is the object asked for it: such names are not its own."""
    pump = Pump(Room())

    with pytest.raises(pb.NoSuchMethod, match=r"^no method of that name$"):
        pump.call(name)
    assert "room" == pump.call("look")


@pytest.mark.parametrize(("args", "kwargs"), [((1,), {}), ((None, []), {}), ((), {"x": 1}), ((), {"_x": 1})])
def test_arguments_that_do_not_fit_are_refused(args, kwargs):
    """At an object as at a view, which is told the actor first."""
    pump = Pump(Room())
    user = pump.call("enter")
    lamp = user.lamp()
    pump.run()

    for reference in (pump.root, user, lamp.result()):
        outcome = ask(reference, "pb:idempotent", *args, **kwargs)
        pump.run()
        with pytest.raises(pb.BadArguments):
            outcome.result()
    assert "room" == pump.call("look")


def test_who_has_to_log_in_first_is_told_nothing():
    """Before a login there is one method."""
    room = Script(Room(), greet=False)
    room.broker.greeting.confine()
    room.say([0, "PB", 1, {}])
    room.heard()
    room.say([1, 1, 0, "pb:idempotent", NO_ARGUMENTS])

    (error,) = room.heard()
    assert [3, 1] == error[:2]
    assert "pb.NoSuchMethod" == msgpack.unpackb(error[2])["type"]


def test_an_older_reference_stands_for_a_fresh_one():
    """The same object of the program, over the next connection; what was handed out meanwhile works too."""
    old, new = Pump(Room()), Pump(Room())
    user = old.call("enter")
    old.lose()
    fresh = new.call("enter")
    tables = new.client.broker.tables
    tables.take_over(fresh, user)

    for reference in (user, fresh):
        name = reference.name()
        new.run()
        assert "alice" == name.result()
    again = new.root.lend(user)
    new.run()
    assert again.result() is not None
    del again, reference

    taken = user._pb_import
    assert 1 <= taken.count and 0 == fresh._pb_import.count and fresh._pb_import.source is user
    del user
    gc.collect()
    new.run()
    assert new.server.broker.tables.exports.get(taken.id) is not None, "the fresh one holds it"
    del fresh
    gc.collect()
    new.run()
    assert None is new.server.broker.tables.exports.get(taken.id)
    assert {0} >= set(tables.imports)


def test_an_older_reference_that_stands_for_a_dead_one_is_dead():
    """It was revoked between the answer and this moment."""
    old, new = Pump(Room()), Pump(Room())
    user, fresh = old.call("enter"), new.call("enter")
    old.lose()
    new.client.broker.tables.drop_now(fresh._pb_import)
    new.client.broker.tables.take_over(fresh, user)

    with pytest.raises(pb.DeadReference):
        user.name().result()
