"""The command `pb sturdy`: what was given is shown without the names, and revoked."""

from __future__ import annotations

import asyncio
import contextlib
import io
import queue
import sys
import threading

import pytest

import cred
import pb
from cred.stores.sqlite import SqliteStore
from pb.cli.main import main


@pytest.fixture
def store(tmp_path):
    """Where the store is, or will be."""
    return tmp_path / "store.db"


@pytest.fixture
def sturdy(store, capsys, monkeypatch):
    """Return what runs `pb sturdy` with the store, and gives (status, stdout, stderr)."""

    def run(*arguments, stdin=""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        status = main(["sturdy", *arguments, "--store", str(store)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def give(path, application, kind, key, at, expires_s=None):
    """Return a name, given at a time."""

    async def play():
        store = SqliteStore(path)
        try:
            names = cred.SturdyNames(store, application, clock=lambda: at)
            return await names.give(kind, key, expires_s)
        finally:
            await store.close()

    return asyncio.run(play())


def test_names_are_listed_with_their_times_but_not_themselves(store, sturdy):
    """Of all applications that use the store; what an application chose cannot look like another line."""
    first = give(store, "shop", "order", "1\n2", 0, 60)
    second = give(store, "shop", "order", "é", 60)
    third = give(store, "forum", "room", "3", 120, 10**10)
    status, said, wrong = sturdy("list")

    assert (0, "") == (status, wrong)
    assert [
        "  'shop' 'order' '1\\n2'  given 1970-01-01 00:00:00Z, expired 1970-01-01 00:01:00Z",
        "  'shop' 'order' '\\xe9'  given 1970-01-01 00:01:00Z, does not expire",
        "  'forum' 'room' '3'  given 1970-01-01 00:02:00Z, until 2286-11-20 17:48:40Z",
    ] == [line[16:] for line in said.splitlines()]
    assert not [name for name in (first, second, third) if name in said]


def test_names_are_revoked_by_id_or_by_themselves_from_stdin(store, sturdy):
    """Nobody else on the machine reads stdin."""
    names = [give(store, "shop", "order", str(number), 10**9) for number in range(3)]
    id = sturdy("list")[1].split()[0]
    assert (0, "", "") == sturdy("revoke", id)
    left = [line.split()[3] for line in sturdy("list")[1].splitlines()]
    assert 2 == len(left)
    kept = [name for number, name in enumerate(names) if f"'{number}'" in left]
    assert (0, "", "") == sturdy("revoke", "-", stdin=f"pbs://example.org/~{kept[0]}\n\n~{kept[1]}\n")
    assert (0, "", "") == sturdy("list")


def test_what_is_not_there_is_said(store, sturdy):
    """A typing error must not look like a revocation."""
    for action in (["list"], ["revoke", "x"]):
        status, said, wrong = sturdy(*action)
        assert (1, "") == (status, said) and "pb sturdy: there is no store" in wrong
    give(store, "shop", "order", "1", 0)
    assert (1, "", "pb sturdy: no such name or id; it may be void already\n") == sturdy("revoke", "nothing")
    store.write_bytes(b"no store" * 1000)
    status, said, wrong = sturdy("list")
    assert 1 == status and "put a copy of it back" in wrong


def test_a_name_is_given_for_a_time(store, sturdy):
    """In the store of a server, which has to be there; what could not be used is not kept."""
    arguments = ["give", "shop", "order", "17", "--url", "pbs://example.org"]
    assert "there is no store" in sturdy(*arguments)[2]
    give(store, "forum", "room", "3", 120)
    status, said, wrong = sturdy(*arguments, "--expires", "3600")
    assert (0, "") == (status, wrong) and said.startswith("pbs://example.org:8787/~")
    for odd in (["--expires", "0"], ["--url", "pb://0.0.0.0"], ["--url", "pb://example.org/lobby"]):
        status, said, wrong = sturdy(*arguments, *odd)
        assert (1, "") == (status, said) and wrong.startswith("pb sturdy: ")
    status, said, _ = sturdy("list")
    assert 2 == len(said.splitlines())
    assert "  'shop' 'order' '17'  given " in said and ", until " in said


class Counter(pb.Referenceable):
    def remote_add(self):
        return 1


@contextlib.contextmanager
def shop(path):
    """Serve an application that finds the order 17, in a thread; give its URL."""
    told, loops = queue.Queue(), []

    async def main():
        application = pb.Application("shop")
        application.use_store(path)
        application.sturdy("order", {"17": Counter()}.get)
        application.listen("pb://127.0.0.1:0")
        end = asyncio.Event()
        async with application.running(drain_s=0.1) as (server,):
            loops.append((asyncio.get_running_loop(), end))
            told.put(server.url)
            await end.wait()

    thread = threading.Thread(target=asyncio.run, args=[main()])
    thread.start()
    try:
        yield told.get(timeout=30)
    finally:
        loop, end = loops[0]
        loop.call_soon_threadsafe(end.set)
        thread.join(30)


def test_a_name_that_cannot_work_is_said_where_the_server_is_asked(store, sturdy):
    """Else whoever gets it finds out: another application, an unknown kind or key, no server."""
    with shop(store) as url:
        status, said, wrong = sturdy("give", "shop", "order", "17", "--url", url, "--check")
        assert (0, "") == (status, wrong) and said.startswith(f"{url}/~")
        for what in (["shop", "order", "18"], ["shop", "room", "17"], ["forum", "order", "17"]):
            status, said, wrong = sturdy("give", *what, "--url", url, "--check")
            assert (1, "") == (status, said)
            assert f"has nothing by that name: is it the application {what[0]!r}" in wrong
    status, said, wrong = sturdy("give", "shop", "order", "17", "--url", url, "--check")
    assert (1, "") == (status, said) and "nobody listens at" in wrong

    assert 1 == len(sturdy("list")[1].splitlines()), "what failed is not kept"
