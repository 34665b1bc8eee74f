"""What a hostile peer can say, and that it gets an error or a BYE for it: never more.

Random frames first, then what has broken other programs of this kind, one test for each idea.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import msgpack
import pytest

import pb
from pb import messages
from pb.errors import WIRE_ERRORS

from ...counting import calls_in
from ...sizes import exhaustive, sized
from ...vectors import bytes_of
from ..mutations import VECTORS, give_up, signal, watch_for_hangs
from ..peers import (
    Point,
    array,
    ask,
    bye_of,
    call,
    errors_said,
    ext,
    frame,
    framed,
    graph,
    is_alive,
    said,
    victim,
    with_argument,
)

# How many frames, and by PB_FUZZ_SEED which.
FRAMES = int(os.environ.get("PB_FUZZ_FRAMES", sized("5000", "100000")))
SEED = int(os.environ.get("PB_FUZZ_SEED", "1"))

MEBI = 1 << 20
MERSENNE = 2**61 - 1  # hash() of a number is its remainder by this


@pytest.fixture(autouse=True)
def no_hang():
    """A frame that takes seconds of the processor is a failure, not a wait."""
    before = signal.signal(signal.SIGPROF, give_up) if hasattr(signal, "SIGPROF") else None
    watch_for_hangs()
    yield
    watch_for_hangs(0)
    if before is not None:
        signal.signal(signal.SIGPROF, before)


@pytest.fixture(autouse=True)
def no_fault_of_ours(caplog):
    """Whatever a peer says, it is never an exception that nobody expected."""
    yield
    assert [] == [each.msg for each in caplog.records if "fault of this side" in each.msg]


@exhaustive
def test_fuzz_of_frames_ends_in_a_bye_or_an_error():
    """Nothing else leaves the decoder, nothing is opened, imported or run by it, and memory stays flat."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.pb.mutations", str(FRAMES), str(SEED)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60 + FRAMES / 100,
    )

    assert "" == done.stderr
    outcome = json.loads(done.stdout)
    assert [] == outcome["events"]
    assert [] == outcome["faults"]
    assert outcome["grown_bytes"] < 16 * MEBI
    # The frames get far enough to find something.
    found = outcome["found"]
    errors = {"pb.BadArguments", "pb.BadPayload", "pb.NoSuchMethod", "pb.NoSuchObject", "pb.Unregistered"}
    assert errors | {"BYE 3", "BYE 4", "BYE 5", "py.TypeError"} <= found.keys()
    # One frame in 5,000 finds that, or none, as the vectors in the corpus change.
    assert FRAMES < 50_000 or "pb.Unsupported" in found
    assert found[str(messages.ANSWER)] > FRAMES / 100


# --- values


REJECTS = json.loads((VECTORS / "reject-values.json").read_text())


@pytest.mark.unmeasured
@pytest.mark.parametrize("case", REJECTS, ids=lambda case: case["name"])
def test_a_result_that_is_no_value_fails_the_call_or_ends_the_connection(case):
    """What other decoders let through or fell over: text, numbers, times, sets, references out of form."""
    side = victim()
    reply = ask(side.broker.root_reference(), "x")
    said(side)

    side.input(frame([messages.ANSWER, 1, bytes_of(case)]))

    expect = case["ours"] if case["expect"] == "either" else case["expect"]
    if expect == "fatal":
        assert bye_of(side) in (messages.BYE_MALFORMED, messages.BYE_TOO_LARGE)
        with pytest.raises(pb.ConnectionLost):
            reply.result()
    elif expect == "call":
        assert WIRE_ERRORS[case["type"]] is type(reply.error)
        assert is_alive(side)
    else:
        reply.result()
        assert is_alive(side)


@pytest.mark.parametrize("head", ["dd", "df", "c6", "db", "c9"])
@pytest.mark.parametrize("where", ["frame", "payload"])
def test_a_header_that_promises_4_gib_is_refused_before_anything_is_reserved(head, where):
    """Many decoders believed a count of 2^32 and allocated for it."""
    promise = bytes.fromhex(head + "ffffffff" + ("08" if head == "c9" else ""))
    data = framed(promise) if where == "frame" else with_argument(promise)
    side = victim()

    tracemalloc.start()
    side.input(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert messages.BYE_MALFORMED == bye_of(side)
    assert peak < MEBI // 2  # the Packer of the BYE takes 256 KiB for a moment


@pytest.mark.unmeasured
@pytest.mark.parametrize("unit", ["80", "90", "81a0c0", "d41090", "d41190", "d41390", "d40101"])
def test_small_bytes_become_at_most_eighty_times_as_much(unit):
    """An empty map is one byte on the wire; nothing of it may stay, nor may it become a hundred."""
    unit = bytes.fromhex(unit)
    side = victim(max_exts=MEBI)
    data = with_argument(array([unit] * (MEBI // 16 // len(unit))), "sink")
    gc.collect()

    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    side.broker.receive_data(data)
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert [[messages.ANSWER, 1, b"\xc0"]] == [each for each in said(side) if each[0] == messages.ANSWER]
    assert (peak - before) / len(data) < 80
    assert now - before < MEBI // 32


CHAINS = {
    "list": lambda levels: b"\x91" * levels + b"\xc0",
    "map": lambda levels: b"\x81\xa0" * levels + b"\xc0",
    "tuple": lambda levels: nested(16, b"\x90", levels),
    "copy": lambda levels: nested(8, b"\xc0", levels, b"\x92\xa1x"),
    "error": lambda levels: nested(11, b"\xc0", levels, b"\x83\xa4type\xa1x\xa3msg\xa0\xa4data"),
}


def nested(code, inside, levels, head=b"\x91"):
    """Return so many Exts in one another, as far as they fit the frame."""
    made = inside
    for _ in range(min(levels, 2000)):
        made = ext(code, head + made)
    return made


DEPTHS = [("list", 100_000), *itertools.product(CHAINS, [65, 1_023, 1_025])]


@pytest.mark.parametrize(("chain", "levels"), DEPTHS)
@pytest.mark.parametrize("frames_deep", [0, 800], ids=["", "deep in the stack"])
def test_what_is_too_deep_is_refused_at_any_depth(chain, levels, frames_deep):
    """Decoders that recurse crash; one that stops at its limit must say so, however deep it is called."""
    side = victim()

    def deeper(left):
        return side.input(data) if left == 0 else deeper(left - 1)

    data = with_argument(CHAINS[chain](levels), "sink")
    deeper(frames_deep)

    # In so deep a stack Python itself may give up before the limit is reached: bad data then, but no crash.
    assert bye_of(side) in ([messages.BYE_TOO_LARGE] if not frames_deep else [messages.BYE_TOO_LARGE, 4])


@pytest.mark.parametrize(("chain", "levels"), [("list", 62), ("map", 62), ("tuple", 30), ("error", 31)])
def test_what_is_just_not_too_deep_is_taken(chain, levels):
    """The limit counts levels, arrays and extensions alike; [args, kwargs] and args are two of them."""
    side = victim()

    side.input(with_argument(CHAINS[chain](levels), "sink"))

    assert [[messages.ANSWER, 1, b"\xc0"]] == said(side)


def laugh(levels):
    """Return the parts of a GRAPH in which each part holds the one before twice."""
    return [b"\x91\xa3lol", *[b"\x92" + 2 * (b"\xd4\x15" + bytes([each])) for each in range(levels)]]


def test_shared_parts_are_not_multiplied():
    """Thirty lines of XML once became a gigabyte; here 2^50 leaves go there and back in a kilobyte."""
    side = victim()

    side.input(call(graph([*laugh(50), b"\x92\x91\xd4\x15\x32\x80"])))

    ((code, _, payload),) = said(side)
    assert messages.ANSWER == code
    assert len(payload) < 1024


@pytest.mark.parametrize(
    "parts",
    [
        [b"\x91\xd4\x15\x01", b"\x91\xd4\x15\x01", b"\xd4\x15\x00"],
        [*laugh(50), b"\xd4\x15\x32"],
        [b"\x91\xd4\x15\x00"],
        [b"\x91\xd4\x15\x00", b"\xd4\x15\x00"],
        [b"\x91\xd4\x15\x01", b"\x91\xd4\x15\x00"],
        [b"\x81\xa1x\xd4\x15\x00"],
        [b"\x91\xd4\x15\x01", ext(16, b"\x91\xd4\x15\x00")],
        [ext(8, b"\x92\xa9geo.Point\x82\xa1x\xd4\x15\x00\xa1y\x00")],
    ],
    ids=["loop behind", "laugh", "list", "repeated", "two lists", "map", "tuple", "copy"],
)
def test_a_cycle_as_result_is_taken_in_time(parts):
    """What contains itself is walked by nobody."""
    side = victim()
    reply = ask(side.broker.root_reference(), "x")
    said(side)

    side.input(frame([messages.ANSWER, 1, graph(parts)]))

    assert isinstance(reply.result(), list | dict | tuple | Point)


@pytest.mark.parametrize(
    "parts",
    [
        [ext(17, b"\x91\xd4\x15\x00")],
        [ext(18, b"\x91\xd4\x15\x00")],
        [ext(19, b"\x92\xd4\x15\x00\x01")],
        [ext(16, b"\x91\xd4\x15\x00")],
        [b"\xd4\x15\x00"],
        [b"\x91\xd4\x15\x07"],
        [ext(8, b"\x92\xa9geo.Point\xd4\x15\x00")],
        [ext(8, b"\x92\xa8py.range\x93\xd4\x15\x00\x01\x01")],
    ],
    ids=["set", "frozenset", "key", "tuple in itself", "node only", "no such part", "state", "range"],
)
def test_a_cycle_that_cannot_be_built_fails_the_call(parts):
    """A set in itself has no hash, a tuple in itself no beginning."""
    side = victim()
    reply = ask(side.broker.root_reference(), "x")
    said(side)

    side.input(frame([messages.ANSWER, 1, graph(parts)]))

    assert isinstance(reply.error, pb.BadPayload | pb.Unsupported | pb.Unregistered)
    assert is_alive(side)


def bigint(number):
    return ext(24, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def colliding(kind, count):
    """Return values that are all different and have the same hash."""
    for number in range(16, 16 + count):
        chosen = number * MERSENNE
        if kind == "UUIDs":
            yield ext(28, chosen.to_bytes(16, "big"))
        elif kind == "ints":
            yield bigint(chosen)
        elif kind == "fractions":
            yield ext(8, b"\x92\xabpy.Fraction\x92" + bigint(2 * chosen + 2) + b"\x03")
        else:
            yield ext(16, array([msgpack.packb(1000)] * 12 + [bigint(chosen)]))


@pytest.mark.unmeasured
@pytest.mark.parametrize("kind", ["ints", "UUIDs", "tuples"])
@pytest.mark.parametrize("code", [17, 18, 19], ids=["set", "frozenset", "map"])
def test_members_of_one_hash_are_refused_before_they_are_compared(kind, code):
    """Every entry of a table is compared with all before it; 1 MiB of them took other programs an hour.

    How long it takes to find out is in tests/bench/bench_frames.py.
    """
    side = victim()
    values = list(colliding(kind, 4096))
    data = with_argument(
        ext(code, array([each for value in values for each in [value] * (1 + code // 19)])), "sink"
    )

    side.input(data)

    ((_, error, text),) = errors_said(side)
    assert ("pb.TooLarge", True) == (error, "have the same hash" in text)
    assert is_alive(side)


def test_ints_and_decimals_of_one_hash_are_refused_before_they_are_compared():
    """An int is made a Decimal for each comparison with one: 220 kB of both take 23 s."""
    side = victim()
    ints = [bigint((number << 3900) // MERSENNE * MERSENNE) for number in range(1, 31)]
    decimals = [ext(25, b"%d" % (number * MERSENNE)) for number in range(1, 1001)]

    side.input(with_argument(ext(17, array([*ints, *decimals])), "sink"))

    ((_, error, text),) = errors_said(side)
    assert ("pb.TooLarge", True) == (error, "have the same hash" in text)
    assert is_alive(side)


@pytest.mark.parametrize("unit", ["d41190", "d40101", "d41801", "d42a00"])
def test_too_many_exts_end_the_connection_and_cost_no_more_than_those_allowed(unit):
    """4 MiB of them took 2 s, and reading on for the references among them is no cheaper (PB-V48)."""
    allowed = with_argument(array([bytes.fromhex(unit)] * 20_000), "sink")
    data = with_argument(array([bytes.fromhex(unit)] * MEBI), "sink")
    side = victim()

    # Fifty times as many. Without the bound each costs what one that is allowed does.
    assert calls_in(side.input, data) < 2 * calls_in(victim().input, allowed)
    assert messages.BYE_TOO_LARGE == bye_of(side)
    assert "max_exts=20480" in str(side.broker.error)


CONTAINERS = {
    "lists": b"\x90",
    "maps": b"\x80",
    "lists in lists": b"\x91" * 50 + b"\x90",
    "maps of one": b"\x81\xa0\xc0",
    "lists in tuples": ext(16, b"\xdc\x01\x00" + b"\x90" * 256),
}


@pytest.mark.parametrize("is_graph", [False, True], ids=["tree", "graph"])
@pytest.mark.parametrize("unit", CONTAINERS.values(), ids=CONTAINERS.keys())
def test_too_many_arrays_end_the_connection_and_are_not_made(unit, is_graph):
    """4 MiB of them took 1.2 s, most of it in the collector, and 270 MB (PB-V49)."""
    many = array([unit] * (MEBI // len(unit)))
    data = call(graph([b"\x90", many]), "sink") if is_graph else with_argument(many, "sink")
    side = victim()
    gc.collect()

    tracemalloc.start()
    side.input(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert messages.BYE_TOO_LARGE == bye_of(side)
    assert "max_containers=131072" in str(side.broker.error)
    # A byte each, they would take 64 and more; a fourth of them or less is made.
    assert peak < 32 * len(data)


@pytest.mark.parametrize("code", [17, 18, 19], ids=["set", "frozenset", "map"])
def test_too_many_members_of_a_hash_that_can_be_chosen_are_refused(code):
    """The bound holds for all tables of a payload together."""
    side = victim()
    half = ext(code, array([each for n in range(1, 2101) for each in [bigint(n << 64)] * (1 + code // 19)]))

    side.input(with_argument(b"\x92" + half * 2, "sink"))

    ((_, error, text),) = errors_said(side)
    assert "pb.TooLarge" == error
    assert "max_floodable_keys=4096" in text


def test_a_key_twice_in_a_map_and_nan_as_a_key_do_no_harm():
    """Parsers disagree about both; here the last one wins, and NaN is itself only."""
    side = victim()
    nan = b"\xcb\x7f\xf8" + bytes(6)

    side.input(with_argument(b"\x82\xa1a\x01\xa1a\x02"))
    side.input(with_argument(nan, id=2))
    side.input(with_argument(ext(17, b"\x92" + nan * 2), "sink", id=3))

    first, second, third = said(side)
    assert b"\x81\xa1a\x02" == first[2]
    assert nan == second[2]
    assert 3 == third[1]
    assert is_alive(side)
