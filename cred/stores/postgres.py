"""PostgresStore: identities in PostgreSQL, for applications on several machines. Needs the extra [postgres].

asyncpg is imported when a store is first used. The tables are those of SqliteStore, and all begin with
`cred_`; a schema of their own is set with `server_settings={"search_path": ...}`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any, Final, TypeVar

from .._loop import Locks
from ..errors import StoreError
from . import _sql
from ._sql import Transaction
from ._sqlstore import SqlStore

T = TypeVar("T")

# Any number that nothing else in the database locks: "cred" in ASCII.
SETUP_LOCK: Final = 0x63726564
PLACEHOLDER: Final = re.compile(r"\?")


class PostgresStore(SqlStore):
    """Keep identities in a PostgreSQL database, which any number of processes may use at once.

    Args:
        dsn: `postgresql://user@host/database`, None for what the PG* variables of the environment say.
        random: returns that many bytes that nobody can foretell.
        options: for `asyncpg.create_pool`, such as `host`, `ssl`, `max_size`, `server_settings`.
    """

    def __init__(
        self,
        dsn: str | None = None,
        *,
        random: Callable[[int], bytes] = secrets.token_bytes,
        **options: Any,
    ) -> None:
        super().__init__()
        self._dsn = dsn
        self._random = random
        # An operation that hangs must not hang a login for ever.
        self._options = {"min_size": 1, "command_timeout": 30.0, "timeout": 10.0, **options}
        self._pool: Any = None
        self._locks = Locks()
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"  # the dsn may hold a password

    async def read(self, transaction: Transaction[T]) -> T:
        """See SqlStore."""
        return await self._run(transaction, isolation="repeatable_read", readonly=True)

    async def write(self, transaction: Transaction[T]) -> T:
        """See SqlStore."""
        return await self._run(transaction, isolation="read_committed")

    async def close(self) -> None:
        """See IIdentityStore."""
        self._is_closed = True
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def _connected(self) -> Any:
        """Return the pool, which the first call makes, and the tables with it."""
        if self._is_closed:
            raise StoreError("the store is closed")
        async with self._locks.of(""):
            if self._pool is None:
                self._pool = await self._connect()
            return self._pool

    async def _connect(self) -> Any:
        pool = await _asyncpg().create_pool(self._dsn, **self._options)
        try:
            # Two processes that start together would both make the tables.
            setup = _sql.setup(self._random(32))
            await self._on(pool, setup, {"isolation": "read_committed"}, SETUP_LOCK)
        except BaseException:
            await pool.close()
            raise
        return pool

    async def _run(self, transaction: Transaction[T], **mode: Any) -> T:
        asyncpg = _asyncpg()
        try:
            return await self._on(await self._connected(), transaction, mode)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise StoreError(f"PostgreSQL: {error}") from error

    async def _on(
        self, pool: Any, transaction: Transaction[T], mode: dict[str, Any], lock: int | None = None
    ) -> T:
        async with pool.acquire() as connection, connection.transaction(**mode):
            if lock is not None:
                await connection.execute("SELECT pg_advisory_xact_lock($1)", lock)
            try:
                statement, args = next(transaction)
                while True:
                    rows = await connection.fetch(numbered(statement), *args)
                    statement, args = transaction.send([tuple(row) for row in rows])
            except StopIteration as done:
                result: T = done.value
                return result


def numbered(statement: str) -> str:
    """Return a statement with $1, $2, ... for its placeholders, as PostgreSQL wants them."""
    number = iter(range(1, statement.count("?") + 1))
    return PLACEHOLDER.sub(lambda _: f"${next(number)}", statement)


def _asyncpg() -> Any:
    try:
        import asyncpg
    except ImportError as error:
        raise StoreError("asyncpg is not installed: pip install 'perspective-broker[postgres]'") from error
    return asyncpg
