"""The contracts: that classes keep them, and that the types say the same."""

from __future__ import annotations

import inspect

import pytest
from zope.interface import Interface
from zope.interface.verify import verifyClass, verifyObject

import cred
from cred import _types, interfaces
from cred.anonymous import AnonymousExchange
from cred.ed25519 import Ed25519Exchange, Ed25519Prover
from cred.external import ExternalExchange
from cred.password import ScramExchange
from cred.stores.postgres import PostgresStore
from cred.stores.sqlite import SqliteStore

KEPT = [
    (cred.MemoryStore, interfaces.IIdentityStore),
    (SqliteStore, interfaces.IIdentityStore),
    (PostgresStore, interfaces.IIdentityStore),
    *((store, interfaces.INameStore) for store in (cred.MemoryStore, SqliteStore, PostgresStore)),
    (cred.Authorizer, interfaces.IAuthorizer),
    (cred.Identity, interfaces.IIdentity),
    (cred.Service, interfaces.IService),
    (cred.Perspective, interfaces.IPerspective),
    *(
        (credentials, interfaces.ICredentials)
        for credentials in (cred.Password, cred.PrivateKey, cred.Anonymous, cred.External)
    ),
    *(
        (prover, interfaces.IProver)
        for prover in (cred.ScramClient, Ed25519Prover, cred.Anonymous, cred.External)
    ),
    *(
        (verifier, interfaces.IVerifier)
        for verifier in (
            cred.ScramVerifier,
            cred.Ed25519Verifier,
            cred.AnonymousVerifier,
            cred.ExternalVerifier,
        )
    ),
    *(
        (exchange, interfaces.IExchange)
        for exchange in (ScramExchange, Ed25519Exchange, AnonymousExchange, ExternalExchange)
    ),
]


@pytest.mark.parametrize(("cls", "contract"), KEPT, ids=[f"{c.__name__}-{i.__name__}" for c, i in KEPT])
def test_a_class_keeps_its_contract(cls, contract):
    """With the methods, and the arguments they take."""
    assert verifyClass(contract, cls)


AUTHORIZER = cred.Authorizer()
SERVICE = cred.Service("shop", AUTHORIZER)
OBJECTS = [
    (AUTHORIZER, interfaces.IAuthorizer),
    (AUTHORIZER.store, interfaces.IIdentityStore),
    (SERVICE, interfaces.IService),
    (cred.Service("nowhere"), interfaces.IService),
    (cred.Perspective("alice", SERVICE), interfaces.IPerspective),
    (cred.Identity(AUTHORIZER, "alice"), interfaces.IIdentity),
]


@pytest.mark.parametrize(
    ("one", "contract"), OBJECTS, ids=[f"{type(o).__name__}-{i.__name__}" for o, i in OBJECTS]
)
def test_an_object_keeps_its_contract(one, contract):
    """With the attributes too, which a class has not got yet."""
    assert verifyObject(contract, one)


@pytest.mark.parametrize(
    ("contract", "protocol"),
    [
        (interfaces.IIdentityStore, _types.IdentityStore),
        (interfaces.IProver, _types.Prover),
        (interfaces.ICredentials, _types.Credentials),
        (interfaces.IExchange, _types.Exchange),
        (interfaces.IVerifier, _types.Verifier),
    ],
    ids=lambda one: one.__name__,
)
def test_the_types_say_what_the_contracts_say(contract, protocol):
    """Two texts of one thing, kept together by this."""
    methods = {
        name: list(inspect.signature(value).parameters)[1:]
        for name, value in vars(protocol).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }
    named = methods | dict.fromkeys(protocol.__annotations__)

    assert {
        name: list(contract[name].positional) if hasattr(contract[name], "positional") else None
        for name in contract.names()
    } == named


def test_every_contract_is_kept_by_something():
    """One that nothing provides is a promise to nobody."""
    contracts = {
        value
        for value in vars(interfaces).values()
        if isinstance(value, type(Interface)) and value is not Interface
    }

    assert contracts == {contract for _, contract in KEPT}
