"""What hooks cost: the CPU of an echo with hooks on both sides, as a multiple of that without, and in ns.

    python -m tests.bench.bench_hooks [--check] [--rounds N]

Server and client live in one process, over TCP on 127.0.0.1; CPU time of the process is taken, in rounds that
alternate, and what is compared are rounds made right after each other. So a slower machine changes nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import pb

_CALLS: Final = 2000  # of one round
# With 100 outstanding little but the library itself is paid for, and so hooks weigh the most.
_OUTSTANDING: Final = {"one outstanding": 1, "100 outstanding": 100}
# What unused hooks may cost: nothing, up to what rounds differ by.
_UNUSED: Final = 1.05


class Counting(pb.Hooks):
    """Counts the starts and the ends of calls: the least that a hook of calls does."""

    def __init__(self) -> None:
        self.started = self.ended = 0

    def call_started(self, call: pb.CallEvent) -> None:
        """Count."""
        self.started += 1

    def call_ended(self, call: pb.CallEvent) -> None:
        """Count."""
        self.ended += 1


class Meter(pb.Hooks):
    """Counts bytes only: calls are not told then."""

    def __init__(self) -> None:
        self.bytes = 0

    def bytes_received(self, connection: pb.Connection, count: int) -> None:
        """Count."""
        self.bytes += count


KINDS: Final[dict[str, Callable[[], pb.Hooks | None]]] = {
    "no hooks": lambda: None,
    "hooks that override nothing": pb.Hooks,
    "bytes counted": Meter,
    "starts and ends counted": Counting,
    "AuditLog into a list": lambda: pb.AuditLog([].append),
}


class _Echo(pb.Root):
    def remote_echo(self, text: str) -> str:
        """Return it."""
        return text


async def _call(root: Any, count: int) -> None:
    for _ in range(count):
        await root.echo("hello network")


async def _round(root: Any, outstanding: int) -> float:
    """Return the CPU seconds of one round."""
    began = time.process_time()
    await asyncio.gather(*(_call(root, _CALLS // outstanding) for _ in range(outstanding)))
    return time.process_time() - began


async def measure(rounds: int) -> dict[str, dict[str, tuple[float, float]]]:
    """Return what each kind of hooks costs, by how many calls are outstanding.

    That is its CPU time over that without, and the nanoseconds a call that it adds.
    """
    roots: dict[str, Any] = {}
    opened: list[Any] = []
    for name, make in KINDS.items():
        server = await pb.serve(_Echo(), "pb://127.0.0.1:0", hooks=make())
        connection = await pb.open_connection(server.url, hooks=make())
        opened += [connection, server]
        roots[name] = connection.root
    found: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in KINDS}
    for how, outstanding in _OUTSTANDING.items():
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in KINDS}
        for root in roots.values():
            await _round(root, outstanding)
        for _ in range(rounds):
            # Each right after one without, so that what else the machine does hits both.
            for name, root in roots.items():
                plain = await _round(roots["no hooks"], outstanding)
                taken[name].append((plain, await _round(root, outstanding)))
        for name, pairs in taken.items():
            ratio = statistics.median(with_hooks / plain for plain, with_hooks in pairs)
            added = statistics.median(with_hooks - plain for plain, with_hooks in pairs)
            found[name][how] = ratio, added / _CALLS * 1e9
    for each in opened:
        await each.close()
    return found


def main() -> int:
    """Measure, report, and give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_hooks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, metavar="N")
    parser.add_argument("--check", action="store_true", help="exit with 1 where unused hooks cost something")
    options = parser.parse_args()
    found = asyncio.run(measure(options.rounds))
    print(f"{'CPU of an echo, no hooks = 1.00':34}" + "".join(f"{how:>18}" for how in _OUTSTANDING))
    for name, costs in found.items():
        print(f"{name:34}" + "".join("{:8.2f} {:+6.0f} ns".format(*costs[how]) for how in _OUTSTANDING))
    worst = max(ratio for ratio, _ in found["hooks that override nothing"].values())
    if options.check and worst > _UNUSED:
        print(f"missed: hooks that override nothing cost {worst:.2f}, {_UNUSED} is promised")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
