"""Logging in as a program does it: `connection.login`, `pb.connect`, over every transport."""

from __future__ import annotations

import asyncio
import datetime
import gc
import ssl

import pytest

import cred
import pb
from pb import messages
from pb.aio import login, pulse, tls
from pb.aio.url import Address

from ..auth.doors import PASSWORD, hash_of
from ..auth.rooms import Client, House, settle
from ..peers import frame, hello
from .loops import Place, run

KEY_SEED = bytes(range(32))


def openssh_key():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(KEY_SEED).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )


def key(user="alice"):
    return cred.PrivateKey.from_openssh(user, openssh_key())


async def filled(**options):
    house = House(**options)
    await house.fill()
    await house.authorizer.add_credential("alice", key().credential)
    return house


def test_a_password_logs_in_everywhere(place, loop):
    """One line for the user, whatever the transport."""

    async def main():
        house = await filled()
        async with place.serve(house.application.root) as server, pb.open_connection(server.url) as connection:
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
            assert 1 == house.chat.detached_count("ops")

    run(main(), loop)


@pytest.mark.parametrize("form", ["bytes", "file", "object"])
def test_a_key_logs_in_over_tls(loop, tmp_path, form):
    """As a file of OpenSSH, its content, or an object."""
    (tmp_path / "id").write_bytes(openssh_key())
    given = {"bytes": openssh_key(), "file": tmp_path / "id", "object": key()}[form]

    async def main():
        house = await filled()
        async with Place("pbs", tmp_path).serve(house.application.root) as server:
            user = None if form == "object" else "alice"
            async with pb.connect(server.url, user, None, "chat", key=given) as mine:
                assert "alice" == await mine.who()

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
                    with pytest.raises(cred.UntrustedServer):
                        await connection.login(credentials=key())
                    assert not connection.is_open or await closed(connection)

    run(main())


async def closed(connection):
    await connection.wait_closed()
    return True


def test_a_wrong_password_leaves_the_connection_and_the_third_ends_it(place, loop):
    """One may mistype."""

    async def main():
        house = await filled()
        async with place.serve(house.application.root) as server, pb.open_connection(server.url) as connection:
            for _ in range(2):
                with pytest.raises(pb.LoginFailed, match="^login failed$"):
                    await connection.login("alice", "wrong")
            assert await connection.login("alice", PASSWORD)
            with pytest.raises((pb.LoginFailed, pb.ConnectionLost)):
                await connection.login("alice", "wrong")
            await asyncio.wait_for(connection.wait_closed(), 5)

    run(main(), loop)


def test_failed_logins_keep_a_source_away_for_a_while(tmp_path):
    """The connection is refused, before anything is said."""

    async def main():
        house = await filled()
        async with Place("pb", tmp_path).serve(house.application.root) as server:
            async with pb.open_connection(server.url) as connection:
                for _ in range(3):
                    with pytest.raises((pb.LoginFailed, pb.ConnectionLost)):
                        await connection.login("alice", "wrong")
            with pytest.raises(ConnectionError):
                await pb.open_connection(server.url)
            assert [] == server.connections
            house.application.root.throttle._sources.forget("127.0.0.1")
            async with pb.open_connection(server.url) as connection:
                assert await connection.login("alice", PASSWORD)

    run(main())


def test_the_seventeenth_of_one_source_that_has_not_logged_in_is_refused(tmp_path):
    """The others wait undisturbed, and a place is free when one of them has gone or logged in."""

    async def main():
        house = await filled()
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
    """Before the name is sent. The address is another machine's, as far as this side knows."""
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


@pytest.mark.xfail(strict=True, reason="link.security() of a connection that has ended: AttributeError")
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


def test_a_server_that_did_not_prove_itself_is_left(tmp_path):
    """The connection ends: whatever came over it is not from whom it seems."""

    class Liar(pb.Root):
        def remote_login(self, mechanism, initial):
            return {"data": b"v=AAAA", "identity": Liar(), "user": "alice"}

    async def main():
        async with pb.serve(Liar(), "memory://liar") as server:
            connection = await pb.open_connection(server.url)
            with pytest.raises(cred.UntrustedServer):
                await connection.login("alice", PASSWORD)
            await asyncio.wait_for(connection.wait_closed(), 5)
            with pytest.raises(cred.UntrustedServer):
                await pb.connect(server.url, "alice", PASSWORD, "chat")
            await settle(lambda: not server.connections)

    run(main())


def test_connect_leaves_nothing_open_where_it_fails():
    """Refused, forbidden, or too late."""

    async def main():
        house = await filled()
        async with house.serve("fails") as server:
            with pytest.raises(pb.LoginFailed):
                await pb.connect(server.url, "alice", "wrong", "chat")
            with pytest.raises(pb.Forbidden, match="'alice' cannot attach 'bob' of 'chat'.*see keys"):
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


def client_files(tmp_path):
    """Make a CA of one: a client certificate that is its own authority; return what a server needs."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alice's laptop")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(7)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(secret, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    path = tmp_path / "client.pem"
    path.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + pem
    )
    return path, pem.decode(), made.public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("listed", ["key", "subject", "nobody"])
def test_a_client_certificate_logs_in_who_lists_it(loop, tmp_path, listed):
    """TLS has verified it; whose it is says the table of credentials, and nothing else."""
    path, pem, der = client_files(tmp_path)
    tls.create(tmp_path / "server.pem")
    by_key, by_subject = cred.credentials_of_certificate(der)

    async def main():
        house = await filled()
        if listed != "nobody":
            await house.authorizer.add_credential("alice", by_key if listed == "key" else by_subject)
        context = tls.server_context(tmp_path / "server.pem")
        context.load_verify_locations(cadata=pem)
        context.verify_mode = ssl.CERT_OPTIONAL
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        bare = client
        with_key = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with_key.check_hostname, with_key.verify_mode = False, ssl.CERT_NONE
        with_key.load_cert_chain(path)
        async with pb.serve(house.application.root, "pbs://127.0.0.1:0", tls=context) as server:
            async with pb.open_connection(server.url, tls=with_key) as connection:
                if listed == "nobody":
                    with pytest.raises(pb.LoginFailed):
                        await connection.login(credentials=cred.External())
                else:
                    assert "alice" == (await connection.login(credentials=cred.External())).name
            async with pb.open_connection(server.url, tls=bare) as connection:
                with pytest.raises(cred.UntrustedServer):
                    await connection.login(credentials=cred.External())

    run(main(), loop)


def test_a_relay_with_a_certificate_of_its_own_is_refused_over_real_tls(tmp_path):
    """The client does not check whom it speaks to; the binding does."""
    for name in ("server.pem", "relay.pem"):
        tls.create(tmp_path / name)
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE

    async def main():
        house = await filled()
        async with pb.serve(house.application.root, "pbs://127.0.0.1:0", tls=tmp_path / "server.pem") as server:
            port = Address.parse(server.url).port

            async def relay(reader, writer):
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)

                async def pass_on(source, sink):
                    while data := await source.read(65536):
                        sink.write(data)
                    sink.close()

                await asyncio.gather(
                    pass_on(reader, far_writer), pass_on(far_reader, writer), return_exceptions=True
                )

            middle = await asyncio.start_server(
                relay, "127.0.0.1", 0, ssl=tls.server_context(tmp_path / "relay.pem")
            )
            url = f"pbs://127.0.0.1:{middle.sockets[0].getsockname()[1]}"
            for credentials in (cred.Password("alice", PASSWORD), key()):
                connection = await pb.open_connection(url, tls=trusting)
                with pytest.raises(pb.LoginFailed):
                    await connection.login(credentials=credentials)
                connection.abort()
            assert {} == house.application.root._logged_in
            # A pin leaves the relay at the door.
            pinned = server.url.replace(f":{port}", ":" + url.rpartition(":")[2])
            with pytest.raises(tls.PinMismatch):
                await pb.open_connection(pinned)
            middle.close()

    run(main())


@pytest.mark.parametrize(
    "first",
    [
        b"",
        pytest.param(
            frame([messages.BYE, messages.BYE_NORMAL, "", 0]),
            marks=pytest.mark.xfail(strict=True, reason="after BYE the state is not STRANGER"),
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


def test_the_deadline_is_lifted_by_a_login(monkeypatch):
    """Nobody who is inside is sent away for having been slow to come."""
    monkeypatch.setattr(pulse, "LOGIN_TIMEOUT_S", 0.1)

    async def main():
        house = await filled()
        async with house.serve("deadline", limits=pb.Limits(ping_after_s=0.02)) as server:
            async with pb.open_connection(server.url) as connection:
                identity = await connection.login("alice", PASSWORD)
                await asyncio.sleep(0.3)
                assert await identity.keys()

    run(main())


def test_a_hash_is_made_once():
    """The helpers of these tests are quick: 4,096 iterations, and one derivation for all."""
    assert hash_of(PASSWORD) is hash_of(PASSWORD)
