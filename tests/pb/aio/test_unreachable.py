"""Where nobody answers, or nobody may listen: what was found, and what to do."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

import pytest

import pb
from pb.aio import tls
from pb.aio.unreachable import cannot_connect, cannot_listen, no_answer
from pb.aio.url import Address
from pb.testing import Network

from .loops import run

PLAIN = Address.parse("pb://localhost:1")
TLS = Address.parse("pbs://localhost:1")
UNIX = Address.parse("pb+unix:///run/pb")
REFUSED = f"[Errno {errno.ECONNREFUSED}] Connect call failed"


class Root(pb.Root):
    """A root like any other."""


def failure(main, loop):
    """Return the OSError that a coroutine ends with."""
    with pytest.raises(OSError) as caught:
        run(main, loop)
    return caught.value


async def connected(url):
    """Connect and hang up."""
    async with pb.open_connection(url, timeout=20):
        pass


async def listening_twice():
    """Listen where somebody listens."""
    async with pb.serve(Root(), "pb://127.0.0.1:0") as server:
        await pb.serve(Root(), server.url)


def test_a_server_that_was_not_started(loop):
    """The address as it was written, under every loop."""
    error = failure(connected("pb://127.0.0.1:1"), loop)

    assert isinstance(error, ConnectionRefusedError)
    assert (
        "nobody listens at pb://127.0.0.1:1; start the server first, or mend host and port" == error.strerror
    )


def test_a_port_that_is_in_use(loop):
    """Port 0 is what most who meet this want."""
    error = failure(listening_twice(), loop)

    assert errno.EADDRINUSE == error.errno
    assert "is in use; stop what listens there, or take another port (0: any)" in str(error)


def test_tls_and_plain_do_not_meet(loop, tmp_path):
    """Both ways round, the scheme is named as what may be wrong."""
    tls.create(tmp_path / "key.pem")

    async def plain_to_tls():
        async with pb.serve(Root(), "pbs://127.0.0.1:0", tls=tmp_path / "key.pem") as server:
            await connected(f"pb://{server.url.partition('@')[2]}")

    async def tls_to_plain():
        async with pb.serve(Root(), "pb://127.0.0.1:0") as server:
            await connected(server.url.replace("pb://", "pbs://"))

    async def without_its_fingerprint():
        async with pb.serve(Root(), "pbs://127.0.0.1:0", tls=tmp_path / "key.pem") as server:
            await connected(f"pbs://{server.url.partition('@')[2]}")

    assert "or wants pbs://" in str(failure(plain_to_tls(), loop))
    error = failure(tls_to_plain(), loop)
    assert "is it a pb:// server?" in str(error)
    assert "WRONG_VERSION_NUMBER" == error.reason
    error = failure(without_its_fingerprint(), loop)
    assert "pbs://FINGERPRINT@host:port" in str(error)
    assert error.verify_code


def test_the_key_file_is_not_for_the_client():
    """Whoever has it can play the server."""
    with pytest.raises(TypeError, match="the key file stays at the server"):
        pb.open_connection("pbs://localhost:1", tls="server.pem")


@pytest.mark.parametrize(
    ("error", "address", "kind", "text"),
    [
        (
            OSError(f"Multiple exceptions: {REFUSED} ('::1', 1), {REFUSED} ('127.0.0.1', 1)"),
            PLAIN,
            None,
            "nobody",
        ),
        (socket.gaierror(-2, "Name not known"), TLS, socket.gaierror, "check its spelling"),
        (
            OSError(errno.EHOSTUNREACH, "Connect call failed"),
            PLAIN,
            OSError,
            "no connection to pb://localhost:1",
        ),
        (
            ConnectionError("lost"),
            TLS,
            ConnectionError,
            "lost; perhaps what listens at pbs://localhost:1 does not speak this protocol, or refuses",
        ),
        (ConnectionError("lost"), PLAIN, ConnectionError, "does not speak this protocol, or wants pbs://"),
        (ConnectionAbortedError(), TLS, ConnectionAbortedError, "the connection was lost; perhaps"),
        (ConnectionResetError(errno.ECONNRESET, "x"), TLS, ConnectionResetError, "because logins failed"),
    ],
    ids=[
        "every address refused",
        "no such host",
        "no way there",
        "hung up",
        "hung up, plain",
        "wordless",
        "reset",
    ],
)
def test_why_no_connection_could_be_made(error, address, kind, text):
    """The class stays, or becomes the one that fits."""
    told = cannot_connect(error, address)

    assert (kind or ConnectionRefusedError) is type(told)
    assert text in str(told)


@pytest.mark.parametrize(
    ("error", "address"),
    [
        (pb.NotExecuted("said"), PLAIN),
        (OSError(errno.ENOENT, "said"), UNIX),
        (ssl.SSLError(1, "said"), TLS),
        (ssl.SSLCertVerificationError(1, "said"), Address("pbs", "a", fingerprint=51 * "a" + "q")),
    ],
    ids=["ours", "unix", "another of TLS", "the fingerprint"],
)
def test_what_says_enough_is_left_as_it_is(error, address):
    """Not every error is about the address."""
    assert error is cannot_connect(error, address)


@pytest.mark.parametrize(
    ("error", "address", "text"),
    [
        (OSError(errno.EADDRNOTAVAIL, "x"), PLAIN, "no address of this machine; 127.0.0.1"),
        (OSError(errno.EACCES, "x"), TLS, "ports below 1024"),
        (OSError(errno.ENOENT, "x"), UNIX, "no directory for the socket pb+unix:///run/pb; make it first"),
        (socket.gaierror(-2, "x"), PLAIN, "check its spelling"),
    ],
    ids=["another machine's", "reserved", "no directory", "no such host"],
)
def test_why_nobody_can_listen_there(error, address, text):
    """With the errno it had, for those who look at that."""
    told = cannot_listen(error, address)

    assert (type(error), error.errno) == (type(told), told.errno)
    assert text in str(told)


@pytest.mark.parametrize(
    ("error", "address"),
    [
        (PermissionError(errno.EACCES, "x", "server.pem"), TLS),
        (OSError("no key file"), TLS),
        (OSError(errno.EADDRINUSE, "somebody listens on /run/pb"), UNIX),
    ],
    ids=["the key file", "the key", "a socket in use"],
)
def test_what_is_not_about_the_address_is_left_as_it_is(error, address):
    """A key that cannot be read has its own remedy."""
    assert error is cannot_listen(error, address)


def test_a_silent_host_is_still_a_timeout(loop):
    """The errors around it leave it alone."""

    async def main():
        hung_up = asyncio.Event()

        async def silent(reader, writer):
            await reader.read()
            writer.close()
            hung_up.set()

        async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(
                TimeoutError, match=f"no HELLO from pb://127.0.0.1:{port} within 0.05 s.*pbs://$"
            ):
                await pb.open_connection(f"pb://127.0.0.1:{port}", timeout=0.05)
            await hung_up.wait()

    run(main(), loop)


@pytest.mark.parametrize(
    ("options", "waited_s"),
    [
        ({}, 10),
        ({"timeout": 20}, 20),
        ({"timeout": 2}, 2),
        ({"limits": pb.Limits(hello_timeout_s=3)}, 3),
        ({"limits": pb.Limits(connect_timeout_s=4)}, 4),
        ({"limits": pb.Limits(hello_timeout_s=3), "timeout": 5}, 5),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_silent_server_is_waited_for_as_long_as_was_said(options, waited_s):
    """And no longer: a timeout that is given is for all of it."""

    async def main():
        async with pb.serve(Root(), "memory://silent") as server, Network(server.url) as network:
            network.partition("down")
            began = asyncio.get_running_loop().time()
            with pytest.raises(TimeoutError) as caught:
                await pb.open_connection(network.url, **options)
            assert waited_s == asyncio.get_running_loop().time() - began
            assert str(caught.value).startswith(f"no HELLO from {network.url} within {waited_s} s, and")
            assert str(caught.value).endswith("perhaps what listens there does not speak this protocol")

    pb.testing.run(main())


def test_a_host_that_does_not_answer_at_all_is_no_silent_server():
    """Nothing is known of what listens there."""
    error = no_answer(PLAIN, 0.5, False)

    assert "no answer from pb://localhost:1 within 0.5 s" == str(error)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP or another text protocol"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "TLS: use pbs:// on both sides"),
        (b"220 mail.example.org ESMTP\r\n", "HTTP or another text protocol"),
        (b"\0\0\0\1\0", "message"),
    ],
    ids=["HTTP", "SSH", "TLS", "SMTP", "something else"],
)
def test_what_answers_in_another_protocol_is_named_at_once(loop, said, name):
    """With the URL: who mistook the port has both before them."""

    async def main():
        async def stranger(reader, writer):
            writer.write(said)
            await reader.read()
            writer.close()

        async with await asyncio.start_server(stranger, "127.0.0.1", 0) as server:
            url = f"pb://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            with pytest.raises(pb.ProtocolError, match=f"^{url} does not speak this protocol .*{name}"):
                await pb.open_connection(url)
            with pytest.raises(pb.ProtocolError, match=f"^{url} does not speak this protocol .*{name}"):
                await pb.open_connection(url, reconnect=True)

    run(main(), loop)
