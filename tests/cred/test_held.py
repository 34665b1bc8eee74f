"""Held: that each perspective is there once while it is attached, and where the first comes from."""

from __future__ import annotations

import asyncio

import pytest

from cred import NoSuchPerspective, Perspective, Service
from cred._held import Held

from .helpers import run


class Loading(Service):
    """Fetches perspectives from a database that takes its time."""

    def __init__(self, *args):
        super().__init__(*args)
        self.loaded = []

    async def load_perspective(self, name):
        self.loaded.append(name)
        await asyncio.sleep(0)
        if name == "nobody":
            raise NoSuchPerspective("no row")
        return Perspective(name, self)


def test_several_who_attach_at_once_load_once():
    """Or each would have a perspective of its own, and none would see the others."""

    async def main():
        service = Loading("shop")
        held = Held(service)
        found = await asyncio.gather(*(held.hold("alice", None) for _ in range(5)))
        return len(set(map(id, found))), service.loaded, held.count("alice")

    assert (1, ["alice"], 5) == run(main())


def test_loading_one_does_not_wait_for_another():
    """A slow row blocks nobody else."""

    class Stuck(Loading):
        async def load_perspective(self, name):
            if name == "slow":
                await gate.wait()
            return await super().load_perspective(name)

    async def main():
        service = Stuck("shop")
        held = Held(service)
        slow = asyncio.ensure_future(held.hold("slow", None))
        await held.hold("quick", None)
        assert not slow.done()
        gate.set()
        await slow
        return service.loaded, len(held._locks)

    gate = asyncio.Event()
    assert (["quick", "slow"], 0) == run(main())


def test_it_is_forgotten_with_the_last_who_let_go():
    """The next who attaches gets it fresh from the database."""

    async def main():
        service = Loading("shop")
        held = Held(service)
        first = await held.hold("alice", None)
        await held.hold("alice", None)
        held.let_go("alice", None)
        assert first is await held.hold("alice", None)
        held.let_go("alice", None)
        held.let_go("alice", None)
        assert 0 == held.count("alice")
        return first is await held.hold("alice", None), service.loaded

    assert (False, ["alice", "alice"]) == run(main())


def test_a_load_that_fails_is_tried_again_by_the_next():
    """The row may be there by then."""

    async def main():
        service = Loading("shop")
        held = Held(service)
        for _ in range(2):
            with pytest.raises(NoSuchPerspective):
                await held.hold("nobody", None)
        return service.loaded, held.count("nobody"), len(held._locks)

    assert (["nobody", "nobody"], 0, 0) == run(main())


def test_a_load_that_is_cancelled_is_done_by_the_next():
    """One client's connection was lost; the others wait for the same perspective."""

    class Stuck(Loading):
        async def load_perspective(self, name):
            found = await super().load_perspective(name)
            if len(self.loaded) == 1:
                await asyncio.Event().wait()
            return found

    async def main():
        service = Stuck("shop")
        held = Held(service)
        first, second = (asyncio.ensure_future(held.hold("alice", None)) for _ in range(2))
        for _ in range(5):
            await asyncio.sleep(0)
        first.cancel()
        await second
        return service.loaded, held.count("alice")

    assert (["alice", "alice"], 1) == run(main())


def test_a_key_error_means_there_is_none():
    """`return self.users[name]` is what people write."""

    class Shop(Loading):
        def get_perspective_named(self, name):
            return {}[name]

    async def main():
        return (await Held(Shop("shop")).hold("alice", None)).perspective_name

    assert "alice" == run(main())


def test_what_a_service_makes_must_be_a_perspective():
    """None, where the return was forgotten, is told to the author."""

    class Shop(Service):
        def get_perspective_named(self, name):
            return None

    with pytest.raises(TypeError, match="made a NoneType, expected a perspective"):
        run(Held(Shop("shop")).hold("alice", None))


class Deciding(Service):
    """Gives rights by identity."""

    async def get_perspective(self, name, identity):
        made = Perspective(name, self)
        made.roles = {"admin"} if identity.name == "carol" else set()
        return made


class Somebody:
    def __init__(self, name):
        self.name = name


def test_what_was_made_for_one_identity_is_never_given_to_another():
    """Or whoever attached second would act with the rights of the first."""

    async def main():
        held = Held(Deciding("shop"))
        carol, bob = Somebody("carol"), Somebody("bob")
        of_carol = await held.hold("shared", carol)
        of_bob = await held.hold("shared", bob)
        again = await held.hold("shared", carol)
        counts = [held.count("shared")]
        held.let_go("shared", carol)
        counts.append(held.count("shared"))
        held.let_go("shared", carol)
        anew = await held.hold("shared", carol)
        held.let_go("shared", bob)
        held.let_go("shared", carol)
        counts.append(held.count("shared"))
        return of_carol.roles, of_bob.roles, again is of_carol, anew is of_carol, counts, held._ones

    assert ({"admin"}, set(), True, False, [3, 2, 0], {}) == run(main())


def test_what_is_found_by_name_is_shared_by_all_who_hold_its_key():
    """As in the paper: a perspective is a role that several may have at once."""

    async def main():
        held = Held(Loading("shop"))
        return await held.hold("desk", Somebody("carol")) is await held.hold("desk", Somebody("bob"))

    assert run(main())
