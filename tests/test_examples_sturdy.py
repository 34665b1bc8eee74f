"""Sturdy references from end to end: shared, over restarts of the server, called, revoked, expired."""

from __future__ import annotations

import asyncio
import io
import re
import sqlite3
import sys

import pytest

import pb
from examples.sturdy import client
from examples.sturdy.server import Author, desk
from pb.cli.main import main
from tests.pb.auth.rooms import settle
from tests.pb.cli.processes import ROOT, running
from tests.test_examples import run

SERVER = ROOT / "examples" / "sturdy" / "server.py"
REFUSED = "no object of that name, or not for you"


def library(path):
    """Start the server, as its page says."""
    return running(SERVER, "--store", path / "library.db", "--listen", f"pb+unix://{path}/socket")


@pytest.fixture
def command(capsys, monkeypatch):
    """Return what runs `pb` here, which takes no process, and gives (status, stdout, stderr)."""

    def pb_(*arguments, stdin=""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        status = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return pb_


def read(link):
    """Read what a link leads to, as any program does that was told it."""

    async def main():
        minutes = await pb.get_object_at(link)
        face = minutes._pb_import.scope.broker.face
        text = await minutes.read()
        del minutes  # with which the connection closes; sockets that a loop leaves open warn in other tests
        await settle(lambda: face.transport is None)
        return text

    return asyncio.run(main())


def test_a_sturdy_reference_survives_a_restart_and_can_be_revoked(tmp_path, command):
    """With the same store; nothing in it could be used by who reads it, and the operator can end it."""
    store = tmp_path / "library.db"
    with library(tmp_path) as server:
        shared = run("sturdy.client", "share", "minutes", "3600", server.url)
        assert (0, "our motto: read more\n") == (shared.returncode, shared.stderr)
        link = shared.stdout.strip()
        assert link.startswith(f"pb+unix://{tmp_path}/socket#~")
        server.process.kill()
    secret = link.rpartition("~")[2]
    for file in tmp_path.iterdir():
        if file.is_file():
            assert secret.encode() not in file.read_bytes()

    with library(tmp_path) as server:
        done = run("sturdy.client", "read", link)
        assert (0, "all were there\n", "") == (done.returncode, done.stdout, done.stderr)
        assert "all were there" == read(link)
        _, listed, _ = command("sturdy", "list", "--store", store)
        line = r"\w{16}  'library' 'document' 'minutes'  given \S+ \S+Z, until \S+ \S+Z\n"
        assert re.fullmatch(line, listed) and secret not in listed

        assert (0, "", "") == command("sturdy", "revoke", "-", "--store", store, stdin=f"{link}\n")
        done = run("sturdy.client", "read", link)
        assert (1, "", f"NoSuchObject: {REFUSED}\n") == (done.returncode, done.stdout, done.stderr)
        logged = server.end()[2]
        assert secret not in logged
        assert re.search(r"sturdy reference \w{16} \('document' 'minutes'\) was used by", logged)


def test_a_sturdy_reference_is_called_from_the_command_line_until_it_expires(tmp_path, command):
    """Every URL that `pb` takes may have a name; when the time is up it is nobody's any longer."""
    store = tmp_path / "library.db"
    with library(tmp_path) as server:
        status, link, _ = command(
            "sturdy", "give", "library", "document", "recipe", "--url", server.url, "--store", store
        )
        assert 0 == status
        assert (0, '"flour, water, salt"\n', "") == command("call", "-", "read", stdin=link)
        arguments = ["call", f"{server.url}#motto", "--user", "author", "--stdin", "read"]
        assert (0, '"read more"\n', "") == command(*arguments, stdin="the author's password\n")
        assert (1, "", f"pb call: pb.NoSuchObject: {REFUSED}\n") == command(
            "call", f"{server.url}#motto", "read"
        )
        with sqlite3.connect(store) as connection:
            connection.execute("UPDATE cred_sturdy SET expires = made")
        connection.close()
        with pytest.raises(pb.NoSuchObject, match=REFUSED):
            read(link.strip())
        assert "expired" in command("sturdy", "list", "--store", store)[1]


@pytest.mark.parametrize(
    "seconds", ["3600", True, 0, -1, 0.5, float("nan"), float("inf"), 1e300, 2**60, [], {}]
)
def test_sturdy_server_refuses_a_time_that_is_none(seconds):
    """A peer may send anything; that is no fault of the program, with an incident in its log."""
    with pytest.raises(pb.Forbidden, match="a link is valid for 1 to 31622400 seconds"):
        asyncio.run(Author("author", desk).perspective_share("minutes", seconds))


@pytest.mark.parametrize("arguments", [[], ["give"], ["share"], ["read", "pb://127.0.0.1:1"]])
def test_sturdy_client_says_in_one_line_what_is_wrong(arguments, monkeypatch):
    """Whoever mistypes sees no traceback."""
    monkeypatch.setattr(sys, "argv", ["client", *arguments])
    with pytest.raises(SystemExit) as left:
        client.main()
    assert isinstance(left.value.code, str) and "\n" not in left.value.code
