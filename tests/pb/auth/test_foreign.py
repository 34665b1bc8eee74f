"""Services, perspectives and authorizers that derive from nothing of ours, over a connection."""

from __future__ import annotations

import pytest
from zope.interface import implementer
from zope.interface.verify import verifyObject

import cred
import pb
from tests.cred.test_foreign import Account, Bank

from ..aio.loops import run
from .doors import PASSWORD, hash_of
from .rooms import Client, settle


class Teller(Account):
    """With what a client may call."""

    def perspective_who(self):
        return self.perspective_name


class Branch(Bank):
    """Of those."""

    async def load_perspective(self, name):
        self.loaded.append(Teller(name, self))
        return self.loaded[-1]


@implementer(cred.IAuthorizer)
class Audited:
    """An authorizer that notes who attaches, and leaves the rest to another."""

    def __init__(self, inner):
        self._inner = inner
        self.notes = []

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def attach(self, identity, service, perspective=None, client=None, *, prepare=None):
        self.notes.append((identity.name, service))
        return await self._inner.attach(identity, service, perspective, client, prepare=prepare)


class Bare:
    """Only what IAuthorizer names of an object."""

    def __init__(self, inner):
        for name in cred.IAuthorizer.names():
            setattr(self, name, getattr(inner, name))


@pytest.mark.parametrize("is_foreign", [False, True], ids=["our authorizer", "a foreign one"])
def test_they_serve_a_client(is_foreign):
    """Log in, attach, call, be revoked: with nothing but what the contracts name."""

    async def main():
        inner = cred.Authorizer(iterations=4096)
        audited = Audited(inner)
        assert verifyObject(cred.IAuthorizer, audited)
        authorizer = Bare(audited) if is_foreign else inner
        application = pb.Application("bank", authorizer)
        branch = Branch()
        application.add_service(branch)
        await inner.add_identity("alice", hash_of(PASSWORD), keys=[("bank", "alice")])
        application.listen("memory://foreign")
        async with application.running() as servers, pb.open_connection(servers[0].url) as connection:
            identity = await connection.login("alice", PASSWORD)
            teller = await identity.attach("bank", client=Client())
            assert "alice" == await teller.who()
            assert [("bank", "alice")] == await identity.keys()
            assert 1 == len(branch.loaded[0].clients)
            inner.kick("alice")
            with pytest.raises(pb.Gone):
                await teller.who()
            assert [] == branch.loaded[0].clients
            again = await (await connection.login("alice", PASSWORD)).attach("bank")
            assert "alice" == await again.who()
        await settle(lambda: not branch.loaded[1].clients)
        assert is_foreign is bool(audited.notes)

    run(main())
