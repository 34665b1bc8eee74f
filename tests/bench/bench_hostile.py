"""What the worst payloads cost: time against plain msgpack, and memory for each byte.

    python -m tests.bench.bench_hostile [kilobytes] [--check]     # 256; 4096 takes minutes

What is promised of each: at most 1.3 times the time of the plain way, or so little that receiving the bytes
takes as long; at most 80 bytes of memory for each byte, and 64 KiB for what does not depend on the payload.
With --check the exit status is 1 where a promise is missed.

A line on stderr tells of each payload as it is done; the table, on stdout, comes at the end.

The plain way unpacks the same bytes and the data of every composite Ext and every part of a GRAPH, and
makes nothing of them. So of a GRAPH it pays for each part once, and for each NODE with an ExtType, as any
reader would; what the NODEs stand for is written out by neither. Times are process times of interleaved
rounds, medians; only ratios mean anything.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from msgpack import ExtType, packb, unpackb

from jelly import Decoder, JellyError, Registry
from jelly.limits import DEFAULT_LIMITS

_COMPOSITE: Final = frozenset({4, 8, 9, 11, 16, 17, 18, 19})
_ROUNDS: Final = 7
# One look at a clock tells little of what takes 50 us, so short payloads are read again until it is so much.
LEAST_BYTES: Final = 1 << 14
MOST_TIMES: Final = 1.3
MOST_MEMORY: Final = 80.0
# Where the plain way gives up at once, a ratio says nothing: moving bytes from a socket takes about as long.
FREE_S_PER_BYTE: Final = 1e-9
FREE_MEMORY: Final = 1 << 16


@dataclass
class Point:
    x: object
    y: object


def plain(payload: bytes) -> Any:
    """Unpack everything that can be unpacked, and make nothing of it."""

    def hook(code: int, data: bytes) -> Any:
        if code in _COMPOSITE:
            return unpackb(data, ext_hook=hook, timestamp=3)
        if code == 20:
            return [unpackb(part, ext_hook=hook, timestamp=3) for part in unpackb(data)]
        return ExtType(code, data)

    return unpackb(payload, ext_hook=hook, timestamp=3)


def many(unit: bytes, size: int) -> bytes:
    """Return an array of as many units as fit."""
    count = size // len(unit)
    return b"\xdd" + count.to_bytes(4, "big") + unit * count


def array(items: bytes) -> bytes:
    """Return an array of items of a byte each."""
    return b"\xdd" + len(items).to_bytes(4, "big") + items


def ext(code: int, data: bytes) -> bytes:
    return packb(ExtType(code, data))


def blocks(size: int) -> bytes:
    """Return TUPLEs of large bytes, as few as are cut out, and as much again of small ones and lists."""
    large = ext(16, b"\x91" + packb(b"\x90" * (1 << 16)))
    small = ext(16, b"\x92\x90\x90")
    count = max(1, size // 2 // len(large))
    between = size // 2 // count // len(small)
    return b"\xdd" + (count * (between + 1)).to_bytes(4, "big") + (large + small * between) * count


def graph(parts: list[bytes]) -> bytes:
    return ext(20, packb(parts))


def payloads(size: int) -> dict[str, bytes]:
    """Return one payload for each way to be expensive."""
    # All with the same hash, and as many as pass.
    flood = [ExtType(24, (key * sys.hash_info.modulus + 1).to_bytes(10, "big")) for key in range(1, 4096)]
    nest = b"\xc0"
    for _ in range(31):
        nest = ext(16, b"\x91" + nest)
    junk = packb("\x91" * 30)
    node = ext(21, b"\x00")
    # The data of each Ext are copied before what is in them is read, so memory is taken once for each level.
    inside = many(b"\x80", size)
    for _ in range(31):
        inside = ext(16, b"\x91" + inside)
    # Ten to the power of eight leaves, were it written out: each part names the one before ten times.
    leaves = [b"\x9a" + b"\x01" * 10]
    for number in range(7):
        leaves.append(b"\x9a" + ext(21, bytes([number])) * 10)
    # Around them there is one more.
    lists = min(size, DEFAULT_LIMITS.max_containers - 1)
    hostile = {
        f"COPY with {key}": many(ext(8, packb(["P", {"x": 1, key: 2}])), size)
        for key in ("__class__", "__dict__", "remote_x")
    }
    return hostile | {
        "GRAPH of 10**8 leaves": graph(leaves),
        "TUPLE in TUPLE around empty maps": inside,
        "empty lists": many(b"\x90", size),
        "empty maps": many(b"\x80", size),
        "maps of one": many(b"\x81\xa0\xc0", size),
        "lists of depth 60": many(b"\x91" * 60 + b"\xc0", size),
        "lists in lists": many(b"\x91\x90", size),
        "as many lists as may be, and ints": array(b"\x90" * lists + b"\x01" * (size - lists)),
        "as many maps as may be, of ints": many(b"\x81\xa0" + b"\x01", min(size, 3 * lists)),
        "TUPLE of empty lists": ext(16, many(b"\x90", size)),
        "TUPLEs of empty lists": many(ext(16, b"\xdc\x01\x00" + b"\x90" * 256), size),
        "GRAPH of empty lists": graph([b"\x90", many(b"\x90", size)]),
        "TUPLE empty": many(ext(16, b"\x90"), size),
        "TUPLE of one": many(ext(16, b"\x91\xc0"), size),
        "TUPLE of lists and junk": many(ext(16, b"\x92\x91\x91\xc0" + junk), size),
        "TUPLE in TUPLE, 31 deep": many(nest, size),
        "TUPLEs of lists between large bytes": blocks(size),
        "SET empty": many(ext(17, b"\x90"), size),
        "SET of two": many(ext(17, b"\x92\x01\x02"), size),
        "FROZENSET of one": many(ext(18, b"\x91\xc0"), size),
        "MAP of one": many(ext(19, b"\x92\x01\xc0"), size),
        "MAP of flooding ints": ext(19, packb([item for key in flood for item in (key, None)])),
        "COPY unknown": many(ext(8, packb(["x", {}])), size),
        "COPY known": many(ext(8, packb(["P", {"x": 1, "y": 2}])), size),
        "COPY known, list inside": many(ext(8, packb(["P", {"x": [], "y": 2}])), size),
        "COPY py.range": many(ext(8, packb(["py.range", [1, 2, 3]])), size),
        "COPY py.Fraction": many(ext(8, packb(["py.Fraction", [1, 3]])), size),
        "ERROR": many(ext(11, packb({"type": "x", "msg": ""})), size),
        "ERROR with bases": many(ext(11, packb({"type": "x", "msg": "", "bases": ["y"] * 50})), size),
        "BIGINT of one byte": many(ext(24, b"\x01"), size),
        "BIGINT of 513 bytes": many(ext(24, b"\x01" * 513), size),
        "DECIMAL": many(ext(25, b"1"), size),
        "DECIMAL of 4096 digits": many(ext(25, b"9" * 4096), size),
        "CIVIL date": many(ext(26, b"2024-02-29"), size),
        "CIVIL time": many(ext(26, b"T12:30:00"), size),
        "CIVIL offset": many(ext(26, b"2024-02-29T12:30:00+02:00"), size),
        "DURATION": many(ext(27, b"\0" * 12), size),
        "UUID": many(ext(28, b"\0" * 16), size),
        "timestamp": many(b"\xd6\xff\0\0\0\0", size),
        "OPAQUE": many(ext(12, b"x"), size),
        "REF without tables": many(ext(1, b"\x01"), size),
        "unknown Ext": many(ext(40, b""), size),
        "GRAPH of small parts": graph([b"\xc0"] * (size // 3)),
        "GRAPH of NODEs": graph([b"\x90", many(node, size)]),
        "GRAPH of rings": graph(
            [b"\x91" + ext(21, number.to_bytes(4, "big")) for number in range(size // 9)]
        ),
        "GRAPH of MAPs with NODEs": graph([b"\x90", many(ext(19, b"\x92\x01" + node), size)]),
        "promises in a TUPLE": ext(16, b"\xdd\x00\x3f\xff\xff" * (size // 5)),
        "promises": b"\xdd\x00\x3f\xff\xff" * (size // 5),
    }


def cpu(work: Callable[[bytes], Any], payload: bytes) -> float:
    """Return the process time of reading a payload, refused or not; of a short one, the mean."""
    times = max(1, LEAST_BYTES // len(payload))
    start = time.process_time()
    for _ in range(times):
        try:
            work(payload)
        except (JellyError, ValueError):
            pass
    return (time.process_time() - start) / times


def peak(work: Callable[[bytes], Any], payload: bytes) -> int:
    """Return the memory that reading a payload takes at its worst moment."""
    tracemalloc.start()
    try:
        work(payload)
    except JellyError:
        pass
    finally:
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return found


class Progress:
    """Tells how far the measuring is, one line for each payload."""

    def __init__(self, payloads: dict[str, bytes]) -> None:
        self._count = len(payloads)
        self._bytes = sum(map(len, payloads.values()))
        self._done = self._bytes_done = 0
        self._began = self._before = time.monotonic()

    def done(self, name: str, payload: bytes, ratio: float) -> None:
        """Tell of one payload: which, the share of all bytes that is behind us, and the seconds."""
        now = time.monotonic()
        self._done += 1
        self._bytes_done += len(payload)
        share = self._bytes_done / self._bytes
        print(
            f"{self._done:3} of {self._count} {share:5.0%} {now - self._began:7.1f} s"
            f"  {name}: {ratio:.2f}, took {now - self._before:.1f} s",
            file=sys.stderr,
            flush=True,
        )
        self._before = now


@dataclass(frozen=True, slots=True)
class Row:
    """What one payload cost.

    Attributes:
        plain_s: what the plain way took.
        memory: bytes for each byte of the payload.
    """

    name: str
    size: int
    ours_s: float
    plain_s: float
    memory: float

    @property
    def ratio(self) -> float:
        """How many times the plain way's time."""
        return self.ours_s / max(self.plain_s, 1e-6)

    @property
    def missed(self) -> str:
        """Which promises are missed; nothing where both are kept."""
        is_large = self.memory * self.size > MOST_MEMORY * self.size + FREE_MEMORY
        is_slow = self.ratio > MOST_TIMES and self.ours_s > FREE_S_PER_BYTE * self.size
        return " ".join(["time"] * is_slow + ["memory"] * is_large)


def measured(name: str, payload: bytes, decoder: Decoder) -> Row:
    """Measure one payload."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(_ROUNDS):
        times[0].append(cpu(decoder.loads, payload))
        times[1].append(cpu(plain, payload))
    ours, theirs = map(statistics.median, times)
    return Row(name, len(payload), ours, theirs, peak(decoder.loads, payload) / len(payload))


def main() -> int:
    """Print a line for each payload, the slowest last, and the verdict; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_hostile", description=__doc__)
    parser.add_argument("kilobytes", type=int, nargs="?", default=256)
    parser.add_argument("--check", action="store_true", help="exit with 1 when a promise is missed")
    options = parser.parse_args()
    registry = Registry()
    registry.add(Point, "P")
    decoder = Decoder(registry)
    rows = []
    made = payloads(options.kilobytes * 1024)
    progress = Progress(made)
    for name, payload in made.items():
        rows.append(measured(name, payload, decoder))
        progress.done(name, payload, rows[-1].ratio)
    print(f"{'ratio':>6} {'ms':>8} {'memory':>7}  payload")
    for row in sorted(rows, key=lambda row: row.ratio):
        missed = f"  MISSED: {row.missed}" if row.missed else ""
        figures = f"{row.ratio:6.2f} {row.ours_s * 1000:8.2f} {row.memory:7.1f}"
        print(f"{figures}  {row.name} ({row.size} bytes){missed}")
    kept = sum(not row.missed for row in rows)
    print(
        f"\npromised: at most {MOST_TIMES} times plain unpackb, {MOST_MEMORY:.0f} bytes of memory a byte"
        f"\nkept by {kept} of {len(rows)} payloads"
    )
    return 1 if options.check and kept < len(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
