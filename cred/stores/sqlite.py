"""SqliteStore: identities in one file. The default for everything that is to survive its process.

Each operation runs in a thread of the store: however slow the disk, or whoever else has the file locked, the
loop goes on, and so do readers while a writer waits.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import sqlite3
import stat
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from ..errors import StoreError
from . import _sql
from ._sql import Transaction
from ._sqlstore import SqlStore

T = TypeVar("T")

# RETURNING came then (March 2021).
MIN_SQLITE: Final = (3, 35, 0)
READERS: Final = 2
# Between two tries to switch a new file to WAL, which another process is just doing.
SWITCH_S: Final = 0.01


class SqliteStore(SqlStore):
    """Keep identities in an SQLite file, which several processes of one machine may use at once.

    The file is made with mode 0600 at the first use. What a call has returned from survives the loss of the
    process and of the power.

    Args:
        path: the file. Two more lie beside it while it is open.
        busy_s: how long to wait for another process that writes; then StoreError.
        random: returns that many bytes that nobody can foretell.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        busy_s: float = 5.0,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        super().__init__()
        self._path = os.fspath(path)
        self._busy_s = busy_s
        self._random = random
        self._is_set_up = False
        self._setup_lock = threading.Lock()
        self._connections: list[sqlite3.Connection] = []
        self._local = threading.local()
        self._writer = ThreadPoolExecutor(1, "cred-sqlite-writer")
        self._readers = ThreadPoolExecutor(READERS, "cred-sqlite-reader")
        self._is_closed = False

    async def read(self, transaction: Transaction[T]) -> T:
        """See SqlStore."""
        return await self._in_thread(self._readers, "BEGIN", transaction)

    async def write(self, transaction: Transaction[T]) -> T:
        """See SqlStore."""
        # IMMEDIATE: a transaction that reads first and writes later could not wait for another writer.
        return await self._in_thread(self._writer, "BEGIN IMMEDIATE", transaction)

    async def close(self) -> None:
        """See IIdentityStore. Waits for what is still running."""
        if not self._is_closed:
            self._is_closed = True
            await asyncio.to_thread(self._close)

    async def _in_thread(self, pool: ThreadPoolExecutor, begin: str, transaction: Transaction[T]) -> T:
        if self._is_closed:
            raise StoreError(f"{self._path} is closed")
        # Cancelling this does not stop the thread: the transaction is then done, or not, as a whole.
        return await asyncio.get_running_loop().run_in_executor(pool, self._run, begin, transaction)

    def _run(self, begin: str, transaction: Transaction[T]) -> T:
        try:
            return run(self._connection(), begin, transaction)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{self._path}: {error}") from error

    def _connection(self) -> sqlite3.Connection:
        """Return the connection of this thread, which the first call opens."""
        try:
            found: sqlite3.Connection = self._local.connection
            return found
        except AttributeError:
            pass
        # One thread at a time: switching a new file to WAL needs it alone.
        with self._setup_lock:
            connection = self._open()
            if not self._is_set_up:
                run(connection, "BEGIN IMMEDIATE", _sql.setup(self._random(32)))
                self._is_set_up = True
        self._local.connection = connection
        return connection

    def _open(self) -> sqlite3.Connection:
        if sqlite3.sqlite_version_info < MIN_SQLITE:
            raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old, 3.35 or later is needed")
        # Made here and not by SQLite, which would leave it to the umask who can read it. One that is there is
        # not opened: closing it would drop the locks that this process has on it by other connections, and
        # then another process that leaves takes itself for the last, and the log away from under this one.
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
            os.close(os.open(self._path, flags, 0o600))
        except FileExistsError:
            pass
        status = os.stat(self._path)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self._path)
        if not os.access(self._path, os.R_OK | os.W_OK):  # pragma: no cover - not as root, as which CI runs
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), self._path)
        mode = status.st_mode & 0o777
        if mode & 0o077 and os.name == "posix":
            raise StoreError(f"{self._path} has mode {mode:04o} and holds secrets: chmod 600 it")
        connection = sqlite3.connect(
            self._path, timeout=self._busy_s, isolation_level=None, check_same_thread=False
        )
        self._connections.append(connection)
        self._use_wal(connection)
        # FULL: after a power cut a right that was taken away must not be back.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        """Switch to WAL. A new file must be nobody else's meanwhile, and SQLite does not wait for that."""
        until = time.monotonic() + self._busy_s
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                    raise
            time.sleep(SWITCH_S)

    def _close(self) -> None:
        self._readers.shutdown()
        self._writer.shutdown()
        for connection in self._connections:
            connection.close()


def run(connection: sqlite3.Connection, begin: str, transaction: Transaction[T]) -> T:
    """Run one transaction to its end, or undo it."""
    connection.execute(begin)
    try:
        statement = next(transaction)
        while True:
            statement = transaction.send(connection.execute(*statement).fetchall())
    except StopIteration as done:
        connection.execute("COMMIT")
        result: T = done.value
        return result
    finally:
        # Still open: something was raised, by the transaction, by a statement or by COMMIT.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
