"""Mutated frames against a broker, in a process of its own: `python -m tests.pb.mutations COUNT SEED`.

An audit hook cannot be taken back, so whoever wants to know what decoding opens, imports or runs needs a
process for it. Prints one line of JSON: what came of the frames, and what should not have.
"""

from __future__ import annotations

import collections
import gc
import json
import logging
import random
import signal
import sys
import traceback
from pathlib import Path

import msgpack

import pb
from pb import messages
from pb.wire.codec import Codec

from ..counting import calls_in
from ..vectors import bytes_of
from .nodes import BIN, COMPOSITE, EXT, MAP, build, parse, parse_if
from .peers import MOST, REGISTRY, Victim, ask, call, envelopes_in, framed, hello
from .pump import Side

VECTORS = Path(__file__).parents[2] / "spec" / "vectors"
FORBIDDEN = ("import", "exec", "compile", "open", "os.", "subprocess.", "socket.", "pickle.", "marshal.")
EXT_CODES = [*range(1, 6), *range(8, 13), *range(16, 22), *range(24, 29), 0, 6, 40, 100, -1, -2]
NAMES = ["x", "echo", "keep", "wait", "call_back", "type", "msg", "args", "data", "cause", "__class__", ""]
NAMES += ["é" * 70, "bases", "notes"]
NAMES += ["pb.Busy", "pb.Internal", "geo.Point", "bank.Insufficient", "py.range", "os.system", "ttl", "needs"]
METHODS = ["echo", "sink", "keep", "kept", "same", "things", "call_back", "guarded", "wait", "fail", "shout"]
NUMBERS = [0, 1, 2, 3, -1, 42, 63, 64, 255, 4096, 2**31, 2**32, 2**53 - 1, 2**53, 2**63, 2**64 - 1, -(2**63)]
BYTES = bytes.fromhex("007f808190 9192a0a1c0c1c3c4c7cacbcfd3d4d5d6d8d9dcdddfe0ff081011141518")
# How many calls of functions one frame may take, at least and by byte: of 200,000 the worst takes 700. Only
# what asks the victim for thousands of objects takes more, as often as it makes and sends one.
MOST_CALLS, MOST_CALLS_PER_BYTE, MOST_CALLS_PER_OBJECT = 2000, 4, 20
GENEROUS = (b"same", b"things")
HANG_S = 5


class Mutator:
    """Make frames of other frames.

    Args:
        seed: the same frames for the same seed.
        corpus: bodies of honest frames.
    """

    def __init__(self, seed, corpus):
        self.random = random.Random(seed)
        self.corpus = corpus
        self.nodes = [parse(body) for body in corpus]

    def node(self, depth=0):
        """Return a random node; nearly all of it is well-formed."""
        roll = self.random.random()
        if depth > 4 or roll < 0.4:
            return self.random.choice(
                [None, True, 1.5, float("nan"), b"", b"\xff\xfe", self.number(), self.random.choice(NAMES)]
            )
        inside = [self.node(depth + 1) for _ in range(self.random.randrange(4))]
        if roll < 0.5:
            return inside
        if roll < 0.6:
            return (MAP, [each for item in inside for each in (self.random.choice(NAMES), item)])
        if roll < 0.98:
            return self.extension(inside)
        code = self.random.choice(EXT_CODES)
        if code in COMPOSITE:
            return (EXT, inside if roll < 0.99 else self.node(depth + 1), code)
        size = self.random.choice([0, 1, 1, 1, 2, 4, 8, 12, 16])
        data = self.random.choice([b"\x01" * size, b"\0" * size, b"\xff" * size, self.random.randbytes(size)])
        return (EXT, data, code)

    def extension(self, inside):
        """Return a well-formed extension."""
        name, number = self.random.choice(NAMES), self.random.choice([0, 1, 1, 1, 2, 3, 9, 99])
        return self.random.choice(
            [
                (EXT, inside, 16),
                (EXT, inside, self.random.choice([17, 18])),
                (EXT, inside * 2, 19),
                (EXT, [name, inside], 8),
                (EXT, [name, (MAP, ["x", None, "y", inside])], 8),
                (EXT, (MAP, ["type", name, "msg", "m", "data", (MAP, ["args", inside])]), 11),
                (EXT, (MAP, ["type", name, "msg", "m", "cause", (MAP, ["type", name, "msg", ""])]), 11),
                (
                    EXT,
                    number.to_bytes(self.random.choice([1, 2, 4, 8]), "big"),
                    self.random.choice([2, 3, 10, 21]),
                ),
                (EXT, (number + 1).to_bytes(1, "big"), self.random.choice([1, 1, 1, 5])),
                (EXT, [number + 1, (MAP, ["kind", name])], self.random.choice([4, 4, 9])),
                (EXT, self.random.randbytes(self.random.choice([1, 9, 20])), 24),
                (EXT, f"{self.number()}E-{number}".encode(), 25),
                (EXT, b"T12:30:00", 26),
                (EXT, bytes(12), self.random.choice([27, -1])),
                (EXT, bytes(15) + bytes([number]), 28),
            ]
        )

    def part(self):
        """Return a part of a GRAPH with NODEs in it."""
        node = (EXT, bytes([self.random.randrange(5)]), 21)
        return self.random.choice(
            [
                node,
                [node],
                [node, node],
                [self.node(2), node],
                (MAP, ["x", node]),
                (EXT, [node], 16),
                (EXT, [1, node], 19),
                (EXT, ["geo.Point", node], 8),
                (EXT, ["geo.Point", (MAP, ["x", node, "y", [node]])], 8),
            ]
        )

    def message(self, id):
        """Return a CALL of random values, or what settles one of the calls of the other side."""
        roll = self.random.random()
        values = [self.node() for _ in range(self.random.randrange(3))]
        if roll < 0.15:
            parts = [self.part() for _ in range(self.random.randrange(1, 5))]
            values = (
                EXT,
                [(BIN, each) for each in [*parts, self.random.choice([values, [values, (MAP, [])]])]],
                20,
            )
        else:
            values = [values, (MAP, ["value", self.node()] if roll < 0.3 else [])]
        if roll < 0.6:
            return [messages.CALL, id, 0, self.random.choice(METHODS), (BIN, values)]
        if roll < 0.8:
            return [messages.ANSWER, self.random.choice([1, 2, 3]), (BIN, self.node())]
        error = (
            MAP,
            ["type", self.random.choice(NAMES), "msg", "m", "data", self.node(1), "bases", ["pb.Error"]],
        )
        return [messages.ERROR, self.random.choice([1, 2, 3]), (BIN, error)]

    def number(self):
        return self.random.choice(NUMBERS) if self.random.random() < 0.7 else self.random.randrange(20)

    def change(self, node):
        """Return a node with a change somewhere in it."""
        inside = node if type(node) is list else node[1] if type(node) is tuple else None
        if type(inside) is tuple or (type(node) is tuple and node[0] == BIN):
            return (node[0], self.change(inside), *node[2:])
        if type(inside) is not list or not inside or self.random.random() < 0.1:
            return self.node(2)
        inside = list(inside)
        at = self.random.randrange(len(inside))
        if any(type(each) is tuple and each[0] == BIN for each in inside) and self.random.random() < 0.8:
            at = [type(each) is tuple and each[0] == BIN for each in inside].index(True)  # rather the payload
        roll = self.random.random()
        if roll < 0.8:
            inside[at] = self.change(inside[at])
        elif roll < 0.85:
            del inside[at]
        elif roll < 0.92:
            inside.insert(at, self.random.choice(inside))
        else:
            inside[at] = self.random.choice(self.random.choice(self.nodes))
        if type(node) is list:
            return inside
        if node[0] == MAP and len(inside) % 2:
            inside.append(None)
        return (node[0], inside, *node[2:])

    def scramble(self, body):
        """Return bytes with a change somewhere in them."""
        made = bytearray(body)
        for _ in range(self.random.choice([1, 1, 1, 2, 4])):
            at = self.random.randrange(len(made) + 1)
            roll = self.random.random()
            if roll < 0.5 and at < len(made):
                made[at] = self.random.choice(BYTES) if roll < 0.3 else self.random.randrange(256)
            elif roll < 0.65:
                del made[at : at + self.random.choice([1, 1, 2, 8, len(made)])]
            elif roll < 0.8:
                made[at:at] = made[at : at + self.random.randrange(1, 9)]
            elif roll < 0.9:
                made[at:at] = self.random.choice(self.corpus)[: self.random.randrange(32)]
            else:
                made[at:at] = bytes([self.random.choice(BYTES)]) * self.random.choice([1, 2, 70, 1100])
        return bytes(made)

    def frame(self, next_id):
        """Return a frame; a CALL is mostly given this id, so that it is not refused for that alone."""
        roll = self.random.random()
        if roll < 0.1:
            return framed(self.scramble(self.random.choice(self.corpus)))
        if roll < 0.25:
            *fields, (_, payload) = self.message(next_id)
            return framed(build([*fields, (BIN, self.scramble(build(payload)))]))
        node = self.random.choice(self.nodes) if roll < 0.6 else self.message(next_id)
        for _ in range(self.random.choice([0, 0, 1, 1, 2, 3])):
            node = self.change(node)
        if type(node) is not list:
            node = [node]
        if len(node) > 1 and node[0] == messages.CALL and roll < 0.98:
            node = [messages.CALL, next_id, *node[2:]]
        made = framed(build(node))
        if roll > 0.99:
            made = self.scramble(made[:4]) + made[4:]
        return made


def corpus():
    """Return the bodies of honest frames, of messages that are honest but unwelcome, and of every value."""
    found = [
        bytes.fromhex(frame["hex"])[4:]
        for path in sorted((VECTORS / "conversations").glob("*.json"))
        for frame in json.loads(path.read_text())["frames"]
    ]
    for each in json.loads((VECTORS / "values.json").read_text()):
        value = bytes.fromhex(each["hex"])
        found += [call(b"\x92\x91" + value + b"\x80")[4:], msgpack.packb([messages.ANSWER, 1, value])]
    for each in json.loads((VECTORS / "frames-reject.json").read_text())["cases"]:
        body = bytes_of(each)[4:]
        if 1 < len(body) < 200 and type(parse_if(body)) is list and "first" not in each:
            found.append(body)
    return [body for body in found if type(parse(body)) is list and len(body) > 1]


class Watch:
    """What must not happen, and the audit hook that sees it while it is armed."""

    def __init__(self):
        self.is_armed = False
        self.events = []
        self.faults = []
        self.found = collections.Counter()
        self.most_calls = 0
        sys.addaudithook(self.see)

    def see(self, event, arguments):
        if self.is_armed and event.startswith(FORBIDDEN):
            self.events.append(event)


class Faults(logging.Handler):
    """Note the log lines that blame this side."""

    def __init__(self, watch):
        super().__init__()
        self.watch = watch

    def emit(self, record):
        self.watch.found["log " + record.levelname] += 1
        if "fault" in record.msg or "could not be sent" in record.msg:
            self.watch.faults.append(record.msg)


def open_side(mutator, codec):
    """Return a side that has greeted, holds a reference of the peer's and waits for answers."""
    side = Side("victim", Victim(), codec, pb.Limits(max_frame=1 << 20))
    side.broker.start()
    side.input(hello() if mutator.random.random() < 0.95 else framed(mutator.scramble(hello()[4:])))
    replies = []
    if side.is_open:
        replies = [ask(side.broker.root_reference(), "x") for _ in range(3)]
        side.input(call(b"\x92\x91\xd4\x01\x01\x80", "keep"))
        envelopes_in(side.output())
    return side, replies


def close_side(side, replies, watch):
    """Cut the connection and look whether everything is settled."""
    if side.has_ended:
        watch.found[f"BYE {side.error.code}" if side.error is not None else "end"] += 1
    side.broker.connection_lost("cut")
    side.run_tasks()
    if [1] * len(replies) != [reply.settled for reply in replies]:
        watch.faults.append(f"settled {[reply.settled for reply in replies]} times")
    if side.broker.tables.exports or side.broker.tables.imports or side.broker.serving.count:
        watch.faults.append("tables are not empty after the end")


def count_answers(data, watch):
    for envelope in envelopes_in(data):
        code, *rest = msgpack.unpackb(envelope)
        if code == messages.ERROR:
            watch.found[msgpack.unpackb(rest[1], strict_map_key=False, timestamp=0)["type"]] += 1
        else:
            watch.found[code] += 1
            if code == messages.BYE and rest[0] == messages.BYE_INTERNAL:
                watch.faults.append("BYE 9")


def rss_bytes():
    """Return the memory in use now."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 if sys.platform == "linux" else 0


class Hang(BaseException):
    """One frame has taken HANG_S seconds of the processor."""


def watch_for_hangs(limit_s=HANG_S):
    """Raise Hang, wherever the program is after so many more seconds of the processor; 0 is never.

    It ends what would not end, and decides nothing else: what a frame may cost is counted in calls.
    """
    if hasattr(signal, "setitimer"):  # elsewhere the test's own time limit has to do
        signal.setitimer(signal.ITIMER_PROF, limit_s)


def give_up(number, where):
    raise Hang


def run(count, seed):
    """Feed so many frames; return what came of them."""
    watch = Watch()
    if hasattr(signal, "SIGPROF"):
        signal.signal(signal.SIGPROF, give_up)
    logger = logging.getLogger("pb")
    logger.propagate = False
    logger.addHandler(Faults(watch))
    mutator = Mutator(seed, corpus())
    codec = Codec(REGISTRY)  # of all connections, as in a server
    before, peak = 0, 0
    side, replies, fed = *open_side(mutator, codec), []
    for number in range(count):
        if number == count // 4:
            before = rss_bytes()
        if side.has_ended or len(fed) > 40:
            close_side(side, replies, watch)
            side, replies, fed = *open_side(mutator, codec), []
        frame = mutator.frame(side.broker.serving.last_id + 1)
        fed.append(frame)
        watch_for_hangs()
        watch.is_armed = True
        try:
            calls = calls_in(side.input, frame)
            output = side.output()
        except BaseException:
            watch.is_armed = False
            watch.faults.append(traceback.format_exc() + " ".join(each.hex() for each in fed))
            side.has_ended = True
            continue
        watch.is_armed = False
        watch.most_calls = max(watch.most_calls, calls)
        most = max(MOST_CALLS, MOST_CALLS_PER_BYTE * len(frame))
        if any(name in frame for name in GENEROUS):
            most = max(most, MOST_CALLS_PER_OBJECT * MOST)
        if calls > most:
            watch.faults.append(f"{calls} calls for {frame.hex()}")
        count_answers(output, watch)
    watch_for_hangs(0)
    close_side(side, replies, watch)
    side = replies = None
    peak = rss_bytes()
    found = {str(key): value for key, value in sorted(watch.found.items(), key=str)}
    return {
        "events": sorted(set(watch.events)),
        "faults": watch.faults[:5],
        "found": found,
        "grown_bytes": peak - before,
        "most_calls": watch.most_calls,
    }


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]))))
