"""Whoever is refused or cut while it sends learns why, and gains nothing by going on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

import pytest

import pb
from pb import messages, testing
from pb.aio.lingering import LINGER_S, MOST_BYTES, MOST_LINGERING
from pb.aio.url import Address

from ..auth.rooms import settle
from ..peers import call, hello
from ..pump import messages_in
from .loops import Place, run

SOCKETS = pytest.mark.parametrize("scheme", ["pb", "pb+unix"])
ONE = pb.Limits(max_connections=1)
# More than is read at once, and less than is read in all.
MUCH = bytes(MOST_BYTES // 4)


class Echo(pb.Root):
    def remote_echo(self, value):
        return value


@contextlib.asynccontextmanager
async def raw(server):
    """A socket that is connected to a server, read and written by the test alone."""
    loop = asyncio.get_running_loop()
    address = Address.parse(server.url)
    is_unix = address.scheme == "pb+unix"
    with socket.socket(socket.AF_UNIX if is_unix else socket.AF_INET) as made:
        made.setblocking(False)
        await loop.sock_connect(made, address.path if is_unix else (address.host, address.port))
        yield made


async def all_of(made):
    """What is said up to the end; a connection that is reset is a failure."""
    loop = asyncio.get_running_loop()
    said = bytearray()
    while piece := await loop.sock_recv(made, 1 << 16):
        said += piece
    return messages_in(bytes(said))


@SOCKETS
def test_who_is_refused_while_it_sends_learns_why(tmp_path, loop, scheme):
    """What it sends is never read, and would make the system reset the connection."""

    async def main():
        async with (
            Place(scheme, tmp_path).serve(Echo(), limits=ONE) as server,
            pb.open_connection(server.url) as other,
        ):
            async with raw(server) as made:
                await asyncio.get_running_loop().sock_sendall(made, hello() + MUCH)
                _, bye = await all_of(made)
            assert [messages.BYE, messages.BYE_POLICY] == bye[:2]
            assert 1 == await other.root.echo(1)
            assert 1 == len(server._places)
            await settle(lambda: not server._places.lingering)

    run(main(), loop)


@SOCKETS
@pytest.mark.parametrize("before", [b"", call()], ids=["at once", "in a session"])
def test_who_is_cut_while_it_sends_learns_why(tmp_path, loop, scheme, before):
    """A frame that is too long is refused by its length, and its body is on the way."""

    async def main():
        async with Place(scheme, tmp_path).serve(Echo()) as server:
            async with raw(server) as made:
                too_long = (1 << 30).to_bytes(4, "big")
                await asyncio.get_running_loop().sock_sendall(made, hello() + before + too_long + MUCH)
                *_, bye = await all_of(made)
            assert [messages.BYE, messages.BYE_TOO_LARGE] == bye[:2]
            await settle(lambda: not server._places.lingering)
            assert 0 == len(server._places)

    run(main(), loop)


def test_over_tls_who_is_cut_learns_why(tmp_path, loop):
    """There is no half of a connection to close; who reads the BYE closes."""

    def client(url):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        address = Address.parse(url)
        with (
            socket.create_connection((address.host, address.port)) as plain,
            context.wrap_socket(plain) as made,
        ):
            made.sendall(hello() + (1 << 30).to_bytes(4, "big") + MUCH)
            said = bytearray()
            while not said[4:].count(bytes((messages.BYE,))) or len(messages_in(bytes(said))) < 2:
                said += made.recv(1 << 16)
            return messages_in(bytes(said))[-1]

    async def main():
        async with Place("pbs", tmp_path).serve(Echo()) as server:
            other = await pb.open_connection(server.url)
            bye = await asyncio.get_running_loop().run_in_executor(None, client, server.url)
            assert [messages.BYE, messages.BYE_TOO_LARGE] == bye[:2]
            assert 1 == await other.root.echo(1)
            await settle(lambda: not server._places.lingering)
            await other.close()

    run(main(), loop)


@SOCKETS
def test_who_does_not_close_is_waited_for_in_time(tmp_path, scheme):
    """It has the time of a round trip, whatever it says meanwhile."""

    async def main():
        async with (
            Place(scheme, tmp_path).serve(Echo(), limits=ONE) as server,
            pb.open_connection(server.url),
            raw(server) as made,
        ):
            loop = asyncio.get_running_loop()
            began = loop.time()
            await loop.sock_sendall(made, hello())
            await all_of(made)
            assert 1 == len(server._places.lingering)
            await asyncio.sleep(LINGER_S / 2)
            await loop.sock_sendall(made, call())
            await asyncio.sleep(LINGER_S)
            await settle(lambda: not server._places.lingering)
            assert began + 2 * LINGER_S >= loop.time()

    testing.run(main())


@SOCKETS
def test_who_sends_on_without_end_is_cut(tmp_path, loop, scheme):
    """It is no peer that is about to read."""

    async def main():
        async with (
            Place(scheme, tmp_path).serve(Echo(), limits=ONE) as server,
            pb.open_connection(server.url) as other,
            raw(server) as made,
        ):
            with pytest.raises(ConnectionError):
                while True:
                    await asyncio.get_running_loop().sock_sendall(made, MUCH)
            await settle(lambda: not server._places.lingering)
            assert 1 == await other.root.echo(1)

    run(main(), loop)


def test_so_many_are_waited_for_and_none_of_them_takes_a_place(tmp_path, loop):
    """Else to be refused would be a way to take files, or the places of others."""

    async def main():
        async with contextlib.AsyncExitStack() as stack:
            server = await stack.enter_async_context(Place("pb", tmp_path).serve(Echo(), limits=ONE))
            other = await stack.enter_async_context(pb.open_connection(server.url))
            refused = [await stack.enter_async_context(raw(server)) for _ in range(MOST_LINGERING + 3)]
            for made in refused:
                assert 2 == len(await all_of(made))
                assert MOST_LINGERING >= len(server._places.lingering)
            await other.close()
            await settle(lambda: not len(server._places))
            async with pb.open_connection(server.url) as other:
                assert 1 == await other.root.echo(1)

    run(main(), loop)


def test_nobody_is_waited_for_when_the_server_closes(tmp_path, loop):
    """They were shut out before."""

    async def main():
        server = await Place("pb", tmp_path).serve(Echo(), limits=ONE)
        async with pb.open_connection(server.url), raw(server) as made:
            await all_of(made)
            (lingering,) = server._places.lingering
            link = lingering._link
            await server.close()
            await settle(lambda: link.transport is None)

    run(main(), loop)


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", hello()[:-1] + b"\xc1"], ids=["HTTP", "broken"])
def test_who_was_told_nothing_is_not_waited_for(tmp_path, loop, said):
    """Who speaks something else would not understand it."""

    async def main():
        async with Place("pb", tmp_path).serve(Echo()) as server, raw(server) as made:
            await asyncio.get_running_loop().sock_sendall(made, said)
            assert 1 == len(await all_of(made))
            assert not server._places.lingering

    run(main(), loop)
