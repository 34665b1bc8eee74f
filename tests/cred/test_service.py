"""Service: its name, where it belongs, and the perspectives that it keeps."""

from __future__ import annotations

import pytest

import cred
from cred import NoSuchPerspective, Perspective, Service

from .helpers import application, run


class Loading(Service):
    """Another name for it."""


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


class Forgetful(Service):
    """Has an __init__ of its own that does nothing for its base."""

    def __init__(self, stock):
        self.stock = stock


def test_a_forgotten_init_of_the_base_is_told_where_the_service_is_used():
    """That there is no _perspectives says nothing to who has never heard of it."""
    service = Forgetful({})
    told = "a Forgetful has no '{}'; let its __init__ call super\\(\\).__init__\\(name, application\\)"

    with pytest.raises(AttributeError, match=told.format("name")):
        cred.Authorizer(cred.MemoryStore()).add_service(service)
    with pytest.raises(AttributeError, match=told.format("_perspectives")):
        service.create_perspective("alice")
    with pytest.raises(AttributeError, match=r"^a Forgetful has no 'prices'$"):
        service.prices  # noqa: B018


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


def test_nobody_is_attached_to_what_belongs_nowhere():
    """Whoever asks before it is added gets a number."""
    service = Service("shop")

    assert (0, 0) == (service.attach_count("alice"), service.create_perspective("alice").attach_count)


@pytest.mark.parametrize("foreign", [None, object(), "shop", Service])
def test_what_is_no_service_is_not_added(foreign):
    """It would fail at the first who attaches."""
    with pytest.raises(TypeError, match="is no service"):
        application().add_service(foreign)


def test_what_is_added_belongs_to_the_service():
    """make_identity() grants a key of the service it is in, not of the one it was made for."""
    service = Service("shop")

    assert service is service.add_perspective(Perspective("alice", Service("other"))).service
