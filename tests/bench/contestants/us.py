"""This project, by its public face alone, with the limits and options that everybody gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pb
from tests.bench.contestants._asyncio import Client, drive_rounds, outstanding, run_for_ever

WORKLOADS = frozenset(
    {"sequential", "outstanding", "connections", "dicts", "bytes", "callbacks", "references", "idle"}
)


class Made(pb.Referenceable):
    """What the workload of references makes and drops."""


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


class Sum(pb.Referenceable):
    """The client's callback object."""

    def __init__(self) -> None:
        self.total = 0

    def remote_add(self, number: int) -> None:
        self.total += number


class PbClient(Client):
    """One connection."""

    async def open(self, port: int) -> None:
        self._connection = await pb.open_connection(f"pb://127.0.0.1:{port}")
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


def serve(loop: str, announce: Callable[[int], None]) -> None:
    """Serve until the process ends."""

    async def start() -> Any:
        server = await pb.serve(Root, "pb://127.0.0.1:0")
        announce(int(server.url.rpartition(":")[2]))
        return server

    run_for_ever(loop, start)


def drive(loop: str, port: int, rounds: Iterable[Any]) -> None:
    """Do every round."""
    drive_rounds(loop, PbClient, port, rounds)
