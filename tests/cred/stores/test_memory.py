"""MemoryStore: the contract of identity stores."""

from __future__ import annotations

import cred
from cred.testing import check_identity_store

from ..helpers import Chance, run


async def make_store():
    """Return an empty one."""
    return cred.MemoryStore()


def test_it_keeps_the_contract():
    """One function says what all stores must do."""
    run(check_identity_store(make_store))


def test_its_secret_comes_from_the_chance_it_is_given():
    """Tests can be repeated, and nothing else is secret enough."""
    assert Chance()(32) == run(cred.MemoryStore(random=Chance()).secret())
    assert run(cred.MemoryStore().secret()) != run(cred.MemoryStore().secret())
