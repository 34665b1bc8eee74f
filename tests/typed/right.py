"""What users write, with nothing for a type checker to complain about."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Protocol, assert_type

import pb
from pb import sync
from pb.testing import Network


class Room(pb.Root):
    """Calls back."""

    async def remote_enter(self, guest: pb.RemoteReference, *, is_loud: bool = False) -> str:
        await guest.hear("welcome")
        await guest.hear.within(5.0)("again")
        guest.hear.send("and again")
        name: str = await guest.name()
        await asyncio.gather(guest.hear(1), guest.hear(2))
        await asyncio.wait_for(guest.hear(3), 5)
        await asyncio.ensure_future(guest.hear(4))
        print(await guest.room("lobby").look())
        async for row in guest.rows():
            print(row)
        pb.on_disconnect(guest, print)
        return name

    async def remote_leave(self, guest: pb.RemoteReference) -> Any:
        return await guest.hear("bye")


class BlockingRoom(pb.Root):
    """Calls back, in a program that waits."""

    def remote_enter(self, guest: sync.RemoteReference) -> int:
        count: int = guest.count()
        sync.on_disconnect(guest, print)
        return count


class Echo(Protocol):
    """What may be called."""

    async def echo(self, text: str, *, times: int = 1) -> str: ...

    def numbers(self) -> AsyncIterator[int]: ...


class BlockingEcho(Protocol):
    """The same, where calls wait."""

    def echo(self, text: str) -> str: ...


async def call_by_interface(reference: pb.RemoteReference, connection: pb.Connection) -> str:
    echo = await pb.providing(reference, Echo)
    assert_type(echo, Echo)
    async for number in (await pb.providing(connection.root, Echo)).numbers():
        assert_type(number, int)
    return await echo.echo("hello", times=2)


def call_by_interface_and_wait(connection: sync.Connection) -> str:
    return sync.providing(connection.root, BlockingEcho).echo("hello")


class Shop(pb.Service):
    """Has users of all three kinds."""

    def get_perspective_named(self, name: str) -> pb.Perspective:
        return Manager(name, self)


class Manager(pb.Perspective):
    """Has roles of its class."""

    roles = {"manager"}


class Clerk(pb.Perspective):
    """Has roles of its own."""

    def __init__(self, name: str, service: Shop) -> None:
        super().__init__(name, service)
        self.roles = {"clerk"}


class Guest(pb.Perspective):
    """Has roles that change."""

    service: Shop

    @property
    def roles(self) -> set[str]:
        return {"guest"}


async def connect(registry: pb.Registry, comes_back: bool) -> str:
    async with pb.open_connection("pb://host", registry=registry, timeout=5) as connection:
        assert_type(connection, pb.Connection)
        identity = await connection.login("alice", "secret")
        assert_type(identity, pb.RemoteIdentity)
    async with pb.open_connection("pb://host", reconnect=True) as lasting:
        assert_type(lasting, pb.LastingConnection)
        lasting.status.watch(print)
    async with pb.open_connection("pb://host", reconnect=pb.Reconnect(max_attempts=3)) as lasting:
        await lasting.keep(lambda: lasting.root.board())
    async with pb.open_connection("pb://host", reconnect=comes_back) as either:
        assert_type(either, pb.Connection)
    connection = await pb.open_connection("pb://host")
    assert_type(connection, pb.Connection)
    async with pb.connect("pb://host", "alice", "secret", "shop") as shop:
        return str(await shop.name())


def connect_blocking(window: Any) -> None:
    with sync.open_connection("pb://host", timeout=5) as connection:
        assert_type(connection, sync.Connection)
    with sync.open_connection("pb://host", reconnect=True) as lasting:
        assert_type(lasting, sync.LastingConnection)
        print(lasting.status.state)
    with sync.serve(Room(), "pb://host", limits=pb.Limits()) as server:
        assert_type(server, sync.Server)
    gui = sync.Gui(window.after)
    gui.open_connection("pb://host", then=lambda connection: connection.close())
    gui.open_connection("pb://host", then=lambda lasting: print(lasting.status), reconnect=True)


def read(budget: int) -> int:
    return 0 if pb.is_hidden(budget) else budget


async def serve() -> None:
    async with pb.serve(Room(), "pb://host", tls="server.pem", hooks=[pb.Hooks()]) as server:
        assert_type(server, pb.Server)
    application = pb.Application("shop")
    Shop("shop", application)
    application.listen("pb://host", registry=pb.Registry(), debug=True)
    async with application.running(drain_s=5) as servers:
        assert_type(servers, list[pb.Server])
    assert_type(await application.start(), list[pb.Server])


async def test() -> None:
    async with pb.testing.pair(Room(), limits=pb.Limits()) as (client, server, room):
        assert_type(client, pb.Connection)
        assert_type(server, pb.Connection)
        await room.enter()
    async with pb.testing.pair(Room(), faulty=True, seed=7) as (client, _, _, network):
        assert_type(client, pb.Connection)
        assert_type(network, Network)


async def enter_what_was_awaited() -> None:
    async with await pb.open_connection("pb://host", reconnect=True) as lasting:
        assert_type(lasting, pb.LastingConnection)
