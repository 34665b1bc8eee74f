"""What is left of a connection where something went wrong: nothing either.

An error that was raised knows the functions it went through, and these know the connection, and the promise
whose error it is. What ends a connection for its peer's fault is what attackers make, as often as they like.
"""

from __future__ import annotations

import asyncio
import contextlib
import traceback

import pytest

import pb

from ..auth.rooms import settle
from .loops import Place, run
from .lost import quick
from .test_rings import REGISTRY, Root, errors_of, left_at

pytestmark = pytest.mark.unmeasured  # the same very often, and nothing that others do not reach


class Failing(Root):
    """Methods that fail, each in its own way."""

    async def remote_later(self):
        await asyncio.sleep(0)
        raise pb.Forbidden("no")

    def remote_in_a_future(self):
        future = asyncio.get_running_loop().create_future()
        future.set_exception(pb.Forbidden("no"))
        return future

    @pb.in_thread
    def remote_in_thread(self):
        raise pb.Forbidden("no")

    async def remote_stream(self):
        yield 1
        raise pb.Forbidden("no")


class Broken(pb.Copyable):
    """A copy whose state cannot be had, because of a fault of the program's."""

    def get_state_to_copy(self):
        return {}["absent"]


REGISTRY.add(Broken, "test.Broken", fields=["absent"])


@pytest.fixture
def tcp(tmp_path):
    """Where nothing special is."""
    return Place("pb", tmp_path)


async def garbled(spot):
    """Each side is sent what it ends the connection for, and a stranger sends it at once."""
    host, _, port = spot.server.url.removeprefix("pb://").partition(":")
    for data in (b"\xff\xff\xff\xff", b"\x00\x00\x00\x02\x92\x01", b"\x00\x00\x00\x02\x91\x63"):
        for is_server in (False, True):
            connection = await spot.open()
            link = spot.server.connections[0]._link if is_server else connection._link
            link.transport.write(data)
            await connection.wait_closed()
            await spot.is_left()
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(data)
        await reader.read()
        writer.close()
        await spot.is_left()


async def refused_here(spot):
    """All that is the matter with these calls is found by this side."""
    async with spot.open() as connection:
        echo = connection.root.echo
        assert [pb.Unjellyable] * 2 == await errors_of(echo(object()), echo([Broken()]))
        assert [pb.TooLarge] == await errors_of(echo(bytes(connection.peer_limits.max_frame)))
        assert [pb.DeadlineExceeded] == await errors_of(echo.within(0)(1))
        with contextlib.suppress(pb.Unjellyable):
            await echo(Broken())


async def refused_over_a_lasting_one(spot):
    """What is called on references that outlive their connection is a call of another kind."""
    async with spot.open(reconnect=quick()) as connection:
        echo = connection.root.echo
        assert [pb.Unjellyable] * 2 == await errors_of(echo(object()), echo([Broken()]))


async def refused_in_a_chain(spot):
    """They wait for what they are called on, or for an argument."""
    async with spot.open() as connection:
        root = connection.root
        note = root.note()
        assert [pb.Unjellyable] * 2 == await errors_of(note.tell(object()), root.echo([note, Broken()]))
        first = root.note()
        await settle(first.done)
        assert [pb.Unjellyable] == await errors_of(first.tell(object()))
        assert [pb.BrokenPromise] == await errors_of(root.refuse().tell(1))
        assert [pb.BrokenPromise] == await errors_of(root.note(Broken()).tell(1))
    assert [pb.BrokenPromise] == await errors_of(root.note().tell(1))


async def failed(spot):
    """The methods of the peer have."""
    async with spot.open() as connection:
        root = connection.root
        failing = [root.refuse, root.later, root.in_a_future, root.in_thread]
        assert [pb.Forbidden] * 4 == await errors_of(*(method() for method in failing))
        with contextlib.suppress(pb.Forbidden):
            async for number in root.stream():
                assert 1 == number


async def events(spot):
    """Some that arrived, one that could not be sent, one when the subscriber is gone, and none at all."""
    errors = []
    async with spot.open() as connection:
        note = await connection.root.note()
        pb.events(note)
        newest, all_of_them = pb.events(note, "latest"), pb.events(note, on_error=errors.append)
        newest.tell(1)
        await all_of_them.tell(1)
        await all_of_them.tell(object())
        await pb.events_delivered(all_of_them)
        await pb.events_delivered(newest)
    assert [pb.Unjellyable] == list(map(type, errors))
    for _ in range(2):
        with contextlib.suppress(pb.ConnectionLost):
            newest.tell(2)


async def failing():
    """What is served."""
    return Failing()


@pytest.mark.parametrize(
    "use", [garbled, refused_here, refused_in_a_chain, failed, events], ids=lambda use: use.__name__
)
def test_nothing_is_left_of_a_connection_with_errors(tcp, use, loop):
    """Whoever found them, and wherever."""
    assert {} == left_at(tcp, use, loop, failing, count=20)


def test_nothing_is_left_of_a_call_over_a_connection_that_comes_back(tcp):
    """That itself is a ring with its last link."""
    left = left_at(tcp, refused_over_a_lasting_one, "asyncio", failing, count=20)
    assert 20 == left["LastingConnection"]
    assert {} == {name: left[name] for name in ("Attempt", "Promise", "Unjellyable") if name in left}


def test_what_is_the_matter_with_a_hook_of_the_program_can_still_be_found(tcp):
    """The line of the program that failed, and the one that wants the value, are what a traceback is for."""

    async def main():
        async with (
            tcp.serve(Root()) as server,
            pb.open_connection(server.url, registry=REGISTRY) as connection,
        ):
            with pytest.raises(pb.Unjellyable) as caught:
                await connection.root.echo(Broken())
            return caught.value

    error = run(main())
    assert ["main"] == [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert isinstance(error.__cause__, KeyError)
    assert ["get_state_to_copy"] == [
        frame.name for frame in traceback.extract_tb(error.__cause__.__traceback__)
    ]
