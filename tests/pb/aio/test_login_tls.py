"""Logging in over TLS: keys, certificates, and somebody in between with a certificate of his own."""

from __future__ import annotations

import asyncio
import ssl

import pytest

import cred
import pb
from pb.aio import tls
from pb.aio.url import Address

from ..auth.doors import PASSWORD
from .keys import client_files, filled, key, openssh_key
from .loops import Place, run


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
        async with pb.serve(
            house.application.root, "pbs://127.0.0.1:0", tls=tmp_path / "server.pem"
        ) as server:
            port = Address.parse(server.url).port

            relays = []  # asyncio itself does not keep them

            async def relay(reader, writer):
                relays.append(asyncio.current_task())
                try:
                    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
                except OSError:  # the server has gone meanwhile, as it does when the test is over
                    writer.close()
                    return

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
            assert 0 == len(house.application.root._logged_in)
            # A pin leaves the relay at the door.
            pinned = server.url.replace(f":{port}", ":" + url.rpartition(":")[2])
            with pytest.raises(tls.PinMismatch):
                await pb.open_connection(pinned)
            middle.close()

    run(main())
