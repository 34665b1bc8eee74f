"""One login, many services: what the 2002 keyring was for, end to end over TCP and over TLS."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import cred
import pb

from ..aio.loops import Place, run
from .doors import PASSWORD, hash_of
from .rooms import settle


class User(pb.Perspective):
    def attached(self, client, identity):
        self.service.seen.append(f"{self.perspective_name} attached")

    def detached(self, client, identity):
        self.service.seen.append(f"{self.perspective_name} detached")

    def perspective_who(self):
        return f"{self.service.name}/{self.perspective_name}"


class Part(pb.Service):
    perspective_class = User

    def __init__(self, *args):
        super().__init__(*args)
        self.seen: list[str] = []

    def get_perspective_named(self, name):
        return User(name, self)


def play(path, scheme, act):
    """Run `act(connection, shop, chat, server)` against three services; bob has no key for the third."""

    async def main():
        authorizer = cred.Authorizer(iterations=4096)
        shop, chat, _ = (Part(name, authorizer) for name in ("shop", "chat", "admin"))
        await authorizer.add_identity(
            "alice", hash_of(PASSWORD), keys=[("shop", "alice"), ("chat", "alice"), ("chat", "moderator")]
        )
        await authorizer.add_identity("bob", hash_of("the one of bob"), keys=[("chat", "bob")])
        root = pb.AuthRoot(authorizer)
        async with Place(scheme, path).serve(root) as server, pb.open_connection(server.url) as connection:
            await act(connection, shop, chat, server)
        await settle(lambda: not root.attachments)
        await authorizer.close()
        return shop.seen, chat.seen

    return run(main())


@pytest.mark.parametrize("scheme", ["pb", "pbs"])
def test_one_login_attaches_two_services_over_one_connection(tmp_path, scheme):
    """Two perspectives, told apart; the third service is refused; each is detached once at the end."""

    async def act(connection, shop, chat, server):
        alice = await connection.login("alice", PASSWORD)
        mine, ours = await asyncio.gather(alice.attach("shop"), alice.attach("chat", "moderator"))
        assert ["shop/alice", "chat/moderator"] == [await mine.who(), await ours.who()]
        assert pb.connection_of(mine) is pb.connection_of(ours)
        assert 1 == len(server.connections)
        with pytest.raises(pb.Forbidden, match=r"'alice' cannot attach 'admin': .*no key.*see keys\(\)"):
            await alice.attach("admin")
        assert [("chat", "alice"), ("chat", "moderator"), ("shop", "alice")] == await alice.keys()

    assert (
        ["alice attached", "alice detached"],
        ["moderator attached", "moderator detached"],
    ) == play(tmp_path, scheme, act)


@pytest.mark.parametrize("scheme", ["pb", "pbs"])
def test_several_identities_share_the_connection_and_end_by_themselves(tmp_path, scheme):
    """Logging one out leaves the other, and what it has attached."""

    async def act(connection, shop, chat, server):
        alice = await connection.login("alice", PASSWORD)
        bob = await connection.login("bob", "the one of bob")
        hers, his = await alice.attach("chat"), await bob.attach("chat")
        await alice.logout()
        with pytest.raises(pb.Gone):
            await hers.who()
        assert "chat/bob" == await his.who()

    _, chat = play(tmp_path, scheme, act)
    assert ["alice attached", "bob attached", "alice detached", "bob detached"] == chat


def test_attaching_another_users_perspective_is_refused_like_one_that_is_not_there(tmp_path):
    """Whatever is asked for: no name of a perspective, service or user can be tried out."""

    async def act(connection, shop, chat, server):
        bob = await connection.login("bob", "the one of bob")
        told: set[Any] = set()
        for service, perspective in (("chat", "alice"), ("chat", "nobody"), ("shop", "bob"), ("none", "bob")):
            with pytest.raises(pb.Forbidden) as refused:
                await bob.attach(service, perspective)
            told.add(str(refused.value).split(": ", 1)[1])
        assert 1 == len(told)

    assert ([], []) == play(tmp_path, "pb", act)
