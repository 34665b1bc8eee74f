"""The floor: the least that an asyncio RPC can be, and what every ratio is taken of.

A frame is a u32 length and a msgpack array: [0, id, oid, method, args] asks, [1, id, value] answers,
[2, oid, method, args] tells and gets no answer, [3, ids] releases. A call is one future in a dict and one
write, dispatch one look-up in a dict; frames are unpacked one by one; the answers of one read leave in one
write. What all observers are told is packed once and written to each. No errors, no limits, no types, no
reference counts, no cancelling: it may not be used for anything but to compare with. `floor_joined` is the
same floor with one more idea.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import msgpack

from tests.bench.contestants._asyncio import Client, drive_rounds, outstanding, run_for_ever
from tests.bench.contestants._tally import Tally

WORKLOADS = frozenset(
    {
        "sequential",
        "outstanding",
        "connections",
        "dicts",
        "bytes",
        "callbacks",
        "references",
        "fan-out",
        "fan-out-ahead",
        "idle",
    }
)

CALL, ANSWER, TELL, RELEASE = range(4)
# The client's object that observes, and the server's connections that hold one.
OBSERVER = 2
observers: list[Floor] = []

pack = msgpack.Packer().pack
unpack = msgpack.unpackb


class Floor(asyncio.Protocol):
    """One connection, either side."""

    def __init__(self, root: Callable[[Floor], object]) -> None:
        self.objects: dict[int, object] = {0: root(self)}
        self.new_oid = count(1).__next__
        self._new_id = count().__next__
        self._futures: dict[int, asyncio.Future[Any]] = {}
        self._tail = b""

    def connection_made(self, transport: Any) -> None:
        self._new_future = asyncio.get_running_loop().create_future
        self._transport = transport

    def call(self, oid: int, method: str, *args: object) -> asyncio.Future[Any]:
        """Ask the other side; the answer comes in the future."""
        call_id = self._new_id()
        self._futures[call_id] = future = self._new_future()
        self.send(pack((CALL, call_id, oid, method, args)))
        return future

    def release(self, oids: list[int]) -> None:
        """Let the other side forget its objects."""
        self.send(pack((RELEASE, oids)))

    def send(self, body: bytes) -> None:
        """Write one frame."""
        self._transport.write(len(body).to_bytes(4, "big") + body)

    def turn_ends(self) -> None:
        """Take note that a read has been acted on."""

    def data_received(self, data: bytes) -> None:
        if self._tail:
            data = self._tail + data
        at, end = 0, len(data)
        frames: list[bytes] = []
        futures, objects = self._futures, self.objects
        while end - at >= 4:
            start = at + 4
            stop = start + int.from_bytes(data[at:start], "big")
            if stop > end:
                break
            message = unpack(data[start:stop])
            at = stop
            kind = message[0]
            if kind == CALL:
                _, call_id, oid, method, args = message
                body = pack((ANSWER, call_id, getattr(objects[oid], method)(*args)))
                frames += (len(body).to_bytes(4, "big"), body)
            elif kind == ANSWER:
                futures.pop(message[1]).set_result(message[2])
            elif kind == TELL:
                _, oid, method, args = message
                getattr(objects[oid], method)(*args)
            else:
                for oid in message[1]:
                    del objects[oid]
        self._tail = data[at:]
        if frames:
            self._transport.write(b"".join(frames))
        else:
            self.turn_ends()


class Root:
    """What the server's connection publishes as object 0."""

    def __init__(self, connection: Floor) -> None:
        self._connection = connection

    def echo(self, value: object) -> object:
        return value

    def ask(self, oid: int, n: int) -> None:
        """Call back n times, then say so."""
        call = self._connection.call

        async def ask() -> None:
            await outstanding(lambda number: call(oid, "add", number), n)
            await call(oid, "finish")

        self._asking = asyncio.ensure_future(ask())

    def make(self) -> int:
        oid = self._connection.new_oid()
        self._connection.objects[oid] = Made()
        return oid

    def held(self) -> int:
        return len(self._connection.objects) - 1

    def observe(self) -> None:
        observers.append(self._connection)

    def change(self, number: int) -> None:
        body = pack((TELL, OBSERVER, "set", (number,)))
        for connection in observers:
            connection.send(body)


class Made:
    """What the workload of references makes and drops."""


class Sum:
    """The client's callback object."""

    def __init__(self) -> None:
        self.total = 0
        self.finished = asyncio.get_running_loop().create_future()

    def add(self, number: int) -> None:
        self.total += number

    def finish(self) -> None:
        self.finished.set_result(self.total)


class Observer:
    """The client's object that is told of changes."""

    def __init__(self, tally: Tally) -> None:
        self.number = 0
        self._tally = tally

    def set(self, number: int) -> None:
        self.number = number
        self._tally.take(number)


class FloorClient(Client):
    """The client's side of one connection."""

    protocol: type[Floor] = Floor

    async def open(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        _, self._connection = await loop.create_connection(
            lambda: self.protocol(lambda _: None), "127.0.0.1", port
        )
        self._dropped: list[int] = []

    async def echo(self, value: object, n: int) -> object:
        call = self._connection.call
        for _ in range(n):
            answer = await call(0, "echo", value)
        return answer

    async def callbacks(self, n: int) -> int:
        connection = self._connection
        connection.objects[1] = callback = Sum()
        await connection.call(0, "ask", 1, n)
        return await callback.finished

    async def references(self, n: int) -> None:
        call, drop = self._connection.call, self._drop
        for _ in range(n):
            drop(await call(0, "make"))

    def _drop(self, oid: int) -> None:
        # One message releases all that this turn drops.
        if not self._dropped:
            asyncio.get_running_loop().call_soon(self._release)
        self._dropped.append(oid)

    def _release(self) -> None:
        self._connection.release(self._dropped)
        self._dropped.clear()

    async def distinct_references(self, n: int) -> int:
        oids = [await self._connection.call(0, "make") for _ in range(n)]
        for oid in oids:
            self._drop(oid)
        return len(set(oids))

    async def held(self) -> tuple[int, int]:
        return len(self._dropped), await self._connection.call(0, "held")

    async def observe(self, tally: Tally) -> None:
        self._connection.objects[OBSERVER] = self._observer = Observer(tally)
        await self._connection.call(0, "observe")

    async def change(self, number: int) -> None:
        await self._connection.call(0, "change", number)

    def told(self) -> int:
        return self._observer.number


def serve(loop: str, announce: Callable[[int], None], protocol: type[Floor] = Floor) -> None:
    """Serve until the process ends."""

    async def start() -> asyncio.Server:
        server = await asyncio.get_running_loop().create_server(lambda: protocol(Root), "127.0.0.1", 0)
        announce(server.sockets[0].getsockname()[1])
        return server

    run_for_ever(loop, start)


def drive(loop: str, port: int, rounds: Iterable[Any]) -> None:
    """Do every round."""
    drive_rounds(loop, FloorClient, port, rounds)
