"""What happens while attached() takes its time, raises, or chooses somebody else."""

from __future__ import annotations

import asyncio
import logging

import pytest

import cred
import pb
from pb.bounds.log_bound import MAX_LINES

from .doors import hash_of
from .rooms import Client, Room, play, settle


@pytest.fixture
def quiet(monkeypatch):
    """Keep no log: a record keeps the error, the error its frames, and these the connection."""
    monkeypatch.setattr(logging.getLogger("pb"), "disabled", True)


@pytest.mark.parametrize("how", ["key", "disabled", "password", "kicked", "removed", "logout", "elsewhere"])
def test_what_is_revoked_while_attached_waits_is_never_handed_out(how):
    """Nobody cuts what nobody has yet: the attach itself must find out, or is stopped with the login."""

    async def act(house, connection, identity):
        entered, go = asyncio.Event(), asyncio.Event()

        async def on_attach(user, client):
            entered.set()
            try:
                await go.wait()
            except asyncio.CancelledError:  # attached() did not succeed, so there is no detached()
                house.chat.seen.append(("detached", "alice"))
                raise

        house.chat.on_attach = on_attach
        attach = asyncio.ensure_future(identity.attach("chat", "alice", Client()))
        await entered.wait()
        alice = await house.authorizer.get_identity("alice")
        if how == "logout":
            await identity.logout()
        elif how == "elsewhere":
            await house.authorizer.store.remove_key("alice", cred.Key("chat", "alice"))
            house.authorizer._live.disturb("alice", cut=False)
        else:
            await {
                "key": lambda: alice.remove_key("chat", "alice"),
                "disabled": alice.disable,
                "password": lambda: alice.set_password(hash_of("x")),
                "kicked": lambda: asyncio.sleep(0, house.authorizer.kick("alice")),
                "removed": lambda: house.authorizer.remove_identity("alice"),
            }[how]()
        go.set()
        with pytest.raises((pb.Forbidden, pb.Gone)):
            await attach
        assert [("attached", "alice"), ("detached", "alice")] == house.chat.seen

    play("race", act)


def test_a_connection_that_is_lost_while_attached_waits_is_not_attached():
    """attached() is cancelled: there is nothing to end."""

    async def act(house, connection, identity):
        entered = asyncio.Event()

        async def on_attach(user, client):
            entered.set()
            await asyncio.sleep(3600)

        house.chat.on_attach = on_attach
        attach = asyncio.ensure_future(identity.attach("chat", "alice", Client()))
        await entered.wait()
        connection.abort()
        with pytest.raises(pb.ConnectionLost):
            await attach
        await settle(lambda: not house.chat.attach_count("alice"))
        assert 0 == house.chat.detached_count()

    play("lost", act)


@pytest.mark.parametrize("how", ["at once", "later"])
def test_an_attached_that_raises_leaves_nothing(how):
    """No attachment, no count, no detached(); what it handed out is gone; one may try again."""

    async def act(house, connection, identity):
        client = Client()

        async def later(user, given):
            await given.hold(house.chat.room)
            raise cred.AttachRefused("the seat is taken")

        def at_once(user, given):
            raise cred.AttachRefused("the seat is taken")

        house.chat.on_attach = at_once if how == "at once" else later
        with pytest.raises(pb.Forbidden, match="the seat is taken"):
            await identity.attach("chat", "alice", client)
        if how != "at once":
            with pytest.raises(pb.Gone):
                await client.held.who()
        assert 0 == house.chat.attach_count("alice")
        house.chat.on_attach = lambda user, given: None
        assert "alice" == await (await identity.attach("chat")).who()
        house.chat.seen[:] = [("attached", "alice")]

    play("raising", act)


def test_an_attached_that_fails_is_an_incident(quiet):
    """A fault of the program is no refusal; its text stays here."""

    async def act(house, connection, identity):
        def on_attach(user, given):
            raise ZeroDivisionError("secret of the house")

        house.chat.on_attach = on_attach
        with pytest.raises(pb.RemoteError) as error:
            await identity.attach("chat")
        assert "secret" not in str(error.value)
        assert 0 == house.chat.attach_count("alice")

    play("failing", act)


def test_attached_may_choose_another_perspective():
    """The caller gets that one, and it is the one that is detached."""

    async def act(house, connection, identity):
        house.chat.on_attach = lambda user, client: house.chat.get_perspective_named("deputy")
        user = await identity.attach("chat", "alice")
        assert "deputy" == await user.who()
        assert "deputy" == await (await user.room()).who()
        await identity.detach(user)
        assert [("attached", "alice"), ("detached", "deputy")] == house.chat.seen

    play("deputy", act)


def test_attached_that_gives_away_views_and_then_chooses_another_is_an_incident(quiet):
    """What was handed out has been seen under the first: it cannot change its actor."""

    async def act(house, connection, identity):
        async def on_attach(user, client):
            await client.hold(house.chat.room)
            return house.chat.get_perspective_named("deputy")

        house.chat.on_attach = on_attach
        with pytest.raises(pb.RemoteError):
            await identity.attach("chat", "alice", Client())
        assert [("attached", "alice"), ("detached", "deputy")] == house.chat.seen

    play("twofold", act)


@pytest.mark.parametrize("chosen", ["alice", "deputy"])
def test_roles_that_attached_makes_one_text_end_the_attachment(quiet, chosen):
    """Nobody was given anything under them; and detached() is called, for attached() had succeeded."""

    async def act(house, connection, identity):
        def on_attach(user, client):
            user = house.chat.get_perspective_named(chosen)
            user.roles = "manager"
            return user

        house.chat.on_attach = on_attach
        with pytest.raises(pb.RemoteError):
            await identity.attach("chat", "alice")
        assert [("attached", "alice"), ("detached", chosen)] == house.chat.seen
        assert 0 == house.chat.attach_count("alice")

    play("letters", act)


def test_an_attached_that_returns_no_perspective_is_an_incident(quiet):
    """And leaves nothing."""

    async def act(house, connection, identity):
        house.chat.on_attach = lambda user, client: Room()
        with pytest.raises(pb.RemoteError):
            await identity.attach("chat")
        assert 0 == house.chat.attach_count("alice")

    play("nothing", act)


def test_attaching_in_vain_fills_no_log(caplog):
    """Whoever has logged in may try without end."""
    caplog.set_level(logging.INFO, "pb")

    async def act(house, connection, identity):
        for _ in range(MAX_LINES + 20):
            with pytest.raises(pb.Forbidden):
                await identity.attach("chat", "bob")

    play("in-vain", act)
    assert MAX_LINES == sum(record.getMessage().startswith("attach refused") for record in caplog.records)
