"""Peers that do as they like with streams. Spec: 10-streams.md, "The unexpected"."""

from __future__ import annotations

import gc
import tracemalloc

import msgpack
import pytest
from msgpack import ExtType

import pb
from pb import messages

from ..caches.test_hostile_caches import Holder, cache, observe
from ..pump import Cancelled, Gate, Script, cancel, packed
from .test_stream_ends import Root

NAMED = ExtType(5, b"\x01")


def streaming(**options):
    """Return a side with a stream of the peer's, and of its own, each with the id 1."""
    script = Script(Root(), info={"features": ["stream"], "window": 4}, **options)
    script.say([1, 1, 0, "keep", packed([[NAMED], {}])], [1, 2, 0, "ints", packed([[], {}])])
    script.side.run_tasks()
    return script, [message[:2] for message in script.heard()]


def test_a_peers_window_is_what_it_said():
    """And not ours."""
    script, said = streaming()

    assert [[2, 1], [2, 2], [10, 1]] == said
    assert 4 == script.side.broker.tables.exports[0].object.source.made


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ([9, 1], 3),
        ([9, 1, 0], 3),
        ([9, 1, 2**53], 3),
        ([9, 0, 1], 3),
        ([9, 2, 1], 3),
        ([9, -1, 1], 3),
        ([9, "1", 1], 3),
        ([9, True, 1], 3),
        ([9, 1, True], 3),
        ([10, 1], 3),
        ([10, 1, 5], 3),
        ([10, True, packed([1])], 3),
        ([10, 2, packed([1])], 3),
        ([10, 1, packed(1)], 4),
        ([10, 1, packed([])], 4),
        ([10, 1, packed({"a": 1})], 4),
        ([10, 1, b"\xc1"], 4),
        ([10, 1, packed([0] * 17)], 6),
        ([11], 3),
        ([11, 1, 5], 3),
        ([11, 1, packed(5)], 4),
        ([11, 1, packed({}), 1], 3),
        ([11, 2], 3),
        ([11, "1"], 3),
        ([12], 3),
        ([12, "1"], 3),
        ([12, 2], 3),
        ([12, 0], 3),
        ([1, 3, 0, "keep", packed([[NAMED], {}])], 4),
    ],
)
def test_what_a_peer_must_not_say_about_streams(message, code):
    """Each ends the connection with its code, and nothing is kept."""
    script, _ = streaming()

    script.say(message)

    said = script.heard()
    assert [messages.BYE, code] == said[-1][:2]
    assert script.side.has_ended
    script.side.run_tasks()
    assert 0 == len(script.side.broker.streams)


def test_pull_and_stop_may_cross_the_end():
    """The consumer did not know yet."""
    script, _ = streaming()
    script.say([12, 1])
    assert [[11, 1]] == script.heard()

    script.say([9, 1, 5], [12, 1], [13, 7])
    assert [[14, 7]] == script.heard()


def test_items_that_cross_stop_are_counted_and_dropped():
    """What they hold is released, and the streams among it stopped (PB-S15)."""
    script, _ = streaming()
    script.side.broker.tables.exports[0].object.kept.stop()
    assert [[12, 1]] == script.heard()

    script.say([10, 1, packed([ExtType(1, b"\x09"), ExtType(5, b"\x08")])])
    gc.collect()
    assert [[6, [9, 1]], [12, 8]] == sorted(script.heard())

    script.say([11, 8], [11, 1, packed({"type": "pb.Cancelled", "msg": "stopped"})])
    assert [] == script.heard()
    assert [1] == [*script.side.broker.streams.producers]
    assert {} == script.side.broker.streams.consumers


def test_an_item_that_is_refused_fails_the_stream_only():
    """What came before it is there, then the error; the peer is told to stop."""
    script, _ = streaming()
    script.say([10, 1, packed([1])])
    script.say([10, 1, packed([2, ExtType(8, msgpack.packb(["os.system", {}]))])])
    assert [[12, 1]] == script.heard()

    script.say([10, 1, packed([ExtType(8, msgpack.packb(["os.system", {}]))])], [13, 7])
    assert [[14, 7]] == script.heard()
    stream = script.side.broker.tables.exports[0].object.kept
    assert [1] == stream.taken()
    found = []

    async def fail():
        try:
            await stream._pb_row.next()
        except pb.Unregistered as error:
            found.append(error)

    script.side.spawn(fail())
    script.side.run_tasks()
    assert 1 == len(found)


def test_an_error_that_cannot_be_read_is_one_all_the_same():
    """END is END."""
    script, _ = streaming()
    error = {"type": "x.Y", "msg": "", "data": ExtType(8, msgpack.packb(["os.system", {}]))}
    script.say([11, 1, packed(error)])

    row = script.side.broker.tables.exports[0].object.kept._pb_row
    assert isinstance(row.error, pb.Unregistered)
    assert 1 == len(script.side.broker.streams)


def test_more_streams_than_a_peer_may_begin_end_the_connection():
    """An honest one knows how many."""
    script = Script(Root(), info={"features": ["stream"]}, limits=pb.Limits(max_streams=2))
    names = [ExtType(5, bytes([number])) for number in range(1, 5)]

    script.say([1, 1, 0, "keep", packed([[names], {}])])

    assert [messages.BYE, messages.BYE_LIMIT] == script.heard()[-1][:2]
    assert 0 == len(script.side.broker.streams)


class Asking(pb.Root):
    """Calls back, and gives that call up when it is stopped, as a task does."""

    was_stopped = False

    async def remote_ask(self, reference):
        outcome = reference.note(1)
        try:
            await Gate()
        except Cancelled:
            self.was_stopped = True
            cancel(reference, outcome)
            raise


class Late(pb.Root):
    """Tells of whatever runs for the peer."""

    def __init__(self):
        self.ran = []

    def remote_note(self, value):
        self.ran.append("note")

    async def remote_sit(self, value):
        self.ran.append("sit")

    def remote_thing(self):
        return self


@pytest.mark.parametrize("method", ["note", "sit"])
@pytest.mark.parametrize("target", [0, -1], ids=["plain", "pipelined"])
@pytest.mark.parametrize("held", [False, True], ids=["at once", "held"])
def test_a_call_that_ends_the_connection_does_not_run(method, target, held):
    """The BYE says that nothing begins any more, and nobody would ever stop it."""
    root = Late()
    script = Script(root, info={"features": ["stream", "pipeline"]}, limits=pb.Limits(max_streams=2))
    names = [ExtType(5, bytes([number])) for number in range(1, 4)]
    script.say([1, 1, 0, "thing", packed([[], {}]), {"keep": True}])
    if held:
        script.broker.serving.hold()

    script.say([1, 2, target, method, packed([[names], {}])])
    script.side.run_tasks()

    assert [messages.BYE, messages.BYE_LIMIT] == script.heard()[-1][:2]
    serving = script.broker.serving
    assert ([], 0, {}) == (root.ran, serving.count, serving.running)


def test_an_update_that_ends_the_connection_is_not_applied():
    """Nothing begins behind the BYE, and a replica is given up as it was."""
    holder = Holder(limits=pb.Limits(max_streams=2))
    (replica,) = holder.give(cache(6))
    ran = []
    names = [ExtType(5, bytes([number])) for number in range(7, 10)]
    type(replica).observe_streams = lambda self, value: ran.append(value)
    try:
        said = holder.say(observe(6, "streams", names))
    finally:
        del type(replica).observe_streams

    assert [messages.BYE, messages.BYE_LIMIT] == said[-1][:2]
    assert [] == ran


def test_a_method_that_ends_the_connection_leaves_nothing_running():
    """What it returns to be waited for is taken back: nobody is there to stop it any more."""
    script = Script(Late())
    begun = []

    async def goes_on():
        begun.append(True)

    def end(value):
        script.broker.fail(pb.ProtocolError("enough", messages.BYE_POLICY))
        return goes_on()

    script.broker.tables.exports[0].object.remote_end = end
    script.say([1, 1, 0, "end", packed([[1], {}])])
    script.side.run_tasks()

    assert ([], 0) == (begun, script.broker.serving.count)


@pytest.mark.parametrize("payload", [b"\xc1", b"\x91" * 80 + b"\xc0"], ids=["no value", "too deep"])
def test_nothing_follows_an_aborting_bye(payload):
    """The handler whose call got that answer is stopped, and gives it up; that is not told (PB-F27)."""
    root = Asking()
    script = Script(root)
    script.say([1, 1, 0, "ask", packed([[ExtType(1, b"\x01")], {}])])
    script.side.run_tasks()
    (asked,) = script.heard()

    script.say([2, asked[1], payload])

    assert [messages.BYE] == [said[0] for said in script.heard()]
    assert root.was_stopped


@pytest.mark.parametrize(
    "size",
    [10, 1000, pytest.param(20_000, marks=pytest.mark.unmeasured)],
    ids=["small", "larger", "large"],
)
def test_items_of_streams_that_nobody_takes_are_bounded_by_the_memory_that_they_take(size):
    """32 MB of empty maps were within all limits, and became 2 GB."""
    most = 4 * 1024 * 1024
    script = Script(Root(), info={"features": ["stream"]}, limits=pb.Limits(max_stream_bytes=most))
    ids = range(1, 101)
    script.say([1, 1, 0, "keep", packed([[[ExtType(5, bytes([id])) for id in ids]], {}])])
    script.heard()
    item, stopped = packed([[{}] * size]), set()

    tracemalloc.start()
    for _ in range(16):
        for id in ids:
            if id not in stopped:
                script.say([10, id, item])
                stopped.update(told[1] for told in script.heard() if told[0] == messages.STOP)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    streams = script.side.broker.streams
    assert taken < most + 1_500_000
    assert (size > 10) == bool(stopped)
    assert streams.ledger.bytes <= most
    script.say(*[[11, id] for id in ids], [13, 7])
    assert [[14, 7]] == script.heard()
    script.side.broker.tables.exports[0].object.kept = None
    gc.collect()
    script.side.output()  # what was dropped is seen when there is something to be written
    assert 0 == len(streams) == streams.ledger.bytes


def test_a_stream_that_brings_too_much_gives_what_came_before_it_and_says_why():
    """The others go on, and calls too."""
    script, _ = streaming(limits=pb.Limits(max_stream_bytes=300_000))
    blob = packed([bytes(100_000)])
    script.say([10, 1, blob], [10, 1, blob], [10, 1, blob], [13, 7])
    assert [[12, 1], [14, 7]] == script.heard()
    stream = script.side.broker.tables.exports[0].object.kept

    assert 2 == len(stream.taken())
    assert 0 == script.side.broker.streams.ledger.bytes
    with pytest.raises(pb.TooLarge, match="the limit max_stream_bytes is 300000; take items sooner"):
        raise stream._pb_row.error
