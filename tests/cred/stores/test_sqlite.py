"""SqliteStore: the contract, what the file is like, who waits for whom, and what survives."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import cred
from cred import IdentityRecord, Key
from cred.stores import _sql
from cred.stores import sqlite as module
from cred.stores.sqlite import SqliteStore
from cred.testing import check_identity_store

from ..helpers import Chance, run
from .killed import KEYS

ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path):
    """A file that is not there yet."""
    return tmp_path / "identities.db"


def test_it_keeps_the_contract(tmp_path):
    """Also for two that have the same file open, as two processes would."""
    paths = (tmp_path / f"{number}.db" for number in range(99))
    files = {}

    async def make_store():
        path = next(paths)
        store = SqliteStore(path)
        files[store] = path
        return store

    async def reopen(store):
        return SqliteStore(files[store])

    run(check_identity_store(make_store, reopen))


OTHER_PROCESS = """
import asyncio, sys, cred
from cred.stores.sqlite import SqliteStore
async def main():
    store = SqliteStore(sys.argv[1])
    await store.set_disabled("alice", True)
    await store.close()
asyncio.run(main())
"""


def inode(path):
    return Path(path).stat().st_ino


def test_what_another_process_writes_and_leaves_is_seen(path):
    """However many connections this one has: SQLite's locks are lost where the file is closed beside it."""

    async def play():
        store = SqliteStore(path)
        await store.add(IdentityRecord.new("alice"))
        for _ in range(5):  # until both readers are there
            await asyncio.gather(*(store.get("alice") for _ in range(8)))
        log = inode(f"{path}-wal")
        await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", OTHER_PROCESS, str(path)], cwd=ROOT, check=True
        )
        assert log == inode(f"{path}-wal")
        for _ in range(5):
            for record in await asyncio.gather(*(store.get("alice") for _ in range(8))):
                assert record.disabled
        await store.close()

    run(play())


def test_what_was_written_is_there_for_the_next_process(path):
    """With the same secret, or all mock salts would change at a restart."""

    async def write():
        store = SqliteStore(path)
        await store.add(IdentityRecord.new("alice", keys=[("shop", "alice")]))
        secret = await store.secret()
        await store.close()
        return secret

    async def read():
        store = SqliteStore(path)
        record, secret = await store.get("alice"), await store.secret()
        await store.close()
        return record, secret

    secret = run(write())
    record, same = run(read())
    assert secret == same
    assert {Key("shop", "alice")} == record.keys


def test_only_the_owner_can_read_any_of_its_files(path):
    """Hashes can be searched offline; the log beside the file holds them too."""

    async def main():
        store = SqliteStore(path)
        await store.add(IdentityRecord.new("alice"))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        await store.close()
        return modes

    umask = os.umask(0)
    try:
        modes = run(main())
    finally:
        os.umask(umask)
    assert {"identities.db", "identities.db-wal", "identities.db-shm"} == set(modes)
    assert {0o600} == set(modes.values())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(path, mode):
    """It says what to do, and has read nothing."""
    path.touch()
    path.chmod(mode)

    async def main():
        store = SqliteStore(path)
        try:
            with pytest.raises(cred.StoreError, match="chmod 600"):
                await store.names()
        finally:
            await store.close()

    run(main())


@pytest.mark.parametrize("content", [b"this is no database, but longer than a header of one" * 9, None])
def test_what_is_no_database_is_refused(path, content):
    """A text, and a folder: one type of error for both."""
    if content is None:
        path.mkdir(mode=0o700)
    else:
        path.write_bytes(content)
        path.chmod(0o600)

    async def main():
        store = SqliteStore(path)
        try:
            with pytest.raises(cred.StoreError, match=r"identities\.db"):
                await store.names()
        finally:
            await store.close()

    run(main())


def test_a_file_of_another_version_is_refused(path, monkeypatch):
    """A newer program may have written what this one would destroy."""

    async def names():
        store = SqliteStore(path)
        try:
            return await store.names()
        finally:
            await store.close()

    monkeypatch.setattr(_sql, "VERSION", 2)
    assert [] == run(names())
    monkeypatch.undo()
    with pytest.raises(cred.StoreError, match="version 2, this program reads version 1"):
        run(names())


def test_an_identity_that_cannot_be_read_is_an_error_of_the_store(path):
    """Somebody edited the file by hand."""

    async def main():
        store = SqliteStore(path)
        await store.add(IdentityRecord.new("alice"))
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE cred_identities SET password_hash = 'md5abc'")
        connection.close()
        try:
            with pytest.raises(cred.StoreError, match="cannot be read"):
                await store.get("alice")
        finally:
            await store.close()

    run(main())


def test_an_old_sqlite_is_refused(path, monkeypatch):
    """With a reason, not with a syntax error."""
    monkeypatch.setattr(module.sqlite3, "sqlite_version_info", (3, 34, 1))

    async def main():
        store = SqliteStore(path)
        try:
            with pytest.raises(cred.StoreError, match=r"3\.35"):
                await store.names()
        finally:
            await store.close()

    run(main())


def test_a_closed_store_is_refused(path):
    """And not opened again behind the back of whoever closed it."""

    async def main():
        store = SqliteStore(path)
        await store.close()
        with pytest.raises(cred.StoreError, match="closed"):
            await store.names()

    run(main())
    assert not path.exists()


def test_a_locked_file_blocks_neither_the_loop_nor_readers(path):
    """Somebody else is writing and takes a while: logins go on."""

    async def main():
        store = SqliteStore(path)
        await store.add(IdentityRecord.new("alice"))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.ensure_future(store.add_key("alice", Key("shop", "alice")))
        turns = 0
        for _ in range(50):
            assert (await store.get("alice")).keys == frozenset()
            turns += 1
        assert not writing.done()
        other.execute("ROLLBACK")
        other.close()
        await writing
        keys = (await store.get("alice")).keys
        await store.close()
        return turns, keys

    assert (50, {Key("shop", "alice")}) == run(main())


def test_a_file_that_stays_locked_is_an_error_of_the_store(path):
    """After busy_s; nothing was changed."""

    async def main():
        store = SqliteStore(path, busy_s=0.05)
        await store.add(IdentityRecord.new("alice"))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(cred.StoreError, match="locked"):
            await store.set_disabled("alice", True)
        other.execute("ROLLBACK")
        other.close()
        disabled = (await store.get("alice")).disabled
        await store.close()
        return disabled

    assert False is run(main())


def test_no_operation_runs_in_the_thread_of_the_loop(path, monkeypatch):
    """A slow disk would stop every connection of the server."""
    threads = []
    real = module.run

    def spying(*args):
        threads.append(threading.current_thread())
        return real(*args)

    monkeypatch.setattr(module, "run", spying)

    async def main():
        store = SqliteStore(path)
        await store.add(IdentityRecord.new("alice"))
        await store.get("alice")
        await store.close()

    run(main())
    assert 3 == len(threads)  # setup, add, get
    assert threading.main_thread() not in threads


def test_a_transaction_that_is_broken_off_changes_nothing(path):
    """An identity with half of its keys would be refused here and let in there."""

    def broken(record):
        yield from _sql.add(record)
        raise ZeroDivisionError

    async def main():
        store = SqliteStore(path)
        with pytest.raises(ZeroDivisionError):
            await store.write(broken(IdentityRecord.new("alice", keys=[("shop", "alice")])))
        names = await store.names()
        await store.add(IdentityRecord.new("bob"))
        names += await store.names()
        await store.close()
        return names

    assert ["bob"] == run(main())


def test_what_was_written_survives_kill_9(path):
    """And what was being written is there as a whole or not at all."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cred.stores.killed", str(path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(15)]
    process.send_signal(signal.SIGKILL)
    told += [int(line) for line in process.stdout.read().split()]
    process.stdout.close()
    process.wait()

    async def main():
        store = SqliteStore(path)
        names = await store.names()
        sizes = {len((await store.get(name)).keys) for name in names}
        await store.add(IdentityRecord.new("after"))
        await store.close()
        return names, sizes

    names, sizes = run(main())
    assert {f"user-{number}" for number in told} <= set(names)
    assert len(names) <= len(told) + 1
    assert {KEYS} == sizes
    checked = sqlite3.connect(path)
    assert [("ok",)] == checked.execute("PRAGMA integrity_check").fetchall()
    checked.close()


def test_two_processes_that_begin_with_an_empty_file_share_its_secret(path):
    """The tables are made once, whoever is first."""

    async def main():
        stores = [SqliteStore(path, random=Chance()) for _ in range(4)]
        secrets = await asyncio.gather(*(store.secret() for store in stores))
        for store in stores:
            await store.close()
        return secrets

    assert 1 == len(set(run(main())))


class Contested:
    """A connection to a file that another process is just switching to WAL: SQLite does not wait there."""

    def __init__(self, times, code=sqlite3.SQLITE_BUSY):
        self.times = times
        self.code = code
        self.tries = 0

    def execute(self, statement):
        assert "PRAGMA journal_mode = WAL" == statement
        self.tries += 1
        if self.tries <= self.times:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = self.code
            raise error


def test_a_new_file_that_another_process_is_making_is_waited_for(path):
    """`pb run` and `pb identity add` at once, on no store yet, would fail now and then."""
    connection = Contested(3)
    SqliteStore(path)._use_wal(connection)

    assert 4 == connection.tries


@pytest.mark.parametrize(("busy_s", "code"), [(0, sqlite3.SQLITE_BUSY), (5, sqlite3.SQLITE_READONLY)])
def test_it_is_not_waited_for_too_long_nor_for_what_does_not_pass(path, busy_s, code):
    """As long as for every other lock."""
    connection = Contested(9, code)
    with pytest.raises(sqlite3.OperationalError):
        SqliteStore(path, busy_s=busy_s)._use_wal(connection)

    assert 1 == connection.tries
