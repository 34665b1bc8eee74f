"""Secrets stay where they belong: not on the wire, in a store, a log, a repr or a traceback. threat E24."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import hmac
import io
import logging
import re
import traceback

import pytest

import cred
import pb
from cred.passwords import encode64
from pb.aio.url import Address

from ..aio.loops import run
from .doors import Knock, Meeting, authorizer
from .rooms import Client, House

# Long enough not to turn up by chance, and with what SASLprep, JSON and SQL change.
PASSWORD = "correct horse \u00bd 'battery'; staple"
WRONG = "a guess that is close: correct horse"
SALT = b"salt of the test"
ITERATIONS = 4096


def secrets(password, salt=SALT):
    """Return what must not be seen, by name, in each form that it might take."""
    prepared = cred.saslprep.saslprep(password, stored=False).encode()
    salted = hashlib.pbkdf2_hmac("sha256", prepared, salt, ITERATIONS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    found = {"password": password.encode(), "prepared": prepared, "salted": salted, "client key": client}
    return {
        f"{name}, {form}": seen
        for name, value in found.items()
        for form, seen in (
            ("raw", value),
            ("hex", value.hex().encode()),
            ("base64", encode64(value).encode()),
            ("repr", repr(value)[2:-1].encode()),
            ("repr of text", ascii(value.decode("latin-1"))[1:-1].encode()),
        )
    }


def keys_of_server(password, salt=SALT):
    hash = cred.PasswordHash.of(password, iterations=ITERATIONS, random=lambda size: salt)
    return {
        f"{name}, {form}": seen
        for name, value in (("stored key", hash.stored_key), ("server key", hash.server_key))
        for form, seen in (
            ("raw", value),
            ("hex", value.hex().encode()),
            ("base64", encode64(value).encode()),
            ("repr", repr(value)[2:-1].encode()),
        )
    }


def assert_clean(seen: bytes, *tables):
    """None of it is there."""
    for table in tables:
        for name, secret in table.items():
            assert secret not in seen, name


def test_the_scanner_finds_what_is_there():
    """Else everything below would hold of anything."""
    for name, secret in {**secrets(PASSWORD), **keys_of_server(PASSWORD)}.items():
        with pytest.raises(AssertionError, match=name.split(",")[0]):
            assert_clean(b"..." + secret + b"...", secrets(PASSWORD), keys_of_server(PASSWORD))


async def house_of(store):
    house = House(store)
    hash = cred.PasswordHash.of(PASSWORD, iterations=ITERATIONS, random=lambda size: SALT)
    await house.authorizer.add_identity("alice", hash, keys=[("chat", "alice")])
    return house


def test_nothing_is_on_the_wire():
    """Recorded at both ends, of logins that succeed and fail: also the keys of the server stay there."""
    hash = cred.PasswordHash.of(PASSWORD, iterations=ITERATIONS, random=lambda size: SALT)
    root = pb.AuthRoot(authorizer(cred.IdentityRecord.new("carol", hash)))
    wire = b""
    for password in (PASSWORD, WRONG):
        peer = Knock(root)
        prover = peer.scram("carol", password)
        try:
            peer.log_in(prover)
        except Exception as error:
            assert password == WRONG, error
        wire += peer.wire + peer.sent
    meeting = Meeting(root)
    meeting.login(cred.Password("carol", PASSWORD))
    wire += b"".join(meeting.recorded)

    assert b"carol" in wire
    assert_clean(wire, secrets(PASSWORD), secrets(WRONG), keys_of_server(PASSWORD))


def test_the_file_of_the_store_holds_no_password(tmp_path):
    """Nor what a client derives from one. StoredKey and ServerKey are there, and nowhere else (PB-A16)."""
    from cred.stores.sqlite import SqliteStore

    async def main():
        house = await house_of(SqliteStore(tmp_path / "users.db"))
        async with house.serve("secret") as server, pb.connect(server.url, "alice", PASSWORD, "chat") as user:
            assert await user.who()
        await house.authorizer.set_password("alice", PASSWORD)
        await house.authorizer.set_password(
            "alice", cred.PasswordHash.of(PASSWORD, iterations=ITERATIONS, random=lambda size: SALT)
        )
        await house.authorizer.close()

    run(main())
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"alice" in files
    assert encode64(SALT).encode() in files or SALT in files
    assert_clean(files, secrets(PASSWORD))
    with pytest.raises(AssertionError):
        assert_clean(files, keys_of_server(PASSWORD))


def everything_logged(play):
    """Return all that is logged at DEBUG by a play under a loop in debug mode that finds everything slow."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s %(args)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:

        async def main():
            loop = asyncio.get_running_loop()
            loop.set_debug(True)
            loop.slow_callback_duration = 0.0  # every callback is told of, with its arguments
            await play()

        run(main())
        gc.collect()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    return stream.getvalue()


@pytest.mark.parametrize("scheme", ["memory", "pb"])
def test_nothing_is_logged(scheme, tmp_path):
    """At DEBUG, with asyncio's own debugging, where logins succeed, fail, are cancelled and are incidents."""

    async def play():
        house = await house_of(None)
        url = "memory://logged" if scheme == "memory" else "pb://127.0.0.1:0"
        async with pb.serve(house.application.root, url, debug=True) as server:  # noqa: SIM117
            async with pb.open_connection(server.url, debug=True) as connection:
                identity = await connection.login("alice", PASSWORD)
                house.chat.on_attach = lambda user, client: 1 // 0
                with pytest.raises(pb.RemoteError):
                    await identity.attach("chat", "alice", Client())
                for user, password in (("alice", WRONG), ("nobody", PASSWORD)):
                    with pytest.raises(pb.LoginFailed):
                        await connection.login(user, password)
                task = asyncio.ensure_future(connection.login("alice", PASSWORD))
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                for bad in ("", "x" * 2000, "\x00" + PASSWORD):
                    with pytest.raises(Exception) as error:
                        await connection.login("alice", bad)
                    if bad:
                        assert bad not in str(error.value)
        await house.authorizer.set_password("alice", PASSWORD)

    logged = everything_logged(play)
    assert re.search(r"login refused from \S.*: SCRAM-SHA-256 as 'alice'", logged)
    assert "took" in logged, "asyncio tells of what is slow"
    assert_clean(
        logged.encode("utf-8", "replace"), secrets(PASSWORD), secrets(WRONG), keys_of_server(PASSWORD)
    )


def test_nothing_is_in_a_repr():
    """Of all that is held while a login is under way, at both ends, and after it."""
    hash = cred.PasswordHash.of(PASSWORD, iterations=ITERATIONS, random=lambda size: SALT)
    record = cred.IdentityRecord.new("carol", hash)
    meeting = Meeting(pb.AuthRoot(authorizer(record)))
    credentials = cred.Password("carol", PASSWORD)
    identity = meeting.login(credentials)
    root = meeting.host.broker.tables.exports[0].object
    seen = [identity, credentials, credentials._cache, hash, record, root, root._begun, root._begun.login]
    seen += [
        root._auth,
        root._auth.authorizer,
        *root._auth.authorizer._live.logins("carol"),
        meeting.guest.channel(),
    ]
    seen += [credentials._cache.derive(PASSWORD, SALT, ITERATIONS), root._begun.login._exchange]
    seen += [credentials.begin(("SCRAM-SHA-256",), meeting.guest.channel()), vars(root)]
    text = "\n".join(
        form(each) for each in seen for form in (repr, str, ascii) if each is not hash or form is repr
    )

    assert "carol" in text
    assert_clean(text.encode("utf-8", "replace"), secrets(PASSWORD), keys_of_server(PASSWORD))


def test_nothing_is_in_a_traceback():
    """Of a wrong password, at the client; of an incident, at the server. Without the values of variables."""

    async def main():
        house = await house_of(None)
        async with house.serve("trace") as server:
            for url, password in (
                (server.url, WRONG),
                (server.url, "\u0221" + PASSWORD),
                ("memory://no", PASSWORD),
            ):
                try:
                    await pb.connect(url, "alice", password, "chat")
                except Exception as error:
                    texts.append("".join(traceback.format_exception(error)))
                    while error is not None:
                        texts.append(repr(error.args))
                        error = error.__cause__ or error.__context__

    texts: list[str] = []
    run(main())
    assert "login failed" in "".join(texts)
    assert_clean(
        "".join(texts).encode("utf-8", "replace"), secrets(PASSWORD), secrets(WRONG), keys_of_server(PASSWORD)
    )


def test_a_url_has_no_place_for_a_password():
    """Where it would end up in a history and in a process list."""
    with pytest.raises(pb.BadURL) as error:
        Address.parse("pb://alice:secret-word@host:1234")
    assert "secret-word" not in str(error.value)
