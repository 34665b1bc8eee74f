"""Sturdy names: made by chance, kept as hashes, valid for a time, and each application's own."""

from __future__ import annotations

import hashlib
import re
import sqlite3

import pytest

import cred
from cred.stores.sqlite import SqliteStore

from .helpers import Clock, run

DAY_S = 24 * 3600


class Names:
    """The names of two applications in one store, and their clock."""

    def __init__(self, store=None):
        self.clock = Clock()
        self.store = store or cred.MemoryStore()
        self.shop = cred.SturdyNames(self.store, "shop", clock=self.clock)
        self.forum = cred.SturdyNames(self.store, "forum", clock=self.clock)


def test_a_name_has_160_bits_of_chance_in_base32():
    """What is asked for is 128; nobody may come by it by trying (PB-K17)."""
    asked = []

    def random(size):
        asked.append(size)
        return bytes(range(size))

    name = run(cred.SturdyNames(cred.MemoryStore(), "shop", random=random).give("order", "1"))

    assert [20] == asked
    assert "aaaqeayeaudaocajbifqydiob4ibceqt" == name
    assert re.fullmatch(r"[a-z2-7]{32}", run(Names().shop.give("order", "1")))


def test_a_name_is_found_with_what_it_was_given_for():
    """Until it expires, to the second."""

    async def play():
        names = Names()
        forever = await names.shop.give("order", "17")
        short = await names.shop.give("order", "18", 60)
        found = await names.shop.find(forever)
        assert ("shop", "order", "17", 1_000, None) == (
            found.application,
            found.kind,
            found.key,
            found.made,
            found.expires,
        )
        names.clock.now += 59.9
        assert "18" == (await names.shop.find(short)).key
        names.clock.now += 0.1
        assert None is await names.shop.find(short)
        names.clock.now += 10_000 * DAY_S
        assert "17" == (await names.shop.find(forever)).key
        assert None is await names.shop.find(forever.upper())
        assert None is await names.shop.find("\ud800")

    run(play())


@pytest.mark.parametrize("seconds", [1, 1.99])
def test_a_name_is_valid_for_all_of_its_time(seconds):
    """Stores count whole seconds: it may be valid for a little longer, never shorter."""

    async def play():
        names = Names()
        names.clock.now = 100.95
        name = await names.shop.give("order", "1", seconds)
        names.clock.now += seconds - 0.01
        assert "1" == (await names.shop.find(name)).key
        names.clock.now += 1.01
        assert None is await names.shop.find(name)
        (listed,) = await names.shop.list()
        assert 100 == listed.made

    run(play())


@pytest.mark.parametrize("seconds", [0, 0.5, -1, float("nan"), float("inf"), 1e300])
def test_a_name_for_no_time_that_could_be_kept_is_not_made(seconds):
    """It is a mistake; a void URL would be told to somebody, or the store would break."""
    names = Names()
    with pytest.raises(ValueError, match="expected 1 second or more, or None"):
        run(names.shop.give("order", "1", seconds))
    assert [] == run(names.store.list_sturdy())


def test_names_are_of_one_application():
    """Two may share a store; neither serves, lists or revokes what the other gave."""

    async def play():
        names = Names()
        name = await names.shop.give("order", "1")
        assert None is await names.forum.find(name)
        assert [] == await names.forum.list()
        assert not await names.forum.revoke(name)
        (listed,) = await names.shop.list()
        assert not await names.forum.revoke(listed.id)
        assert "1" == (await names.shop.find(name)).key

    run(play())


@pytest.mark.parametrize("how", ["name", "id", "hash"])
def test_a_name_is_revoked_by_itself_or_by_what_lists_show(how):
    """Who revokes has mostly lost it; and only this one goes."""

    async def play():
        names = Names()
        name, other = await names.shop.give("order", "1"), await names.shop.give("order", "1")
        hash = hashlib.sha256(name.encode()).hexdigest()
        wanted = {"name": name, "id": hash[:16], "hash": hash}[how]
        assert await names.shop.revoke(wanted)
        assert None is await names.shop.find(name)
        assert not await names.shop.revoke(wanted)
        assert "1" == (await names.shop.find(other)).key

    run(play())


def test_what_expired_is_listed_for_a_week():
    """Somebody will ask why his does not work any longer; but nothing piles up."""

    async def play():
        names = Names()
        await names.shop.give("order", "old", 60)
        names.clock.now += 60 + 7 * DAY_S
        await names.shop.give("order", "new")
        assert ["old", "new"] == [one.key for one in await names.shop.list()]
        names.clock.now += 1
        await names.shop.give("order", "newer")
        assert ["new", "newer"] == [one.key for one in await names.shop.list()]

    run(play())


def test_a_store_that_keeps_no_names_is_refused():
    """Where it is named, not when somebody uses one."""
    with pytest.raises(cred.StoreError, match="an object keeps no names: it does not provide"):
        cred.SturdyNames(object(), "shop")


def test_the_file_holds_no_name(tmp_path):
    """Whoever gets at it cannot use what is in it."""
    path = tmp_path / "store.db"

    async def play():
        store = SqliteStore(path)
        name = await Names(store).shop.give("order", "1")
        await store.close()
        return name

    name = run(play())
    kept = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert hashlib.sha256(name.encode()).hexdigest().encode() in kept
    for known in (name, name[:8], name[-8:]):
        assert known.encode() not in kept
        assert known.upper().encode() not in kept


def test_a_store_from_before_there_were_names_gets_them(tmp_path):
    """With all that it has."""
    path = tmp_path / "store.db"

    async def play():
        store = SqliteStore(path)
        await store.add(cred.IdentityRecord.new("alice"))
        await store.close()
        with sqlite3.connect(path) as connection:
            connection.execute("DROP TABLE cred_sturdy")
        connection.close()
        store = SqliteStore(path)
        names = Names(store)
        name = await names.shop.give("order", "1")
        assert "1" == (await names.shop.find(name)).key
        assert ["alice"] == await store.names()
        await store.close()

    run(play())
