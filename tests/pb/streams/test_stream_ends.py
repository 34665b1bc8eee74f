"""What ends a stream from outside, and for whom it is made. Spec: 10-streams.md."""

from __future__ import annotations

import gc

import pytest
from msgpack import ExtType

import jelly
import pb
from pb import context

from ..pump import Gate, Pump
from ..streamers import REGISTRY, Source, run, server_of, streams_of, taken

NAMED = ExtType(5, b"\x01")


class User:
    """A perspective."""

    def __init__(self, name):
        self.name = name
        self.gate = Gate()
        self.log = []

    async def perspective_feed(self):
        try:
            yield pb.current_call().perspective.name
            yield Thing()
            yield await self.gate
        finally:
            self.log.append("finally")

    def perspective_take(self, stream):
        self.kept = stream


class Thing(pb.Viewable):
    def view_who(self, perspective):
        return perspective.name


class Root(pb.Root):
    def __init__(self):
        self.gate = Gate()
        self.log = []
        self.kept = None
        self.user = User("alice")
        self.source = Source()

    def remote_enter(self):
        self.attachment = pb.current_call().attach(self.user, lambda: self.log.append("ended"))
        return self.attachment

    async def remote_who(self):
        yield pb.current_call().answer_wanted
        yield context.due_at()

    async def remote_waits(self):
        try:
            yield 1
            await self.gate
        finally:
            self.log.append("finally")

    def remote_keep(self, value):
        self.kept = value

    def remote_give(self):
        kept, self.kept = self.kept, None
        return kept

    def remote_ints(self):
        return self.source


@pytest.fixture
def pump():
    return Pump(Root(), registry=REGISTRY)


def test_a_generator_knows_the_call_it_serves(pump):
    """As a method does: current_call is that of the call whose answer it is."""
    assert [True, None] == taken(pump.call("who"), pump)


def timed(pump, name, *args, within=5.0):
    """Make a call that has to be over after so long."""
    token = context.inherited.set(context.due(pump.client.now + within))
    try:
        outcome = getattr(pump.root, name)(*args)
    finally:
        context.inherited.reset(token)
    pump.run()
    return outcome.result()


def advance(pump, seconds):
    """Let time go by."""
    for side in (pump.client, pump.server):
        side.now += seconds
        side.broker.deadlines.sweep()
    pump.run()


def test_the_time_of_a_call_holds_for_its_stream_too(pump):
    """The producer is stopped when it is over, and its consumer told why."""
    stream = timed(pump, "waits")
    assert [1] == stream.taken()

    advance(pump, 6)

    with pytest.raises(pb.DeadlineExceeded):
        run(pump, stream._pb_row.next())
    assert ["finally"] == server_of(pump).log
    assert (0, 0) == streams_of(pump)


def test_a_stream_that_has_ended_is_no_longer_timed(pump):
    """Nothing is left of it."""
    stream = timed(pump, "who")
    assert 2 == len(taken(stream, pump))

    assert 0 == len(pump.server.broker.deadlines)
    advance(pump, 6)


def test_who_waits_for_an_item_waits_no_longer_than_there_is_time(pump):
    """Also where the producer is deaf."""
    stream = pump.call("waits")
    stream.taken()
    found = []

    async def wait():
        context.inherited.set(context.due(5.0))
        try:
            await stream._pb_row.next()
        except pb.DeadlineExceeded as error:
            found.append(error)

    pump.client.spawn(wait())
    pump.run()
    advance(pump, 6)

    assert 1 == len(found)
    assert ["finally"] == server_of(pump).log
    assert 0 == len(pump.client.broker.deadlines)


def test_a_call_that_is_late_stops_the_streams_it_brought():
    """As one that is cancelled does."""

    class Slow(Root):
        async def remote_keep(self, value):
            self.kept = value
            await self.gate

    pump = Pump(Slow())
    source = Source()
    token = context.inherited.set(context.due(5.0))
    outcome = pump.root.keep(source)
    context.inherited.reset(token)
    pump.run()
    pump.server.now = 6
    pump.server.broker.deadlines.sweep()
    pump.run()

    with pytest.raises(pb.DeadlineExceeded):
        outcome.result()
    assert 1 == source.closed
    assert (0, 0) == streams_of(pump)


def test_items_belong_to_the_perspective_of_the_call(pump):
    """What a user's stream hands out is a view of that user's."""
    user = pump.call("enter")
    outcome = user.feed()
    pump.run()
    name, thing = outcome.result().taken()
    who = thing.who()
    pump.run()

    assert ("alice", "alice") == (name, who.result())


def test_a_stream_keeps_its_attachment_alive(pump):
    """The perspective itself may be dropped meanwhile."""
    user = pump.call("enter")
    outcome = user.feed()
    pump.run()
    stream = outcome.result()
    stream.taken()
    del user, outcome
    gc.collect()
    pump.run()
    assert [] == server_of(pump).log

    stream.stop()
    pump.run()
    assert ["ended"] == server_of(pump).log


def test_a_stream_ends_with_its_attachment(pump):
    """A feed does not outlive the right to it, in either direction."""
    source = Source()
    user = pump.call("enter")
    outcome = user.feed()
    user.take(source)
    pump.run()
    stream = outcome.result()
    stream.taken()
    root = server_of(pump)

    root.attachment.detach()
    pump.run()

    with pytest.raises(pb.Gone):
        run(pump, stream._pb_row.next())
    with pytest.raises(pb.Gone):
        run(pump, root.user.kept._pb_row.next(), pump.server)
    assert ["finally"] == root.user.log
    assert 1 == source.closed


def test_a_stream_that_a_detached_perspective_gives_is_refused(pump):
    """It would have no one to be made for."""
    user = pump.call("enter")
    root = server_of(pump)

    async def detached():
        root.attachment.detach()
        return Source()

    root.user.perspective_late = detached
    outcome = user.late()
    pump.run()

    with pytest.raises(pb.Gone, match="its result with it"):
        outcome.result()


def test_a_stream_ends_whose_task_the_program_stops_before_its_first_step(pump):
    """Its consumer would wait for ever."""
    outcome = pump.root.waits()
    pump.server.broker.receive_data(pump.client.output())
    (row,) = pump.server.broker.streams.producers.values()
    row._task.cancel()
    pump.run()

    with pytest.raises(pb.Cancelled):
        run(pump, outcome.result()._pb_row.next())
    assert [] == server_of(pump).log
    assert (0, 0) == streams_of(pump)


def test_a_stream_whose_attachment_ends_while_it_is_encoded_makes_nothing():
    """What stands beside it in the same payload may end it, before its own task is there."""

    class Ends(pb.Copyable, pb.RemoteCopy):
        def get_state_to_copy(self):
            root.attachment.detach()
            return {}

        def set_copyable_state(self, state):
            pass

    registry = jelly.Registry()
    registry.add(Ends, "Ends")
    pump = Pump(Root(), registry=registry)
    root = server_of(pump)
    user = pump.call("enter")
    source = Source()
    root.user.perspective_ends = lambda: [source, Ends()]
    outcome = user.ends()
    pump.run()

    with pytest.raises(pb.Gone):
        run(pump, outcome.result()[0]._pb_row.next())
    assert 0 == source.made
    assert (0, 0) == streams_of(pump)
