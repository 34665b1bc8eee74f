"""PostgresStore: the contract, on a real server; several processes; and a database that goes away."""

from __future__ import annotations

import asyncio
import itertools
import sys

import pytest

import cred
from cred import IdentityRecord, Key
from cred.stores import _sql
from cred.stores.postgres import PostgresStore, numbered
from cred.testing import check_identity_store

from ..helpers import Chance, run
from .server import serving


@pytest.fixture(scope="module")
def server():
    """One server for all tests of this file."""
    with serving() as found:
        yield found


@pytest.fixture
def places(server):
    """Options for one schema after the other, each empty."""
    asyncpg = pytest.importorskip("asyncpg")
    host, user = server
    options = {"host": host, "user": user, "database": "postgres"}

    async def make(schema):
        connection = await asyncpg.connect(**options)
        await connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        await connection.execute(f"CREATE SCHEMA {schema}")
        await connection.close()
        return {**options, "max_size": 4, "server_settings": {"search_path": schema}}

    return (make(f"s{number}") for number in itertools.count())


def test_it_keeps_the_contract(places):
    """Also for two pools, as two processes have them."""
    known = {}

    async def make_store():
        options = await next(places)
        store = PostgresStore(**options)
        known[store] = options
        return store

    async def reopen(store):
        return PostgresStore(**known[store])

    run(check_identity_store(make_store, reopen))


def test_what_was_written_is_there_for_the_next_process(places):
    """With the same secret."""

    async def main():
        options = await next(places)
        found = []
        for _ in range(2):
            store = PostgresStore(**options)
            if not found:
                await store.add(IdentityRecord.new("alice", keys=[("shop", "alice")]))
            found.append((await store.secret(), await store.get("alice")))
            await store.close()
        return found

    first, second = run(main())
    assert first == second
    assert {Key("shop", "alice")} == second[1].keys


def test_processes_that_begin_together_make_the_tables_once(places):
    """CREATE TABLE IF NOT EXISTS alone fails for all but one of them."""

    async def main():
        options = await next(places)
        stores = [PostgresStore(random=Chance(), **options) for _ in range(6)]
        secrets = await asyncio.gather(*(store.secret() for store in stores))
        for store in stores:
            await store.close()
        return secrets

    assert 1 == len(set(run(main())))


def test_tables_of_another_version_are_refused(places, monkeypatch):
    """A newer program may have written what this one would destroy."""

    async def names(options):
        store = PostgresStore(**options)
        try:
            return await store.names()
        finally:
            await store.close()

    async def main():
        options = await next(places)
        monkeypatch.setattr(_sql, "VERSION", 2)
        assert [] == await names(options)
        monkeypatch.undo()
        with pytest.raises(cred.StoreError, match="version 2"):
            await names(options)

    run(main())


def test_a_transaction_that_is_broken_off_changes_nothing(places):
    """And leaves the connection fit for the next."""

    def broken(record):
        yield from _sql.add(record)
        raise ZeroDivisionError

    async def main():
        store = PostgresStore(**await next(places))
        with pytest.raises(ZeroDivisionError):
            await store.write(broken(IdentityRecord.new("alice", keys=[("shop", "alice")])))
        names = await store.names()
        await store.close()
        return names

    assert [] == run(main())


def test_revocations_and_grants_at_once_do_not_block_each_other_for_ever(places):
    """All lock in one order; a deadlock would be an error of one of them."""

    async def main():
        options = await next(places)
        stores = [PostgresStore(**options) for _ in range(3)]
        for name in ("alice", "bob"):
            await stores[0].add(IdentityRecord.new(name, keys=[("shop", str(n)) for n in range(12)]))
        await asyncio.gather(
            *(
                change
                for number, store in enumerate(stores)
                for name in ("alice", "bob")
                for key in range(number * 4, number * 4 + 4)
                for change in (
                    store.remove_key(name, Key("shop", str(key))),
                    store.add_key(name, Key("chat", str(key))),
                    store.set_disabled(name, bool(key % 2)),
                )
            )
        )
        keys = [len((await stores[0].get(name)).keys) for name in ("alice", "bob")]
        for store in stores:
            await store.close()
        return keys

    assert [12, 12] == run(main())


def test_a_database_that_is_not_there_is_an_error_of_the_store(tmp_path):
    """One type of error, and the next call tries again."""
    pytest.importorskip("asyncpg")

    async def main():
        store = PostgresStore(host=str(tmp_path), user="cred", database="postgres")
        for use in (store.names, store.secret):
            with pytest.raises(cred.StoreError, match="PostgreSQL"):
                await use()
        await store.close()

    run(main())


def test_connections_that_are_cut_are_an_error_of_the_store(places):
    """The server was restarted; afterwards it goes on."""
    asyncpg = pytest.importorskip("asyncpg")

    def sleeping():
        yield "SELECT pg_sleep(20)", ()

    async def main():
        options = await next(places)
        store = PostgresStore(**options)
        await store.add(IdentityRecord.new("alice"))
        stuck = asyncio.ensure_future(store.read(sleeping()))
        other = await asyncpg.connect(host=options["host"], user=options["user"], database="postgres")
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
        while not await other.fetch(cut):
            pass  # not begun yet
        with pytest.raises(cred.StoreError, match="PostgreSQL"):
            await stuck
        await other.close()
        names = await store.names()
        await store.close()
        return names

    assert ["alice"] == run(main())


def test_a_closed_store_is_refused():
    """And not connected again behind the back of whoever closed it."""
    pytest.importorskip("asyncpg")

    async def main():
        store = PostgresStore("postgresql://nobody@localhost/none")
        await store.close()
        with pytest.raises(cred.StoreError, match="closed"):
            await store.names()

    run(main())


def test_without_asyncpg_it_says_what_to_install(monkeypatch):
    """At the first use; importing the module costs nothing."""
    monkeypatch.setitem(sys.modules, "asyncpg", None)

    with pytest.raises(cred.StoreError, match=r"perspective-broker\[postgres\]"):
        run(PostgresStore("postgresql://nobody@localhost/none").names())


def test_placeholders_are_numbered():
    """PostgreSQL's are $1, $2; SQLite's are ?."""
    assert "a = $1 AND b IN ($2, $3)" == numbered("a = ? AND b IN (?, ?)")
    assert "no marks" == numbered("no marks")


def test_the_password_in_the_dsn_is_not_shown():
    """Stores stand in tracebacks."""
    assert "<PostgresStore>" == repr(PostgresStore("postgresql://user:secret@host/db"))
