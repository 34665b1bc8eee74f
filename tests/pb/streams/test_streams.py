"""Streams between two brokers: credit, order, ends. Spec: 10-streams.md."""

from __future__ import annotations

import gc

import pytest

import jelly
import pb
from pb.testing.streams import Stream

from ..peers import BankError
from ..pump import STEPS, Pump, cancel
from ..streamers import REGISTRY, Server, Source, run, server_of, streams_of, taken


@pytest.fixture
def pump():
    return Pump(Server(), registry=REGISTRY)


@STEPS
def test_a_stream_arrives_whole_in_order_and_ends(step):
    """However the network cuts it."""
    pump = Pump(Server(), step=step)

    stream = pump.call("rows", 100)

    assert [*range(100)] == taken(stream, pump)
    assert stream._pb_row.is_over
    assert (0, 0) == streams_of(pump)
    assert ["finally"] == server_of(pump).log


@pytest.mark.parametrize("window", [1, 2, 16, 100])
def test_stream_of_infinite_ints_is_never_more_than_the_window_ahead_of_a_stopped_consumer(window):
    """The promise that an endless stream rests on: what nobody takes is not made."""
    pump = Pump(Server(), limits=pb.Limits(window=window))
    source = server_of(pump).source

    stream = pump.call("ints")
    assert window == source.made
    for count in range(1, 50):
        assert [count] == stream.taken(1)
        pump.run()
        assert count <= source.made <= count + window


def test_a_stream_without_a_window_begins_when_it_is_asked_for():
    """Who announces nothing gets nothing unasked (PB-S7)."""
    pump = Pump(Server(), limits=pb.Limits(window=0))
    stream = pump.call("ints")
    assert 0 == server_of(pump).source.made

    waiting = pump.client.spawn(stream._pb_row.wait())
    pump.run()

    assert waiting.is_done
    assert 1 == server_of(pump).source.made
    assert [1] == stream.taken()


def test_break_of_a_stream_runs_the_producers_finally(pump):
    """What `break` comes down to: STOP, the generator is closed, and END."""
    stream = pump.call("rows", 1000)
    stream.taken(3)

    stream.stop()
    pump.run()

    assert ["finally"] == server_of(pump).log
    assert (0, 0) == streams_of(pump)
    assert [] == stream.taken()


def test_dropping_a_stream_stops_it(pump):
    """As dropping a reference releases it."""
    stream = pump.call("rows", 1000)
    del stream
    gc.collect()
    pump.run()

    assert ["finally"] == server_of(pump).log
    assert (0, 0) == streams_of(pump)


def test_a_stream_that_waits_for_something_is_stopped_there(pump):
    """The generator is cancelled where it stands."""
    stream = pump.call("waits")
    assert ["first"] == stream.taken()

    stream.stop()
    pump.run()

    assert ["finally"] == server_of(pump).log
    assert (0, 0) == streams_of(pump)


def test_a_stream_stopped_before_its_first_item_makes_none(pump):
    """Its task may not have had its first step."""
    outcome = pump.root.ints()
    pump.server.broker.receive_data(pump.client.output())
    pump.client.input(pump.server.output())
    outcome.result().stop()
    pump.server.broker.receive_data(pump.client.output())
    pump.run()

    assert 0 == server_of(pump).source.made
    assert (0, 0) == streams_of(pump)


def test_an_error_of_the_producer_comes_after_the_items_before_it(pump):
    """A registered one as itself."""
    stream = pump.call("fails")
    assert [1] == stream.taken()

    with pytest.raises(BankError, match="overdrawn"):
        run(pump, stream._pb_row.next())
    with pytest.raises(StopAsyncIteration):
        run(pump, stream._pb_row.next())


def test_another_error_of_the_producer_stays_at_home(pump, caplog):
    """As with calls: its text may hold a secret."""
    stream = pump.call("bug")
    stream.taken()

    with pytest.raises(pb.RemoteError) as caught:
        run(pump, stream._pb_row.next())
    assert "pb.Internal" == caught.value.remote_type
    assert "secret" not in str(caught.value)
    assert "incident incident-1: a stream to the peer of server failed" in caplog.text


def test_a_stream_as_an_argument_outlives_its_call(pump):
    """The method has answered; the stream goes on until END."""
    source = Source(fails_at=40)
    assert 1 == pump.call("take", source)

    assert [*range(1, 41)] == taken(server_of(pump).kept[0], pump)
    assert 1 == source.closed
    assert (0, 0) == streams_of(pump)


def test_a_method_takes_a_stream_that_it_is_given(pump):
    """With `async for`, as every other."""

    async def numbers():
        for number in range(100):
            yield number

    assert 4950 == pump.call("sum", numbers())
    assert 45 == pump.call("sum", iter(range(10)))


def test_a_cancelled_call_stops_the_streams_it_brought_and_no_others(pump):
    """What came with another call, or in an answer, goes on."""
    first, second = Source(), Source()
    pump.call("take", first)
    outcome = pump.root.wait(second)
    pump.run()

    cancel(pump.root, outcome)
    pump.run()

    assert 0 == first.closed
    assert 1 == second.closed
    with pytest.raises(pb.Cancelled):
        run(pump, server_of(pump).kept[1]._pb_row.next(), pump.server)


def test_the_answer_to_a_call_that_was_given_up_stops_its_stream(pump):
    """Nobody will ever take it."""
    outcome = pump.root.rows(1000)
    pump.server.input(pump.client.output())
    cancel(pump.root, outcome)
    pump.run()
    gc.collect()
    pump.run()

    assert ["finally"] == server_of(pump).log
    assert (0, 0) == streams_of(pump)


def test_a_stream_in_a_refused_payload_is_stopped():
    """And its producer closes it."""
    pump = Pump(Server(), registry=REGISTRY)
    source = Source()

    outcome = pump.root.take(source, jelly.Relayed("os.system", {}))
    pump.run()
    gc.collect()
    pump.run()

    with pytest.raises(pb.Unregistered):
        outcome.result()
    assert 1 == source.closed
    assert (0, 0) == streams_of(pump)


def test_only_so_many_streams_are_sent_at_a_time():
    """The peer says how many it takes, and this side how many it makes (PB-S5)."""
    pump = Pump(Server(), limits=pb.Limits(max_streams=2))
    pump.call("take", Source(), Source())

    with pytest.raises(pb.TooLarge, match="max_streams is 2"):
        pump.root.take(Source()).result()
    server_of(pump).kept.pop().stop()
    pump.run()
    assert 1 == pump.call("take", Source())


def test_a_producer_waits_while_the_network_takes_nothing(pump):
    """However much credit there is."""
    server = pump.server.broker
    server.streams.hold()
    stream = pump.call("ints")
    assert 0 == server_of(pump).source.made

    server.streams.go_on()
    pump.run()
    assert 16 == server_of(pump).source.made
    assert 16 == len(stream.taken())


def test_a_producer_with_endless_credit_lets_others_have_their_turn(pump):
    """A peer may ask for everything at once."""
    outcome = pump.root.ints()
    pump.run()
    outcome.result()._pb_row.pull(2**53 - 1)
    outcome.result()._pb_row.pull(2**53 - 1)
    pump.server.input(pump.client.output())

    assert server_of(pump).source.made < 200
    assert 1 == len(pump.server.yielding)
    outcome.result().stop()
    pump.run()
    assert (0, 0) == streams_of(pump)


def test_a_lost_connection_ends_streams_at_both_ends(pump):
    """What has arrived can be taken; then comes ConnectionLost, and the producer cleans up."""
    stream = pump.call("waits")
    own, server = Source(), server_of(pump)
    pump.call("take", own)

    pump.lose()
    pump.client.run_tasks()
    pump.server.run_tasks()

    assert ["first"] == stream.taken()
    with pytest.raises(pb.ConnectionLost, match="the stream was cut"):
        run(pump, stream._pb_row.next())
    assert ["finally"] == server.log
    assert 1 == own.closed
    assert (0, 0) == streams_of(pump)


def test_a_stream_keeps_a_connection_that_drains(pump):
    """What is under way is finished, and then it closes by itself."""
    stream = pump.call("rows", 40)
    pump.client.broker.close()
    pump.run()
    assert not pump.client.has_ended

    assert 40 == len(taken(stream, pump))
    pump.run()
    assert pump.client.has_ended
    assert pump.client.error is None


def test_a_stream_keeps_a_connection_that_is_kept_by_what_is_held_of_it(pump):
    """The last reference may be gone while items still come."""
    stream = pump.call("rows", 40)
    gc.collect()
    pump.run()
    broker = pump.client.broker
    assert {} == broker.tables.imports
    assert not broker.is_unused

    taken(stream, pump)
    assert broker.is_unused


def test_only_one_waits_for_the_next_item(pump):
    """Two would each get half of it."""
    stream = pump.call("waits")
    stream.taken()
    pump.client.spawn(stream._pb_row.wait())
    pump.run()

    with pytest.raises(RuntimeError, match="one consumer"):
        run(pump, stream._pb_row.wait())
    stream.stop()
    pump.run()


def test_a_stream_can_neither_be_pickled_nor_copied(pump):
    """It belongs to its connection."""
    stream = pump.call("ints")

    with pytest.raises(TypeError, match="belongs to its connection"):
        stream.__reduce_ex__(4)
    assert "<Stream 1 of the peer of client, open>" == repr(stream)
    assert isinstance(stream, Stream)


def test_a_peer_that_takes_no_streams_is_sent_none(pump):
    """It did not announce the feature (PB-S2)."""
    pump.server.broker.streams.peer_takes = False

    with pytest.raises(pb.Unsupported, match="takes no streams"):
        pump.call("ints")
