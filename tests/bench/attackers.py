"""What one attacker costs everybody else: `python -m tests.bench.attackers`.

A server, a client and an attacker are processes of their own. The client makes one small call after another;
its 99th percentile is taken in rounds, without and with the attacker by turns, in one run. What the attacker
adds is the median of the rounds with it less the median of those without; the machine's own noise is what the
rounds without it differ among themselves. Exit status 1 when an attack adds more than 20 ms beyond the noise.

The attacker runs at low priority: it stands for another machine, and must not win by using up this one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import msgpack

import pb

MOST_MS = 20.0
NO_ARGUMENTS = msgpack.packb([[], {}])


class Target(pb.Root):
    """What is attacked."""

    def remote_echo(self, value: object) -> object:
        return value

    def remote_big(self) -> bytes:
        return bytes(100_000)

    async def remote_wait(self) -> None:
        await asyncio.Event().wait()

    async def remote_rows(self):  # type: ignore[no-untyped-def]
        while True:
            yield bytes(1000)
            await asyncio.sleep(0)


def frame(message: object) -> bytes:
    body = msgpack.packb(message)
    return len(body).to_bytes(4, "big") + body


def flood(first: int) -> bytes:
    """As many small calls as fit."""
    one = msgpack.packb([["x"], {}])
    return b"".join(frame([1, first + n, 0, "echo", one]) for n in range(1000))


def cancels(first: int) -> bytes:
    """Calls that are taken back at once."""
    return b"".join(
        frame([1, first + n, 0, "wait", NO_ARGUMENTS]) + frame([4, first + n]) for n in range(1000)
    )


def unknown(first: int) -> bytes:
    """Calls of what is not there; the connection is closed for it, and made again."""
    return b"".join(frame([1, first + n, 99, "echo", NO_ARGUMENTS]) for n in range(1000))


def pings(first: int) -> bytes:
    """Signs of life without end; likewise."""
    return b"".join(frame([13, n]) for n in range(1000))


def big(first: int) -> bytes:
    """Much that is asked for and not read."""
    return b"".join(frame([1, first + n, 0, "big", NO_ARGUMENTS]) for n in range(100))


RAW: dict[str, tuple[Callable[[int], bytes], bool]] = {
    "flood of calls": (flood, True),
    "storm of cancels": (cancels, True),
    "calls of nothing": (unknown, True),
    "flood of pings": (pings, True),
    "slow reader": (big, False),
}
ATTACKS = [*RAW, "streams never closed"]


async def attack(name: str, url: str) -> None:
    """Attack until killed; a connection that is closed is made again."""
    if name not in RAW:
        while True:
            await hoard_streams(url)
    make, reads = RAW[name]
    host, port = url.removeprefix("pb://").split(":")
    while True:
        reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 20)
        reading = asyncio.create_task(swallow(reader)) if reads else None
        try:
            writer.write(frame([0, "PB", 1, {"max_frame": 1 << 20, "max_calls": 100_000}]))
            first = 1
            while True:
                writer.write(make(first))
                first += 1000
                await asyncio.wait_for(writer.drain(), None if reads else 2)
        except (OSError, TimeoutError):
            writer.transport.abort()
        if reading is not None:
            await reading


async def swallow(reader: asyncio.StreamReader) -> None:
    """Read all there is, for nothing."""
    try:
        while await reader.read(1 << 20):
            pass
    except OSError:
        pass


async def hoard_streams(url: str) -> None:
    """Have as many streams as the server gives, take a little of each, and close none."""
    connection = await pb.open_connection(url)
    streams = []
    try:
        while True:
            stream = connection.root.rows()
            streams.append(stream)
            await anext(aiter(stream))
    except Exception:  # one stream too many: go on with those there are
        while connection.is_open:
            for stream in streams:
                try:
                    await anext(aiter(stream))
                except Exception:
                    await asyncio.sleep(0.01)


async def p99_ms(root: object, seconds: float) -> float:
    """Return the 99th percentile of one small call after another."""
    echo = root.echo  # type: ignore[attr-defined]
    times = []
    until = time.perf_counter() + seconds
    while (began := time.perf_counter()) < until:
        await echo("x")
        times.append(time.perf_counter() - began)
        await asyncio.sleep(0.0005)
    return 1000 * statistics.quantiles(times, n=100)[98]


async def measure(url: str, seconds: float, rounds: int, chosen: list[str]) -> int:
    """Print what each attack adds; return how many add too much."""
    failed = 0
    async with pb.open_connection(url) as connection:
        await p99_ms(connection.root, seconds)
        print(f"{'attack':22}{'alone':>10}{'attacked':>10}{'noise':>9}{'added':>9}   ms, p99")
        for name in chosen:
            alone, attacked = [], []
            for _ in range(rounds):
                alone.append(await p99_ms(connection.root, seconds))
                command = [sys.executable, "-m", "tests.bench.attackers", "--attack", name, url]
                attacker = await asyncio.create_subprocess_exec(*command, stderr=subprocess.DEVNULL)
                try:
                    await asyncio.sleep(1)  # it starts
                    attacked.append(await p99_ms(connection.root, seconds))
                finally:
                    attacker.kill()
                    await attacker.wait()
                await asyncio.sleep(0.3)
            noise = max(alone) - min(alone)
            added = statistics.median(attacked) - statistics.median(alone)
            is_kept = added - noise < MOST_MS
            failed += not is_kept
            print(
                f"{name:22}{statistics.median(alone):10.2f}{statistics.median(attacked):10.2f}{noise:9.2f}"
                f"{added:9.2f}   {'kept' if is_kept else 'MISSED'}"
            )
    return failed


async def serve() -> None:
    """Be attacked, until stdin ends."""
    async with pb.serve(Target(), "pb://127.0.0.1:0") as server:
        print(server.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


def main() -> int:
    """Measure, report, and give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.attackers", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=ATTACKS)
    parser.add_argument("--attack", help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("url", nargs="?", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return 0
    if options.attack:
        os.nice(10)
        asyncio.run(attack(options.attack, options.url))
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.attackers", "--serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with server:
        assert server.stdout is not None and server.stdin is not None
        url = server.stdout.readline().strip()
        failed = asyncio.run(measure(url, options.seconds, options.rounds, options.only or ATTACKS))
        server.kill()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
