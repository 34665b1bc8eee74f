"""Classes of somebody else's, which derive from nothing of ours, in each place that a contract names."""

from __future__ import annotations

import asyncio

import pytest
from zope.interface import implementer
from zope.interface.verify import verifyObject

import cred

from .helpers import ITERATIONS, LOCAL, application, log_in, run


@implementer(cred.IPerspective)
class Account:
    """A perspective that was something else before."""

    __slots__ = ("clients", "perspective_name", "service")

    def __init__(self, name, service):
        self.perspective_name = name
        self.service = service
        self.clients = []

    def attached(self, client, identity):
        if client == "unwanted":
            raise cred.AttachRefused(f"{identity.name} may not bring that")
        self.clients.append(client)

    def detached(self, client, identity):
        self.clients.remove(client)


@implementer(cred.IService)
class Bank:
    """A service that has its accounts elsewhere."""

    __slots__ = ("authorizer", "loaded", "name")

    def __init__(self):
        self.name = "bank"
        self.authorizer = None
        self.loaded = []

    def get_perspective_named(self, name):
        raise cred.NoSuchPerspective(name)

    async def load_perspective(self, name):
        await asyncio.sleep(0)
        self.loaded.append(name)
        return Account(name, self)

    async def get_perspective(self, name, identity):
        return await self.load_perspective(name)


@implementer(cred.IIdentity)
class Clerk:
    """Somebody whom another program knows."""

    name = "alice"
    as_of = None

    async def keys(self):
        return [cred.Key("bank", "alice")]


async def with_alice():
    authorizer = application()
    bank = Bank()
    authorizer.add_service(bank)
    await authorizer.add_identity("alice", "secret", keys=[("bank", "alice")])
    return authorizer, bank


@pytest.mark.parametrize(
    ("one", "contract"),
    [(Bank(), cred.IService), (Account("alice", Bank()), cred.IPerspective), (Clerk(), cred.IIdentity)],
    ids=["service", "perspective", "identity"],
)
def test_the_foreigners_of_these_tests_keep_the_contracts(one, contract):
    """And no more than them: what is not in the contract must not be asked of them."""
    assert verifyObject(contract, one)


def test_a_service_and_its_perspectives_plug_in():
    """Loaded once for several who come at once, counted, and forgotten with the last."""

    async def main():
        authorizer, bank = await with_alice()
        alice = await log_in(authorizer, cred.Password("alice", "secret"))
        assert bank.authorizer is authorizer
        both = await asyncio.gather(*(authorizer.attach(alice, "bank", client=n) for n in (1, 2)))
        account = both[0].perspective
        assert account is both[1].perspective
        assert ([1, 2], 2) == (account.clients, authorizer.attach_count("bank", "alice"))
        with pytest.raises(cred.AttachRefused, match="may not bring"):
            await authorizer.attach(alice, "bank", client="unwanted")
        both[0].end()
        await alice.remove_key("bank", "alice")
        assert [] == account.clients
        assert 0 == authorizer.attach_count("bank", "alice")
        await alice.add_key("bank", "alice")
        assert account is not (await authorizer.attach(alice, "bank")).perspective
        return bank.loaded

    assert ["alice", "alice"] == run(main())


def test_an_identity_plugs_in():
    """It is looked up by its name, like every other: what it says of itself opens nothing."""

    async def main():
        authorizer, _ = await with_alice()
        attachment = await authorizer.attach(Clerk(), "bank")
        authorizer.kick("alice")
        return attachment.is_live

    assert False is run(main())


def test_a_store_plugs_in():
    """One that passes everything on, and derives from nothing."""

    @implementer(cred.IIdentityStore)
    class Passing:
        def __init__(self):
            self.inner = cred.MemoryStore()

        def __getattr__(self, name):
            return getattr(self.inner, name)

    async def main():
        store = Passing()
        assert verifyObject(cred.IIdentityStore, store)
        authorizer = cred.Authorizer(store, iterations=ITERATIONS)
        await authorizer.add_identity("alice", "secret")
        assert ["SCRAM-SHA-256"] == authorizer.mechanisms(LOCAL)[:1]
        return (await log_in(authorizer, cred.Password("alice", "secret"))).name

    assert "alice" == run(main())
