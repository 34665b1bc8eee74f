"""Who is accepted in the very turn in which a server closes is not left waiting; and too many open files."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import os
import resource
import socket

import pytest

import pb
from pb.aio.listening import bind

from ..pump import messages_in
from .loops import Place, run

LIMIT_S = 10


class Root(pb.Root):
    pass


def connected(server):
    """Return a socket that the system has connected, though nobody has accepted it."""
    address = server.url.partition("://")[2].rpartition("@")[2]
    if server.url.startswith("pb+unix"):
        found = socket.socket(socket.AF_UNIX)
        found.connect(address)
    else:
        host, _, port = address.rpartition(":")
        found = socket.create_connection((host, int(port)))
    found.settimeout(LIMIT_S)
    return found


def read_all(connection):
    """Return what comes until the other side closes; a hang is an error."""
    found = b""
    while data := connection.recv(65536):
        found += data
    return found


async def accepted():
    """Wait until a connection has been accepted, and nothing has been done for it."""
    before = asyncio.all_tasks()
    while not asyncio.all_tasks() - before:  # noqa: ASYNC110
        await asyncio.sleep(0)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # of the socket that nothing holds any longer
@pytest.mark.parametrize("turns", [0, 1, 2])
@pytest.mark.parametrize("scheme", ["pb", "pbs", "pb+unix", "ws", "wss"])
def test_who_was_accepted_when_the_server_closes_is_told_or_hung_up_on(scheme, turns, tmp_path):
    """Without a transport the socket stayed open until garbage was collected, whatever the limits."""

    async def main():
        async with Place(scheme, tmp_path).serve(Root()) as server:
            with connected(server) as connection:
                await accepted()
                for _ in range(turns):
                    await asyncio.sleep(0)
                await server.close()
                return await asyncio.to_thread(read_all, connection)

    gc.disable()
    try:
        said = run(main())
    finally:
        gc.enable()
    if scheme in ("pb", "pb+unix"):
        assert ([0, 15] if turns else []) == [message[0] for message in messages_in(said)]


def test_the_place_is_free_when_the_server_has_closed(tmp_path, loop):
    """Another may listen there at once."""

    async def main():
        first = await pb.serve(Root(), "pb://127.0.0.1:0")
        url = first.url
        await first.close()
        async with pb.serve(Root(), url) as second:
            assert url == second.url

    run(main(), loop)


@contextlib.contextmanager
def files_left(count):
    """Let this process open only so many more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Echo(pb.Root):
    def remote_echo(self, value):
        return value


@pytest.mark.parametrize("scheme", ["pb", "pbs", "ws"])
def test_too_many_open_files_are_one_line_and_pass(scheme, tmp_path, caplog):
    """Who opens connections without end keeps others out; it fills no disk, and stops nobody who is there."""

    async def main():
        told = []  # what the loop would log; the other listener logs for itself
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        async with (
            Place(scheme, tmp_path).serve(Echo()) as server,
            pb.open_connection(server.url) as connection,
            contextlib.AsyncExitStack() as others,
        ):
            for _ in range(8):
                others.enter_context(connected(server))
            with files_left(3):
                for number in range(20):
                    assert number == await connection.root.echo(number)
                told += [record for record in caplog.records if record.levelno >= logging.ERROR]
                assert 1 == len(told)
            await others.aclose()
            async with pb.open_connection(server.url) as late:
                assert "late" == await late.root.echo("late")

    run(main())


def test_a_socket_that_had_no_file_for_one_has_none_for_the_next_and_tries_anew_then():
    """A loop of asyncio goes on accepting after such an error; it would log each."""

    async def main():
        (listening,) = await bind("127.0.0.1", 0)
        with listening, socket.create_connection(listening.getsockname()):
            with files_left(0), pytest.raises(OSError) as exhausted:
                listening.accept()
            assert errno.EMFILE == exhausted.value.errno
            with pytest.raises(BlockingIOError):
                listening.accept()
            accepted, _ = listening.accept()
            accepted.close()
            with pytest.raises(BlockingIOError):  # there is nobody
                listening.accept()

    run(main())


def test_an_address_that_this_machine_has_not_got_is_left_out():
    """`localhost` may be said to have one of each family; where none is left, it is an error."""
    elsewhere, here = ("192.0.2.1", 0), ("127.0.0.1", 0)

    async def main():
        loop = asyncio.get_running_loop()
        found = [elsewhere, here]

        async def look_up(*args, **options):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", where) for where in found]

        loop.getaddrinfo = look_up
        (listening,) = await bind("localhost", 0)
        assert "127.0.0.1" == listening.getsockname()[0]
        listening.close()
        found.remove(here)
        with pytest.raises(OSError) as failed:
            await bind("localhost", 0)
        assert errno.EADDRNOTAVAIL == failed.value.errno

    run(main())


def test_of_two_addresses_one_of_which_is_in_use_neither_is_held():
    """Half a listener would keep the port from who tries again."""

    async def main():
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]

            async def look_up(*args, **options):
                wanted = [("127.0.0.2", port), ("127.0.0.1", port)]
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", where) for where in wanted]

            loop.getaddrinfo = look_up
            with pytest.raises(OSError) as failed:
                await bind("localhost", port)
            assert errno.EADDRINUSE == failed.value.errno
            with socket.create_server(("127.0.0.2", port)):
                pass

    run(main())
