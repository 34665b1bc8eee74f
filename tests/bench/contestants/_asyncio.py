"""The workloads for contestants that run on asyncio, written once.

A contestant's client derives from `Client` and makes its calls itself, so that no layer of ours
stands between the loop that counts and the call that is counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from tests.bench.contestants._tally import Tally
from tests.bench.workloads import (
    CHANGES_AHEAD,
    CONNECTIONS,
    DICTS,
    MEBIBYTE,
    OBSERVERS,
    OUTSTANDING,
    OUTSTANDING_EACH,
    TEXT,
    shares,
)

VALUES: dict[str, Any] = {"dicts": DICTS, "bytes": MEBIBYTE}
OPENED_AT_ONCE = 50


def new_loop(name: str) -> asyncio.AbstractEventLoop:
    """Make the event loop of that name; uvloop is imported only when it is wanted."""
    if name == "uvloop":
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


def run_for_ever(name: str, start: Callable[[], Awaitable[object]]) -> None:
    """Run start() on the loop of that name, then the loop until the process ends."""
    with asyncio.Runner(loop_factory=lambda: new_loop(name)) as runner:

        async def forever() -> None:
            kept = await start()
            await asyncio.Event().wait()
            del kept

        runner.run(forever())


class Client:
    """One connection to the server. Methods that a contestant has no use for stay unwritten."""

    async def open(self, port: int) -> None:
        """Connect."""
        raise NotImplementedError

    async def echo(self, value: object, n: int) -> object:
        """Call echo n times, one after the other, and return the last answer."""
        raise NotImplementedError

    async def callbacks(self, n: int) -> int:
        """Have the server call back n times; return the sum of the numbers 0..n-1 that it sent."""
        raise NotImplementedError

    async def references(self, n: int) -> None:
        """Call make n times, one after the other, dropping each new reference at once."""
        raise NotImplementedError

    async def distinct_references(self, n: int) -> int:
        """Call make n times, keep all, return how many different references came; then drop them."""
        raise NotImplementedError

    async def held(self) -> tuple[int, int]:
        """Count the references to made objects that this side and the server still have on their tables."""
        raise NotImplementedError

    async def observe(self, tally: Tally) -> None:
        """Observe the server's one number from here on; call tally.take() with whatever this side is told."""
        raise NotImplementedError

    async def change(self, number: int) -> None:
        """Have the server change its number and tell all who observe it."""
        raise NotImplementedError

    def told(self) -> int:
        """Return the number that this observer was told last."""
        raise NotImplementedError


async def workers(call: Callable[[int], Awaitable[object]], n: int, at_once: int) -> None:
    """Do n operations with that many outstanding: call(share) for each of so many tasks."""
    await asyncio.gather(*[call(share) for share in shares(n, at_once)])


async def outstanding(call: Callable[[int], Awaitable[object]], n: int) -> None:
    """Call back with 0..n-1, keeping OUTSTANDING calls on their way: the server's half of callbacks."""
    numbers = iter(range(n))

    async def worker() -> None:
        for number in numbers:
            await call(number)

    await asyncio.gather(*[worker() for _ in range(OUTSTANDING)])


class FanOut:
    """Connections that observe one number of the server, and the changes they are told of."""

    def __init__(self, observers: list[Client], tally: Tally) -> None:
        self._observers = observers
        self._tally = tally

    async def work(self, n: int, ahead: int, client: Client) -> None:
        """Make n deliveries, with so many changes on their way at once: the timed part, and nothing else."""
        tally, new_future = self._tally, asyncio.get_running_loop().create_future

        async def change(share: int) -> None:
            for _ in range(share):
                complete = new_future()
                await client.change(tally.expect(complete.set_result))
                await complete

        assert n % OBSERVERS == 0, f"{n} deliveries are no whole changes"
        await workers(change, n // OBSERVERS, ahead)

    def check(self) -> None:
        """See that everybody was told of the last change, and last of it."""
        self._tally.check([observer.told() for observer in self._observers])


class Driver:
    """Does the rounds of one contestant: the connections it has open, and the one that most rounds use."""

    def __init__(self, new: Callable[[], Client], port: int) -> None:
        self._new = new
        self._port = port
        self._first: Client | None = None
        self._many: list[Client] = []
        self._idle: list[Client] = []
        self._fan_out: FanOut | None = None

    async def opened(self, n: int) -> list[Client]:
        """Open n connections and make one call on each."""
        clients = [self._new() for _ in range(n)]
        for i in range(0, n, OPENED_AT_ONCE):
            # Never more than the server has accepted: a listener whose backlog overflows costs a second.
            some = clients[i : i + OPENED_AT_ONCE]
            await asyncio.gather(*[client.open(self._port) for client in some])
            answers = await asyncio.gather(*[client.echo(TEXT, 1) for client in some])
            assert set(answers) == {TEXT}, "echo answered another value"
        return clients

    async def idle(self, n: int) -> None:
        """Open n connections and keep them."""
        self._idle += await self.opened(n)
        # Time for what the last answers left to do, so that it is not counted as memory in use.
        await asyncio.sleep(0.2)

    async def round(self, order: Any) -> None:
        """Do one round."""
        if order.workload == "idle":
            await self.idle(order.n)
            return
        if self._first is None:
            [self._first] = await self.opened(1)
        if order.workload == "connections" and not self._many:
            self._many = await self.opened(CONNECTIONS)
        if order.workload.startswith("fan-out"):
            await self.fan_out(order, self._first)
            return
        if order.check:
            await self.check(order, self._first)
            return
        async with timed(order):
            await self.work(order.workload, order.n, self._first)
        if order.workload == "references":
            await empty(self._first)

    async def work(self, workload: str, n: int, client: Client) -> None:
        """Do n operations: the timed part, and nothing else."""
        match workload:
            case "sequential":
                await client.echo(TEXT, n)
            case "dicts" | "bytes":
                await client.echo(VALUES[workload], n)
            case "outstanding":
                await workers(lambda share: client.echo(TEXT, share), n, OUTSTANDING)
            case "connections":
                calls = [
                    other.echo(TEXT, share)
                    for other, part in zip(self._many, shares(n, CONNECTIONS), strict=True)
                    for share in shares(part, OUTSTANDING_EACH)
                ]
                await asyncio.gather(*calls)
            case "callbacks":
                total = await client.callbacks(n)
                assert total == n * (n - 1) // 2, f"the callbacks brought {total}"
            case "references":
                await workers(client.references, n, OUTSTANDING)
            case _:
                raise ValueError(f"no workload {workload!r}")

    async def fan_out(self, order: Any, client: Client) -> None:
        """Do a round of changes, which are asked for on a connection of their own."""
        if self._fan_out is None:
            observers, tally = await self.opened(OBSERVERS), Tally(OBSERVERS)
            await asyncio.gather(*[observer.observe(tally) for observer in observers])
            self._fan_out = FanOut(observers, tally)
        ahead = CHANGES_AHEAD if order.workload == "fan-out-ahead" else 1
        if order.check:
            await self._fan_out.work(5 * OBSERVERS * ahead, ahead, client)
        else:
            async with timed(order):
                await self._fan_out.work(order.n, ahead, client)
        self._fan_out.check()

    async def check(self, order: Any, client: Client) -> None:
        """See that the answers are right."""
        if order.workload == "callbacks":
            await self.work("callbacks", 1000, client)
        elif order.workload == "references":
            distinct = await client.distinct_references(250)
            assert distinct == 250, f"250 calls gave {distinct} references"
            await empty(client)
        else:
            value = VALUES.get(order.workload, TEXT)
            for other in self._many if order.workload == "connections" else [client]:
                answer = await other.echo(value, 1)
                assert type(answer) is type(value), f"echo answered {type(answer)}"
                assert answer == value, "echo answered another value"


@asynccontextmanager
async def timed(order: Any) -> AsyncIterator[None]:
    """Put the stop-watch around the body."""
    order.start()
    yield
    order.stop()


async def empty(client: Client) -> None:
    """Wait until neither side has a made object on its tables; raise when they do not empty."""
    for _ in range(100):
        held = await client.held()
        if held == (0, 0):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"references still held (here, there): {held}")


def drive_rounds(loop: str, new: Callable[[], Client], port: int, rounds: Iterable[Any]) -> None:
    """Do every round on one loop, which stands still between them."""
    driver = Driver(new, port)
    with asyncio.Runner(loop_factory=lambda: new_loop(loop)) as runner:
        for order in rounds:
            runner.run(driver.round(order))
            order.done()
