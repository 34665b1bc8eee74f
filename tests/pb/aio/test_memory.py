"""memory://: a connection inside one process, as its two protocols see it. Names: test_memory_names.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from pb.aio import memory

RUNNERS: list[Any] = [pytest.param(asyncio.run, id="asyncio")]
try:
    import uvloop

    RUNNERS.append(pytest.param(uvloop.run, id="uvloop"))
except ImportError:
    pass  # an extra
Runner = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=RUNNERS)
def run(request: pytest.FixtureRequest) -> Runner:
    """Run a coroutine under each kind of event loop there is; one that waits for ever fails."""
    return lambda conversation: request.param(asyncio.wait_for(conversation, 10))


@pytest.fixture(autouse=True)
def _no_name_is_left() -> Iterator[None]:
    yield
    assert {} == memory._LISTENERS


class Notes:
    """What both kinds of protocol below write down: every callback, in order, never one inside another."""

    half_open = False

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.received = b""
        self.inside = False
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_data: Callable[[], None] = lambda: None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.heard.append("made")

    def take(self, data: bytes) -> None:
        assert not self.inside
        self.inside = True
        self.received += data
        self.on_data()
        self.inside = False

    def eof_received(self) -> bool:
        assert not self.inside
        self.heard.append("eof")
        return self.half_open

    def connection_lost(self, error: Exception | None) -> None:
        assert not self.inside
        self.heard.append(type(error))
        self.lost.set_result(None)

    def pause_writing(self) -> None:
        self.heard.append("pause")

    def resume_writing(self) -> None:
        self.heard.append("resume")


class Plain(Notes, asyncio.Protocol):
    """Gets bytes."""

    def data_received(self, data: bytes) -> None:
        self.take(data)


class Buffered(Notes, asyncio.BufferedProtocol):
    """Lends a buffer that is smaller than what the tests send."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = bytearray(7)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.take(bytes(self.buffer[:nbytes]))


KINDS = pytest.mark.parametrize("kind", [Plain, Buffered])
NoneType = type(None)


async def pair(kind: type[Any] = Plain) -> tuple[Any, Any]:
    """Return the protocols of a new connection, client and server, after the server has accepted."""
    loop = asyncio.get_running_loop()
    accepted = loop.create_future()

    def factory() -> Any:
        server = kind()
        accepted.set_result(server)
        return server

    listener = memory.listen("lobby", factory, loop)
    _, client = memory.connect("lobby", kind, loop)
    server = await accepted
    listener.close()
    return client, server


async def turns(count: int) -> None:
    """Let the loop turn."""
    for _ in range(count):
        loop = asyncio.get_running_loop()
        turned = loop.create_future()
        loop.call_soon(turned.set_result, None)
        await turned


@KINDS
@pytest.mark.parametrize("chunks", [[b"a"], [b"abc", b"def", b"ghijklmnopqrst"], [bytes(range(256)) * 20]])
def test_bytes_arrive_in_order_and_before_the_end(run: Runner, kind: type[Any], chunks: list[bytes]) -> None:
    """close() is not abort(): the last words are read."""

    async def conversation() -> None:
        client, server = await pair(kind)
        for chunk in chunks:
            client.transport.write(chunk)
        client.transport.close()
        await asyncio.gather(client.lost, server.lost)

        assert b"".join(chunks) == server.received
        assert ["made", "eof", NoneType] == server.heard
        assert ["made", NoneType] == client.heard

    run(conversation())


@KINDS
def test_answer_goes_back(run: Runner, kind: type[Any]) -> None:
    """Both directions are alike, and may be used inside a callback."""

    async def conversation() -> None:
        client, server = await pair(kind)
        server.on_data = lambda: server.transport.writelines([b"pong ", bytes(server.received)])
        client.on_data = client.transport.close
        client.transport.write(b"ping")
        await asyncio.gather(client.lost, server.lost)

        assert b"pong " == client.received[:5]

    run(conversation())


def test_nothing_is_delivered_inside_the_call_that_causes_it(run: Runner) -> None:
    """A protocol that is called back in the middle of its own write is in a state nobody thought of."""

    async def conversation() -> None:
        client, server = await pair()
        client.transport.write(b"x")
        assert b"" == server.received
        await turns(1)
        assert b"x" == server.received
        client.transport.close()
        assert (["made"], ["made"]) == (client.heard, server.heard)
        await asyncio.gather(client.lost, server.lost)

    run(conversation())


def test_connect_has_called_connection_made_and_the_server_is_told_later(run: Runner) -> None:
    """As with loop.create_connection; the server's factory does not run inside the client's call."""

    async def conversation() -> None:
        loop = asyncio.get_running_loop()
        servers: list[Plain] = []

        def factory() -> Plain:
            servers.append(Plain())
            return servers[0]

        listener = memory.listen("lobby", factory, loop)
        transport, client = memory.connect("lobby", Plain, loop)
        assert transport is client.transport
        assert (["made"], []) == (client.heard, servers)
        transport.write(b"early")
        await turns(2)
        assert b"early" == servers[0].received
        listener.close()
        transport.abort()
        await asyncio.gather(client.lost, servers[0].lost)

    run(conversation())


def test_bytes_are_copied_where_the_writer_could_change_them(run: Runner) -> None:
    """asyncio's transports promise that a buffer may be used again after write()."""

    async def conversation() -> None:
        client, server = await pair()
        buffer = bytearray(b"before")
        client.transport.write(buffer)
        client.transport.write(memoryview(buffer)[:3])
        buffer[:] = b"after!"
        client.transport.close()
        await server.lost

        assert b"beforebef" == server.received

    run(conversation())


def test_writer_is_paused_over_high_water_and_resumed_under_low_water(run: Runner) -> None:
    """The bytes in flight stay bounded if the protocol listens, as on a socket."""

    async def conversation() -> None:
        client, server = await pair(Buffered)
        client.transport.set_write_buffer_limits(high=20, low=8)
        server.transport.pause_reading()
        client.transport.write(bytes(20))
        assert ["made"] == client.heard
        client.transport.write(b"1")
        client.transport.write(b"2")
        assert ["made", "pause"] == client.heard
        assert (22, (8, 20)) == (
            client.transport.get_write_buffer_size(),
            client.transport.get_write_buffer_limits(),
        )
        await turns(3)
        assert b"" == server.received

        sizes = []
        server.on_data = lambda: sizes.append((client.transport.get_write_buffer_size(), *client.heard[1:]))
        server.transport.resume_reading()
        await turns(6)
        assert [(15, "pause"), (8, "pause"), (1, "pause", "resume"), (0, "pause", "resume")] == sizes
        client.transport.abort()
        await asyncio.gather(client.lost, server.lost)

    run(conversation())


def test_paused_writer_is_resumed_after_the_other_end_closed_but_not_inside_its_close(run: Runner) -> None:
    """What waits to write must wake up; what closes must not run the other's code meanwhile."""

    async def conversation() -> None:
        client, server = await pair()
        client.transport.set_write_buffer_limits(0)
        client.transport.write(b"x")
        server.transport.close()
        assert ["made", "pause"] == client.heard
        await asyncio.gather(client.lost, server.lost)
        assert ["made", "pause", "resume", "eof", NoneType] == client.heard

    run(conversation())


def test_close_waits_for_a_reader_that_is_paused_and_abort_does_not(run: Runner) -> None:
    """Whoever closes decides how long to wait for a slow reader."""

    async def conversation() -> None:
        client, server = await pair()
        server.transport.pause_reading()
        client.transport.write(b"last words")
        client.transport.close()
        await turns(5)
        assert (True, ["made"]) == (client.transport.is_closing(), client.heard)

        client.transport.abort()
        server.transport.resume_reading()
        await asyncio.gather(client.lost, server.lost)
        assert (b"", ["made", ConnectionResetError]) == (server.received, server.heard)
        assert ["made", NoneType] == client.heard

    run(conversation())


def test_paused_reader_reads_the_rest_when_it_resumes(run: Runner) -> None:
    """Its own writes meanwhile go nowhere, but lose it nothing."""

    async def conversation() -> None:
        client, server = await pair()
        server.transport.pause_reading()
        client.transport.write(b"last words")
        client.transport.close()
        server.transport.write(b"unheard")
        await turns(2)
        assert not server.transport.is_reading()
        server.transport.resume_reading()
        await asyncio.gather(client.lost, server.lost)
        assert (b"last words", ["made", "eof", NoneType]) == (server.received, server.heard)
        assert b"" == client.received

    run(conversation())


def test_paused_reader_with_nothing_to_read_learns_of_the_end(run: Runner) -> None:
    """Or it would wait for ever on a peer that is gone."""

    async def conversation() -> None:
        client, server = await pair()
        server.transport.pause_reading()
        client.transport.close()
        await asyncio.gather(client.lost, server.lost)
        assert ["made", "eof", NoneType] == server.heard

    run(conversation())


def test_abort_drops_what_was_written(run: Runner) -> None:
    """Both ends learn of it once."""

    async def conversation() -> None:
        client, server = await pair()
        client.transport.write(b"x")
        client.transport.abort()
        client.transport.abort()
        server.transport.close()
        await asyncio.gather(client.lost, server.lost)
        await turns(2)
        assert (b"", ["made", ConnectionResetError]) == (server.received, server.heard)
        assert ["made", NoneType] == client.heard

    run(conversation())


def test_both_may_close_at_once(run: Runner) -> None:
    """Crossing closes are ordinary ends; what was in flight is nobody's any more."""

    async def conversation() -> None:
        client, server = await pair()
        for end in (client, server):
            end.transport.write(b"x")
        for end in (client, server, client):
            end.transport.close()
        await asyncio.gather(client.lost, server.lost)
        assert (["made", NoneType], ["made", NoneType]) == (client.heard, server.heard)

    run(conversation())


def test_half_closed_connection_still_answers(run: Runner) -> None:
    """write_eof() ends one direction only, if eof_received asks for that."""

    async def conversation() -> None:
        client, server = await pair()
        server.half_open = True
        client.transport.write(b"question")
        client.transport.write_eof()
        with pytest.raises(RuntimeError, match="write_eof"):
            client.transport.write(b"x")
        await turns(3)
        assert (b"question", ["made", "eof"]) == (server.received, server.heard)
        server.transport.write(b"answer")
        server.transport.close()
        await asyncio.gather(client.lost, server.lost)
        assert (b"answer", ["made", "eof", NoneType]) == (client.received, client.heard)

    run(conversation())


def test_end_of_one_direction_ends_the_other_unless_asked_otherwise(run: Runner) -> None:
    """What eof_received returns decides, as in asyncio."""

    async def conversation() -> None:
        client, server = await pair()
        client.transport.write_eof()
        client.transport.write_eof()
        await asyncio.gather(client.lost, server.lost)
        assert (["made", "eof", NoneType], ["made", "eof", NoneType]) == (client.heard, server.heard)

    run(conversation())


def test_writing_after_close_or_something_else_than_bytes(run: Runner) -> None:
    """The first is dropped, as by a socket's transport; the second is the caller's mistake."""

    async def conversation() -> None:
        client, server = await pair()
        with pytest.raises(TypeError, match="not str"):
            client.transport.write("text")
        client.transport.close()
        client.transport.write(b"x")
        await asyncio.gather(client.lost, server.lost)
        client.transport.write(b"x")
        assert (b"", 0) == (server.received, client.transport.get_write_buffer_size())

    run(conversation())
