"""Logging in as a program does it: `connection.login`, `pb.connect`, over every transport."""

from __future__ import annotations

import asyncio
import gc

import pytest

import cred
import pb
from pb import messages
from pb.aio import login, pulse
from pb.aio.url import Address

from ..auth.doors import PASSWORD, hash_of
from ..auth.rooms import Client, settle
from ..peers import frame, hello
from .keys import Liar, filled, key, openssh_key
from .loops import Place, run


def test_a_password_logs_in_everywhere(place, loop):
    """One line for the user, whatever the transport."""

    async def main():
        house = await filled()
        async with (
            place.serve(house.application.root) as server,
            pb.open_connection(server.url) as connection,
        ):
            identity = await connection.login("alice", PASSWORD)
            assert "<RemoteIdentity 'alice'>" == repr(identity)
            user = await identity.attach("chat", client=Client())
            assert "alice" == await user.who()
        await settle(lambda: house.chat.detached_count())

    run(main(), loop)


def test_connect_does_it_all(place, loop):
    """And the connection ends with what it is for."""

    async def main():
        house = await filled()
        async with place.serve(house.application.root) as server:
            user = await pb.connect(server.url, "alice", PASSWORD, "chat")
            assert "alice" == await user.who()
            del user
            gc.collect()
            await settle(lambda: not server.connections)
            async with pb.connect(server.url, "alice", PASSWORD, "chat", "ops", Client(), 5) as ops:
                assert "ops" == await ops.who()
            await settle(lambda: not server.connections)
            # Listed are those that can be called; the attachment ends with the transport, a moment later.
            await settle(lambda: 0 < house.chat.detached_count("ops"))
            assert 1 == house.chat.detached_count("ops")

    run(main(), loop)


def test_a_key_is_not_used_over_plain_tcp_unless_it_is_spelled_out_at_both_ends(tmp_path):
    """A relay on the same machine would be enough."""

    async def main():
        house = await filled()
        for at_server, at_client in ((False, False), (True, False), (False, True), (True, True)):
            async with (
                Place("pb", tmp_path).serve(house.application.root, insecure=at_server) as server,
                pb.open_connection(server.url, insecure=at_client) as connection,
            ):
                if at_server and at_client:
                    assert "alice" == (await connection.login(credentials=key())).name
                else:
                    with pytest.raises(cred.NotOffered, match=r"pbs://.*insecure=True at both ends"):
                        await connection.login(credentials=key())
                    assert "alice" == (await connection.login("alice", PASSWORD)).name

    run(main())


def test_a_wrong_password_leaves_the_connection_and_the_third_ends_it(place, loop):
    """One may mistype."""

    async def main():
        house = await filled()
        async with (
            place.serve(house.application.root) as server,
            pb.open_connection(server.url) as connection,
        ):
            for _ in range(2):
                with pytest.raises(pb.LoginFailed, match=r"^login failed$"):
                    await connection.login("alice", "wrong")
            assert await connection.login("alice", PASSWORD)
            with pytest.raises((pb.LoginFailed, pb.ConnectionLost)):
                await connection.login("alice", "wrong")
            await asyncio.wait_for(connection.wait_closed(), 5)
            # Who goes on all the same is told why, not only that it is over.
            with pytest.raises(pb.NotExecuted, match=r"has ended: .*too many logins failed; open another"):
                await connection.login("alice", PASSWORD)
            with pytest.raises(pb.DeadReference, match=r"connection is closed: .*too many logins failed"):
                connection.root  # noqa: B018

    run(main(), loop)


def test_failed_logins_keep_a_source_away_for_a_while(tmp_path):
    """The connection is refused, and who comes is told why and for how long."""

    async def main():
        house = await filled()
        async with Place("pb", tmp_path).serve(house.application.root) as server:
            async with pb.open_connection(server.url) as connection:
                for _ in range(3):
                    with pytest.raises((pb.LoginFailed, pb.ConnectionLost)):
                        await connection.login("alice", "wrong")
            why = r"BYE 8 \(policy\): logins from 127.0.0.1 are refused for \d s: too many have failed$"
            with pytest.raises(ConnectionError, match=why):
                await pb.open_connection(server.url)
            await settle(lambda: [] == server.connections and not len(house.application.root.strangers))
            house.application.root.throttle._sources.forget("127.0.0.1")
            async with pb.open_connection(server.url) as connection:
                assert await connection.login("alice", PASSWORD)

    run(main())


def test_the_seventeenth_of_one_source_that_has_not_logged_in_is_refused(tmp_path):
    """The others wait undisturbed, and a place is free when one of them has gone or logged in."""

    async def main():
        house = await filled()
        house.application.root.throttle = cred.Throttle(strangers_of_source=16)
        async with Place("pb", tmp_path).serve(house.application.root) as server:
            waiting = [await pb.open_connection(server.url) for _ in range(16)]
            for leave in (waiting[0].login("alice", PASSWORD), waiting[1].close()):
                with pytest.raises(ConnectionError):
                    await pb.open_connection(server.url)
                await leave
                await settle(lambda: len(house.application.root.strangers) < 16)
                waiting.append(await pb.open_connection(server.url))
            for connection in waiting:
                await connection.close()
            await settle(house.is_empty)

    run(main())


def test_a_hundred_at_once_all_get_in(loop):
    """A server that starts again is asked by all its clients."""

    async def main():
        house = await filled()
        house.application.root.strangers._chance = lambda bound: bound - 1
        credentials = cred.Password("alice", PASSWORD)
        async with house.serve("many") as server:

            async def come():
                async with pb.open_connection(server.url) as connection:
                    return (await connection.login(credentials=credentials)).name

            assert {"alice"} == set(await asyncio.gather(*(come() for _ in range(100))))
        await settle(house.is_empty)

    run(main(), loop)


@pytest.mark.parametrize(
    "arguments",
    [
        {"user": "alice"},
        {"password": PASSWORD},
        {"key": openssh_key()},
        {"user": "alice", "password": PASSWORD, "key": openssh_key()},
        {"user": "alice", "credentials": cred.Anonymous()},
    ],
    ids=lambda arguments: "+".join(arguments),
)
def test_what_is_not_clear_is_a_type_error(arguments):
    """Before anything is sent."""

    async def main():
        house = await filled()
        async with house.serve("unclear") as server, pb.open_connection(server.url) as connection:
            with pytest.raises(TypeError):
                await connection.login(**arguments)
            assert 0 == connection.usage.calls_made

    run(main())


def test_what_is_no_key_is_a_value_error(tmp_path):
    """With a text that says what is expected."""
    with pytest.raises(ValueError, match="OpenSSH"):
        login.credentials_of("alice", None, b"no key")


def test_nothing_at_all_is_anonymous():
    """Which the server has to allow."""
    assert isinstance(login.credentials_of(None, None, None), cred.Anonymous)


def test_a_login_where_somebody_may_listen_is_refused_here(monkeypatch):
    """Before the name is sent. The address is another machine's, as far as this side knows (PB-A3)."""
    from pb.aio import secure

    monkeypatch.setattr(secure, "is_loopback", lambda host: False)

    async def main():
        house = await filled()
        async with pb.serve(house.application.root, "pb://127.0.0.1:0") as server:
            async with pb.open_connection(server.url) as connection:
                with pytest.raises(pb.Forbidden, match="can be listened to; use pbs://"):
                    await connection.login("alice", PASSWORD)
                assert connection.is_open
            async with pb.open_connection(server.url, insecure=True) as connection:
                assert await connection.login("alice", PASSWORD)

    run(main())


def test_a_login_on_a_connection_that_has_ended_says_so():
    """As any call does."""

    async def main():
        house = await filled()
        async with house.serve("ended") as server:
            connection = await pb.open_connection(server.url)
            await connection.close()
            with pytest.raises(pb.ConnectionLost):
                await connection.login("alice", PASSWORD)

    run(main())


def test_a_server_that_did_not_prove_itself_is_left():
    """The connection ends: whatever came over it is not from whom it seems."""

    async def main():
        async with pb.serve(Liar((await filled()).authorizer), "memory://liar") as server:
            connection = await pb.open_connection(server.url)
            with pytest.raises(cred.UntrustedServer):
                await connection.login("alice", PASSWORD)
            with pytest.raises(pb.NotExecuted, match="this side ended it: the server ended the login before"):
                await connection.root.login("x", b"")
            await asyncio.wait_for(connection.wait_closed(), 5)
            with pytest.raises(pb.NotExecuted, match="this side ended it: the server ended the login before"):
                await connection.login("alice", PASSWORD)
            with pytest.raises(cred.UntrustedServer):
                await pb.connect(server.url, "alice", PASSWORD, "chat")
            await settle(lambda: not server.connections)

    run(main())


@pytest.mark.parametrize("reconnect", [False, True])
def test_a_way_that_is_not_offered_leaves_the_connection_for_another(reconnect):
    """Nothing was sent: who has several ways tries the next, and is told what each needs (PB-A2)."""

    async def main():
        house = await filled()
        async with (
            pb.serve(house.application.root, "memory://ways") as server,
            pb.open_connection(server.url, reconnect=reconnect) as connection,
        ):
            only = "over this connection, only SCRAM-SHA-256, ED25519; a login without a name needs"
            for ways, text in (
                ({}, f"does not offer ANONYMOUS {only}"),
                ({"credentials": cred.External()}, "does not offer EXTERNAL .* a unix socket"),
            ):
                with pytest.raises(cred.NotOffered, match=text):
                    await connection.login(**ways)
            assert "alice" == (await connection.login("alice", PASSWORD)).name

    run(main())


def test_connect_leaves_nothing_open_where_it_fails():
    """Refused, forbidden, or too late."""

    async def main():
        house = await filled()
        async with house.serve("fails") as server:
            with pytest.raises(pb.LoginFailed):
                await pb.connect(server.url, "alice", "wrong", "chat")
            with pytest.raises(pb.Forbidden, match=r"'alice' cannot attach 'bob' of 'chat'.*see keys"):
                await pb.connect(server.url, "alice", PASSWORD, "chat", "bob")
            with pytest.raises(pb.Forbidden, match="cannot attach 'shop'"):
                await pb.connect(server.url, "alice", PASSWORD, "shop")
            house.chat.on_attach = lambda user, client: asyncio.sleep(3600)
            with pytest.raises(TimeoutError, match="no perspective from memory://fails within"):
                await pb.connect(server.url, "alice", PASSWORD, "chat", timeout=0.3)
            await settle(lambda: not server.connections)
            await settle(house.is_empty)

    run(main())


def test_connect_is_used_once():
    """The second would be another connection."""

    async def main():
        house = await filled()
        async with house.serve("once") as server:
            connecting = pb.connect(server.url, "alice", PASSWORD, "chat")
            async with connecting as user:
                assert await user.who()
            with pytest.raises(RuntimeError, match="was used already"):
                await connecting

    run(main())


def test_a_timeout_of_somebody_else_s_is_passed_on():
    """Only ours is told as ours."""

    async def main():
        house = await filled()

        def on_attach(user, client):
            raise TimeoutError("of attached")

        house.chat.on_attach = on_attach
        async with house.serve("other-timeout") as server:
            with pytest.raises(pb.RemoteError):
                await pb.connect(server.url, "alice", PASSWORD, "chat")

    run(main())


@pytest.mark.parametrize(
    "first",
    [
        b"",
        pytest.param(
            frame([messages.BYE, messages.BYE_NORMAL, "", 0]),
        ),
    ],
    ids=["silent", "after BYE"],
)
def test_who_does_not_log_in_is_sent_away(tmp_path, monkeypatch, first):
    """A deadline that a stranger cannot put off: else 256 of them hold the door shut for ever."""
    monkeypatch.setattr(pulse, "LOGIN_TIMEOUT_S", 0.2)

    async def main():
        house = await filled()
        limits = pb.Limits(ping_after_s=0.05)
        async with pb.serve(house.application.root, "pb://127.0.0.1:0", limits=limits) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", Address.parse(server.url).port)
            writer.write(hello() + first)
            try:
                async with asyncio.timeout(1.5):
                    said = await reader.read()
                    while data := await reader.read():
                        said += data
            finally:
                writer.close()
            assert b"nobody logged in within" in said

    run(main())


def test_the_deadline_does_not_wait_for_the_next_sign_of_life(monkeypatch):
    """It is 30 s, whatever the limits say about pings."""
    monkeypatch.setattr(pulse, "LOGIN_TIMEOUT_S", 0.05)

    async def main():
        house = await filled()
        async with house.serve("ticks") as server:
            connection = await pb.open_connection(server.url)
            try:
                await asyncio.wait_for(connection.wait_closed(), 0.5)
            finally:
                connection.abort()

    run(main())


def test_the_deadline_is_lifted_by_a_login(monkeypatch):
    """Nobody who is inside is sent away for having been slow to come."""
    monkeypatch.setattr(pulse, "LOGIN_TIMEOUT_S", 0.1)

    async def main():
        house = await filled()
        async with (
            house.serve("deadline", limits=pb.Limits(ping_after_s=0.02)) as server,
            pb.open_connection(server.url) as connection,
        ):
            identity = await connection.login("alice", PASSWORD)
            await asyncio.sleep(0.3)
            assert await identity.keys()

    run(main())


def test_a_hash_is_made_once():
    """The helpers of these tests are quick: 4,096 iterations, and one derivation for all."""
    assert hash_of(PASSWORD) is hash_of(PASSWORD)
