"""Large bytes in values of several shapes: ``python -m tests.bench.bench_blobs [mebibytes] [--check]``.

What is measured is the CPU time of writing a call with them, as the buffers that a connection is given, and
of reading it, as a multiple of what the same bytes take as the only argument. Those are copied once, on
arrival. Promised is, from 4 MiB on, at most twice that; of less, the 60 us that a walk and a look take are
the greater part. With --check the exit status is 1 where it is missed.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from jelly import Decoder, Encoder, Registry

MOST_TIMES: Final = 2.0
_ROUNDS: Final = 15
_BYTES_A_ROUND: Final = 32 << 20


@dataclass
class Array:
    kind: str
    shape: tuple[int, ...]
    data: bytes


def shapes(size: int) -> dict[str, Any]:
    """Return a value of each shape, with as many bytes in it."""
    large = os.urandom(size)
    return {
        "alone": large,
        "tuple": ("f8", (3, 4), large),
        "dataclass": Array("f8", (3, 4), large),
        "list of tuples": [("f8", large[: size // 2]), ("f8", large[size // 2 :])],
        "list of dataclasses": [Array("f8", (), large[: size // 2]), Array("f8", (), large[size // 2 :])],
        "map keyed by numbers": {1: large},
    }


def compared(size: int) -> dict[str, float]:
    """Return for each shape how many times as long it takes as the bytes alone: the median of rounds."""
    registry = Registry()
    registry.add(Array, "bench.Array")
    encoder, decoder = Encoder(registry), Decoder(registry)
    values = shapes(size)
    payloads = {name: memoryview(bytes(encoder.encode_call((each,), {}))) for name, each in values.items()}
    for name, each in values.items():
        assert ([each], {}) == decoder.loads_call(payloads[name]), f"{name} came out as something else"
    times = max(1, _BYTES_A_ROUND // size)
    used: dict[str, list[float]] = {name: [] for name in values}
    for _ in range(_ROUNDS):
        for name, each in values.items():
            gc.collect()
            started = time.process_time()
            for _ in range(times):
                encoder.encode_call((each,), {})
                decoder.loads_call(payloads[name])
            used[name].append(time.process_time() - started)
    return {
        name: median(mine / alone for mine, alone in zip(found, used["alone"], strict=True))
        for name, found in used.items()
    }


def main() -> int:
    """Compare every shape; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_blobs", description=__doc__)
    parser.add_argument("mebibytes", nargs="?", type=int, default=4)
    parser.add_argument("--check", action="store_true", help="fail where a promise is missed")
    options = parser.parse_args()
    found = compared(options.mebibytes << 20)
    for name, ratio in found.items():
        print(f"{options.mebibytes} MiB, {name}: {ratio:.2f} times the bytes alone")
    missed = [name for name, ratio in found.items() if ratio > MOST_TIMES]
    if missed:
        print(f"more than {MOST_TIMES} times: {', '.join(missed)}", file=sys.stderr)
    return 1 if options.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
