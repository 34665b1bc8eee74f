"""A server to be killed, stopped and told to drain: `pb run` finds `application`, `python -m` serves a root.

What its handlers wait for is a line on its stdin.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading

import cred
import pb


class Held:
    """Calls that wait for the line; the first that comes starts a thread to read it."""

    def __init__(self) -> None:
        self.count = 0
        self.is_over = asyncio.Event()

    async def wait(self, number: int, announced: int) -> int:
        """Return the number when the line has come; say so when there are so many calls."""
        if not self.count:
            loop = asyncio.get_running_loop()
            threading.Thread(target=self._read, args=(loop,), daemon=True).start()
        self.count += 1
        if self.count == announced:
            print("held", flush=True)
        await self.is_over.wait()
        return number

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        if sys.stdin.readline():
            loop.call_soon_threadsafe(self.is_over.set)


HELD = Held()


class Perspective(pb.Perspective):
    async def perspective_wait(self, number: int, announced: int) -> int:
        return await HELD.wait(number, announced)

    def perspective_echo(self, value: object) -> object:
        return value

    def detached(self, client: object, identity: cred.Identity) -> None:
        print("detached", flush=True)


class Root(pb.Root):
    async def remote_wait(self, number: int, announced: int) -> int:
        return await HELD.wait(number, announced)

    def remote_echo(self, value: object) -> object:
        return value


class Service(pb.Service):
    perspective_class = Perspective


application = pb.Application("served")
service = Service("main", application)
service.create_perspective("guest").make_identity(cred.PasswordHash.of("guest", iterations=4096))
application.limits = pb.Limits(idle_s=1.0, ping_after_s=0.25)
application.listen("pb://127.0.0.1:0")


async def serve() -> None:
    """Serve a root until told to stop, as a program does that uses no `pb run`."""
    async with pb.serve(Root(), "pb://127.0.0.1:0") as server:
        told = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
        print(f"it listens at {server.url}", flush=True)
        await told.wait()
        print("told", flush=True)
    print("closed", flush=True)


if __name__ == "__main__":
    asyncio.run(serve())
