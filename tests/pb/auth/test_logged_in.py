"""Attaching: what is asked for, who gets it, and what happens while attached() takes its time."""

from __future__ import annotations

import asyncio

import pytest

import cred
import pb

from .doors import PASSWORD
from .rooms import Chat, Client, Thing, User, play


def test_a_key_attaches_and_none_chooses():
    """One's own name if it is on the keyring."""

    async def act(house, connection, identity):
        assert [("chat", "alice"), ("chat", "ops")] == await identity.keys()
        assert "alice" == await (await identity.attach("chat")).who()
        assert "ops" == await (await identity.attach("chat", "ops")).who()

    play("attach", act)


REFUSED = [
    ("chat", "bob"),
    ("chat", "nobody"),
    ("nothing", "alice"),
    ("nothing", None),
    ("", ""),
    (None, None),
    (7, "alice"),
    ("chat", 7),
    (b"chat", "alice"),
    ("chat", ["alice"]),
    ({"chat": 1}, None),
    ("chat", "alice\0"),
    ("Chat", "alice"),
    ("chat", "x" * 100_000),
]


@pytest.mark.parametrize("service, perspective", REFUSED, ids=lambda value: repr(value)[:20])
def test_what_one_has_no_key_for_is_refused_with_one_text(service, perspective):
    """Another's perspective, a service that is not there, a perspective of another service, and nonsense."""

    async def act(house, connection, identity):
        with pytest.raises(pb.Forbidden) as error:
            await identity._reference.attach(service, perspective)
        assert "no such perspective, or no key for it" == str(error.value)
        assert [] == house.chat.seen
        assert "alice" == await (await identity.attach("chat")).who()

    play("refused", act)


def test_a_key_for_what_is_not_there_is_refused_with_the_same_text():
    """A service that was taken down, a perspective that was never made."""

    async def act(house, connection, identity):
        alice = await house.authorizer.get_identity("alice")
        await alice.add_key("gone", "alice")
        await alice.add_key("chat", "none")
        house.chat.get_perspective_named = {}.__getitem__
        for service, perspective in (("gone", "alice"), ("chat", "none")):
            with pytest.raises(pb.Forbidden) as error:
                await identity._reference.attach(service, perspective)
            assert "no such perspective, or no key for it" == str(error.value)

    play("absent", act)


@pytest.mark.parametrize(
    "client", [7, "client", b"", [Client()], {"client": 1}], ids=lambda client: str(type(client))
)
def test_a_client_that_is_no_object_is_refused(client):
    """Nor may it be a list with one in it, or a value: nothing could be called."""

    async def act(house, connection, identity):
        with pytest.raises(pb.Forbidden, match="client is neither"):
            await identity._reference.attach("chat", "alice", client)

    play("client", act)


def test_an_object_of_the_server_s_own_is_no_client():
    """What comes home is ours: the perspective would call itself."""

    async def act(house, connection, identity):
        user = await identity.attach("chat")
        for home in (user, await user.thing(), await user.room(), identity._reference, connection.root):
            with pytest.raises(pb.Forbidden, match="client is neither"):
                await identity._reference.attach("chat", "alice", home)

    play("home", act)


def test_views_sent_to_the_client_object_see_the_right_actor():
    """Two users of one connection, each with a client: each view knows on whose behalf it is called."""

    async def act(house, connection, identity):
        bob = await connection.login("bob", PASSWORD)
        clients = Client(), Client()
        given = {}
        house.chat.on_attach = lambda user, client: given.update({user.perspective_name: client})
        held = [
            await identity.attach("chat", "alice", clients[0]),
            await bob.attach("chat", "bob", clients[1]),
        ]
        for name in ("alice", "bob", "alice"):
            await given[name].look(house.chat.room)
        assert [["alice", "alice"], ["bob"]] == [client.heard for client in clients]
        assert ["alice", "bob", "alice"] == house.chat.room.actors
        assert 2 == len(held)
        given.clear()

    play("actors", act)


def test_nothing_more_is_told_to_the_client_of_an_attachment_that_is_over():
    """A server that kept the reference would go on telling somebody who was put out (PB-R36)."""

    async def act(house, connection, identity):
        given = []
        house.chat.on_attach = lambda user, client: given.append(client)
        client = Client()
        user = await identity.attach("chat", "alice", client)
        await identity.detach(user)
        for what in (house.chat.room, Thing(), "a secret"):
            with pytest.raises(pb.Gone, match="a user who has left, or was put out"):
                await given[0].hold(what)
        with pytest.raises(pb.Gone):
            given[0].hold.send("a secret")
        assert not hasattr(client, "held")
        given.clear()

    play("over", act)


def test_a_client_may_drop_what_attached_sends_it():
    """attached() shows the client a room; the client looks and forgets. Then attached() ends."""

    async def act(house, connection, identity):
        async def on_attach(user, client):
            await client.glance(house.chat.room)
            await asyncio.sleep(0.01)  # time for the RELEASE

        house.chat.on_attach = on_attach
        user = await identity.attach("chat", "alice", Client())
        assert "alice" == await user.who()

    play("dropped", act)


def test_what_is_not_attached_here_is_not_detached():
    """Another's perspective, one's own of another login, a view, a thing, a value, and what is over."""

    async def act(house, connection, identity):
        bob = await connection.login("bob", PASSWORD)
        again = await connection.login("alice", PASSWORD)
        mine, theirs = await identity.attach("chat"), await bob.attach("chat")
        foreign = [theirs, await mine.other("bob"), await mine.thing(), await mine.room(), None, 7, "alice"]
        for value in (*foreign, identity._reference):
            with pytest.raises(pb.Forbidden, match="no perspective that is attached here"):
                await identity.detach(value)
        with pytest.raises(pb.Forbidden):
            await again.detach(mine)
        assert ["alice", "bob"] == [await mine.who(), await theirs.who()]
        await identity.detach(mine)
        with pytest.raises(pb.Gone):
            await identity.detach(mine)

    play("foreign", act)


def test_a_perspective_of_another_connection_is_nobody_s_here():
    """It crosses as a proxy, and is neither attached nor detached by it."""

    async def act(house, connection, identity):
        mine = await identity.attach("chat")
        async with pb.open_connection("memory://other") as other:
            second = await other.login("alice", PASSWORD)
            with pytest.raises(pb.Forbidden):
                await second.detach(mine)
            assert "alice" == await mine.who()

    play("other", act)


def test_a_keyring_is_read_anew_each_time():
    """What is granted later may be attached without another login."""

    async def act(house, connection, identity):
        await (await house.authorizer.get_identity("alice")).add_key("chat", "more")
        assert ("chat", "more") in await identity.keys()
        assert "more" == await (await identity.attach("chat", "more")).who()

    play("anew", act)


def test_two_services_of_one_application_are_apart():
    """A key for one opens nothing of the other."""

    async def act(house, connection, identity):
        Chat("shop", house.application)
        with pytest.raises(pb.Forbidden):
            await identity.attach("shop", "alice")
        with pytest.raises(pb.Forbidden):
            await identity.attach("shop")

    play("apart", act)


def test_perspectives_of_pb_are_perspectives_of_cred_that_cross():
    """One class, two parents."""
    service = pb.Service("s")
    made = service.create_perspective("p")

    assert type(made) is pb.Perspective
    assert isinstance(made, cred.Perspective)
    assert issubclass(User, pb.Viewable)


def test_two_roots_of_one_authorizer_end_each_its_own():
    """Two doors to one house: a kick ends what came in by either, and neither stumbles over the other's."""

    async def act(house, connection, identity):
        second = pb.AuthRoot(house.authorizer)
        async with (
            pb.serve(second, "memory://second") as server,
            pb.connect(server.url, "alice", PASSWORD, "chat") as theirs,
        ):
            mine = await identity.attach("chat")
            assert ["alice", "alice"] == [await mine.who(), await theirs.who()]
            house.authorizer.kick("alice")
            for user in (mine, theirs):
                with pytest.raises(pb.Gone):
                    await user.who()
            assert {} == second.attachments
            assert 0 == len(second._logged_in)

    play("roots", act)
