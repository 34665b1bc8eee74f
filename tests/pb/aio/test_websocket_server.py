"""The door of a WebSocket listener: which pages may enter, and what HTTP is answered."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest
from websockets.exceptions import InvalidStatus

import pb
from pb.aio.websocket_server import is_allowed

from .loops import run
from .sockets import Root, ask, over, socket_to


@pytest.mark.parametrize(
    ("origin", "origins", "status"),
    [
        (None, None, 101),
        ("same", None, 101),
        ("http://evil.example", None, 403),
        ("null", None, 403),
        ("same", ["https://chat.example.org"], 403),
        ("https://chat.example.org", ["https://chat.example.org"], 101),
        (None, ["https://chat.example.org"], 101),
    ],
)
def test_a_page_from_elsewhere_is_refused(origin, origins, status, loop, caplog):
    """A browser would let any page use what the person who looks at it may use (PB-F39)."""
    caplog.set_level(logging.WARNING, "pb")

    async def main(server):
        told = server.url.replace("ws:", "http:") if origin == "same" else origin
        try:
            async with socket_to(server, origin=told) as socket:
                assert socket.subprotocol == "pb.1"
                found = 101
        except InvalidStatus as error:
            found = error.response.status_code
        assert status == found

    over(main, loop, web=pb.Web(origins=origins))
    assert (status == 403) == any("Web(origins=[...])" in record.message for record in caplog.records)


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("http://127.0.0.1:80", "127.0.0.1:80", True),
        ("http://[::1]:80", "[::1]:80", True),
        ("http://localhost", "localhost", True),
        ("http://LOCALHOST", "localhost", True),
        ("https://127.0.0.1:80", "127.0.0.1:80", False),
        ("http://127.0.0.1:81", "127.0.0.1:80", False),
        ("http://rebound.example", "rebound.example", False),
        ("http://1.evil", "1.evil", False),
        ("http://", "", False),
        ("http://[", "[", False),
    ],
)
def test_the_same_origin_is_believed_under_an_address_only(origin, host, allowed):
    """A name that somebody else has pointed at this machine is the page's own, and ours as well."""
    assert allowed == is_allowed(origin, host, False, None)


def test_a_client_without_the_subprotocol_is_refused(loop):
    """It would speak something else (PB-F38)."""

    async def main(server):
        for subprotocols in (None, ["pb.2", "chat"]):
            with pytest.raises(InvalidStatus) as caught:
                async with socket_to(server, subprotocols=subprotocols):
                    pass
            assert 400 == caught.value.response.status_code

    over(main, loop)


def test_files_are_served_at_the_same_port(loop, tmp_path):
    """So one process is page and server."""
    (tmp_path / "index.html").write_text("<p>hello")

    async def main(server):
        found = await ask(server, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert found.startswith(b"HTTP/1.1 200 OK\r\n")
        assert found.endswith(b"\r\n\r\n<p>hello")
        missing = await ask(server, b"GET /no HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert missing.startswith(b"HTTP/1.1 404 ")

    over(main, loop, web=pb.Web(files=tmp_path))


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"426"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", b"400"),
    ],
)
def test_a_request_that_is_none_of_ours_is_answered(request_, status, loop):
    """In the words of HTTP, because who asks speaks that."""

    async def main(server):
        assert status == (await ask(server, request_)).split(b" ")[1]

    over(main, loop)


def test_a_socket_that_never_asks_is_closed(loop):
    """Silence costs a listener nothing but a while."""

    async def main():
        async with pb.serve(Root(), "ws://127.0.0.1:0", limits=pb.Limits(hello_timeout_s=0.05)) as server:
            with contextlib.suppress(ConnectionResetError):
                assert b"" == await ask(server, b"GET / HT")

    run(main(), loop)


def test_closing_the_server_ends_what_has_not_begun(loop):
    """Nothing outlives its listener."""

    async def main():
        server = await pb.serve(Root(), "ws://127.0.0.1:0")
        asking = asyncio.ensure_future(ask(server, b"GET / HT"))
        async with pb.open_connection(server.url):  # by now the one before has been accepted
            assert 1 == len(server._listener._sockets)
        await server.close()
        with contextlib.suppress(ConnectionResetError):
            assert b"" == await asking

    run(main(), loop)


@pytest.mark.parametrize(
    "header",
    ["Origin: http://elsewhere.example", "Sec-WebSocket-Protocol: other"],
    ids=["a page from elsewhere", "another protocol"],
)
def test_requests_that_are_refused_fill_no_log(header, loop, caplog):
    """Whoever can connect can send them without end."""
    caplog.set_level(logging.INFO, "pb")
    lines = [
        "GET / HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        header,
    ]

    async def main(server):
        port = int(server.url.rpartition(":")[2])
        for _ in range(60):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write("\r\n".join([*lines, "", ""]).encode())
            assert b"HTTP/1.1 4" in await reader.read(-1)
            writer.close()

    over(main, loop, web=pb.Web())
    assert 20 <= sum(record.getMessage().startswith("refused a ") for record in caplog.records) <= 40
