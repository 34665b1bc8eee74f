"""What an object answers when it is asked what may be called: no more than its caller may."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from zope.interface import Interface, implementer

import jelly
import pb
from pb.description import Description

from ..cached import REGISTRY, Shop
from ..peers import ask
from ..pump import STEPS, Pump


class IDesk(Interface):
    pass


class ISeat(Interface):
    pass


@dataclass
class Point:
    x: int


class Unregistered:
    pass


def undocumented(value):
    return value


@implementer(IDesk, ISeat)
class Desk(pb.Root):
    """Takes orders.

    And more, which nobody is told.
    """

    remote_number = 5
    remote_published = staticmethod(undocumented)

    def __init__(self):
        self.remote_attached = self.secret
        self.remote_builtin = divmod
        self.remote_broken = Broken()
        self.touched = []

    @property
    def remote_property(self):
        self.touched.append("property")
        return self.secret

    def __getattr__(self, name):
        self.touched.append(name)
        raise AttributeError(name)

    def secret(self, word: str) -> None:
        """Attached to the instance."""

    def remote_order(
        self, /, item: str, count: int = 1, *more: Any, at: Point | None, _trusted=False, **rest
    ):
        """Order something."""

    def remote_guarded(self, path, _trusted=False, last=None):
        pass

    async def remote_rows(self):
        yield 1

    def remote_stream(self) -> AsyncIterator[Point]:
        pass

    @pb.in_thread
    def remote_block(self, unknown: Unregistered, forward: Nothing = None):  # noqa: F821
        """x"""

    @classmethod
    def remote_make(cls, x: int) -> Desk:
        pass

    def remote_(self):
        pass

    def remote__private(self):
        pass

    def local(self):
        pass


class Broken:
    """Called, it does not tell what it takes."""

    __signature__ = "none"

    def __call__(self):
        pass


def registry():
    made = jelly.Registry()
    made.add(Point, "geo.Point")
    return made


def describe(pump, reference):
    """Ask for a description as the face does."""
    outcome = ask(reference, "pb:describe")
    pump.run()
    return outcome.result()


@STEPS
def test_an_object_tells_what_it_publishes(step):
    """Names, parameters, types and one line each; what is no method, or private, is not mentioned."""
    desk = Desk()
    pump = Pump(desk, registry=registry(), step=step)
    told = describe(pump, pump.root)

    assert ("object", "Takes orders.", ["IDesk", "ISeat"]) == (told["kind"], told["doc"], told["interfaces"])
    methods = {row.pop("name"): row for row in told["methods"]}
    assert {
        "attached": {
            "doc": "Attached to the instance.",
            "params": [{"name": "word", "type": "str"}],
            "returns": "nil",
        },
        "block": {
            "doc": "x",
            "params": [{"name": "unknown"}, {"name": "forward", "optional": True}],
        },
        "broken": {"doc": "Called, it does not tell what it takes."},
        "builtin": {
            "doc": "Return the tuple (x//y, x%y).  Invariant: div*y + mod == x.",
            "params": [{"name": "x", "by": "position"}, {"name": "y", "by": "position"}],
        },
        "guarded": {"doc": "", "params": [{"name": "path"}]},
        "make": {"doc": "", "params": [{"name": "x", "type": "int"}], "returns": "object"},
        "order": {
            "doc": "Order something.",
            "params": [
                {"name": "item", "type": "str"},
                {"name": "count", "type": "int", "optional": True},
                {"name": "more", "by": "positions"},
                {"name": "at", "by": "name", "type": "geo.Point | nil"},
            ],
        },
        "published": {"doc": "", "params": [{"name": "value"}]},
        "rows": {"doc": "", "params": [], "stream": True},
        "stream": {"doc": "", "params": [], "returns": "stream[geo.Point]", "stream": True},
    } == methods
    assert [] == [name for name in desk.touched if name != "__provides__"]


@STEPS
def test_a_perspective_and_a_view_tell_of_themselves_only(step):
    """Each the methods of its own role; the actor of a view is nobody's to give."""
    pump = Pump(Shop(), registry=REGISTRY, step=step)
    user = pump.call("enter", "ann")
    told = Description.of(describe(pump, user))
    assert "perspective" == told.kind
    assert "get" in [method.name for method in told.methods]

    outcome = user.get("weapon")
    pump.run()
    told = Description.of(describe(pump, outcome.result()))
    assert "view" == told.kind
    assert {"swing": "swing(*args, **kwargs)", "plain": "plain()"}.items() <= {
        method.name: str(method) for method in told.methods
    }.items()


@STEPS
def test_the_names_of_the_interfaces_alone(step):
    """For who knows what they mean."""
    pump = Pump(Desk(), registry=registry(), step=step)
    outcome = ask(pump.root, "pb:interfaces")
    pump.run()

    assert ["IDesk", "ISeat"] == outcome.result()


@STEPS
@pytest.mark.parametrize(
    ("name", "args", "kwargs", "error"),
    [
        ("pb:describe", (1,), {}, pb.BadArguments),
        ("pb:describe", (), {"a": 1}, pb.BadArguments),
        ("pb:nothing", (), {}, pb.NoSuchMethod),
        (":", (), {}, pb.NoSuchMethod),
    ],
)
def test_reserved_methods_take_nothing_and_are_few(step, name, args, kwargs, error):
    """Whatever else has a colon is no method."""
    pump = Pump(Shop(), registry=REGISTRY, step=step)
    user = pump.call("enter", "ann")
    weapon = user.get("weapon")
    pump.run()
    for reference in (pump.root, user, weapon.result()):
        outcome = ask(reference, name, *args, **kwargs)
        pump.run()
        with pytest.raises(error):
            outcome.result()


def test_an_object_with_very_many_methods_tells_of_some():
    """An answer must not grow with what somebody generates."""
    many = type("Many", (pb.Root,), {f"remote_m{i:04}": lambda self: None for i in range(1100)})
    pump = Pump(many())

    told = describe(pump, pump.root)
    assert 1000 == len(told["methods"])


def test_a_long_line_is_cut():
    """It is one line for people."""

    class Talker(pb.Root):
        def remote_talk(self):
            pass

    Talker.remote_talk.__doc__ = "x" * 300
    pump = Pump(Talker())

    assert 200 == len(describe(pump, pump.root)["methods"][0]["doc"])


def test_the_face_asks_for_it():
    """`pb.describe`, also through a proxy of another connection."""

    class Broker(pb.Root):
        def __init__(self, desk):
            self.desk = desk

        def remote_desk(self):
            return self.desk

    async def main():
        async with (
            pb.serve(Desk(), "memory://desk", registry=registry()),
            pb.open_connection("memory://desk", registry=registry()) as inner,
            pb.serve(Broker(inner.root), "memory://broker", registry=registry()),
            pb.open_connection("memory://broker", registry=registry()) as outer,
        ):
            direct = await pb.describe(inner.root)
            assert "order(item: str, count: int = ..., *more, at: geo.Point | nil)" in str(direct)
            assert direct == await pb.describe(await outer.root.desk())
            with pytest.raises(TypeError, match="remote reference"):
                await pb.describe(Desk())

    asyncio.run(main())


def test_what_is_told_of_a_method_is_found_out_once(monkeypatch):
    """To look at a method takes 200 times as long as a call, and anybody may ask on and on."""
    looked = []
    look = inspect.signature
    monkeypatch.setattr(inspect, "signature", lambda function: looked.append(function) or look(function))
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY)
    first = pump.call("pb:describe")
    once = len(looked)
    again = pump.call("pb:describe")

    assert first == again
    assert (True, once) == (once > 5, len(looked))


def test_what_an_instance_has_of_its_own_is_told_all_the_same():
    """Of two of one class, and of one before and after; and one function under two names is no sharing."""

    class Plain(pb.Root):
        def remote_some(self, one: int):
            """The class's."""

        remote_other = remote_some

    def own(one, two):
        """The instance's."""

    root = Plain()
    pump = Pump(root)
    told = pump.call("pb:describe")
    root.remote_own = own
    later = pump.call("pb:describe")
    root.remote_some = own
    last = pump.call("pb:describe")

    assert ["other", "some"] == [row["name"] for row in told["methods"]]
    assert told["methods"][0]["params"] is not told["methods"][1]["params"]
    assert ["other", "own", "some"] == [row["name"] for row in later["methods"]]
    assert ["The class's.", "The class's."] == [later["methods"][i]["doc"] for i in (0, 2)]
    assert ["The class's.", "The instance's."] == [last["methods"][i]["doc"] for i in (0, 2)]


def test_a_view_and_a_perspective_of_one_class_are_told_apart():
    """One function under two roles: in one an actor comes first."""

    class Both(pb.Viewable):
        def shown(self, one, two=1):
            pass

        perspective_shown = view_shown = shown

    class Lobby(Both):
        def perspective_other(self):
            return other

    class Place(pb.Root):
        def remote_enter(self):
            return pb.current_call().attach(Lobby())

    other = Both()
    pump = Pump(Place())
    mine = pump.call("enter")
    outcome = ask(mine, "other")
    pump.run()
    rows = []
    for each in (mine, outcome.result()):
        outcome = ask(each, "pb:describe")
        pump.run()
        rows.append({row["name"]: row for row in outcome.result()["methods"]}["shown"])

    assert [["one", "two"], ["two"]] == [[each["name"] for each in row["params"]] for row in rows]
