"""A program that ends with everything still open: `python -m tests.pb.aio.ending HOW`. See test_shutdown."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from typing import Any

import jelly
import pb

REGISTRY = jelly.Registry()


class Board(pb.Tracked):
    def __init__(self) -> None:
        self.text = "hello"


REGISTRY.add(Board, "test.Board")


class Thing(pb.Referenceable):
    pass


class Server(pb.Root):
    def __init__(self) -> None:
        self.board = Board()
        self.callbacks: list[Any] = []

    def remote_thing(self) -> Thing:
        return Thing()

    def remote_board(self) -> Board:
        return self.board

    async def remote_wait(self, callback: Any) -> None:
        self.callbacks.append(callback)
        await asyncio.get_running_loop().create_future()

    async def remote_rows(self) -> Any:
        try:
            while True:
                yield "row"
        finally:
            await asyncio.sleep(0)


kept: list[Any] = []  # until the modules of the program are taken apart


async def follow(stream: Any) -> None:
    async for _ in stream:
        await asyncio.get_running_loop().create_future()


async def main() -> None:
    """Open a connection over each transport, with something of each kind under way, and leave it so."""
    folder = tempfile.mkdtemp()
    kept.append(folder)
    for url in ("pb://127.0.0.1:0", "memory://ending", "ws://127.0.0.1:0", f"pb+unix://{folder}/socket"):
        server = await pb.serve(Server(), url, registry=REGISTRY)
        connection = await pb.open_connection(server.url, registry=REGISTRY, reconnect=url.startswith("pb:"))
        root = connection.root
        stream = await root.rows()
        kept.extend([server, connection, root, await root.thing(), await root.board(), stream])
        kept.append(asyncio.create_task(follow(stream)))
        kept.append(asyncio.create_task(follow(await root.rows())))
        kept.append(root.wait(Thing()))
        kept.append(root.wait(Thing()).anything())  # on a result that will never be there
        kept.append(root.wait.within(60)(Thing()))
        kept.append(pb.events(await root.thing()))
        await root.thing()
    print(len(kept), "things are left open")
    if "exits" in sys.argv:
        sys.exit(0)


if __name__ == "__main__":
    how = sys.argv[1]
    if how == "uvloop":
        import uvloop

        uvloop.run(main())
    elif how in ("returns", "exits"):
        asyncio.run(main())
    else:  # the tasks of the program are not even cancelled
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        if how == "closes":
            loop.close()
