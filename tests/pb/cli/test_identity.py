"""The command `pb identity`: who may log in, seen by a client of the library that uses the store."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import select
import sqlite3
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

import cred
import pb
from cred.stores.sqlite import SqliteStore
from pb.cli.main import main
from tests.pb.cli.processes import HARD_END_S, ROOT

ADD = ["add", "alice", "--no-password"]


@pytest.fixture
def store(tmp_path):
    """Where the store is, or will be."""
    return tmp_path / "identities.db"


@pytest.fixture
def identity(store, capsys, monkeypatch):
    """Return what runs `pb identity` with the store, and gives (status, stdout, stderr)."""

    def run(*arguments: object, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        status = main(["identity", *map(str, arguments), "--store", str(store)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Passwords that take no time: 0.24 s each is for those who guess."""
    was = cred.PasswordHash.of.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(
        cred.PasswordHash, "of", classmethod(lambda cls, text, **options: was(cls, text, iterations=4096))
    )


def logs_in(store: Path, *credentials: Any, **options: Any) -> list[tuple[str, str]] | None:
    """Return the keyring that a login with this sees, or None if it is refused."""

    async def play() -> list[tuple[str, str]] | None:
        application = pb.Application("x")
        application.use_store(store)
        application.listen("memory://identity-test")
        async with (
            asyncio.timeout(HARD_END_S),
            application.running() as servers,
            pb.open_connection(servers[0].url) as connection,
        ):
            try:
                return await (await connection.login(*credentials, **options)).keys()
            except pb.LoginFailed:
                return None

    return asyncio.run(play())


def test_add_makes_an_identity_and_a_store_that_only_its_owner_can_read(store, identity):
    """The first command that an operator types."""
    done = identity("add", "alice", "--stdin", "--grant", "shop", "--grant", "chat/mod", stdin="s3cret\n")

    assert (0, "added alice\n", "") == done
    assert 0o600 == stat.S_IMODE(store.stat().st_mode)
    assert [("chat", "mod"), ("shop", "alice")] == logs_in(store, "alice", "s3cret")
    assert None is logs_in(store, "alice", "s3cre")


@pytest.mark.parametrize("ending", ["\n", "\r\n", ""])
def test_a_piped_password_is_the_first_line_without_its_end(store, identity, ending):
    """`echo` adds a newline, `printf` does not; blanks belong to the password."""
    assert 0 == identity("add", "alice", "--stdin", stdin=f" s p {ending}")[0]

    assert [] == logs_in(store, "alice", " s p ")


def test_a_name_that_is_taken_is_refused_before_a_password_is_asked_for(identity):
    """And what is there stays as it is."""
    identity(*ADD)

    assert (1, "", "pb identity: there is an identity 'alice' already\n") == identity("add", "alice")


def test_an_empty_password_is_refused(store, identity):
    """A pipe that broke must not leave an identity that anybody can be."""
    status, _, said = identity("add", "alice", "--stdin", stdin="")

    assert 1 == status
    assert said.startswith("pb identity: the password has 0 bytes")
    assert (0, "", "") == identity("list")


def test_without_a_terminal_it_says_how_to_give_a_password(identity):
    """It must not hang in a script, nor read one with echo."""
    status, _, said = identity("add", "alice")

    assert (1, "pb identity: no terminal to ask for a password; pipe it in and say --stdin\n") == (
        status,
        said,
    )


def test_a_password_is_never_an_argument(identity, capsys):
    """Everybody on the machine can read those."""
    assert 2 == main(["identity", "passwd", "alice", "s3cret", "--store", "x"])
    assert "unrecognized arguments" in capsys.readouterr().err


def at_a_terminal(store: Path, answers: list[str]) -> tuple[int, str]:
    """Type answers to the prompts of `pb identity add`; return its status and what the terminal showed."""
    command = [sys.executable, "-m", "pb", "identity", "add", "alice", "--store", str(store)]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.execv(command[0], command)
    shown, end = b"", time.monotonic() + HARD_END_S
    try:
        while time.monotonic() < end and select.select([terminal], [], [], HARD_END_S)[0]:
            try:
                read = os.read(terminal, 1000)
            except OSError:  # the other side has gone
                break
            shown += read
            if answers and read.rstrip(b" ").endswith(b":"):
                os.write(terminal, answers.pop(0).encode() + b"\n")
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode()
    finally:
        os.close(terminal)


def test_a_password_is_asked_for_twice_and_not_shown(store):
    """The second time finds typing errors that nobody can see."""
    status, shown = at_a_terminal(store, ["s3cret", "s3cret"])

    assert 0 == status
    assert "password of alice: " in shown and "again: " in shown
    assert "s3cret" not in shown
    assert [] == logs_in(store, "alice", "s3cret")


def test_two_passwords_that_differ_change_nothing(store, identity):
    """Which of them was meant is not for us to say."""
    status, shown = at_a_terminal(store, ["s3cret", "secret"])

    assert 1 == status
    assert "the two passwords differ; nothing was changed" in shown
    assert (0, "", "") == identity("list")


def test_passwd_changes_the_password_or_takes_it_away(store, identity):
    """Without one, a key is still a way in."""
    identity("add", "alice", "--stdin", stdin="old\n")

    assert (0, "alice has a new password\n", "") == identity("passwd", "alice", "--stdin", stdin="new\n")
    assert (None, []) == (logs_in(store, "alice", "old"), logs_in(store, "alice", "new"))

    assert (0, "alice has no password\n", "") == identity("passwd", "alice", "--no-password")
    assert None is logs_in(store, "alice", "new")


def test_disable_and_enable(store, identity):
    """For those who are on leave."""
    identity("add", "alice", "--stdin", stdin="pw\n")

    assert (0, "disabled alice\n", "") == identity("disable", "alice")
    assert None is logs_in(store, "alice", "pw")

    assert (0, "enabled alice\n", "") == identity("enable", "alice")
    assert [] == logs_in(store, "alice", "pw")


def test_grant_and_revoke_take_the_own_name_where_none_is_given(identity):
    """As attach does."""
    identity(*ADD)

    assert (0, "alice may attach shop/alice\n", "") == identity("grant", "alice", "shop")
    identity("grant", "alice", "chat", "moderator")
    assert "    chat/moderator\n    shop/alice\n" in identity("list")[1]

    assert (0, "alice may no longer attach shop/alice\n", "") == identity("revoke", "alice", "shop")
    assert "    chat/moderator\n" == identity("list")[1].partition("\n")[2]

    status, _, said = identity("revoke", "alice", "shop")
    assert (1, "pb identity: no such key on the keyring of 'alice'\n") == (status, said)


def test_list_shows_who_may_what_and_how(identity):
    """One line for each, and one for each key on the keyring."""
    identity("add", "zoe", "--stdin", "--grant", "shop", stdin="pw\n")
    identity(*ADD)
    identity("disable", "zoe")

    assert (
        "alice  enabled  no way to log in\n"  #
        "zoe  disabled  password\n    shop/zoe\n"
    ) == identity("list")[1]
    assert "alice  enabled  no way to log in\n" == identity("list", "alice")[1]


def test_list_shows_no_control_characters(store, identity):
    """A name that clears the screen would hide the others."""
    identity(*ADD)
    identity("grant", "alice", "\x1b[2J\nbob  enabled")

    assert "    '\\x1b[2J\\nbob  enabled'/alice\n" in identity("list")[1]


@pytest.mark.parametrize(
    "command",
    [
        ("list", "ghost"),
        ("grant", "ghost", "shop"),
        ("revoke", "ghost", "shop"),
        ("passwd", "ghost", "--no-password"),
        ("disable", "ghost"),
        ("enable", "ghost"),
        ("remove", "ghost"),
        ("key", "list", "ghost"),
        ("key", "add", "ghost", "x.pub"),
        ("key", "remove", "ghost", "x"),
    ],
    ids=" ".join,
)
def test_nobody_of_that_name_is_an_error(identity, command):
    """A typing error must not look like success."""
    identity(*ADD)

    assert (1, "", "pb identity: no identity 'ghost'\n") == identity(*command)


@pytest.mark.parametrize("command", [("list",), ("grant", "alice", "shop"), ("remove", "alice")])
def test_only_add_makes_a_store(store, identity, command):
    """A typing error in the path must not look like a store without anybody in it."""
    status, _, said = identity(*command)

    assert 1 == status
    assert f"there is no store {store}; pb identity add, or pb run --store, makes one" in said
    assert not store.exists()


def test_remove_forgets_all(identity):
    """Who is made anew under that name starts with nothing."""
    identity(*ADD, "--grant", "shop")

    assert (0, "removed alice\n", "") == identity("remove", "alice")
    assert (0, "", "") == identity("list")
    identity(*ADD)
    assert (0, "alice  enabled  no way to log in\n", "") == identity("list")


@pytest.mark.parametrize(
    ("harm", "reason"),
    [("readable", "chmod 600"), ("newer", "update this program"), ("garbage", "put a copy of it back")],
)
def test_a_store_that_cannot_be_used_is_named_with_the_remedy(store, identity, harm, reason):
    """The same texts as `pb run`."""
    identity(*ADD)
    if harm == "readable":
        store.chmod(0o644)
    elif harm == "newer":
        with sqlite3.connect(store) as database:
            database.execute("UPDATE cred_store SET version = 2")
        database.close()
    else:
        store.write_bytes(b"garbage" * 1000)

    status, _, said = identity("list")

    assert 1 == status
    assert said.startswith(f"pb identity: {store}") and reason in said


# --- keys


@pytest.fixture
def key(tmp_path):
    """A key pair of OpenSSH; returns the path of the private one."""
    private = Ed25519PrivateKey.generate()
    path = tmp_path / "id_ed25519"
    path.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    path.with_suffix(".pub").write_bytes(public + b" alice@laptop\n")
    return path


def test_a_key_lets_its_owner_in_until_it_is_removed(store, identity, key):
    """The file of OpenSSH as it is."""
    identity(*ADD, "--grant", "shop")
    assert None is logs_in(store, "alice", key=key)

    status, said, _ = identity("key", "add", "alice", key.with_suffix(".pub"))

    assert 0 == status
    verb, id, label = said.split()
    assert ("added", "alice@laptop") == (verb, label)
    assert [("shop", "alice")] == logs_in(store, "alice", key=key)
    assert (0, f"ed25519 {id} alice@laptop\n", "") == identity("key", "list", "alice")
    assert "alice  enabled  ed25519 alice@laptop\n" in identity("list")[1]

    assert (0, f"removed {id} alice@laptop\n", "") == identity(
        "key", "remove", "alice", key.with_suffix(".pub")
    )
    assert None is logs_in(store, "alice", key=key)
    assert (0, "", "") == identity("key", "list", "alice")


def test_a_key_is_removed_by_its_id_too(identity, key):
    """The file may be on a laptop that was stolen."""
    identity(*ADD)
    id = identity("key", "add", "alice", key.with_suffix(".pub"))[1].split()[1]

    assert (0, f"removed {id} alice@laptop\n", "") == identity("key", "remove", "alice", id)
    status, _, said = identity("key", "remove", "alice", id)
    assert 1 == status
    assert "no key of that id" in said


def test_the_private_key_is_refused(identity, key):
    """It stays where it is, and the text says which file is meant."""
    identity(*ADD)

    status, _, said = identity("key", "add", "alice", key)

    assert 1 == status
    assert "give its .pub file" in said


@pytest.mark.parametrize("kind", ["nothing", "no key", "binary", "x25519"])
def test_what_is_no_public_key_is_refused_by_name(tmp_path, identity, kind):
    """The text names the file."""
    identity(*ADD)
    file = tmp_path / "other.pub"
    if kind == "no key":
        file.write_text("hello\n")
    elif kind == "binary":
        file.write_bytes(bytes(range(256)))
    elif kind == "x25519":
        raw = X25519PrivateKey.generate().public_key().public_bytes_raw()
        file.write_text(f"ssh-x25519 {raw.hex()}\n")

    status, _, said = identity("key", "add", "alice", file)

    assert 1 == status
    assert said.startswith(f"pb identity: {file}: ")
    assert 1 == len(said.splitlines())


def test_what_the_commands_write_is_what_the_library_reads(store, identity):
    """No second way to write a store."""
    identity("add", "alice", "--stdin", "--grant", "shop", stdin="pw\n")

    async def read() -> cred.IdentityRecord:
        authorizer = cred.Authorizer(SqliteStore(store))
        try:
            return await authorizer.get_record("alice")
        finally:
            await authorizer.close()

    record = asyncio.run(read())
    assert cred.Keyring([cred.Key("shop", "alice")]) == record.keys
    assert not record.disabled
