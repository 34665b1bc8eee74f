"""An application on PostgreSQL: its identities and its state are in one database there too."""

from __future__ import annotations

import pytest

import pb
from cred.stores.postgres import PostgresStore
from pb.auth.state import StateError
from tests.cred.stores.server import serving
from tests.pb.aio.loops import run
from tests.pb.auth.applications import Counter, echo, make, url

__all__ = ["make", "url"]


@pytest.fixture(scope="module")
def options():
    """How to reach a server of our own."""
    pytest.importorskip("asyncpg")
    with serving() as (host, user):
        yield {"host": host, "user": user, "database": "postgres", "max_size": 2}


def test_identities_and_state_are_kept_and_the_last_who_started_writes(make, url, options):
    """The statements are those of SQLite."""

    def application(counter: Counter) -> pb.Application:
        made = make()
        made.use_store(PostgresStore(**options))
        made.keep("counter", counter)
        return made

    async def play() -> None:
        first = Counter()
        async with application(first).running():
            assert "hi" == await echo(url)
            first.count = 5

        old, new = Counter(), Counter()
        older, newer = application(old), application(new)
        newer.listeners.clear()
        await older.start()
        await newer.start()
        assert (5, 5) == (old.count, new.count)
        old.count, new.count = 6, 7
        with pytest.raises(StateError, match="another process has taken over the state of 'shop'"):
            await older.stop()
        await newer.stop()

        last = Counter()
        async with application(last).running():
            assert 7 == last.count

    run(play())
