"""Whether thousands of connections leave anything behind: ``python -m tests.bench.soak [--cycles N]``.

A cycle is connect, login, attach, a cache and its updates, references both ways, a call left unanswered, and
an end, each time another: closed by the client, aborted, everything dropped first. After a warm-up, and after
all cycles, everything in the process is counted: objects by type, tasks, open files, memory. What there is
more of is printed, and makes the exit status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import sys
import time

import cred
import jelly
import pb
from pb.testing import Census

USER, PASSWORD = "guest", "a pass phrase nobody guesses"
MOST_RSS = 5 * 1024 * 1024
WARM_UP = 100


class Board(pb.Cacheable, pb.RemoteCache):
    """A cache that is changed in each cycle."""

    n: int

    def __init__(self) -> None:
        self.n = 0
        self.observers = pb.Observers()

    def get_state_to_cache_and_observe_for(self, perspective: object, observer: pb.RemoteReference) -> object:
        self.observers.add(observer)
        return {"n": self.n}

    def stopped_observing(self, perspective: object, observer: pb.RemoteReference) -> None:
        self.observers.discard(observer)

    def set_n(self, n: int) -> None:
        self.n = n
        self.observers.send("set_n", n)

    def observe_set_n(self, n: int) -> None:
        self.n = n


class Thing(pb.Referenceable):
    def remote_do(self, n: int) -> int:
        return n


class User(pb.Perspective):
    service: Service

    def perspective_board(self) -> Board:
        return self.service.board

    def perspective_set(self, n: int) -> None:
        self.service.board.set_n(n)

    def perspective_thing(self) -> Thing:
        return Thing()

    async def perspective_back(self, callback: pb.RemoteReference, n: int) -> object:
        return await callback.do(n)

    async def perspective_wait(self) -> None:
        await asyncio.Event().wait()

    def attached(self, client: object, identity: cred.Identity) -> None:
        self.service.present += 1

    def detached(self, client: object, identity: cred.Identity) -> None:
        self.service.present -= 1


class Service(pb.Service):
    perspective_class = User

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.board = Board()
        self.present = 0


REGISTRY = jelly.Registry()
REGISTRY.add(Board, "soak.Board")


async def cycle(url: str, number: int) -> None:
    """Come, do something of everything, and leave in one of four ways."""
    connection = await pb.open_connection(url, registry=REGISTRY)
    identity = await connection.login(USER, PASSWORD)
    user = await identity.attach("main", client=Thing())
    board = await user.board()
    await user.set(number)
    assert number == board.n, "an update comes before the answer that follows it"
    thing = await user.thing()
    assert [number, number] == await asyncio.gather(thing.do(number), user.back(Thing(), number))
    unanswered = user.wait()
    how = number % 4
    if how == 0:
        unanswered.cancel()
        await asyncio.gather(unanswered, return_exceptions=True)
        await connection.close()
    elif how == 1:
        connection.abort()
    elif how == 2:
        unanswered.cancel()
        del identity, user, board, thing
        await connection.close()
    else:
        await identity.logout()
        connection.abort()
    await connection.wait_closed()
    await asyncio.gather(unanswered, return_exceptions=True)


async def soak(url: str, cycles: int, warm_up: int = WARM_UP, tolerance: int = 0) -> dict[str, int]:
    """Run so many cycles after a warm-up; return what there is more of than before, beyond the tolerance."""
    application = pb.Application("soak")
    service = Service("main", application)
    password = cred.PasswordHash.of(PASSWORD, iterations=4096)
    service.create_perspective(USER).make_identity(password)
    application.registry = REGISTRY
    application.listen(url)
    async with application.running() as servers:
        where = servers[0].url
        before = None
        for number in range(warm_up + cycles):
            if number == warm_up:
                await quiet(servers, service)
                before = Census.take()
            await cycle(where, number)
        await quiet(servers, service)
        assert before is not None
        return Census.take().growth_since(before, tolerance=tolerance, rss_bytes=MOST_RSS)


async def quiet(servers: list[pb.Server], service: Service) -> None:
    """Wait until the server has seen the last of them go."""
    async with asyncio.timeout(10):
        while servers[0]._places or service.present or len(service.board.observers):
            gc.collect()
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)  # transports that have told of their end are closed in the next turn


def main() -> int:
    """Soak, tell, and give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument("--cycles", type=int, default=2_000)
    parser.add_argument("--url", default="pb://127.0.0.1:0", help="where to listen (default: %(default)s)")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    began = time.process_time()
    grown = asyncio.run(soak(options.url, options.cycles))
    cpu_ms = (time.process_time() - began) * 1000 / (options.cycles + WARM_UP)
    print(f"{options.cycles} cycles over {options.url}, {cpu_ms:.1f} ms of CPU each, client and server")
    for name, count in sorted(grown.items(), key=lambda item: -item[1]):
        print(f"  {count:+} {name}")
    print("left behind: " + ("nothing" if not grown else f"{len(grown)} kinds of things"))
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
