"""What is measured: the workloads, their sizes, and the ratios this project promises to keep.

A contestant knows workloads by name only; how long a round lasts is the runner's business.
"""

from __future__ import annotations

from dataclasses import dataclass

OUTSTANDING = 100
CONNECTIONS = 50
OUTSTANDING_EACH = 10

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
        least: a round never has fewer operations, or what the workload says would not be true of it.
        target: the promised ratio to the uvloop floor of the same run; for ``idle`` the promised KiB.
    """

    name: str
    title: str
    least: int
    target: float


WORKLOADS = (
    Workload("sequential", "one outstanding", 20, 0.85),
    Workload("outstanding", f"{OUTSTANDING} outstanding", 2 * OUTSTANDING, 0.8),
    Workload("dicts", "1,000 dicts", 1, 0.8),
    Workload("bytes", "1 MiB bytes", 2, 1.5),
    Workload("callbacks", "callbacks", 2 * OUTSTANDING, 0.7),
    Workload("references", "references", 2 * OUTSTANDING, 0.6),
    # Last of the timed ones: what its connections leave on the heap must not weigh on the others.
    Workload("connections", f"{CONNECTIONS} x {OUTSTANDING_EACH}", CONNECTIONS * OUTSTANDING_EACH, 0.7),
    Workload("idle", "KiB per idle connection", 0, 10.0),
)
BY_NAME = {workload.name: workload for workload in WORKLOADS}
TIMED = tuple(workload for workload in WORKLOADS if workload.name != "idle")


def shares(n: int, workers: int) -> list[int]:
    """Divide n operations among at most that many workers, as evenly as can be."""
    each, more = divmod(n, workers)
    return [share for share in (each + (i < more) for i in range(workers)) if share]
