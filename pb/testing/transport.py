"""Whether a transport carries what a connection needs: `check_transport`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, Protocol

__all__ = ["Listening", "check_transport"]

BIG: Final = bytes(range(256)) * 16_384  # 4 MiB: more than the buffers of any system
LIMIT_S: Final = 30.0

Factory = Callable[[], asyncio.BaseProtocol]


class Listening(Protocol):
    """What a transport gives who listens: something to close, after which nobody is accepted."""

    def close(self) -> None:
        """Listen no more; connections that there are stay."""


Listen = Callable[[Factory], Awaitable[tuple[Listening, Any]]]
Connect = Callable[[Any, Factory], Awaitable[object]]
Say = Callable[[bytes], bytes]  # what is written for a text, and arrives


class _End(asyncio.BufferedProtocol):
    """One end, as a connection of ours is one: it lends a buffer, and notes what it is told, in order."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.told: list[str] = []
        self.received = bytearray()
        self.error: Exception | None = None
        self.lost = asyncio.Event()
        self.news = asyncio.Event()
        self.is_paused = False
        self._buffer = memoryview(bytearray(4096))  # asyncio's TLS fills slices, which must be no copies

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.told.append("made")

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.received += self._buffer[:nbytes]
        self.news.set()

    def eof_received(self) -> bool:
        self.told.append("eof")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")
        self.error = exc
        self.lost.set()
        self.news.set()

    def pause_writing(self) -> None:
        self.is_paused = True
        self.news.set()

    def resume_writing(self) -> None:
        self.is_paused = False
        self.news.set()

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until something is so."""
        try:
            async with asyncio.timeout(LIMIT_S):
                while not condition():
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            raise AssertionError(f"{what}: not within {LIMIT_S:g} s, after {self.told}") from None


async def check_transport(listen: Listen, connect: Connect, *, framed: bool = False) -> None:
    """Check that a transport keeps what connections rely on.

    Bytes arrive whole and in order, in both directions at once and however they are written; a writer is told
    to wait while nobody reads, and to go on; closing delivers what was written first; aborting does not wait;
    each end is told of its beginning once, first, and of its end once, last; a listener that is closed
    accepts nobody and leaves those who are there alone.

    Args:
        listen: `await listen(factory)` gives what closes the listener and where it listens, which is only for
            `connect`.
        connect: `await connect(where, factory)` joins a protocol of the factory to it; OSError where nobody
            listens.
        framed: whether it carries frames, not bytes, as WebSocket does: then nothing but frames is written,
            each behind its length of four bytes, in as many pieces as before.

    Raises:
        AssertionError: one of these does not hold.
    """
    say = _frame if framed else bytes
    for check in (_carries, _waits, _closes, _aborts, _serves_many):
        ends: list[_End] = []

        def accept(ends: list[_End] = ends) -> _End:
            ends.append(_End())
            return ends[-1]

        listener, where = await listen(accept)
        try:
            await check(listener, where, connect, ends, say)
        finally:
            listener.close()
            for end in ends:
                if end.transport is not None:
                    end.transport.abort()


def _frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


async def _join(where: Any, connect: Connect, accepted: list[_End]) -> tuple[_End, _End]:
    made: list[_End] = []
    count = len(accepted)

    def factory() -> _End:
        made.append(_End())
        return made[-1]

    await connect(where, factory)
    client = made[-1]
    _expect(["made"], client.told, "what a client is told when connect returns")
    async with asyncio.timeout(LIMIT_S):
        while len(accepted) == count or accepted[-1].transport is None:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    return client, accepted[-1]


async def _carries(listener: Listening, where: Any, connect: Connect, accepted: list[_End], say: Say) -> None:
    client, server = await _join(where, connect, accepted)
    said, big = say(b"bytewise"), say(BIG)
    for byte in said:
        client.transport.write(bytes([byte]))
    await server.until(lambda: len(server.received) >= len(said), "bytes written one by one")
    _expect(said, bytes(server.received), "bytes written one by one")
    server.received.clear()
    reused = bytearray(said := say(b"reused"))
    client.transport.write(memoryview(reused))
    reused[:] = b"junk" * (len(reused) // 4) + b"++"
    client.transport.write(big)
    server.transport.write(big)
    await server.until(lambda: len(server.received) >= len(said) + len(big), "4 MiB up")
    await client.until(lambda: len(client.received) >= len(big), "4 MiB down at the same time")
    _expect(True, server.received == said + big, "whether 4 MiB arrived as they were written")
    _expect(True, client.received == big, "whether 4 MiB came back as they were written")
    client.transport.close()
    await server.lost.wait()


async def _waits(listener: Listening, where: Any, connect: Connect, accepted: list[_End], say: Say) -> None:
    client, server = await _join(where, connect, accepted)
    big = say(BIG)
    client.transport.set_write_buffer_limits(high=65_536, low=16_384)
    server.transport.pause_reading()
    for _ in range(4):
        client.transport.write(big)
    await client.until(lambda: client.is_paused, "pause_writing where nobody reads 16 MiB")
    _expect(True, client.transport.get_write_buffer_size() > 65_536, "whether the buffer is over its mark")
    server.transport.resume_reading()
    await client.until(lambda: not client.is_paused, "resume_writing once it is read")
    await server.until(lambda: len(server.received) >= 4 * len(big), "16 MiB after a pause")
    _expect(True, server.received == big * 4, "whether 16 MiB arrived as they were written")
    client.transport.abort()
    await server.lost.wait()


async def _closes(listener: Listening, where: Any, connect: Connect, accepted: list[_End], say: Say) -> None:
    client, server = await _join(where, connect, accepted)
    big = say(BIG)
    client.transport.write(big)
    client.transport.close()
    client.transport.close()
    _expect(True, client.transport.is_closing(), "is_closing() after close()")
    await server.until(server.lost.is_set, "the end, after the other side closed")
    _expect(len(big), len(server.received), "bytes that arrived of those written before close()")
    await client.until(client.lost.is_set, "the end, at the side that closed")
    for name, end in (("client", client), ("server", server)):
        _expect(["made", "lost"], [said for said in end.told if said != "eof"], f"what the {name} was told")
        _expect("lost", end.told[-1], f"what the {name} was told last")
        _expect(None, end.error, f"the error of the {name} after an orderly end")


async def _aborts(listener: Listening, where: Any, connect: Connect, accepted: list[_End], say: Say) -> None:
    client, server = await _join(where, connect, accepted)
    server.transport.pause_reading()
    client.transport.write(say(BIG))
    client.transport.abort()
    await client.until(client.lost.is_set, "the end, at the side that aborted, though nobody reads")
    server.transport.resume_reading()
    await server.until(server.lost.is_set, "the end, after the other side aborted")
    for name, end in (("client", client), ("server", server)):
        _expect(["made", "lost"], [said for said in end.told if said != "eof"], f"what the {name} was told")


async def _serves_many(
    listener: Listening, where: Any, connect: Connect, accepted: list[_End], say: Say
) -> None:
    pairs = [await _join(where, connect, accepted) for _ in range(10)]
    for number, (client, _) in enumerate(pairs):
        client.transport.write(say(bytes([number]) * 100))
    for number, (_, server) in enumerate(pairs):
        said = say(bytes([number]) * 100)
        await server.until(partial(_has, server, len(said)), "what one of ten wrote")
        _expect(said, bytes(server.received), f"what connection {number} of ten carried")
    listener.close()
    client, server = pairs[0]
    server.transport.write(said := say(b"still here"))
    await client.until(lambda: len(client.received) >= len(said), "bytes after the listener was closed")
    try:
        await connect(where, _End)
    except OSError:
        pass
    else:
        raise AssertionError("somebody connected to a listener that was closed")
    for client, server in pairs:
        client.transport.close()
        await server.lost.wait()


def _has(end: _End, count: int) -> bool:
    return len(end.received) >= count


def _expect(expected: object, actual: object, what: str) -> None:
    if expected != actual:
        raise AssertionError(f"{what}: expected {expected!r}, found {actual!r}")
