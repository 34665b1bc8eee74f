"""A server that comes and goes, and clients that come back to it."""

from __future__ import annotations

import asyncio
from typing import Any

import pb

from .. import lobbies
from .loops import Place


def quick(**options: Any) -> pb.Reconnect:
    """Return options under which nothing is waited for."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0.001)

    nothing = dict.fromkeys(("first_s", "max_s", "stable_s", "refused_s"), 0.0)
    return pb.Reconnect(**{**nothing, "sleep": sleep, **options})


class Lobby(lobbies.Lobby):
    """What a server publishes to everybody."""

    def __init__(self):
        super().__init__()
        self.never = asyncio.Event()

    async def remote_hang(self, value):
        self.ran.append(value)
        if self.ran.count(value) == 1:
            await self.never.wait()
        return value

    @pb.idempotent
    async def remote_look(self, value):
        return await self.remote_hang(value)


class Spot:
    """An address at which a server can be killed and started again."""

    def __init__(self, root: Any, path: Any, scheme: str = "pb+unix", **options: Any) -> None:
        self.root = root
        self.place = Place(scheme, path)
        self.options = options
        self.server: Any = None

    async def __aenter__(self) -> Spot:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen."""
        self.server = await self.place.serve(self.root, **self.options)

    async def stop(self) -> None:
        """Drop everybody and listen no more."""
        self.cut()
        if self.server is not None:
            await self.server.close()
        self.server = None

    @property
    def url(self) -> str:
        """Where to connect."""
        return str(self.server.url)

    def cut(self) -> None:
        """Lose all connections, as a network does."""
        if self.server is not None:
            for link in list(self.server._places):
                link.transport.abort()


def lose(connection: Any) -> None:
    """Lose the connection at the client."""
    connection._link.transport.abort()


def record(connection: Any) -> list[str]:
    """Return a list to which the states of the connection are added."""
    states: list[str] = []
    connection.status.watch(lambda change: states.append(change.state.value))
    return states


ROUND = ["waiting", "connecting", "restoring", "connected"]


async def back(connection: Any) -> None:
    """Wait until a connection that is about to be lost is there again."""
    await connection.status.wait_for("waiting", "failed")
    await connection.status.wait_for("connected", "failed")
