"""TLS: contexts, pins and what both ends of a connection see of them."""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from pb.aio import tls
from pb.aio.url import BadURL

RUNNERS: list[Any] = [pytest.param(asyncio.run, id="asyncio")]
try:
    import uvloop

    RUNNERS.append(pytest.param(uvloop.run, id="uvloop"))
except ImportError:
    pass  # an extra
Runner = Callable[[Coroutine[Any, Any, None]], None]
Ends = tuple[ssl.SSLObject, ssl.SSLObject]

OTHER_PIN = 52 * "a"


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """A fresh key file."""
    path = tmp_path / "server.pem"
    tls.create(path)
    return path


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, hostname: str = "localhost") -> Ends:
    """Run a handshake in memory and return both ends; raises what either of them raises."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname=hostname),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    waiting = set(ends)
    for _ in range(10):
        for end in ends:
            if end in waiting:
                try:
                    end.do_handshake()
                    waiting.discard(end)
                except ssl.SSLWantReadError:
                    pass
    assert not waiting
    return ends


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_server_refuses_a_key_file_that_others_may_use(pem: Path, mode: int) -> None:
    """Whoever reads the key is the server."""
    pem.chmod(mode)

    with pytest.raises(PermissionError, match=f"mode {mode:04o}.*chmod 600"):
        tls.server_context(pem)


def test_server_without_a_key_file_says_how_to_make_one(tmp_path: Path) -> None:
    """It is what a first start looks like."""
    with pytest.raises(FileNotFoundError, match="pb keygen -o"):
        tls.server_context(tmp_path / "server.pem")


def test_contexts_speak_tls_13_and_pb(pem: Path) -> None:
    """And hand out no tickets: nothing is resumed."""
    server, client = tls.server_context(pem), tls.client_context(tls.fingerprint(pem.read_bytes()))

    ends = shake_hands(client, server)

    assert ["TLSv1.3", "TLSv1.3"] == [end.version() for end in ends]
    assert ["pb/1", "pb/1"] == [end.selected_alpn_protocol() for end in ends]
    assert 0 == server.num_tickets
    assert ssl.TLSVersion.TLSv1_3 == tls.client_context(None).minimum_version


def test_older_tls_is_refused(pem: Path) -> None:
    """Stripping the version is how a downgrade starts."""
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname = False
    old.verify_mode = ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises(ssl.SSLError):
        shake_hands(old, tls.server_context(pem))


@pytest.mark.parametrize("spelling", [str.lower, str.upper])
def test_pinned_key_is_accepted_in_either_case_under_any_host_name(
    pem: Path, spelling: Callable[[str], str]
) -> None:
    """A pin stands for the key, wherever it lives (PB-F44)."""
    pin = spelling(tls.fingerprint(pem.read_bytes()))

    client, _ = shake_hands(tls.client_context(pin), tls.server_context(pem), "elsewhere.example")

    tls.check_pin(client, pin)


def test_another_key_fails_the_handshake_and_names_both_fingerprints(pem: Path) -> None:
    """The context checks by itself, so that who forgets check_pin() is safe."""
    with pytest.raises(tls.PinMismatch) as caught:
        shake_hands(tls.client_context(OTHER_PIN), tls.server_context(pem))

    found = tls.fingerprint(pem.read_bytes())
    assert (OTHER_PIN, found) == (caught.value.expected, caught.value.found)
    assert OTHER_PIN in str(caught.value)
    assert found in str(caught.value)


def test_check_pin_refuses_another_key(pem: Path) -> None:
    """Also with a context that does not check."""
    client, _ = shake_hands(tls.client_context(tls.fingerprint(pem.read_bytes())), tls.server_context(pem))

    with pytest.raises(tls.PinMismatch, match=OTHER_PIN):
        tls.check_pin(client, OTHER_PIN)


def test_check_pin_refuses_a_peer_without_certificate(pem: Path) -> None:
    """The server's own view of a client is such a connection."""
    pin = tls.fingerprint(pem.read_bytes())
    _, server = shake_hands(tls.client_context(pin), tls.server_context(pem))

    with pytest.raises(tls.PinMismatch, match="no certificate"):
        tls.check_pin(server, pin)


def test_check_pin_refuses_a_transport_without_tls() -> None:
    """What get_extra_info("ssl_object") gives there is None, and must not pass."""
    with pytest.raises(tls.PinMismatch, match="no TLS"):
        tls.check_pin(None, OTHER_PIN)


@pytest.mark.parametrize("pin", ["", "a", 51 * "a" + "b", 52 * "ä", OTHER_PIN + "a"])
def test_pin_that_is_no_fingerprint_is_refused_at_once(pin: str) -> None:
    """Not when the first server is found not to match."""
    with pytest.raises(BadURL):
        tls.client_context(pin)


def test_pin_and_authorities_exclude_each_other(pem: Path) -> None:
    """Taking both would leave open which one counts."""
    with pytest.raises(ValueError, match="pin or a cafile"):
        tls.client_context(OTHER_PIN, pem)


@pytest.mark.parametrize("hostname", ["localhost", "127.0.0.1"])
def test_certificate_given_as_authority_is_accepted_also_in_strict_mode(pem: Path, hostname: str) -> None:
    """Strict is the default of newer Pythons."""
    client = tls.client_context(None, pem)
    client.verify_flags |= ssl.VERIFY_X509_STRICT

    shake_hands(client, tls.server_context(pem), hostname)


def test_without_a_pin_unknown_authority_and_wrong_host_are_refused(pem: Path) -> None:
    """The usual check, both halves of it."""
    with pytest.raises(ssl.SSLCertVerificationError, match=r"self.signed"):
        shake_hands(tls.client_context(None), tls.server_context(pem))
    with pytest.raises(ssl.SSLCertVerificationError, match=r"[Hh]ostname"):
        shake_hands(tls.client_context(None, pem), tls.server_context(pem), "elsewhere.example")


def test_blocking_socket_checks_the_pin_too(pem: Path) -> None:
    """The blocking face wraps sockets, not buffers."""
    left, right = socket.socketpair()
    with right:
        server = threading.Thread(target=serve_one_handshake, args=(tls.server_context(pem), left))
        server.start()
        with pytest.raises(tls.PinMismatch):
            tls.client_context(OTHER_PIN).wrap_socket(right, server_hostname="localhost")
    server.join()


def serve_one_handshake(context: ssl.SSLContext, connection: socket.socket) -> None:
    try:
        context.wrap_socket(connection, server_side=True).close()
    except OSError:
        pass  # the client goes away before or after its last message, as it likes
    finally:
        connection.close()


def test_end_point_of_both_ends_is_one_value(pem: Path) -> None:
    """The server has the certificate in its file, the client on the wire."""
    client, _ = shake_hands(tls.client_context(tls.fingerprint(pem.read_bytes())), tls.server_context(pem))
    der = client.getpeercert(binary_form=True)
    own = ssl.PEM_cert_to_DER_cert(pem.read_text()[pem.read_text().index("-----BEGIN CERT") :])

    assert der is not None
    assert tls.server_end_point(own) == tls.server_end_point(der)


class Echo(asyncio.Protocol):
    """Sends back what it gets, and tells when its connection is gone, so that no loop ends before."""

    def __init__(self) -> None:
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:  # uvloop's is no asyncio.Transport
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(None)


class Handshaker(Echo):
    """A server that answers the handshake and then drops what it gets."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__()
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.secured = False

    def data_received(self, data: bytes) -> None:
        self.incoming.write(data)
        try:
            self.tls.do_handshake()
            self.secured = True
        except ssl.SSLWantReadError:
            pass
        self.transport.write(self.outgoing.read())


@pytest.mark.parametrize("run", RUNNERS)
@pytest.mark.parametrize("size", [1, 300_000])
def test_small_buffers_serve_the_same_bytes(pem: Path, run: Runner, size: int) -> None:
    """They rest on the constructor of asyncio's SSLProtocol, which no document promises."""
    context, pin = tls.server_context(pem), tls.fingerprint(pem.read_bytes())
    buffers = []

    async def conversation() -> None:
        echo = Echo()
        protocol: Any = tls.small_buffers(lambda: echo, context)()
        buffers.append(len(protocol.get_buffer(-1)))
        server = await asyncio.get_running_loop().create_server(lambda: protocol, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=tls.client_context(pin), server_hostname="localhost"
            )
            writer.write(bytes(size))
            assert bytes(size) == await reader.readexactly(size)
            writer.close()
            await writer.wait_closed()
            await echo.lost

    run(asyncio.wait_for(conversation(), 20))

    assert [16 * 1024] == buffers
    assert 256 * 1024 == asyncio.sslproto.SSLProtocol.max_size  # nobody else's have changed


@pytest.mark.parametrize("run", RUNNERS)
def test_asyncio_connection_to_another_key_raises_pin_mismatch(pem: Path, run: Runner) -> None:
    """The error comes out of the connect call, before connection_made and before any byte of ours."""
    made: list[object] = []

    class Client(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.append(transport)

    async def conversation() -> None:
        loop = asyncio.get_running_loop()
        peer = Handshaker(tls.server_context(pem))
        async with await loop.create_server(lambda: peer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(tls.PinMismatch):
                await loop.create_connection(
                    Client, "127.0.0.1", port, ssl=tls.client_context(OTHER_PIN), server_hostname="localhost"
                )
            await peer.lost
        assert not peer.secured

    run(asyncio.wait_for(conversation(), 20))

    assert [] == made
