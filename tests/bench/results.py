"""What a run found: every round as it was, and the medians and ratios that the report is made of."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.contestants import BY_NAME
from tests.bench.processes import Used

FLOOR = "floor"
US = "us"


def machine() -> dict[str, Any]:
    """Name what the figures depend on: processor, kernel, Python and the versions of all that took part."""
    model = platform.processor()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    versions = {"python": f"{platform.python_implementation()} {platform.python_version()}"}
    for distribution in ("msgpack", "uvloop", "twisted", "Pyro5", "rpyc", "grpcio", "aiohttp"):
        try:
            versions[distribution] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            pass
    return {
        "processor": model,
        "cpus": os.cpu_count(),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "versions": versions,
    }


@dataclass(slots=True)
class Results:
    """One run.

    Attributes:
        machine: what machine() said.
        placement: which processors the two sides had: one of processes.PLACEMENTS.
        rounds: by workload, then contestant: the rounds in the order they were made. The nth rounds of
            all contestants were made one right after the other.
        idle: by contestant: KiB per idle connection, client and server.
        instances: by kind of class: what instances.compared() found.
        cached_state: what cached_state.measure() found.
        unable: contestants that did not import, and why.
        failed: by workload, then contestant: what went wrong.
    """

    machine: dict[str, Any] = field(default_factory=machine)
    placement: str = "apart"
    rounds: dict[str, dict[str, list[Used]]] = field(default_factory=dict)
    idle: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    instances: dict[str, dict[str, float]] = field(default_factory=dict)
    cached_state: dict[str, int] = field(default_factory=dict)
    unable: dict[str, str] = field(default_factory=dict)
    failed: dict[str, dict[str, str]] = field(default_factory=dict)

    def contestants(self) -> list[str]:
        """List who has a figure, in the order of the tables."""
        took_part = set(self.idle).union(*self.rounds.values())
        return [name for name in BY_NAME if name in took_part]

    def speed(self, workload: str, name: str) -> float | None:
        """Give the median of operations per second, or None where there is no figure."""
        rounds = self.rounds.get(workload, {}).get(name)
        return 1e6 / median(used.wall_us for used in rounds) if rounds else None

    def cpu_us(self, workload: str, name: str) -> float | None:
        """Give the median of CPU microseconds per operation, both sides, or None."""
        rounds = self.rounds.get(workload, {}).get(name)
        return median(used.cpu_us for used in rounds) if rounds else None

    def cpu_us_of_sides(self, workload: str, name: str) -> tuple[float, float] | None:
        """Give the medians of CPU microseconds per operation, server and client, or None."""
        rounds = self.rounds.get(workload, {}).get(name)
        if not rounds:
            return None
        return (
            median(used.server_cpu_s / used.n for used in rounds) * 1e6,
            median(used.client_cpu_s / used.n for used in rounds) * 1e6,
        )

    def faster(self, workload: str, name: str, than: str) -> float | None:
        """Give how many times as fast as another this contestant is: the median over the rounds.

        Rounds are compared in pairs that were made at nearly the same moment, so that a machine that
        slows down for a while slows both.
        """
        return self._ratio(workload, name, than, "wall_us")

    def leaner(self, workload: str, name: str, than: str) -> float | None:
        """Give how many times the operations per CPU second of another this contestant does."""
        return self._ratio(workload, name, than, "cpu_us")

    def _ratio(self, workload: str, name: str, than: str, what: str) -> float | None:
        of = self.rounds.get(workload, {})
        mine, theirs = of.get(name), of.get(than)
        if not mine or not theirs:
            return None
        return median(getattr(b, what) / getattr(a, what) for a, b in zip(mine, theirs, strict=False))

    def idle_kib(self, name: str) -> tuple[float, float] | None:
        """Give the medians of KiB per idle connection, client and server, or None."""
        pairs = self.idle.get(name)
        if not pairs:
            return None
        return median(client for client, _ in pairs), median(server for _, server in pairs)

    def to_json(self) -> str:
        """Write all of it as JSON, with the medians and ratios beside the rounds they are made of."""
        summary = {
            workload: {
                name: {
                    "per_s": self.speed(workload, name),
                    "cpu_us": self.cpu_us(workload, name),
                    "times_floor": self.faster(workload, name, FLOOR),
                    "times_floor_cpu": self.leaner(workload, name, FLOOR),
                    "us_times": self.faster(workload, US, name),
                }
                for name in by_name
            }
            for workload, by_name in self.rounds.items()
        }
        return json.dumps({**asdict(self), "summary": summary}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Results:
        """Read what to_json() wrote."""
        found = json.loads(text)
        del found["summary"]
        found["rounds"] = {
            workload: {name: [Used(**used) for used in rounds] for name, rounds in by_name.items()}
            for workload, by_name in found["rounds"].items()
        }
        return cls(**found)
