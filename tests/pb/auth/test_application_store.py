"""Application: the store of its identities, and the state that is kept in it."""

from __future__ import annotations

import logging
import sqlite3
import stat
from typing import Any

import pytest

import cred
import pb
from pb.auth.chosen import ChosenStore, explained
from pb.auth.state import StateError
from tests.pb.aio.loops import run
from tests.pb.auth.applications import Counter, echo, make, url

__all__ = ["make", "url"]

# --- the store


def test_without_a_store_it_says_that_nothing_is_kept(make, caplog):
    """Who finds out after a restart finds out too late."""

    async def play() -> None:
        async with make().running():
            pass

    run(play())
    assert "shop has no store: identities and state end with this process" in caplog.text


def test_identities_are_kept_in_the_store_that_is_named(make, url, tmp_path, caplog):
    """Which is made for its owner only; what it has wins over what the program declares."""
    path = tmp_path / "store.db"

    async def first() -> None:
        application = make()
        application.use_store(path)
        async with application.running():
            guest = await application.authorizer.get_identity("guest")
            await guest.set_password(cred.PasswordHash.of("changed", iterations=4096))

    async def second() -> None:
        application = make()
        application.use_store(str(path))
        async with application.running():
            with pytest.raises(pb.LoginFailed):
                await echo(url)
            assert "hi" == await echo(url, "changed")

    run(first())
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    run(second())
    assert "has no store" not in caplog.text


def test_an_application_on_a_file_can_be_started_again(make, url, tmp_path):
    """Its store is opened anew."""

    async def play() -> None:
        application = make()
        application.use_store(tmp_path / "store.db")
        for _ in range(2):
            async with application.running():
                assert "hi" == await echo(url)

    run(play())


def test_what_is_no_store_is_refused_when_it_is_given(make):
    """Not when the first client logs in."""
    with pytest.raises(TypeError, match="a dict is neither a path nor an IIdentityStore"):
        make().use_store({})


def test_a_store_of_ones_own_is_used_as_it_is(make, url):
    """Whatever provides IIdentityStore."""

    async def play() -> None:
        application, store = make(), cred.MemoryStore()
        application.use_store(store)
        assert store is application.store
        async with application.running():
            assert "hi" == await echo(url)
        assert ["guest"] == await store.names()

    run(play())


@pytest.mark.parametrize("fails", [False, True], ids=["stop", "failed start"])
def test_the_store_is_closed_at_the_end(make, fails):
    """Its files and connections are given back, also where nothing was started."""
    closed = []

    class Store(cred.MemoryStore):
        async def close(self) -> None:
            closed.append(self)

    async def play() -> None:
        application, store = make(), Store()
        application.use_store(store)
        if fails:
            application.listen("pb+unix:///nowhere/at/all")
            with pytest.raises(OSError):
                await application.start()
        else:
            await application.start()
            assert [] == closed
            await application.stop()
        assert [store] == closed

    run(play())


def test_the_store_is_chosen_before_it_is_asked():
    """What the one in memory was told would be lost."""

    async def play() -> None:
        application = pb.Application("x")
        await application.authorizer.add_identity("alice")
        with pytest.raises(RuntimeError, match="in use already; choose it before"):
            application.use_store("x.db")
        assert ["alice"] == await application.authorizer.names()

    run(play())


def test_an_authorizer_of_ones_own_brings_its_store():
    """Else the operator would look for identities where they are not."""
    authorizer = cred.Authorizer()
    application = pb.Application("x", authorizer)

    with pytest.raises(ValueError, match="application 'x' brings its own authorizer"):
        application.use_store("x.db")
    assert authorizer.store is application.store


def test_a_chosen_store_is_a_store_and_no_more():
    """Typing errors must not reach what it stands for."""
    store = ChosenStore()

    assert cred.IIdentityStore.providedBy(store)
    with pytest.raises(AttributeError, match="an identity store has no 'nmaes'"):
        store.nmaes  # noqa: B018


def test_a_store_that_was_never_opened_is_closed_without_being_made():
    """Closing must not make a file."""
    store, made = ChosenStore(), []
    store.choose(lambda: made.append("a store"))

    run(store.close())

    assert [] == made


@pytest.mark.parametrize(
    ("cause", "remedy"),
    [
        (FileNotFoundError(), "make the directory first"),
        (IsADirectoryError(), "name a file in it"),
        (PermissionError(), "run as the owner of the file"),
        (sqlite3.OperationalError(), "see that no other program holds it"),
        (sqlite3.DatabaseError(), "put a copy of it back"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_wrong_with_a_store_comes_with_its_file_and_a_remedy(cause, remedy):
    """An operator reads this at night."""
    error = cred.StoreError("is bad")
    error.__cause__ = cause

    told = str(explained(error, "/x/store.db"))

    assert told.startswith("/x/store.db: is bad; ")
    assert remedy in told


# --- state


def test_state_is_given_back_and_written_at_the_end(make, tmp_path):
    """What happened in the last minute is not lost."""

    async def play() -> int:
        application, counter = make(), Counter()
        application.use_store(tmp_path / "store.db")
        application.keep("counter", counter)
        async with application.running():
            counter.count += 1
        return counter.count

    assert [1, 2, 3] == [run(play()) for _ in range(3)]


def test_state_is_written_now_and_then(make, tmp_path):
    """So that a crash costs a minute and no more."""
    path = tmp_path / "store.db"

    async def play() -> None:
        application, counter = make(), Counter()
        application.use_store(path)
        application.keep("counter", counter)
        async with application.running(save_s=0.001):
            counter.count = 5
            await counter.asked.wait()
            counter.asked.clear()
            await counter.asked.wait()  # so the first save is done
            with sqlite3.connect(path) as database:
                assert [(b"\x05",)] == database.execute("SELECT payload FROM pb_state").fetchall()
            database.close()

    run(play())


def test_a_failing_save_is_logged_once_and_tried_again(make, tmp_path, caplog):
    """A full disk must not fill the log as well."""
    caplog.set_level(logging.INFO)

    async def play() -> None:
        application, counter = make(), Counter()
        application.use_store(tmp_path / "store.db")
        application.keep("counter", counter)
        async with application.running(save_s=0.001):
            counter.count = pb.Referenceable()  # type: ignore[assignment]
            for _ in range(3):
                counter.asked.clear()
                await counter.asked.wait()
            counter.count = 1
            for _ in range(2):
                counter.asked.clear()
                await counter.asked.wait()

    run(play())
    assert 1 == caplog.text.count("saving state fails, and is tried again every 0.001 s: ")
    assert 1 == caplog.text.count("saving state works again")


def test_state_that_cannot_be_written_at_the_end_is_an_error_after_all_is_closed(make, url, tmp_path):
    """The program ends, and its status says that something is lost."""
    path = tmp_path / "store.db"

    async def play() -> None:
        application, counter = make(), Counter()
        application.use_store(path)
        application.keep("counter", counter)
        await application.start()
        counter.count = pb.Referenceable()  # type: ignore[assignment]
        with pytest.raises(StateError, match=f"{path}: cannot be kept: state 'counter'"):
            await application.stop()
        assert not application.is_running
        with pytest.raises(OSError):
            await echo(url)
        counter.count = 1
        async with application.running():
            pass

    run(play())


def test_damaged_state_keeps_the_application_from_starting(make, url, tmp_path):
    """Started without it, it would write an empty one over it."""
    path = tmp_path / "store.db"

    async def play() -> None:
        application, counter = make(), Counter()
        application.use_store(path)
        application.keep("counter", counter)
        async with application.running():
            pass
        with sqlite3.connect(path) as database:
            database.execute("UPDATE pb_state SET payload = x'05'")
        database.close()
        with pytest.raises(StateError, match=f"{path}: state 'counter' of 'shop' was damaged"):
            await application.start()
        with pytest.raises(OSError):
            await echo(url)
        assert 0 == counter.count

    run(play())


def test_state_without_a_store_ends_with_the_process(make, url):
    """As the warning says; everything else works."""

    async def play() -> None:
        application, counter = make(), Counter()
        application.keep("counter", counter)
        async with application.running():
            assert "hi" == await echo(url)
        assert not counter.asked.is_set()

    run(play())


def test_state_in_a_store_that_keeps_identities_only_is_refused(make):
    """At the start, not when it is lost."""

    class Others:
        def __init__(self) -> None:
            self._store = cred.MemoryStore()

        def __getattr__(self, name: str) -> Any:
            if name == "write":
                raise AttributeError
            return getattr(self._store, name)

    async def play() -> None:
        application = make()
        application.use_store(Others())
        application.keep("counter", Counter())
        with pytest.raises(cred.StoreError, match="an Others keeps identities only"):
            await application.start()

    run(play())
