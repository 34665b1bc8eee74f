"""The rounds: every contestant in turn, again and again, so that all meet the same weather."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.contestants import BY_NAME, Contestant
from tests.bench.processes import Failed, Pair, Unable, alone
from tests.bench.results import US, Results
from tests.bench.workloads import Workload

WARM_CONNECTIONS = 300


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure.

    Attributes:
        rounds: rounds of each timed workload.
        round_s: about how long a round lasts.
        idle_rounds: fresh pairs of processes per contestant for the memory of idle connections.
        idle_connections: connections to divide the growth by.
        is_quick: whether what measures alone does so in short.
        placement: which processors the two sides get: one of processes.PLACEMENTS.
    """

    rounds: int
    round_s: float
    idle_rounds: int
    idle_connections: int
    is_quick: bool = False
    placement: str = "apart"


FULL = Plan(rounds=9, round_s=0.3, idle_rounds=3, idle_connections=600)
QUICK = Plan(rounds=3, round_s=0.1, idle_rounds=1, idle_connections=500, is_quick=True)


def to_stderr(line: str) -> None:
    """Show progress: one line each, so that a log reads as well as a terminal."""
    print(line, file=sys.stderr, flush=True)


class Runner:
    """One run over some contestants and workloads."""

    def __init__(self, plan: Plan, show: Callable[[str], None] = to_stderr) -> None:
        self._plan = plan
        self._show = show
        self._pairs: dict[str, Pair] = {}
        self._able: dict[str, frozenset[str]] = {}
        self.results = Results(placement=plan.placement)

    def run(self, names: Sequence[str], workloads: Sequence[Workload]) -> Results:
        """Measure, and give what was found, also when a contestant broke on the way."""
        wanted = {workload.name for workload in workloads}
        try:
            for name in names if wanted - {"instances", "cached-state"} else ():
                self._start(BY_NAME[name])
            for workload in workloads:
                if workload.is_timed:
                    self._time(workload)
        finally:
            for pair in self._pairs.values():
                pair.close()
        # Fresh processes, and no others beside them: a heap that has already been large grows by less.
        if "idle" in wanted:
            for name in self._pairs:
                if "idle" in self._able[name]:
                    self._idle(BY_NAME[name])
        if "instances" in wanted:
            self.results.instances = self._alone("instances")
        if "cached-state" in wanted:
            self.results.cached_state = self._alone("cached_state")
        return self.results

    def _alone(self, module: str) -> dict[str, Any]:
        self._show(f"{module.replace('_', ' ')}: by itself")
        try:
            return alone(module, *(["--quick"] if self._plan.is_quick else []))
        except Failed as failure:
            self.results.failed.setdefault(module, {})[US] = str(failure)
            self._show(f"{module} FAILED: {failure}")
            return {}

    def _start(self, contestant: Contestant) -> None:
        try:
            pair = Pair(contestant, self._plan.placement)
        except Unable as reason:
            self.results.unable[contestant.name] = str(reason)
            self._show(f"{contestant.title}: left out: {reason}")
        except Failed as failure:
            self._failed("start", contestant.name, failure)
        else:
            self._pairs[contestant.name] = pair
            self._able[contestant.name] = pair.workloads

    def _failed(self, workload: str, name: str, failure: Failed) -> None:
        self.results.failed.setdefault(workload, {})[name] = str(failure)
        self._show(f"{workload}: {BY_NAME[name].title} FAILED: {failure}")

    def _replace(self, name: str) -> None:
        # What is left of a contestant that failed must not spoil its next workload.
        self._pairs.pop(name).close()
        self._start(BY_NAME[name])

    def _time(self, workload: Workload) -> None:
        n_of: dict[str, int] = {}
        for name in list(self._pairs):
            if workload.name in self._able[name]:
                try:
                    self._pairs[name].check(workload.name)
                    n_of[name] = self._calibrated(name, workload)
                except Failed as failure:
                    self._failed(workload.name, name, failure)
                    self._replace(name)
        self._show(f"{workload.title}: {len(n_of)} contestants answer rightly")
        found = self.results.rounds[workload.name] = {name: [] for name in n_of}
        for number in range(self._plan.rounds):
            # To and fro, so that nobody always comes after the same other.
            for name in list(n_of)[:: -1 if number % 2 else 1]:
                try:
                    found[name].append(self._pairs[name].round(workload.name, n_of[name]))
                except Failed as failure:
                    self._failed(workload.name, name, failure)
                    del n_of[name], found[name]
                    self._replace(name)
            self._show(f"{workload.title}: round {number + 1} of {self._plan.rounds}")

    def _calibrated(self, name: str, workload: Workload) -> int:
        """Warm up, and find how many operations fill a round."""
        n = workload.least
        for _ in range(6):
            used = self._pairs[name].round(workload.name, n)
            scale = self._plan.round_s / used.wall_s
            if scale < 1.5:
                break
            # By steps: the first round of all, still cold, tells little.
            n = int(n * min(scale, 10.0)) // workload.least * workload.least
        else:
            scale = 1.0
        return max(1, int(n * min(scale, 1.0)) // workload.least) * workload.least

    def _idle(self, contestant: Contestant) -> None:
        n = self._plan.idle_connections
        for _ in range(self._plan.idle_rounds):
            try:
                pair = Pair(contestant, self._plan.placement)
                try:
                    # The first connections fill what the imports left free on the heap, and are not counted.
                    before = pair.open_idle(WARM_CONNECTIONS)
                    after = pair.open_idle(n)
                finally:
                    pair.close()
            except Failed as failure:
                self._failed("idle", contestant.name, failure)
                return
            client_kib, server_kib = ((b - a) / n for a, b in zip(before, after, strict=True))
            self.results.idle.setdefault(contestant.name, []).append((client_kib, server_kib))
        self._show(f"idle connections: {contestant.title}")
