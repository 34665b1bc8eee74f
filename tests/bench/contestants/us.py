"""This project, by its public face alone, with the limits and options that everybody gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import pb
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


class Made(pb.Referenceable):
    """What the workload of references makes and drops."""


class Board(pb.Cacheable):
    """The number that the server's observers watch."""

    def __init__(self) -> None:
        self._number = 0
        self._observers = pb.Observers()

    def get_state_to_cache_and_observe_for(self, perspective: object, observer: Any) -> dict[str, int]:
        self._observers.add(observer)
        return {"number": self._number}

    def stopped_observing(self, perspective: object, observer: Any) -> None:
        self._observers.discard(observer)

    def set(self, number: int) -> None:
        self._number = number
        self._observers.send("set", number)


class BoardReplica(pb.RemoteCache):
    """What the client has of it."""

    number: int
    tally: ClassVar[Tally]

    def observe_set(self, number: int) -> None:
        self.number = number
        self.tally.take(number)


def registry_with(board: type) -> pb.Registry:
    """Say which class is the board on one side."""
    registry = pb.Registry()
    registry.add(board, "bench.Board")
    return registry


BOARD = Board()
CLIENT_REGISTRY = registry_with(BoardReplica)


class Root(pb.Root):
    """What a connection of the server publishes."""

    def __init__(self, connection: pb.Connection) -> None:
        self._connection = connection

    def remote_echo(self, value: Any) -> Any:
        return value

    def remote_keep(self, callback: Any) -> None:
        self._callback = callback

    async def remote_ask(self, n: int) -> None:
        await outstanding(self._callback.add, n)

    def remote_make(self) -> Made:
        return Made()

    def remote_held(self) -> int:
        # The root is on the table for as long as the connection lasts.
        return self._connection.usage.references_given - 1

    def remote_board(self) -> Board:
        return BOARD

    def remote_change(self, number: int) -> None:
        BOARD.set(number)


class Sum(pb.Referenceable):
    """The client's callback object."""

    def __init__(self) -> None:
        self.total = 0

    def remote_add(self, number: int) -> None:
        self.total += number


class PbClient(Client):
    """One connection."""

    async def open(self, port: int) -> None:
        self._connection = await pb.open_connection(f"pb://127.0.0.1:{port}", registry=CLIENT_REGISTRY)
        self._root = self._connection.root
        self._held_at_first = self._connection.usage.references_held
        self._sum: Sum | None = None

    async def echo(self, value: object, n: int) -> object:
        root = self._root
        for _ in range(n):
            answer = await root.echo(value)
        return answer

    async def callbacks(self, n: int) -> int:
        if self._sum is None:
            self._sum = Sum()
            await self._root.keep(self._sum)
        self._sum.total = 0
        await self._root.ask(n)
        return self._sum.total

    async def references(self, n: int) -> None:
        root = self._root
        for _ in range(n):
            await root.make()

    async def distinct_references(self, n: int) -> int:
        return len({await self._root.make() for _ in range(n)})

    async def held(self) -> tuple[int, int]:
        return self._connection.usage.references_held - self._held_at_first, await self._root.held()

    async def observe(self, tally: Tally) -> None:
        self._board = await self._root.board()
        BoardReplica.tally = tally

    async def change(self, number: int) -> None:
        await self._root.change(number)

    def told(self) -> int:
        return self._board.number


def serve(loop: str, announce: Callable[[int], None]) -> None:
    """Serve until the process ends."""

    async def start() -> Any:
        server = await pb.serve(Root, "pb://127.0.0.1:0", registry=registry_with(Board))
        announce(int(server.url.rpartition(":")[2]))
        return server

    run_for_ever(loop, start)


def drive(loop: str, port: int, rounds: Iterable[Any]) -> None:
    """Do every round."""
    drive_rounds(loop, PbClient, port, rounds)
