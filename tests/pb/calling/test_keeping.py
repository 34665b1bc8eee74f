"""Hostile peers that have a side keep what they send: PB-L17 and PB-L18, in each way there is."""

from __future__ import annotations

import tracemalloc

import msgpack
import pytest

import pb
from pb import messages
from pb.calling.keeping import SHORT

from ..cached import REGISTRY as CACHES
from ..peers import call, ext, frame, hello, is_alive, said
from ..pump import Gate, Pump, Side

MOST = 4 * 1024 * 1024
MAPS = msgpack.packb([[[{}] * 8000], {}])  # 576 KB of memory
COUNT = 100


class Root(pb.Root):
    def __init__(self):
        self.gate = Gate()
        self.first = Gate()
        self.seen = 0
        self.replicas = []

    async def remote_hold(self, value=None):
        await self.gate

    async def remote_later(self):
        await self.first
        return self

    def remote_see(self, value):
        self.seen += 1

    def remote_keep(self, replica):
        self.replicas.append(replica)


def victim(**limits):
    limits.setdefault("max_call_bytes", MOST)
    side = Side("victim", Root(), CACHES, pb.Limits(**limits))
    side.broker.start()
    side.input(hello(features=["cache", "pipeline", "stream"], max_refs=1000))
    side.output()
    return side


def root_of(side):
    return side.broker.tables.exports[0].object


def many(method, first=1, target=0, step=1, **options):
    """Return so many calls with small maps."""
    rest = [options] if options else []
    ids = range(first, first + COUNT) if step else [0] * COUNT
    return [frame([messages.CALL, id, target, method, MAPS, *rest]) for id in ids]


def running(side):
    return many("hold")


def quiet(side):
    return many("hold", step=0)


def unread(side):
    side.broker.serving.hold()
    return many("see")


def naming(side):
    """Their payloads are not even decoded: they are kept as they came."""
    side.input(frame([messages.CALL, 1, 0, "hold", msgpack.packb([[], {}]), {"keep": True}]))
    return many("see", 2, -1)


def named(side):
    side.input(frame([messages.CALL, 1, 0, "hold", msgpack.packb([[], {}]), {"keep": True}]))
    return many("see", 2, needs=[1])


def behind(side):
    """They stand in line behind one that names a result."""
    argument = b"\x92\x91" + ext(6, b"\x01") + b"\x80"
    side.input(frame([messages.CALL, 1, 0, "hold", msgpack.packb([[], {}]), {"keep": True}]))
    side.input(frame([messages.CALL, 2, 0, "see", argument, {"needs": [1]}]))
    return many("see", 3)


def updates(side):
    """Of replicas, by methods that go on."""
    state = msgpack.packb([1, "shop.Stock", {"n": root_of(side).gate and 1}])
    side.input(call(b"\x92\x91" + ext(9, state) + b"\x80", "keep"))
    (stock,) = root_of(side).replicas

    async def observe_hold(value):
        await root_of(side).gate

    object.__setattr__(stock, "observe_hold", observe_hold)
    return [frame([messages.OBSERVE, 0, 1, "hold", MAPS]) for _ in range(COUNT)]


WAYS = [running, quiet, unread, naming, named, behind, updates]


def feed(side, frames):
    """Give frames one by one; return what they were answered with, and what memory they left taken."""
    answers = []
    tracemalloc.start()
    for each in frames:
        side.input(each)
        side.run_tasks()
        answers += said(side)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return answers, taken


@pytest.mark.unmeasured
@pytest.mark.parametrize("way", WAYS)
def test_what_is_kept_is_bounded_by_the_memory_that_it_takes(way):
    """800 KB would have become 57 MB, and a thousand times as much with larger frames."""
    side = victim()
    frames = way(side)
    side.run_tasks()
    said(side)

    answers, taken = feed(side, frames)

    assert taken < MOST + 2_000_000
    assert side.broker.serving.ledger.bytes < MOST + 600_000
    errors = [msgpack.unpackb(answer[2])["type"] for answer in answers if answer[0] == messages.ERROR]
    assert {"pb.Busy"} >= set(errors)
    if way in (running, unread, behind):
        assert 80 < len(errors) < COUNT
    assert is_alive(side)


@pytest.mark.parametrize("way", WAYS)
def test_what_was_kept_is_done_in_the_end_and_nothing_is_left(way):
    """What was refused has ended, and what was taken goes on as if nothing had been."""
    side = victim()
    feed(side, way(side))

    side.broker.serving.start_held()
    root_of(side).gate.open()
    for _ in range(2 * COUNT):
        side.run_tasks()
        side.advance() if hasattr(side, "advance") else None
        if side.broker.is_cut:
            side.broker.turn()

    serving = side.broker.serving
    said(side)
    assert 0 == serving.ledger.bytes
    assert {} == dict(serving.kept)
    assert (0, 0) == (serving.count, serving.updates)
    assert is_alive(side)
    side.input(frame([messages.CALL, 1000, 0, "see", MAPS]))
    assert [[messages.ANSWER, 1000, b"\xc0"]] == said(side)


@pytest.mark.parametrize("target", [-1, 0], ids=["on it", "with it"])
def test_what_has_waited_for_a_result_is_weighed_when_its_turn_comes(target):
    """While it waits it takes no more than its bytes: 120 such calls of 130 KB would have become 1.1 GB."""
    side = victim()
    side.input(frame([messages.CALL, 1, 0, "later", msgpack.packb([[], {}]), {"keep": True}]))
    answers, waiting = feed(side, many("hold", 2, target, needs=[1], keep=True))
    assert ([], True) == (answers, waiting < MOST)
    last = COUNT + 2
    side.input(frame([messages.CALL, last, 0, "see", msgpack.packb([[None], {}]), {"needs": [last - 1]}]))

    tracemalloc.start()
    root_of(side).first.open()
    while side.has_work:
        side.run_tasks()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert taken < MOST + 2_000_000
    assert side.broker.serving.ledger.bytes < MOST + 600_000
    first, *refused, broken = said(side)
    assert [messages.ANSWER, 1] == first[:2]
    errors = [msgpack.unpackb(answer[2]) for answer in refused]
    assert {"pb.Busy"} == {error["type"] for error in errors}
    assert 80 < len(errors) < COUNT
    error = msgpack.unpackb(broken[2])
    assert (last, "pb.BrokenPromise", "pb.Busy") == (broken[1], error["type"], error["cause"]["type"])
    assert COUNT == side.broker.serving.count + len(errors)

    root_of(side).gate.open()
    side.run_tasks()
    assert [messages.ANSWER] * (COUNT - len(errors)) == [answer[0] for answer in said(side)]
    assert (0, 0) == (side.broker.serving.ledger.bytes, side.broker.serving.count)
    assert is_alive(side)


def test_the_references_in_what_is_refused_when_its_turn_comes_are_given_back():
    """It is read all the same, for what is in it counts."""
    side = victim(max_call_bytes=100_000)
    side.input(frame([messages.CALL, 1, 0, "later", msgpack.packb([[], {}]), {"keep": True}]))
    side.input(frame([messages.CALL, 2, 0, "hold", MAPS, {"needs": [1]}]))  # within it as it came
    payload = b"\x92\x91\x92" + ext(1, b"\x07") + b"\xda\x05\x00" + b"x" * 1280 + b"\x80"
    assert len(payload) > SHORT
    side.input(frame([messages.CALL, 3, 0, "see", payload, {"needs": [1]}]))

    root_of(side).first.open()
    side.run_tasks()

    answers = said(side)
    assert [(messages.ANSWER, 1), (messages.ERROR, 3)] == [tuple(answer[:2]) for answer in answers[:2]]
    assert [[messages.RELEASE, [7, 1]]] == answers[2:]
    assert 0 == root_of(side).seen


@pytest.mark.unmeasured
@pytest.mark.parametrize("way", WAYS)
def test_when_the_connection_ends_nothing_is_left(way):
    """Handlers see that they are cancelled, and nothing that waits begins."""
    side = victim()
    feed(side, way(side))

    side.broker.connection_lost("cut")
    side.run_tasks()

    assert 0 == side.broker.serving.ledger.bytes
    assert 0 == side.broker.serving.count


def test_a_call_that_is_refused_says_how_much_is_kept_and_what_to_do():
    """It did not run, and its sender could not know."""
    side = victim(max_call_bytes=100_000, useless_requests=100)
    side.input(frame([messages.CALL, 1, 0, "hold", MAPS]))
    full = side.broker.serving.ledger.bytes

    for id in range(2, 2000):  # far more than the budget of useless requests
        side.input(frame([messages.CALL, id, 0, "see", b"\x92\x91\xda\x05\x00" + b"x" * 1280 + b"\x80"]))

    answers = said(side)
    assert 1998 == len(answers)
    error = msgpack.unpackb(answers[0][2])
    assert "pb.Busy" == error["type"]
    assert f"{full} bytes of memory are kept for them, the limit max_call_bytes is 100000" in error["msg"]
    assert "not run" in error["msg"]
    assert 0 == root_of(side).seen
    assert is_alive(side)


def test_short_calls_run_however_much_is_kept():
    """One of them may be what puts an end to something."""
    side = victim(max_call_bytes=1)
    side.input(frame([messages.CALL, 1, 0, "hold", MAPS]))
    text = b"\xda" + (SHORT - 6).to_bytes(2, "big") + b"x" * (SHORT - 6)
    payload = b"\x92\x91" + text + b"\x80"
    assert SHORT + 1 == len(payload) + 1

    side.input(frame([messages.CALL, 2, 0, "see", payload]))
    side.input(frame([messages.CALL, 3, 0, "see", payload.replace(b"\xda\x03\xfa", b"\xda\x03\xfbx")]))

    (first, second) = said(side)
    assert [messages.ANSWER, 2, b"\xc0"] == first
    assert [messages.ERROR, 3] == second[:2]


def test_what_comes_first_is_taken_whatever_it_weighs():
    """A payload within max_frame is not too large for ever."""
    side = victim(max_call_bytes=1)

    side.input(frame([messages.CALL, 1, 0, "see", MAPS]))
    side.input(frame([messages.CALL, 2, 0, "hold", MAPS]))

    assert [[messages.ANSWER, 1, b"\xc0"]] == said(side)
    assert side.broker.serving.ledger.bytes > 500_000


def test_a_call_that_is_cancelled_is_kept_no_longer():
    """As soon as its work has ended."""
    side = victim()
    side.input(frame([messages.CALL, 1, 0, "hold", MAPS]))
    side.run_tasks()
    assert 0 < side.broker.serving.ledger.bytes

    side.input(frame([messages.CANCEL, 1]))
    side.run_tasks()

    assert 0 == side.broker.serving.ledger.bytes


def test_a_method_that_ends_in_its_first_step_is_not_kept():
    """Where a loop begins tasks at once."""
    side = victim()
    side.runs_at_once = True
    root_of(side).gate.open()

    side.input(frame([messages.CALL, 1, 0, "hold", MAPS]))
    side.input(frame([messages.CALL, 0, 0, "hold", MAPS]))

    assert [[messages.ANSWER, 1, b"\xc0"]] == said(side)
    assert 0 == side.broker.serving.ledger.bytes


def test_a_call_that_was_passed_on_is_kept_until_its_answer():
    """It may wait here for its turn over there."""
    far = Pump(Root())
    near = Pump(far.root)
    outcome = near.root.hold(bytes(100_000))
    near.run()
    far.run()
    assert 100_000 < near.server.broker.serving.ledger.bytes

    far.server.broker.tables.exports[0].object.gate.open()
    for _ in range(3):
        far.run()
        near.run()

    assert outcome.result() is None
    assert 0 == near.server.broker.serving.ledger.bytes


def test_a_hundred_calls_of_1_mib_are_served_at_once():
    """Defaults are such that honest programs never meet them."""
    pump = Pump(Root())
    outcomes = [pump.root.hold(bytes(2**20)) for _ in range(100)]
    pump.run()
    assert 100 == pump.server.broker.serving.count

    pump.server.broker.tables.exports[0].object.gate.open()
    pump.run()

    assert [None] * 100 == [outcome.result() for outcome in outcomes]
    assert 0 == pump.server.broker.serving.ledger.bytes
