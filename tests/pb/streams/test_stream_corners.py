"""Corners of streams: sources that misbehave, hooks that end the connection, ends that coincide."""

from __future__ import annotations

import pytest

import jelly
import pb
from pb import messages

from ..pump import Cancelled, Gate, Pump
from ..streamers import REGISTRY, Server, Source, run, server_of, streams_of, taken
from .test_stream_ends import Root


def started(source):
    """Return a pump over which a source is being sent, and what the other side has of it."""
    pump = Pump(Server(), registry=REGISTRY)
    pump.call("take", source)
    return pump, server_of(pump).kept[0]


class Waits(Source):
    """Gives one item, then waits for its gate."""

    def __init__(self):
        super().__init__()
        self.gate = Gate()

    async def __anext__(self):
        if self.made:
            await self.gate
        return await super().__anext__()


def test_items_can_be_fetched_by_the_heap():
    """Credit for a heap is given when it was used."""
    pump, stream = started(Source())
    row = stream._pb_row

    assert [*range(1, 17)] == run(pump, row.more(0), pump.server)
    assert 0 == row.owed
    assert [*range(17, 33)] == run(pump, row.more(16), pump.server)
    ledger = pump.server.broker.streams.ledger
    assert 0 < row.lent <= ledger.bytes, "it was not used yet"
    row.streams.stop(row)
    assert 0 == ledger.bytes


def test_a_source_that_goes_on_when_it_is_stopped_is_heard_no_more():
    """Its item is dropped, and it is closed."""

    class Stubborn(Waits):
        async def __anext__(self):
            try:
                return await super().__anext__()
            except Cancelled:
                return "all the same"

    source = Stubborn()
    pump, stream = started(source)
    stream.stop()
    pump.run()

    assert 1 == source.closed
    assert (0, 0) == streams_of(pump)


def test_a_source_that_fails_while_it_is_stopped_is_logged(caplog):
    """Its consumer has gone."""

    class Failing(Waits):
        async def aclose(self):
            raise ValueError("cannot close")

    pump, stream = started(Failing())
    stream.stop()
    pump.run()

    assert (0, 0) == streams_of(pump)
    assert "a stream failed while it was closed" in caplog.text
    caplog.clear()

    async def fails():
        try:
            yield 1
            await Gate()
        finally:
            raise ValueError("cannot end")

    pump, stream = started(fails())
    stream.stop()
    pump.run()
    assert "a stream failed while it was stopped" in caplog.text
    assert (0, 0) == streams_of(pump)


def test_a_source_that_cannot_be_closed_fails_its_stream(caplog):
    """After its last item: whoever took them is told that something was wrong."""

    class Failing(Source):
        async def __anext__(self):
            raise StopAsyncIteration

        async def aclose(self):
            raise ValueError("cannot close")

    pump, stream = started(Failing())
    error = stream._pb_row.error

    assert "pb.Internal" == error.remote_type
    assert (0, 0) == streams_of(pump)


def test_a_source_that_is_cancelled_while_it_is_closed_has_ended():
    """Whoever did that."""

    class Cancels(Source):
        async def __anext__(self):
            raise StopAsyncIteration

        async def aclose(self):
            raise Cancelled

    _, stream = started(Cancels())

    assert isinstance(stream._pb_row.error, pb.Cancelled)


def test_a_source_may_return_any_awaitable():
    """Not only coroutines: what has a `__await__` that is a plain iterator, too."""

    class Plainly:
        def __await__(self):
            return iter(())

    class Other(Source):
        def __anext__(self):
            self.made += 1
            return Plainly()

    pump, stream = started(Other())

    assert [None] * 16 == stream.taken()
    stream.stop()
    pump.run()


def test_a_source_whose_task_is_cancelled_says_so():
    """By the end of the program, for instance."""

    class Cancels(Source):
        async def __anext__(self):
            raise Cancelled

    _, stream = started(Cancels())

    assert isinstance(stream._pb_row.error, pb.Cancelled)


class ClosesSlowly(Source):
    """Gives nothing, and what it closes waits."""

    async def __anext__(self):
        raise StopAsyncIteration

    async def aclose(self):
        await Gate()


@pytest.mark.parametrize("source", [Waits, ClosesSlowly])
def test_a_stream_whose_task_is_thrown_away_is_ended_by_the_loop(source):
    """Nothing is said where it is thrown away, which may be in the middle of whatever."""
    pump, stream = started(source())
    streams = pump.client.broker.streams
    (row,) = streams.producers.values()

    row._task.coroutine.close()
    assert {row.id: row} == streams.producers
    pump.run()
    assert {} == streams.producers
    assert isinstance(stream._pb_row.error, pb.Cancelled)
    streams.forget(row)


def test_pull_for_a_source_that_is_at_work_changes_nothing():
    """It looks at its credit when it has made its item."""
    source = Waits()
    pump, stream = started(source)
    stream._pb_row.pull(5)
    pump.run()
    source.gate.open()
    pump.run()

    assert 16 + 5 == source.made


def test_who_stops_waiting_for_an_item_may_wait_again():
    """The stream goes on."""
    source = Waits()
    pump, stream = started(source)
    stream.taken()
    task = pump.server.spawn(stream._pb_row.wait())
    pump.run()
    try:
        task.cancel()
    except Cancelled:
        pass
    source.gate.open()

    assert 2 == run(pump, stream._pb_row.next(), pump.server)


def test_ends_that_coincide_are_one():
    """A time that runs out while the consumer stops."""
    source = Waits()
    pump, stream = started(source)
    (row,) = pump.client.broker.streams.producers.values()
    stream.stop()
    pump.server.output()
    row.stop()
    row.expire()
    row._cancel()
    pump.run()

    assert 1 == source.closed
    assert None is row.why
    assert (0, 0) == streams_of(pump)


class Ending(jelly.Copyable, jelly.RemoteCopy):
    """A copy whose hook ends the connection."""

    def __init__(self, pump):
        self.pump = pump

    def set_copyable_state(self, state):
        raise AssertionError("it never arrives")

    def get_state_to_copy(self):
        self.pump.client.broker.connection_lost("a hook did it")
        return {}


def test_a_hook_may_end_the_connection_while_a_stream_is_announced():
    """There is nobody to stream to, before and after."""
    registry = jelly.Registry()
    registry.include(REGISTRY)
    registry.add(Ending, "x.Ending")
    for order in (1, -1):
        pump = Pump(Server(), registry=registry)
        outcome = pump.root.take(*[Ending(pump), Source()][::order])
        pump.run()
        assert outcome.error is not None
        assert 0 == len(pump.client.broker.streams)


def test_a_hook_may_end_the_connection_while_an_item_is_made():
    """It is not sent."""
    registry = jelly.Registry()
    registry.include(REGISTRY)
    registry.add(Ending, "x.Ending")
    pump = Pump(Server(), registry=registry)
    source = Source()

    async def items():
        try:
            yield Ending(pump)
        finally:
            source.closed += 1

    pump.root.take(items())
    pump.run()

    assert 1 == source.closed
    assert 0 == len(pump.client.broker.streams)


def test_a_hook_may_end_the_connection_while_a_stream_arrives():
    """What stands for it is dead already."""

    class Closes(jelly.RemoteCopy):
        def set_copyable_state(self, state):
            pump.server.broker.connection_lost("a hook did it")

    registry = jelly.Registry()
    registry.add(Closes, "os.system", fields=["x"])
    pump = Pump(Server(), registry=registry)

    pump.root.take(jelly.Relayed("os.system", {}), Source())
    pump.run()

    assert 0 == len(pump.server.broker.streams)


def test_streams_under_other_attachments_go_on():
    """Only what was handed out under one ends with it."""
    pump = Pump(Root(), registry=REGISTRY)
    own, kept = pump.call("ints"), Source()
    pump.call("keep", kept)
    pump.call("enter")
    server_of(pump).attachment.detach()
    pump.run()

    assert [*range(1, 17)] == own.taken()
    assert 0 == kept.closed


def test_a_stream_that_came_in_an_answer_belongs_to_no_call():
    """A CANCEL of the peer's does not reach it."""
    pump = Pump(Root(), registry=REGISTRY, client_root=Server())
    stream = pump.call("ints")
    back = pump.server.broker.root_reference().take(1)
    pump.run()

    assert 1 == back.result()
    assert 0 == stream._pb_row.call_id
    assert 16 == len(stream.taken())


def test_an_error_of_a_stream_may_hold_what_begins_with_it():
    """Its data are a payload like others."""

    class Told(pb.Error):
        def __init__(self, stream):
            super().__init__("told")
            self.stream = stream

        def get_state_to_copy(self):
            return {"stream": self.stream}

        def set_copyable_state(self, state):
            self.stream = state["stream"]

    registry = jelly.Registry()
    registry.add(Told, "x.Told")
    pump = Pump(Server(), registry=registry)
    source = Source()

    async def fails():
        yield 1
        raise Told(source)

    pump.call("take", fails())
    (stream,) = server_of(pump).kept
    inner = stream._pb_row.error.stream
    pump.run()

    assert [*range(1, 17)] == inner.taken()


def test_a_timed_stream_is_lost_with_its_connection():
    """Nothing is left to be ended later."""
    from .test_stream_ends import timed

    pump = Pump(Root())
    timed(pump, "waits")
    pump.lose()
    pump.run()

    assert 0 == len(pump.server.broker.deadlines)


def test_items_of_a_list_of_calls_stay_in_order():
    """Streams are not calls: an answer may overtake what it announced, but not the other way round."""
    pump = Pump(Server())
    outcome = pump.root.rows(3)
    pump.server.input(pump.client.output())
    said = [message[0] for message in _messages(pump.server.output(), pump)]

    assert [messages.ANSWER, messages.ITEMS, messages.END] == said
    assert [0, 1, 2] == taken(outcome.result(), pump)


def _messages(data, pump):
    from ..pump import messages_in

    pump.client.input(data)
    return messages_in(data)
