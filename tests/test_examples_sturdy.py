"""Sturdy references from end to end, in processes: shared, over restarts of the server, revoked, expired."""

from __future__ import annotations

import re
import sqlite3

import pytest

from tests.pb.cli.processes import ROOT, pb, running
from tests.test_examples import run

SERVER = ROOT / "examples" / "sturdy" / "server.py"
REFUSED = "NoSuchObject: no object of that name, or not for you\n"


def library(path, url=None):
    """Start the server, as its page says."""
    return running(SERVER, "--store", path / "library.db", "--listen", url or f"pb+unix://{path}/socket")


def share(url, *arguments):
    """Return a link, as the author."""
    done = run("sturdy.client", "share", *(arguments or ("minutes", "3600")), url)
    assert (0, "our motto: read more\n") == (done.returncode, done.stderr)
    return done.stdout.strip()


def test_a_sturdy_reference_survives_a_restart_and_can_be_revoked(tmp_path):
    """With the same store; nothing in it could be used by who reads it, and the operator can end it."""
    store = tmp_path / "library.db"
    with library(tmp_path) as server:
        link, other = share(server.url), share(server.url)
        assert link.startswith(f"pb+unix://{tmp_path}/socket#~")
        assert 0 == server.end()[0]
    with library(tmp_path) as server:
        server.process.kill()
    secret = link.rpartition("~")[2]
    for file in tmp_path.iterdir():
        if file.is_file():
            assert secret.encode() not in file.read_bytes()

    with library(tmp_path) as server:
        for _ in range(2):
            read = run("sturdy.client", "read", link)
            assert (0, "all were there\n", "") == (read.returncode, read.stdout, read.stderr)
        listed = pb("sturdy", "list", "--store", store).stdout
        ids = re.findall(
            r"^(\w{16})  'library' 'document' 'minutes'  given \S+ \S+Z, until \S+ \S+Z$", listed, re.M
        )
        assert 2 == len(ids) and secret not in listed

        assert 0 == pb("sturdy", "revoke", "-", "--store", store, stdin=f"{link}\n").returncode
        read = run("sturdy.client", "read", link)
        assert (1, "", REFUSED) == (read.returncode, read.stdout, read.stderr)
        (left,) = re.findall(r"^\w{16}", pb("sturdy", "list", "--store", store).stdout, re.M)
        assert 0 == run("sturdy.client", "read", other).returncode
        assert 0 == pb("sturdy", "revoke", left, "--store", store).returncode
        assert REFUSED == run("sturdy.client", "read", other).stderr
        logged = server.end()[2]
        assert secret not in logged
        assert re.search(r"sturdy reference \w{16} \('document' 'minutes'\) was used by", logged)


def test_a_sturdy_reference_expires(tmp_path):
    """The time is up whether the server ran meanwhile or not."""
    with library(tmp_path) as server:
        link = share(server.url)
        with sqlite3.connect(tmp_path / "library.db") as store:
            store.execute("UPDATE cred_sturdy SET expires = made")
        store.close()
        assert REFUSED == run("sturdy.client", "read", link).stderr
        assert "expired" in pb("sturdy", "list", "--store", tmp_path / "library.db").stdout


def test_a_sturdy_reference_is_called_from_the_command_line(tmp_path):
    """Every URL that `pb` takes may have a name."""
    with library(tmp_path) as server:
        store = tmp_path / "library.db"
        given = pb("sturdy", "give", "library", "document", "recipe", "--url", server.url, "--store", store)
        done = pb("call", "-", "read", stdin=given.stdout)
        assert (0, '"flour, water, salt"\n', "") == (done.returncode, done.stdout, done.stderr)
        done = pb(
            "call",
            f"{server.url}#motto",
            "--user",
            "author",
            "--stdin",
            "read",
            stdin="the author's password\n",
        )
        assert (0, '"read more"\n', "") == (done.returncode, done.stdout, done.stderr)
        done = pb("call", f"{server.url}#motto", "read")
        assert 1 == done.returncode and "no object of that name, or not for you" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["give"], ["share"], ["read", "pb://127.0.0.1:1"]])
def test_sturdy_client_says_in_one_line_what_is_wrong(arguments):
    """Whoever mistypes sees no traceback."""
    done = run("sturdy.client", *arguments)
    assert 1 == done.returncode and 1 == done.stderr.count("\n")
