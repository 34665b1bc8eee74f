"""Slips that a type checker has to find: each line that ends in `E:` and a code of mypy, and no other."""

from __future__ import annotations

import asyncio
from typing import Protocol

import pb
from pb import sync


class Room(pb.Root):
    """Calls back, wrongly."""

    async def remote_enter(self, guest: pb.RemoteReference) -> str:
        print(guest.count() + 1)  # E: operator
        asyncio.create_task(guest.hear("hello"))  # E: arg-type
        guest.hear.within("5")  # E: arg-type
        guest.hear = 1  # E: attr-defined
        return guest.name()  # E: return-value


async def connect(connection: pb.Connection) -> int:
    await connection.clsoe()  # E: attr-defined
    await connection.login("alice", pasword="secret")  # E: call-arg
    async with pb.open_connection("pb://host") as opened:
        opened.status  # noqa: B018  # E: attr-defined
    async with pb.open_connection("pb://host", reconnect=True) as lasting:
        await lasting.kepe(lasting.root.board)  # E: attr-defined
    async with pb.open_connection("pb://host", registri=pb.Registry()):  # E: call-overload
        pass
    pb.open_connection("pb://host").root  # noqa: B018  # E: attr-defined
    pb.open_conection("pb://host")  # E: attr-defined
    with pb.open_connection("pb://host"):  # E: attr-defined
        pass
    return "what follows slips is looked at too"  # E: return-value


class Echo(Protocol):
    """What may be called."""

    async def echo(self, text: str) -> str: ...


async def call_by_interface(reference: pb.RemoteReference) -> int:
    echo = await pb.providing(reference, Echo)
    await echo.ehco("hello")  # E: attr-defined
    await echo.echo()  # E: call-arg
    await echo.echo(1)  # E: arg-type
    echo.echo("hello").upper()  # E: attr-defined
    return await echo.echo("hello")  # E: return-value


def connect_blocking() -> None:
    with sync.open_connection("pb://host") as connection:
        connection.clsoe()  # E: attr-defined
    sync.open_connection("pb://host", limits={"max_frame": 1})  # E: call-overload


async def serve() -> None:
    async with pb.serve(Room(), "pb://host", registri=None) as server:  # E: call-arg
        server.ulr  # noqa: B018  # E: attr-defined
    application = pb.Application("shop")
    application.listen("pb://host", registri=None)  # E: call-arg
    async with application.running(drain=5):  # E: call-arg
        pass
    async with pb.testing.pair(Room()) as (client, _server, _room):
        client.clsoe()  # E: attr-defined
    pb.testing.piar(Room())  # E: attr-defined
