"""One process of a contestant: ``python -m tests.bench.side server|client MODULE LOOP [PORT SERVER_PID]``.

Both sides speak JSON lines with the runner over stdin and stdout, and end when stdin does, so that
nothing outlives a runner that was killed.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

UNABLE = 3


def resident_kib() -> int:
    """Measure the resident memory of this process after a full collection."""
    gc.collect()
    # The counters behind statm and status are kept per CPU and may lag by hundreds of KiB.
    try:
        for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1])
    except OSError:
        pass
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def cpu_s_of(pid: int) -> float:
    """Read the CPU seconds that another process has used, all its threads included."""
    # The kernel's clock of a process counts nanoseconds; /proc/PID/stat only ticks of 10 ms, which
    # would be 5 % of a short round.
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def say(**message: object) -> None:
    """Write one JSON line to the runner."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class Round:
    """One round as the contestant sees it: what to do, and the stop-watch around the part that counts."""

    def __init__(self, workload: str, n: int, check: bool, server_pid: int) -> None:
        self.workload = workload
        self.n = n
        self.check = check
        self._server_pid = server_pid
        self._started: tuple[float, float, float] | None = None
        self._used: tuple[float, float, float] | None = None

    def _clocks(self) -> tuple[float, float, float]:
        return time.perf_counter(), time.process_time(), cpu_s_of(self._server_pid)

    def start(self) -> None:
        """Begin the timed part; garbage of earlier rounds is collected before."""
        gc.collect()
        self._started = self._clocks()

    def stop(self) -> None:
        """End the timed part."""
        assert self._started is not None
        ended = self._clocks()
        self._used = tuple(after - before for after, before in zip(ended, self._started, strict=True))

    def done(self) -> None:
        """Report to the runner, after whatever the contestant verified at the end of the timed part."""
        if self._used is None:
            say(kib=resident_kib())
        else:
            wall_s, client_cpu_s, server_cpu_s = self._used
            say(n=self.n, wall_s=wall_s, client_cpu_s=client_cpu_s, server_cpu_s=server_cpu_s)


def rounds_of(server_pid: int) -> Iterator[Round]:
    """Give the rounds that the runner orders, one line each, until it closes stdin."""
    # Reading blocks the contestant's loop on purpose: between its rounds a process shall cost nothing.
    for line in sys.stdin:
        order = json.loads(line)
        yield Round(order["workload"], order["n"], order.get("check", False), server_pid)


def _answer_memory() -> None:
    for _ in sys.stdin:
        say(kib=resident_kib())
    os._exit(0)


def main() -> None:
    """Run one side until the runner closes stdin."""
    side, module, loop, *rest = sys.argv[1:]
    try:
        contestant = importlib.import_module(f"tests.bench.contestants.{module}")
    except ImportError as error:
        say(unable=str(error))
        sys.exit(UNABLE)
    try:
        if side == "server":
            # A thread that sits in a read costs nothing while nobody asks.
            threading.Thread(target=_answer_memory, daemon=True).start()
            contestant.serve(loop, lambda port: say(port=port))
        else:
            port, server_pid = map(int, rest)
            say(workloads=sorted(contestant.WORKLOADS))
            contestant.drive(loop, port, rounds_of(server_pid))
    except Exception as error:
        traceback.print_exc()
        say(failed=f"{type(error).__name__}: {error}")
    # Threads of a peer's pools must not keep the process.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
