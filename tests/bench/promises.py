"""What this project promises, and what a run shows of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.contestants import BY_NAME
from tests.bench.results import FLOOR, US, Results
from tests.bench.workloads import WORKLOADS, Workload


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise.

    Attributes:
        what: of which workload, compared with what.
        measured: what the run shows; None where it shows nothing.
        bound: what is promised.
        is_least: whether the bound is the least that is promised, or the most.
        excuse: why nothing was measured, where that breaks no promise.
    """

    what: str
    measured: float | None
    bound: float
    is_least: bool
    excuse: str = ""

    @property
    def is_kept(self) -> bool:
        """Whether the run shows the promise kept."""
        if self.measured is None:
            return bool(self.excuse)
        return self.measured >= self.bound if self.is_least else self.measured <= self.bound


def promises(results: Results, names: set[str]) -> list[Promise]:
    """List what is promised about the workloads of these names."""
    return [
        promise
        for workload in WORKLOADS
        if workload.name in names
        for promise in _promises_of(workload, results)
    ]


def _promises_of(workload: Workload, results: Results) -> Iterator[Promise]:
    title, target = workload.title, workload.target
    if workload.is_timed:
        ratio = results.faster(workload.name, US, FLOOR)
        yield Promise(f"{title}: times {BY_NAME[FLOOR].title}", ratio, target, True)
        for name, times in workload.times.items():
            # Who is not installed, or not wanted in this run, shows nothing, for or against.
            took_part = name in results.contestants() or name in results.failed.get(workload.name, {})
            excuse = "" if took_part else f"{BY_NAME[name].title} took no part"
            ratio = results.faster(workload.name, US, name)
            yield Promise(f"{title}: times {BY_NAME[name].title}", ratio, times, True, excuse)
    elif workload.name == "idle":
        sides = results.idle_kib(US)
        yield Promise(f"{title}: the larger side", max(sides) if sides else None, target, False)
    elif workload.name == "instances":
        for kind, compared in results.instances.items() or [("any class", None)]:
            ratio = compared["ratio"] if compared else None
            yield Promise(f"{title}, {kind}: CPU, times pickle", ratio, target, False)
    else:
        yield Promise(f"{title}: bytes", results.cached_state.get("second_bytes"), target, False)
