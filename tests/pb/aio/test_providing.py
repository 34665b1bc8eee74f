"""Taking a reference for what an interface says, after asking its owner."""

from __future__ import annotations

import typing
from collections.abc import AsyncIterator

import pytest

import pb
from pb.testing import pair, run


class Guide(typing.Protocol):
    """What may be called on any of the three below."""

    async def look(self, where: str, *, far: bool = False) -> str: ...

    def steps(self) -> AsyncIterator[int]: ...


class Map(pb.Referenceable):
    def remote_look(self, where, *, far=False):
        return f"{where} on the map"

    async def remote_steps(self):
        for number in (1, 2):
            yield number


class Scene(pb.Viewable):
    def view_look(self, actor, where, far=False, near=True):
        return f"{actor.name} sees {where}"

    def view_steps(self, actor):
        return iter([3])


class Older(pb.Referenceable):
    """The first version."""

    def remote_look(self, place):
        return place


class User:
    def __init__(self, name):
        self.name = name

    def perspective_look(self, where, far):
        return where

    def perspective_steps(self):
        return iter([])

    def perspective_scene(self):
        return Scene()


class Root(pb.Root):
    def remote_get(self, kind):
        return {"map": Map, "older": Older, "scene": Scene}[kind]()

    def remote_enter(self, name):
        return pb.current_call().attach(User(name))


def test_a_reference_is_taken_for_what_it_is_and_stays_the_same():
    """Whatever it is called by there: the prefix and the actor are the owner's affair."""

    async def main():
        async with pair(Root()) as (_, _, root):
            chart = await root.get("map")
            guide = await pb.providing(chart, Guide)
            assert guide is chart
            assert "home on the map" == await guide.look("home", far=True)
            assert [1, 2] == [number async for number in guide.steps()]
            scene = await pb.providing(await (await root.enter("ann")).scene(), Guide)
            assert "ann sees home" == await scene.look("home")

    run(main())


def test_what_would_not_fit_is_said_before_anything_is_called():
    """An older server is found out where it is connected to, not at the first call that it does not know."""

    async def main():
        async with pair(Root()) as (_, _, root):
            with pytest.raises(TypeError) as refused:
                await pb.providing(await root.get("older"), Guide)
            reference, _, why = str(refused.value).partition(" does not provide Guide: ")
            assert reference.startswith("<RemoteReference 1 of memory://")
            assert [
                "look: it takes nothing that is given as where=",
                "look: it takes nothing that is given as far=",
                "there is no method steps",
            ] == why.split("; ")
            with pytest.raises(TypeError, match="look: far must be given"):
                await pb.providing(await root.enter("ann"), Guide)
            with pytest.raises(TypeError, match="remote reference"):
                await pb.providing(Map(), Guide)

    run(main())
