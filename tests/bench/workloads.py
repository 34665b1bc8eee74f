"""What is measured: the workloads, their sizes, and the ratios this project promises to keep.

A contestant knows workloads by name only; how long a round lasts is the runner's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

OUTSTANDING = 100
CONNECTIONS = 50
OUTSTANDING_EACH = 10
OBSERVERS = 100
CHANGES_AHEAD = 10

TEXT = "hello network"
DICTS = [
    {"id": i, "name": f"name {i}", "price": i * 1.25, "sold": i % 2 == 0, "note": None} for i in range(1000)
]
MEBIBYTE = bytes(range(256)) * 4096


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of work, counted in operations.

    Attributes:
        name: the word the command line, the processes and the JSON use.
        title: the heading of its column.
        least: a round has a multiple of so many operations; with fewer it would not be what its name says.
        target: what is promised: for a timed one the least ratio to the uvloop floor of the same run,
            for the others the most of what they measure.
        times: further promises: by contestant, how many times as fast as that one.
        is_timed: whether contestants do it in rounds; the others are measured after all rounds.
    """

    name: str
    title: str
    least: int
    target: float
    times: Mapping[str, float] = field(default_factory=dict)
    is_timed: bool = True


WORKLOADS = (
    Workload("sequential", "one outstanding", 20, 0.85),
    Workload("outstanding", f"{OUTSTANDING} outstanding", 2 * OUTSTANDING, 0.8),
    Workload("dicts", "1,000 dicts", 1, 0.8),
    Workload("bytes", "1 MiB bytes", 2, 1.5),
    Workload("callbacks", "callbacks", 2 * OUTSTANDING, 0.7),
    Workload("references", "references", 2 * OUTSTANDING, 0.6),
    # Last of the timed ones: what its connections leave on the heap must not weigh on the others.
    Workload("connections", f"{CONNECTIONS} x {OUTSTANDING_EACH}", CONNECTIONS * OUTSTANDING_EACH, 0.7),
    Workload("fan-out", f"fan-out to {OBSERVERS}", OBSERVERS, 0.8, {"twisted": 4.0}),
    Workload(
        "fan-out-ahead",
        f"fan-out, {CHANGES_AHEAD} in flight",
        2 * OBSERVERS * CHANGES_AHEAD,
        0.8,
        {"twisted": 4.0},
    ),
    Workload("idle", "KiB per idle connection", 0, 10.0, is_timed=False),
    Workload("instances", "1,000 instances", 0, 1.6, is_timed=False),
    Workload("cached-state", "a cached 1 MB state, sent again", 0, 99.0, is_timed=False),
)
BY_NAME = {workload.name: workload for workload in WORKLOADS}
TIMED = tuple(workload for workload in WORKLOADS if workload.is_timed)
FAN_OUT = tuple(workload for workload in TIMED if workload.name.startswith("fan-out"))


def shares(n: int, workers: int) -> list[int]:
    """Divide n operations among at most that many workers, as evenly as can be."""
    each, more = divmod(n, workers)
    return [share for share in (each + (i < more) for i in range(workers)) if share]
