"""Service: where perspectives come from, and that each is there once while it is attached."""

from __future__ import annotations

import asyncio

import pytest

import cred
from cred import NoSuchPerspective, Perspective, Service

from .helpers import application, run


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


def test_its_name_is_that_of_its_class_unless_told():
    """Listing 13 names it; a second one must."""
    assert "Loading" == Loading().name
    assert "shop" == Loading("shop").name
    assert "<Loading 'shop'>" == repr(Loading("shop"))


@pytest.mark.parametrize("name", ["", "a\0", "x" * 256, 5])
def test_a_name_that_no_keyring_can_hold_is_refused(name):
    """Nobody could ever attach it."""
    with pytest.raises(cred.BadName):
        Service(name)


def test_it_registers_itself():
    """As in Listing 13: the application is an argument."""
    authorizer = application()
    service = Service("shop", authorizer)

    assert {"shop": service} == dict(authorizer.services)
    assert (authorizer, authorizer) == (service.application, service.authorizer)


def test_it_belongs_to_one_application():
    """Keys of one could open the other."""
    service = Service("shop", application())

    with pytest.raises(ValueError, match="another application"):
        application().add_service(service)


def test_two_services_of_one_name_are_refused():
    """A key would not say which."""
    authorizer = application()
    service = Service("shop", authorizer)
    authorizer.add_service(service)  # the same one: nothing happens

    with pytest.raises(ValueError, match="another name"):
        Service("shop", authorizer)


def test_what_was_added_is_found():
    """And stays, attached or not."""
    service = Service("shop")
    perspective = service.create_perspective("alice")

    assert perspective is service.get_perspective_named("alice")
    assert service is perspective.service


def test_a_perspective_of_the_class_of_the_service_is_made():
    """perspective_class is all that simple services change."""

    class Customer(Perspective):
        """Somebody who buys."""

    class Shop(Service):
        perspective_class = Customer

    assert isinstance(Shop().create_perspective("alice"), Customer)


@pytest.mark.parametrize("foreign", [None, object(), "alice", Perspective])
def test_what_is_no_perspective_is_not_added(foreign):
    """It would fail at the first who attaches."""
    with pytest.raises(TypeError, match="is no perspective"):
        Service("shop").add_perspective(foreign)


def test_an_unknown_name_is_said_so():
    """By the method that is overridden, and by the one that asks it."""
    with pytest.raises(NoSuchPerspective):
        Service("shop").get_perspective_named("alice")
    with pytest.raises(NoSuchPerspective):
        run(Service("shop").get_perspective("alice", None))


def test_several_who_attach_at_once_load_once():
    """Or each would have a perspective of its own, and none would see the others."""

    async def main():
        service = Loading("shop")
        found = await asyncio.gather(*(service.hold("alice", None) for _ in range(5)))
        return len(set(map(id, found))), service.loaded, service.attach_count("alice")

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
        slow = asyncio.ensure_future(service.hold("slow", None))
        await service.hold("quick", None)
        assert not slow.done()
        gate.set()
        await slow
        return service.loaded, len(service._locks)

    gate = asyncio.Event()
    assert (["quick", "slow"], 0) == run(main())


def test_it_is_forgotten_with_the_last_who_let_go():
    """The next who attaches gets it fresh from the database."""

    async def main():
        service = Loading("shop")
        first = await service.hold("alice", None)
        await service.hold("alice", None)
        service.let_go("alice")
        assert first is await service.hold("alice", None)
        service.let_go("alice")
        service.let_go("alice")
        assert 0 == service.attach_count("alice")
        return first is await service.hold("alice", None), service.loaded

    assert (False, ["alice", "alice"]) == run(main())


def test_a_load_that_fails_is_tried_again_by_the_next():
    """The row may be there by then."""

    async def main():
        service = Loading("shop")
        for _ in range(2):
            with pytest.raises(NoSuchPerspective):
                await service.hold("nobody", None)
        return service.loaded, service.attach_count("nobody"), len(service._locks)

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
        first, second = (asyncio.ensure_future(service.hold("alice", None)) for _ in range(2))
        for _ in range(5):
            await asyncio.sleep(0)
        first.cancel()
        await second
        return service.loaded, service.attach_count("alice")

    assert (["alice", "alice"], 1) == run(main())


def test_a_key_error_means_there_is_none():
    """`return self.users[name]` is what people write."""

    class Shop(Loading):
        def get_perspective_named(self, name):
            return {}[name]

    async def main():
        return (await Shop("shop").hold("alice", None)).perspective_name

    assert "alice" == run(main())


def test_what_a_service_makes_must_be_a_perspective():
    """None, where the return was forgotten, is told to the author."""

    class Shop(Service):
        def get_perspective_named(self, name):
            return None

    with pytest.raises(TypeError, match="made a NoneType, expected a perspective"):
        run(Shop("shop").hold("alice", None))


def test_what_is_added_belongs_to_the_service():
    """make_identity() grants a key of the service it is in, not of the one it was made for."""
    service = Service("shop")

    assert service is service.add_perspective(Perspective("alice", Service("other"))).service
