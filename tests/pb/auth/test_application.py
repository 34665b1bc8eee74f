"""Application: what is declared before it starts, how it starts and stops, and what it does meanwhile."""

from __future__ import annotations

import asyncio
import logging

import pytest

import cred
import pb
from cred.stores.sqlite import SqliteStore
from tests.pb.aio.loops import run
from tests.pb.auth.applications import Counter, echo, make, url

__all__ = ["make", "url"]


def test_it_listens_while_it_runs(make, url):
    """And neither before nor after."""

    async def play() -> None:
        application = make()
        with pytest.raises(OSError):
            await echo(url)
        async with application.running() as servers:
            assert [url] == [server.url for server in servers]
            assert "hi" == await echo(url)
        with pytest.raises(OSError):
            await echo(url)

    run(play())


def test_start_and_stop_are_for_programs_without_a_block(make, url):
    """Stopping twice does nothing; after that it can be started again, with the same identities."""

    async def play() -> None:
        application = make()
        for _ in range(2):
            servers = await application.start()
            assert [url] == [server.url for server in servers]
            assert "hi" == await echo(url)
            await application.stop()
            await application.stop()
            assert not application.is_running

    run(play())


def test_it_runs_once_at_a_time(make, url):
    """A second one would listen and save beside the first; the first goes on."""

    async def play() -> None:
        application = make()
        async with application.running():
            with pytest.raises(RuntimeError, match="application 'shop' runs already"):
                await application.start()
            assert "hi" == await echo(url)

    run(play())


def test_it_stops_where_the_block_fails(make, url):
    """The error is the block's."""

    async def play() -> None:
        application = make()
        with pytest.raises(KeyError, match="mine"):
            async with application.running():
                raise KeyError("mine")
        assert not application.is_running
        with pytest.raises(OSError):
            await echo(url)

    run(play())


def test_a_listener_that_fails_closes_the_others(make, url):
    """Half an application would look like a whole one to those it serves."""

    async def play() -> None:
        application = make()
        application.listen("pb+unix:///nowhere/at/all")
        with pytest.raises(OSError, match="no directory for the socket"):
            await application.start()
        with pytest.raises(OSError):
            await echo(url)
        application.listeners.pop()
        async with application.running():
            assert "hi" == await echo(url)

    run(play())


def test_all_listeners_count_strangers_and_failures_together(make, url):
    """A second port must not be a second chance to guess."""

    async def play() -> None:
        application = make()
        application.listen(url + "-second")
        async with application.running() as servers:
            one = await pb.open_connection(servers[0].url)
            two = await pb.open_connection(servers[1].url)
            assert 2 == len(application.root.strangers)
            await one.close()
            await two.close()

    run(play())


def test_who_counts_the_failures_may_be_chosen():
    """Who stands behind a front end names that, so that its clients do not shut out each other."""
    throttle = cred.Throttle(trusted=["10.0.0.7"])

    assert throttle is pb.Application("shop", throttle=throttle).root.throttle


def test_registry_and_limits_hold_for_listeners_that_have_none_of_their_own(url):
    """So that the operator can say where to listen without knowing what crosses there."""
    mine, others = pb.Registry(), pb.Registry()
    limits = pb.Limits(drain_s=7)
    application = pb.Application("x", registry=mine, limits=limits)

    plain = application.running()._options({})  # type: ignore[attr-defined]
    given = application.running(drain_s=3)._options({"registry": others, "debug": True})  # type: ignore[attr-defined]

    assert {"registry": mine, "limits": limits} == plain
    assert {"registry": others, "limits": pb.Limits(drain_s=3), "debug": True} == given


# --- what is revoked elsewhere


def test_what_another_process_takes_away_is_cut(make, url, tmp_path):
    """The store is looked at every second, or as often as is said."""
    path = tmp_path / "store.db"

    async def play() -> None:
        application = make()
        application.use_store(path)
        elsewhere = cred.Authorizer(SqliteStore(path))
        async with application.running(recheck_s=0.001), pb.open_connection(url) as connection:
            perspective = await (await connection.login("guest", "guest")).attach("main")
            gone = asyncio.Event()
            pb.on_disconnect(perspective, lambda *_: gone.set())
            await (await elsewhere.get_identity("guest")).remove_key("main", "guest")
            while True:
                try:
                    await perspective.echo(1)
                except pb.Gone:
                    break
        await elsewhere.close()

    run(play())


def test_a_store_that_is_out_of_reach_for_a_while_is_asked_again(make, tmp_path, caplog):
    """Revocation works again once the store does."""
    caplog.set_level(logging.INFO)

    async def play() -> None:
        application = make()
        application.use_store(tmp_path / "store.db")
        asked = asyncio.Event()
        broken = True
        real = application.authorizer.recheck

        async def recheck() -> None:
            asked.set()
            if broken:
                raise cred.StoreError("out of reach")
            await real()

        application.authorizer.recheck = recheck  # type: ignore[method-assign]
        async with application.running(recheck_s=0.001):
            for now_broken in (True, True, True, False, False):
                broken = now_broken
                asked.clear()
                await asked.wait()

    run(play())
    said = "looking for revocations fails, and is tried again every 0.001 s: out of reach"
    assert 1 == caplog.text.count(said)
    assert 1 == caplog.text.count("looking for revocations works again")


def test_its_repr_says_what_it_is(make):
    """For the log."""
    assert "<Application 'shop' of 1 services>" == repr(make())


def test_a_listener_that_does_not_close_keeps_nothing_else_from_it(make, url, tmp_path, caplog):
    """The store is closed and the state written in any case."""

    async def play() -> None:
        application, counter = make(), Counter()
        application.use_store(tmp_path / "store.db")
        application.keep("counter", counter)
        servers = await application.start()
        close = servers[0].close

        async def fail() -> None:
            await close()
            raise OSError("may not remove the socket")

        servers[0].close = fail
        await application.stop()
        assert counter.asked.is_set()
        assert not application.is_running

    run(play())
    assert "a listener of shop did not close" in caplog.text
    assert "may not remove the socket" in caplog.text
