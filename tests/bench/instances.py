"""1,000 instances by jelly and by pickle: ``python -m tests.bench.instances [--quick] [--json]``.

A round trip is dumps and loads of a list of 1,000 instances of one class with five fields, the same for
both; jelly knows the class from a registry, pickle (protocol 5) by its import path. What is compared is CPU
time. Rounds of both alternate, and the median of the ratios of neighbours is reported, so that a slow moment
slows both. The garbage collector stays on, as it is in programs.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import pickle
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import jelly

INSTANCES = 1000
FIELDS = ("id", "name", "price", "sold", "note")
ROUND_S = 0.05


class Plain:
    """A class of its own, whose fields are named to the registry."""

    def __init__(self, id: int, name: str, price: float, sold: bool, note: str | None) -> None:
        self.id = id
        self.name = name
        self.price = price
        self.sold = sold
        self.note = note


@dataclass
class Data:
    id: int
    name: str
    price: float
    sold: bool
    note: str | None


@dataclass(slots=True)
class Slotted:
    id: int
    name: str
    price: float
    sold: bool
    note: str | None


@dataclass(frozen=True)
class Frozen:
    id: int
    name: str
    price: float
    sold: bool
    note: str | None


KINDS: dict[str, type] = {
    "plain class": Plain,
    "dataclass": Data,
    "slotted dataclass": Slotted,
    "frozen dataclass": Frozen,
}

if importlib.util.find_spec("attrs"):
    import attrs

    @attrs.define
    class Attrs:
        id: int
        name: str
        price: float
        sold: bool
        note: str | None

    KINDS["attrs class"] = Attrs


def by_jelly(cls: type) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    """Return jelly's dumps and loads for a class."""
    registry = jelly.Registry()
    registry.add(cls, "bench.Item", fields=FIELDS if cls is Plain else None)
    return jelly.Encoder(registry).dumps, jelly.Decoder(registry).loads


def by_pickle() -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    """Return pickle's."""
    return lambda value: pickle.dumps(value, 5), pickle.loads


def cpu_s(work: Callable[[Any], object], value: object, times: int) -> float:
    """Measure the CPU seconds of doing it so often."""
    gc.collect()
    started = time.process_time()
    for _ in range(times):
        work(value)
    return time.process_time() - started


def compared(cls: type, rounds: int) -> dict[str, float]:
    """Compare the two for one class; times are microseconds of CPU for each instance, medians."""
    value = [cls(i, f"name {i}", i * 1.25, i % 2 == 0, None) for i in range(INSTANCES)]
    ways = {"jelly": by_jelly(cls), "pickle": by_pickle()}
    payloads = {}
    for name, (dumps, loads) in ways.items():
        payloads[name] = dumps(value)
        found = loads(payloads[name])
        assert [type(item) for item in found] == [cls] * INSTANCES, f"{name} made another class"
        assert [[getattr(item, f) for f in FIELDS] for item in found] == [
            [getattr(item, f) for f in FIELDS] for item in value
        ], f"{name} brought other values"
    used: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    times = max(1, int(ROUND_S / max(cpu_s(ways["jelly"][0], value, 5) / 5, 1e-6) / 2))
    for _ in range(rounds):
        for name, (dumps, loads) in ways.items():
            used[name].append((cpu_s(dumps, value, times), cpu_s(loads, payloads[name], times)))
    pairs = list(zip(used["jelly"], used["pickle"], strict=True))
    us = 1e6 / times / INSTANCES
    return {
        "ratio": median(sum(ours) / sum(theirs) for ours, theirs in pairs),
        "dumps_ratio": median(ours[0] / theirs[0] for ours, theirs in pairs),
        "loads_ratio": median(ours[1] / theirs[1] for ours, theirs in pairs),
        "jelly_us": median(map(sum, used["jelly"])) * us,
        "pickle_us": median(map(sum, used["pickle"])) * us,
        "jelly_bytes": len(payloads["jelly"]),
        "pickle_bytes": len(payloads["pickle"]),
    }


def main() -> None:
    """Compare every kind of class."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.instances", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    found = {}
    for kind, cls in KINDS.items():
        found[kind] = compared(cls, 5 if options.quick else 15)
        print(
            f"1,000 instances: {kind}: {found[kind]['ratio']:.2f} times pickle", file=sys.stderr, flush=True
        )
    if options.json:
        print(json.dumps(found))
    else:
        from tests.bench.report import instances

        print(instances(found))


if __name__ == "__main__":
    main()
