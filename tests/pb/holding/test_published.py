"""Objects with names: which names there are, and what `pb:resolve` says in the core."""

from __future__ import annotations

import gc

import msgpack
import pytest

import pb
from pb.holding.published import Published, check_nameable, is_secret

from ..peers import NO_ARGUMENTS, ask
from ..pump import STEPS, Pump, Script


class Lobby(pb.Referenceable):
    def remote_look(self):
        return "lobby"


class Root(pb.Root):
    def remote_lobby(self):
        return Lobby()


def named(**objects):
    """Return what holds these."""
    published = Published()
    for name, value in objects.items():
        published.publish(name, value)
    return published


def serving(published, root=None, step=None):
    """Return a pump whose server resolves names."""
    pump = Pump(root or Root(), step=step)
    pump.server.broker.serving.reserved.resolve = published.resolve
    return pump


@STEPS
def test_a_name_gives_the_object(step):
    """The same reference each time, however often it is asked for."""
    lobby = Lobby()
    pump = serving(named(lobby=lobby), step=step)
    found = pump.call("pb:resolve", "lobby")
    look = found.look()
    pump.run()

    assert "lobby" == look.result()
    assert found is pump.call("pb:resolve", "lobby")


def test_a_name_keeps_its_object():
    """Nobody else may hold it; taken back, it goes with the last reference."""
    published = named(lobby=Lobby())
    gc.collect()
    pump = serving(published)
    found = pump.call("pb:resolve", "lobby")
    published.unpublish("lobby")
    look = found.look()
    pump.run()

    assert "lobby" == look.result()
    with pytest.raises(pb.NoSuchObject, match=r"^no object of that name, or not for you$"):
        pump.call("pb:resolve", "lobby")
    with pytest.raises(KeyError):
        published.unpublish("lobby")


@pytest.mark.parametrize(
    "name", ["", "~lobby", ".", "..", "-x", "a/b", "a b", "café", "lobby\n", "x" * 129, "a#b", "~"]
)
def test_what_could_stand_in_no_url_is_not_published(name):
    """Nor what looks like a secret, which is for chance to make."""
    published = Published()
    with pytest.raises(ValueError, match="cannot be published"):
        published.publish(name, Lobby())
    assert None is published.find(name)


@pytest.mark.parametrize("name", ["a", "7", "x" * 128, "a.b_c~d-e", "Lobby"])
def test_what_can_stand_in_a_url_is(name):
    """All of it."""
    lobby = Lobby()
    published = named(**{name: lobby})

    assert lobby is published.find(name)
    assert not is_secret(name)


def test_a_name_is_not_given_twice():
    """Whoever has it expects the first."""
    published = named(lobby=Lobby())
    with pytest.raises(ValueError, match="published already"):
        published.publish("lobby", Lobby())


@pytest.mark.parametrize(("value", "told"), [("text", "a str"), (Lobby, "the class Lobby"), (None, "a None")])
def test_what_crosses_as_a_copy_has_no_name(value, told):
    """A reference is what a name gives."""
    with pytest.raises(TypeError, match=f"{told}.* cannot have a name"):
        check_nameable(value)


def test_a_reference_to_an_object_elsewhere_can_have_a_name():
    """A server in between may offer what others serve."""
    far = Pump(Root())
    check_nameable(far.root)


@pytest.mark.parametrize("args", [(), (1,), (None,), ("a", "b"), (b"lobby",), ("x" * 129,)])
def test_arguments_that_are_no_name_are_refused(args):
    """Before anything is looked up."""
    pump = serving(named(lobby=Lobby()))
    with pytest.raises(pb.BadArguments):
        pump.call("pb:resolve", *args)
    assert "pb.NoSuchObject" == pump_type(pump, "x" * 128)


def pump_type(pump, name):
    with pytest.raises(pb.NoSuchObject) as raised:
        pump.call("pb:resolve", name)
    return raised.value.remote_type


def test_only_the_root_is_asked_for_names():
    """An object that was handed out is not the server."""
    pump = serving(named(lobby=Lobby()))
    other = pump.call("lobby")
    outcome = ask(other, "pb:resolve", "lobby")
    pump.run()
    with pytest.raises(pb.NoSuchMethod):
        outcome.result()


def test_a_side_that_gives_no_names_does_not_have_the_method():
    """As every client does not."""
    with pytest.raises(pb.NoSuchMethod):
        Pump(Root()).call("pb:resolve", "lobby")


@pytest.mark.parametrize("asks_strangers", [True, False])
def test_a_stranger_reaches_what_resolves_and_nothing_else(asks_strangers):
    """Which then has to know whom it gives what; without it the method is not there."""
    room = Script(Root(), greet=False)
    room.broker.greeting.confine()
    asked = []

    async def resolve(name):
        asked.append(name)
        raise pb.NoSuchObject("not for you")

    if asks_strangers:
        room.broker.serving.reserved.resolve = resolve
    room.say([0, "PB", 1, {}])
    room.heard()
    room.say([1, 1, 0, "pb:resolve", msgpack.packb([["~x"], {}])], [1, 2, 0, "pb:describe", NO_ARGUMENTS])

    types = [msgpack.unpackb(error[2])["type"] for error in room.heard()]
    expected = "pb.NoSuchObject" if asks_strangers else "pb.NoSuchMethod"
    assert sorted([expected, "pb.NoSuchMethod"]) == sorted(types)
    assert (["~x"] if asks_strangers else []) == asked
