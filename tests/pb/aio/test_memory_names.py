"""memory://: the table of names, what connect() refuses, and protocols that fail."""

from __future__ import annotations

import asyncio
import errno
import gc
import threading
import weakref
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from pb.aio import memory
from pb.aio.url import BadURL


@pytest.fixture(autouse=True)
def _no_name_is_left() -> Iterator[None]:
    yield
    assert {} == memory._LISTENERS


def run(conversation: Coroutine[Any, Any, None]) -> None:
    """Run it; if it waits for ever, it fails."""
    asyncio.run(asyncio.wait_for(conversation, 10))


class Client(asyncio.Protocol):
    """Writes down how its connection ended."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(error)


def test_connecting_to_a_name_nobody_has_says_which_there_are() -> None:
    """The usual cause is a typing error, or two processes."""

    async def conversation() -> None:
        loop = asyncio.get_running_loop()
        listeners = [memory.listen(f"name{i}", Client, loop) for i in range(7)]
        with pytest.raises(ConnectionRefusedError) as caught:
            memory.connect("nmae1\n", Client, loop)
        assert r"nothing listens on memory://nmae1\n in this process" in str(caught.value)
        assert "memory://name4 ...)" in str(caught.value)
        for listener in listeners:
            listener.close()
        with pytest.raises(ConnectionRefusedError, match=r"\(listening: none\)"):
            memory.connect("name1", Client, loop)

    run(conversation())


def test_name_is_taken_until_its_listener_closes() -> None:
    """As with a port."""

    async def conversation() -> None:
        loop = asyncio.get_running_loop()
        first = memory.listen("lobby", Client, loop)
        with pytest.raises(OSError, match="taken in this process") as caught:
            memory.listen("lobby", Client, loop)
        assert errno.EADDRINUSE == caught.value.errno
        first.close()
        second = memory.listen("lobby", Client, loop)
        first.close()
        transport, client = memory.connect("lobby", Client, loop)
        transport.abort()
        assert await client.lost is None
        second.close()

    run(conversation())


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a\0", 129 * "a"])
def test_name_that_cannot_stand_in_a_url_is_refused(name: str) -> None:
    """Nobody could connect to it."""

    async def conversation() -> None:
        with pytest.raises(BadURL):
            memory.listen(name, Client, asyncio.get_running_loop())

    run(conversation())


def test_name_of_a_loop_that_ended_is_free() -> None:
    """A script that forgot to close must not block the next one in the process."""

    async def forget() -> None:
        memory.listen("lobby", Client, asyncio.get_running_loop())

    async def connect() -> None:
        with pytest.raises(ConnectionRefusedError, match="nothing listens"):
            memory.connect("lobby", Client, asyncio.get_running_loop())
        memory.listen("lobby", Client, asyncio.get_running_loop()).close()

    run(forget())
    run(connect())


def test_what_a_loop_that_ended_served_is_let_go_of() -> None:
    """At the next listener, whatever its name is: nobody may ever ask for that one again."""
    served = []

    async def forget() -> None:
        class Served(Client):
            pass

        memory.listen("lobby", Served, asyncio.get_running_loop())
        served.append(weakref.ref(Served))

    async def listen() -> None:
        memory.listen("hall", Client, asyncio.get_running_loop()).close()

    run(forget())
    run(listen())
    gc.collect()
    assert served[0]() is None


def test_another_loop_is_refused_with_the_remedy() -> None:
    """Crossing over would need a lock on every write."""
    errors: list[BaseException] = []

    async def connect_here() -> None:
        try:
            memory.connect("lobby", Client, asyncio.get_running_loop())
        except ConnectionRefusedError as error:
            errors.append(error)

    async def conversation() -> None:
        listener = memory.listen("lobby", Client, asyncio.get_running_loop())
        await asyncio.to_thread(asyncio.run, connect_here())
        listener.close()

    run(conversation())

    assert ["another event loop" in str(error) and "pb+unix:///path" in str(error) for error in errors] == [
        True
    ]


def test_another_thread_of_the_same_loop_is_refused() -> None:
    """The loop's call_soon is not for other threads, and says so in debug mode only."""

    async def conversation() -> None:
        loop = asyncio.get_running_loop()
        for misused in (memory.listen, memory.connect):
            with pytest.raises(RuntimeError, match="call_soon_threadsafe"):
                await asyncio.to_thread(misused, "lobby", Client, loop)

    run(conversation())


def test_listener_that_closes_before_accepting_resets_the_connection() -> None:
    """As a kernel does with what waits in its backlog."""

    async def conversation() -> None:
        loop = asyncio.get_running_loop()
        listener = memory.listen("lobby", Client, loop)
        _, client = memory.connect("lobby", Client, loop)
        listener.close()
        assert isinstance(await client.lost, ConnectionResetError)

    run(conversation())


def test_both_ends_know_the_url_and_nothing_about_tls() -> None:
    """Logs and per-source limits need a peername."""

    async def conversation() -> None:
        loop = asyncio.get_running_loop()
        listener = memory.listen("lobby", Client, loop)
        transport, client = memory.connect("lobby", Client, loop)
        assert "memory://lobby" == transport.get_extra_info("peername")
        assert (None, 7) == (transport.get_extra_info("ssl_object"), transport.get_extra_info("x", 7))
        assert client is transport.get_protocol()
        listener.close()
        transport.close()
        assert isinstance(await client.lost, ConnectionResetError | None)

    run(conversation())


@pytest.mark.parametrize(("high", "low"), [(1, 2), (-1, None), (4, -1)])
def test_impossible_limits_are_refused(high: int, low: int | None) -> None:
    """As asyncio refuses them."""

    async def conversation() -> None:
        transport = memory.MemoryTransport(asyncio.get_running_loop(), "lobby")
        with pytest.raises(ValueError, match="expected high >= low >= 0"):
            transport.set_write_buffer_limits(high, low)

    run(conversation())


class Failing(asyncio.BufferedProtocol):
    """Fails in one place."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.fail("factory")

    def fail(self, here: str) -> None:
        if here == self.place:
            raise LookupError(here)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.fail("connection_made")

    def get_buffer(self, sizehint: int) -> bytearray:
        self.fail("get_buffer")
        return bytearray(0 if self.place == "empty buffer" else 8)

    def buffer_updated(self, nbytes: int) -> None:
        self.fail("buffer_updated")

    def eof_received(self) -> None:
        self.fail("eof_received")


@pytest.mark.parametrize(
    "place", ["factory", "connection_made", "get_buffer", "empty buffer", "buffer_updated", "eof_received"]
)
def test_protocol_that_fails_loses_its_connection_and_the_loop_reports_it(place: str) -> None:
    """An error is neither swallowed nor the other end's problem."""
    reported: list[Any] = []

    async def conversation() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: reported.append(context["exception"]))
        listener = memory.listen("lobby", lambda: Failing(place), loop)
        transport, client = memory.connect("lobby", Client, loop)
        transport.write(b"x")
        transport.write_eof()
        assert isinstance(await client.lost, ConnectionResetError)
        listener.close()

    run(conversation())

    assert [RuntimeError if place == "empty buffer" else LookupError] == [type(error) for error in reported]


def test_client_whose_connection_made_fails_gets_the_error_from_connect() -> None:
    """It is the caller's own protocol; the server never hears of it."""
    servers: list[object] = []

    class FailingClient(Client):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            raise LookupError("mine")

    async def conversation() -> None:
        loop = asyncio.get_running_loop()
        listener = memory.listen("lobby", lambda: servers.append(1) or Client(), loop)  # type: ignore[func-returns-value]
        with pytest.raises(LookupError):
            memory.connect("lobby", FailingClient, loop)
        listener.close()

    run(conversation())

    assert [] == servers


def test_failing_pause_writing_is_reported_and_ends_nothing() -> None:
    """As in asyncio: the bytes are written already."""
    reported: list[Any] = []

    class Pausing(Client):
        def pause_writing(self) -> None:
            raise LookupError("pause")

    async def conversation() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: reported.append(context["exception"]))
        listener = memory.listen("lobby", Client, loop)
        transport, client = memory.connect("lobby", Pausing, loop)
        transport.set_write_buffer_limits(0)
        transport.write(b"x")
        assert not transport.is_closing()
        transport.abort()
        await client.lost
        listener.close()

    run(conversation())

    assert [LookupError] == [type(error) for error in reported]


def test_threads_that_listen_at_once_get_one_name_between_them() -> None:
    """The table is the process's, so two loops may race for a name."""
    barrier = threading.Barrier(8)
    outcomes: list[str] = []

    async def contest() -> None:
        barrier.wait()
        try:
            listener = memory.listen("lobby", Client, asyncio.get_running_loop())
        except OSError:
            outcomes.append("taken")
            barrier.wait()
        else:
            outcomes.append("got it")
            barrier.wait()
            listener.close()

    threads = [threading.Thread(target=asyncio.run, args=(contest(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ["got it", *["taken"] * 7] == sorted(outcomes)
