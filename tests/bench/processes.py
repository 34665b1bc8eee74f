"""The two processes of a contestant, and the orders the runner gives them."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.bench.contestants import Contestant

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0


PLACEMENTS = ("apart", "together", "free")


def processors(placement: str) -> tuple[set[int], set[int]] | None:
    """Divide this machine's processors between server and client; None leaves it to the scheduler.

    A message that wakes a process on another processor takes two or three times as long as one that does
    not, and the scheduler prefers now this, now that, depending on what else runs. So it is decided here,
    for all contestants alike, or ratios with one call outstanding would be those of two placements.
    """
    if placement == "free" or not hasattr(os, "sched_getaffinity"):
        return None
    cpus = sorted(os.sched_getaffinity(0))
    if placement == "together":
        return {cpus[-1]}, {cpus[-1]}
    if len(cpus) < 2:
        return None
    half = len(cpus) // 2
    return set(cpus[:half]), set(cpus[half:])


class Unable(Exception):
    """The contestant cannot take part here; the message is the reason."""


class Failed(Exception):
    """A side broke, or answered wrongly; the message says what it said."""


@dataclass(frozen=True, slots=True)
class Used:
    """What one round took.

    Attributes:
        n: the operations done.
        wall_s: seconds by the clock, as the client saw them.
        client_cpu_s: CPU seconds of the client's process.
        server_cpu_s: CPU seconds of the server's process.
    """

    n: int
    wall_s: float
    client_cpu_s: float
    server_cpu_s: float

    @property
    def wall_us(self) -> float:
        """Microseconds by the clock per operation."""
        return self.wall_s / self.n * 1e6

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU per operation, both sides together."""
        return (self.client_cpu_s + self.server_cpu_s) / self.n * 1e6


def environment() -> dict[str, str]:
    """Return the environment in which a process of ours finds this package, wherever it was started."""
    path = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def alone(module: str, *args: str, patience_s: float = 5 * PATIENCE_S) -> dict[str, Any]:
    """Run a module of this package that measures by itself, with nothing beside it; return its JSON.

    Raises:
        Failed: it broke, or took too long.
    """
    command = [sys.executable, "-m", f"tests.bench.{module}", "--json", *args]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=patience_s, env=environment(), cwd=REPOSITORY, text=True
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"{module} took more than {patience_s:.0f} s") from None
    if done.returncode:
        raise Failed(f"{module}: {(done.stderr.strip().splitlines() or ['(no message)'])[-1]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class Side:
    """One process; it ends with us, or by close()."""

    def __init__(self, cpus: set[int] | None, *args: str) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.side", *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment(),
            cwd=REPOSITORY,
        )
        self.pid = self._process.pid
        if cpus is not None:
            # Long before the interpreter is up, let alone starts threads, which inherit it.
            os.sched_setaffinity(self.pid, cpus)
        self._name = " ".join(args[:2])

    def tell(self, order: dict[str, object]) -> None:
        """Give the process an order."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Failed(f"{self._name} is gone: {self._last_words()}") from None

    def hear(self, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """Wait for the next line that the process says.

        Raises:
            Unable: the contestant does not import.
            Failed: the process broke, ended or said nothing for so long.
        """
        # A side never says two lines unasked, so nothing can hide from select() in a read buffer.
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], patience_s)
        if not ready:
            raise Failed(f"{self._name} said nothing for {patience_s:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise Failed(f"{self._name} ended: {self._last_words()}")
        said: dict[str, Any] = json.loads(line)
        if "unable" in said:
            raise Unable(said["unable"])
        if "failed" in said:
            raise Failed(f"{self._name}: {said['failed']}\n{self._last_words()}")
        return said

    def _last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-2000:].decode(errors="replace").strip() or "(no message)"

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            try:
                if stream is not None:
                    stream.close()
            except BrokenPipeError:
                pass  # an order that a process which is gone never read


class Pair:
    """A server and a client of one contestant, connected.

    Attributes:
        workloads: the names of those it can do.
    """

    def __init__(self, contestant: Contestant, placement: str = "apart") -> None:
        here, there = processors(placement) or (None, None)
        self._server = Side(there, "server", contestant.module, contestant.loop)
        self._client: Side | None = None
        try:
            port = self._server.hear()["port"]
            where = str(port), str(self._server.pid)
            self._client = Side(here, "client", contestant.module, contestant.loop, *where)
            self.workloads = frozenset(self._client.hear()["workloads"])
        except BaseException:
            self.close()
            raise

    def _ask(self, workload: str, n: int, check: bool) -> dict[str, Any]:
        assert self._client is not None
        self._client.tell({"workload": workload, "n": n, "check": check})
        return self._client.hear()

    def check(self, workload: str) -> None:
        """Have the results of a workload compared; raise Failed when they are wrong."""
        self._ask(workload, 1, True)

    def round(self, workload: str, n: int) -> Used:
        """Do n operations of a workload."""
        return Used(**self._ask(workload, n, False))

    def open_idle(self, n: int) -> tuple[int, int]:
        """Open n further connections; return the resident KiB of the client and of the server then."""
        client_kib = self._ask("idle", n, False)["kib"]
        self._server.tell({})
        return client_kib, self._server.hear()["kib"]

    def close(self) -> None:
        """End both processes."""
        for side in (self._client, self._server):
            if side is not None:
                side.close()
