"""Perspective: its hooks, and make_identity as Listing 13 uses it."""

from __future__ import annotations

import pytest

import cred
import jelly
from cred import Key, Password, Perspective, Service

from .helpers import application, log_in, run


class SimplePerspective(Perspective):
    """The paper's."""

    def perspective_echo(self, text):
        return text


class SimpleService(Service):
    """The paper's: perspectives are made on demand."""

    def get_perspective_named(self, name):
        return SimplePerspective(name, self)


def test_listing_13():
    """Outside of any loop; then the guest logs in and attaches."""
    authorizer = application()
    service = SimpleService("pbecho", authorizer)
    made = service.get_perspective_named("guest").make_identity("guest")

    async def main():
        identity = await log_in(authorizer, Password("guest", "guest"))
        attachment = await identity.attach("pbecho", "guest")
        return await made.keys(), attachment.perspective.perspective_echo("hello world")

    assert "guest" == made.name
    assert ([Key("pbecho", "guest")], "hello world") == run(main())


def test_an_identity_can_have_another_name_and_no_password():
    """alice plays the moderator; she logs in with a key."""
    authorizer = application()
    perspective = SimpleService("chat", authorizer).get_perspective_named("moderator")
    alice = perspective.make_identity(name="alice")

    record = run(alice.record())
    assert ("alice", None, {Key("chat", "moderator")}) == (record.name, record.password_hash, record.keys)


def test_a_hash_is_taken_as_it_is():
    """Programs should not hold passwords."""
    authorizer = application()
    hash = cred.PasswordHash.of("secret", iterations=4_096)
    SimpleService("chat", authorizer).get_perspective_named("alice").make_identity(hash)

    assert "alice" == run(log_in(authorizer, Password("alice", "secret"))).name


def test_without_an_application_there_is_nowhere_to_put_it():
    """With what to do."""
    with pytest.raises(cred.CredError, match="belongs to no application"):
        SimpleService("chat").get_perspective_named("alice").make_identity("x")


def test_a_name_that_no_keyring_can_hold_is_refused():
    """Nobody could attach it."""
    with pytest.raises(cred.BadName, match="perspective"):
        Perspective("", Service("shop"))


def test_it_has_no_roles_and_refuses_nobody_by_default():
    """Everything is shown to it that is not marked."""
    perspective = Perspective("alice", Service("shop"))

    assert frozenset() == perspective.roles
    assert perspective is perspective.attached(None, None)
    assert None is perspective.detached(None, None)
    assert 0 == perspective.attach_count


def test_detached_cannot_be_a_coroutine_function():
    """It would never be awaited, and nobody would notice."""
    with pytest.raises(TypeError, match="starts a task"):

        class Wrong(Perspective):
            async def detached(self, client, identity):
                """Too late to be awaited."""


def test_it_can_be_something_else_too():
    """As pb's is: a Viewable that stays here and crosses as a view."""

    class Both(Perspective, jelly.Viewable):
        def __init_subclass__(cls, *, tag=None, **kwargs):
            super().__init_subclass__(**kwargs)
            cls.tag = tag

    class Tagged(Both, tag="x"):
        """With a keyword for its other base."""

    assert "alice" == Tagged("alice", Service("shop")).perspective_name
    assert "x" == Tagged.tag


def test_its_other_base_still_has_a_say():
    """jelly refuses classes of two flavours; Perspective must not keep that from it."""
    with pytest.raises(TypeError, match="travels one way only"):

        class Wrong(Perspective, jelly.Viewable, jelly.Copyable):
            """Stays and travels."""


def test_roles_that_are_one_text_are_refused_where_the_class_is_made():
    """Its members are letters: no rule would find the role, and the first to notice would be a user."""
    with pytest.raises(TypeError, match=r"Wrong.roles is a str.* expected: roles = \{'manager'\}"):

        class Wrong(Perspective):
            roles = "manager"

    class Computed(Perspective):
        @property
        def roles(self):
            return {"manager"}

    assert {"manager"} == Computed("alice", Service("shop")).roles
