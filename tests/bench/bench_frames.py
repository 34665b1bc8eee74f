"""The worst frames a peer can send, against the whole broker: `python -m tests.bench.bench_frames [--check]`.

For each kind of frame: the processor time until the broker has acted on it, beside that of plain msgpack for
the same bytes (what is inside of extensions and of the parts of a GRAPH unpacked too), and how much memory a
byte of it takes at the most. The method that is called drops its arguments, so only receiving is measured.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import count, islice

import msgpack

from pb import messages
from tests.pb.nodes import COMPOSITE
from tests.pb.peers import array, call, ext, frame, graph, victim, with_argument
from tests.pb.pump import Side

MERSENNE = 2**61 - 1  # hash() of a number is its remainder by this
MOST_RATIO, MOST_BYTES, MOST_GROWTH = 1.3, 80, 3
LARGE = 64 * 1024
NIL, EMPTY_LIST, EMPTY_MAP, ONE_ARGUMENT = b"\xc0", b"\x90", b"\x80", b"\x92\x91\x01\x80"

Case = tuple[Callable[[int], bytes], Callable[[Side], object] | None]
CASES: dict[str, Case] = {}


def case(
    name: str, prepare: Callable[[Side], object] | None = None
) -> Callable[[Callable[[int], bytes]], object]:
    """Note what makes a frame of about so many bytes, and what is done to the broker before."""

    def note(make: Callable[[int], bytes]) -> Callable[[int], bytes]:
        CASES[name] = (make, prepare)
        return make

    return note


def many(name: str, unit: bytes) -> None:
    """Note a frame that is one argument: an array of equal values."""
    CASES[name] = (lambda size: sink(array([unit] * (size // len(unit)))), None)


def sink(value: bytes) -> bytes:
    """Return a call with one argument, which is dropped."""
    return with_argument(value, "sink")


def of_numbers(unit: Callable[[int], bytes], size: int) -> bytes:
    """Return an array of values made of 1, 2, 3 …, as many as fit."""
    found, total = [], 0
    for number in count(1):
        found.append(unit(number))
        total += len(found[-1])
        if total >= size:
            return array(found)
    raise AssertionError


# --- honest content, for comparison

many("ints", b"\x01")
many("floats", msgpack.packb(1.5))
many("texts of 8", msgpack.packb("12345678"))
CASES["bytes"] = (lambda size: sink(msgpack.packb(bytes(size))), None)
many("dicts of 5", msgpack.packb({"a": 1, "b": 2.5, "c": "text", "d": None, "e": True}))
many("nested lists", b"\x91" * 50 + NIL)

# --- containers and extensions without content

many("empty lists", EMPTY_LIST)
many("empty maps", EMPTY_MAP)
many("maps of one", b"\x81\xa0\xc0")
for _name, _code in {"tuples": 16, "sets": 17, "frozensets": 18, "MAPs": 19}.items():
    many(f"empty {_name}", ext(_code, EMPTY_LIST))
    many(f"{_name} of two", ext(_code, b"\x92\x01\x02"))
many("REF 1", ext(1, b"\x01"))
many("HOME 0", ext(2, b"\x00"))
for _name, _code in {"ANSWER": 3, "STREAM": 5, "CACHED": 10}.items():
    many(f"{_name} 1", ext(_code, b"\x01"))
many("CACHE 1", ext(9, b"\x93\x01\xa0\xc0"))
many("OPAQUE", ext(12, b""))
many("NODE without GRAPH", ext(21, b"\x00"))
many("BIGINT", ext(24, b"\x01"))
many("DECIMAL", ext(25, b"1"))
many("DECIMAL, long", ext(25, b"1." + b"7" * 4000))
many("CIVIL, date", ext(26, b"2024-02-29"))
many("CIVIL, time", ext(26, b"T12:30:00"))
many("CIVIL, both", ext(26, b"2024-02-29T12:30:00+02:00"))
many("DURATION", ext(27, bytes(12)))
many("UUID", ext(28, bytes(16)))
many("timestamp 32", b"\xd6\xff" + bytes(4))
many("unknown ext", ext(40, b"\x00"))
many("COPY, unknown", ext(8, b"\x92\xa1x\xc0"))
many("COPY, Point", ext(8, msgpack.packb(["geo.Point", {"x": 1, "y": 2}])))
many("COPY, range", ext(8, msgpack.packb(["py.range", [0, 1, 1]])))
many("COPY, fraction", ext(8, msgpack.packb(["py.Fraction", [0, 1]])))
many("ERROR", ext(11, msgpack.packb({"type": "x", "msg": ""})))
many("ERROR, registered", ext(11, msgpack.packb({"type": "pb.Busy", "msg": ""})))
CASES["REF, all different"] = (
    lambda size: sink(of_numbers(lambda n: ext(1, n.to_bytes(4, "big")), size)),
    None,
)
CASES["REFX, all different"] = (
    lambda size: sink(of_numbers(lambda n: ext(4, msgpack.packb([n, {}])), size)),
    None,
)


def wrap(code: int, levels: int, inside: bytes, head: bytes = b"\x91") -> bytes:
    """Put Exts around a value, each holding the next."""
    for _ in range(levels):
        inside = ext(code, head + inside)
    return inside


@case("29 tuples around bytes")
def _(size: int) -> bytes:
    return sink(wrap(16, 29, msgpack.packb(bytes(size))))


@case("29 tuples around empty maps")
def _(size: int) -> bytes:
    return sink(wrap(16, 29, array([EMPTY_MAP] * size)))


@case("19 errors around empty maps")
def _(size: int) -> bytes:
    return sink(wrap(11, 19, array([EMPTY_MAP] * size), b"\x83\xa4type\xa1x\xa3msg\xa0\xa4data"))


# --- GRAPH


def in_graph(unit: bytes, last: bytes = ONE_ARGUMENT) -> Case:
    return (lambda size: call(graph([unit] * (size // (len(unit) + 2)) + [last]), "sink"), None)


CASES["GRAPH of nils"] = in_graph(NIL)
CASES["GRAPH of empty lists"] = in_graph(EMPTY_LIST)
CASES["GRAPH of empty tuples"] = in_graph(ext(16, EMPTY_LIST))
CASES["GRAPH, each names the first"] = in_graph(b"\x91" + ext(21, b"\x00"))
CASES["GRAPH, each names a later one"] = in_graph(b"\x91" + ext(21, (9999).to_bytes(2, "big")))
CASES["GRAPH of MAPs with NODEs"] = in_graph(ext(19, b"\x92\x01" + ext(21, b"\x00")))


@case("GRAPH, one list of NODEs")
def _(size: int) -> bytes:
    return call(graph([EMPTY_LIST, array([ext(21, b"\x00")] * (size // 3)), ONE_ARGUMENT]), "sink")


@case("GRAPH, NODEs in a MAP")
def _(size: int) -> bytes:
    pairs = b"".join(msgpack.packb(number) + ext(21, b"\x00") for number in range(size // 6))
    head = array([NIL] * (2 * (size // 6)))[: -2 * (size // 6)]
    return call(graph([EMPTY_LIST, ext(19, head + pairs), ONE_ARGUMENT]), "sink")


# --- tables of members that have one hash


def bigint(number: int) -> bytes:
    return ext(24, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def colliding(unit: Callable[[int], bytes], most: int = 4096) -> Case:
    def make(size: int) -> bytes:
        units: Iterator[bytes] = (unit(number * MERSENNE) for number in count(16))
        found = list(islice(units, min(most, size // len(unit(100 * MERSENNE)))))
        return sink(ext(17, array(found)))

    return make, None


CASES["set of BIGINTs of one hash"] = colliding(bigint)
CASES["set of UUIDs of one hash"] = colliding(lambda number: ext(28, number.to_bytes(16, "big")))
CASES["set of fractions of one hash"] = colliding(
    lambda number: ext(8, b"\x92\xabpy.Fraction\x92" + bigint(2 * number + 2) + b"\x03")
)


@case("set of tuples of one hash")
def _(size: int) -> bytes:
    alike = [msgpack.packb(1000)] * max(size // (4096 * 3) - 4, 1)
    return sink(ext(17, array([ext(16, array([*alike, bigint(n * MERSENNE)])) for n in range(16, 4112)])))


@case("set of ints and decimals of one hash")
def _(size: int) -> bytes:
    # An int is made a decimal for each comparison with one.
    ints = [bigint(((number << 3900) // MERSENNE) * MERSENNE) for number in range(1, 257)]
    decimals = [ext(25, b"%d" % (number * MERSENNE)) for number in range(1, 3841)]
    return sink(ext(17, array([*ints, *decimals])))


# --- messages other than one call


@case("GONE of ids not held")
def _(size: int) -> bytes:
    return frame([messages.GONE, [1] * size])


def hold_many(side: Side) -> None:
    side.input(with_argument(array([ext(1, n.to_bytes(2, "big")) for n in range(1, 10_000)]), "keep"))


@case("GONE of ids held", hold_many)
def _(size: int) -> bytes:
    return frame([messages.GONE, [number % 9999 + 1 for number in range(size // 3)]])


def pass_on(side: Side) -> None:
    """Hold references and pass them on over another connection."""
    other = victim({"max_refs": 100_000})
    side.input(with_argument(array([ext(1, n.to_bytes(2, "big")) for n in range(1, 300)]), "keep"))
    other.broker.tables.exports[0].object.kept = side.broker.tables.exports[0].object.kept
    other.input(call(method="kept"))
    side.other = other  # type: ignore[attr-defined]


@case("GONE of an id passed on", pass_on)
def _(size: int) -> bytes:
    return frame([messages.GONE, [1] * size])


def give_often(side: Side) -> None:
    for id in range(1, 31):
        side.input(call(b"\x92\x91\xcd\x13\x88\x80", "same", id))


@case("RELEASE, one by one", give_often)
def _(size: int) -> bytes:
    return frame([messages.RELEASE, [1, 1] * (size // 2)])


@case("options nobody knows")
def _(size: int) -> bytes:
    return frame([messages.CALL, 1, 0, "sink", b"\x92\x91\x01\x80", {"x": [{}] * size}])


@case("keyword arguments")
def _(size: int) -> bytes:
    keys = {f"k{number:06}": None for number in range(size // 9)}
    return call(msgpack.packb([[], keys]), "sink")


@case("batch of 1024 PINGs")
def _(size: int) -> bytes:
    return frame([[messages.PING, "x" * 60]] * 1024)


@case("batch of 1024 calls")
def _(size: int) -> bytes:
    return frame([[messages.CALL, id, 0, "sink", msgpack.packb([["x" * 40], {}])] for id in range(1, 1025)])


@case("batch of 1024 calls refused")
def _(size: int) -> bytes:
    return frame([[messages.CALL, id, 0, "no" + "x" * 40, ONE_ARGUMENT] for id in range(1, 1025)])


# --- measuring


def plain(data: bytes) -> object:
    """Unpack a frame as a program without any care would, with all that is inside."""

    def see(code: int, content: bytes) -> object:
        if code == 20:
            return [unpack(part) for part in unpack(content)]  # type: ignore[attr-defined]
        return unpack(content) if code in COMPOSITE else content

    def unpack(content: bytes) -> object:
        size = len(content)
        return msgpack.unpackb(content, ext_hook=see, strict_map_key=False, timestamp=0, max_ext_len=size)

    envelopes = unpack(data[4:])
    assert type(envelopes) is list
    for envelope in envelopes if type(envelopes[0]) is list else [envelopes]:
        if envelope[0] == messages.CALL:
            unpack(envelope[4])
    return envelopes


def receive(side: Side, data: bytes) -> None:
    """Let a broker act on a frame, as often as it asks for another turn."""
    side.broker.receive_data(data)
    while side.turns:
        side.turns -= 1
        side.broker.turn()


def prepared(prepare: Callable[[Side], object] | None) -> Side:
    side = victim({"max_refs": 100_000})
    if prepare is not None:
        prepare(side)
    side.output()
    gc.collect()
    return side


def measure(name: str, size: int, rounds: int) -> tuple[float, float, float, str, int, float]:
    """Return the ratio, then, for each byte, time in ns, memory, and (after name and size) msgpack's time."""
    make, prepare = CASES[name]
    data = make(size)
    taken, bare = [], []
    gc.disable()
    for _ in range(rounds):
        side = prepared(prepare)
        started = time.process_time()
        receive(side, data)
        taken.append(time.process_time() - started)
        started = time.process_time()
        plain(data)
        bare.append(time.process_time() - started)
        if taken[-1] > 1:
            break
    gc.enable()
    side = prepared(prepare)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    receive(side, data)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    bytes_ = len(data)
    return (
        min(taken) / min(bare),
        min(taken) / bytes_ * 1e9,
        peak / bytes_,
        name,
        bytes_,
        min(bare) / bytes_ * 1e9,
    )


def half_a_frame() -> float:
    """Return what a byte takes of a frame that promises as much as it may and then falls silent."""
    side = prepared(None)
    data = side.broker.limits.max_frame.to_bytes(4, "big") + bytes(LARGE + 1)
    tracemalloc.start()
    side.broker.receive_data(data[:-1])
    side.broker.receive_data(data[-1:])
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return kept / len(data)


def growth(size: int = LARGE) -> float:
    """Return how much longer a frame of twice the size takes that comes byte by byte: 4, if it is joined."""

    def bytewise(size: int) -> float:
        side, data = prepared(None), sink(msgpack.packb(bytes(size)))
        started = time.process_time()
        for at in range(len(data)):
            side.broker.receive_data(data[at : at + 1])
        return time.process_time() - started

    return min(bytewise(2 * size) for _ in range(3)) / min(bytewise(size) for _ in range(3))


def main() -> int:
    """Print the table, worst first; with --check, return 1 where a frame is over the bounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit with 1 where a bound is exceeded")
    parser.add_argument("--size", type=int, default=2 * LARGE, help="bytes of a frame, about")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="only the cases with this in their name")
    options = parser.parse_args()
    names = [name for name in CASES if not options.only or options.only in name]
    rows = sorted((measure(name, options.size, options.rounds) for name in names), reverse=True)
    print(f"{'frame':32} {'bytes':>9} {'msgpack':>9} {'broker':>9} {'ratio':>8} {'memory':>8}")
    over = 0
    for ratio, nanoseconds, memory, name, size, bare in rows:
        is_over = size >= LARGE and (ratio > MOST_RATIO or memory > MOST_BYTES)
        over += is_over
        print(
            f"{name:32} {size:9} {bare:7.1f}ns {nanoseconds:7.1f}ns {ratio:8.2f} {memory:6.1f} B"
            + ("  over" if is_over else "")
        )
    print(f"half of a frame that never comes: {half_a_frame():.1f} bytes a byte")
    grown = growth()
    over += grown > MOST_GROWTH
    print(f"twice the bytes, one at a time, take {grown:.1f} times as long")
    print(f"{over} of {len(rows) + 1} are over {MOST_RATIO} times msgpack or {MOST_BYTES} bytes a byte")
    return 1 if options.check and over else 0


if __name__ == "__main__":
    sys.exit(main())
