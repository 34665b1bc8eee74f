"""What streams carry, how it is put into messages, and what can be no stream. Spec: 10-streams.md."""

from __future__ import annotations

import pytest

import jelly
import pb
from pb import messages

from ..pump import Gate, Pump, messages_in
from ..streamers import REGISTRY, Server, Source, run, server_of, streams_of, taken


@pytest.fixture
def pump():
    return Pump(Server(), registry=REGISTRY)


def test_items_that_are_there_at_once_share_a_message(pump):
    """And the next one, which takes its time, does not keep them."""
    pump.root.waits()
    pump.client.broker.face.input(b"")
    pump.server.input(pump.client.output())
    pump.server.run_tasks()
    said = [message[0] for message in messages_in(pump.server.output())]
    assert [messages.ANSWER, messages.ITEMS] == said

    outcome = pump.root.rows(5)
    pump.run()
    assert [*range(5)] == taken(outcome.result(), pump)


def test_an_item_that_cannot_be_sent_ends_the_stream_and_nothing_else(pump, caplog):
    """What came before it arrives."""

    async def values():
        yield 1
        yield object()

    outcome = pump.root.take(values())
    pump.run()
    assert 1 == outcome.result()
    (stream,) = server_of(pump).kept

    assert [1] == stream.taken()
    with pytest.raises(pb.RemoteError):
        run(pump, stream._pb_row.next(), pump.server)
    assert "the items of the stream: [0] is an object" in caplog.text
    assert 5 == pump.call("echo", 5)


@pytest.mark.parametrize("item", ["x" * 70_000, b"x" * 70_000, ["x" * 70_000]], ids=["str", "bytes", "list"])
def test_an_item_over_the_peers_limit_ends_the_stream(item):
    """It is told at both ends what the limit is."""
    pump = Pump(Server(), limits=pb.Limits(max_frame=65_536))

    async def values():
        yield "small"
        yield item

    pump.root.take(values())
    pump.run()
    (stream,) = server_of(pump).kept
    assert ["small"] == stream.taken()
    with pytest.raises(pb.TooLarge):
        run(pump, stream._pb_row.next(), pump.server)


@pytest.mark.parametrize("size", [10, 20_000, 70_000])
def test_bytes_of_every_size_arrive(pump, size):
    """Each way of writing them."""

    async def values():
        for number in range(5):
            yield bytes([number]) * size

    pump.root.take(values())
    pump.run()

    assert [bytes([number]) * size for number in range(5)] == taken(server_of(pump).kept[0], pump)


def test_items_leave_in_messages_of_at_most_64_kib():
    """So that calls get through between."""
    pump = Pump(Server(), limits=pb.Limits(window=200))
    outcome = pump.root.things(*["x" * 5_000 for _ in range(100)])
    sizes, output = [], b"more"
    while output or pump.server.yielding:
        pump.server.input(pump.client.output())
        output = pump.server.output()
        sizes += [len(message[2]) for message in messages_in(output) if message[0] == messages.ITEMS]
        pump.client.input(output)

    assert 100 == len(outcome.result().taken())
    assert max(sizes) <= 64 * 1024
    assert max(sizes) > 50_000


def test_items_that_share_a_message_hold_no_more_lists_than_the_peer_takes():
    """Each of them may be sent, and all together would end the connection (PB-V49)."""
    pump = Pump(Server(), limits=pb.Limits(), client_limits=pb.Limits(window=20, max_containers=4096))
    things = [[[] for _ in range(1000)] for _ in range(10)]

    outcome = pump.root.things(*things, [[] for _ in range(4094)], 1)
    pump.run()

    assert [*things, [[] for _ in range(4094)], 1] == taken(outcome.result(), pump)


def test_every_kind_of_item_arrives_alone_or_with_others(pump):
    """Plain ones, shared and cyclic ones, references and further streams."""
    cyclic = []
    cyclic.append(cyclic)
    shared = [1]
    thing = pb.Referenceable()

    async def values():
        for item in (1, [2], (3,), [shared, shared], cyclic, thing, Source(), {"a": {1, 2}}, "é", None):
            yield item

    pump.root.take(values())
    pump.run()
    first, second, third, (one, two), loop, reference, inner, *rest = taken(server_of(pump).kept[0], pump)

    assert (1, [2], (3,)) == (first, second, third)
    assert one is two
    assert loop[0] is loop
    assert pump.client.broker.tables.exports[reference._pb_import.id].object is thing
    assert 16 == len(inner.taken())
    assert [{"a": {1, 2}}, "é", None] == rest


def test_an_item_is_sent_as_it_was_when_it_was_made(pump):
    """A generator may change its row and yield it again (PB-S10)."""

    async def values():
        row = {}
        for number in range(3):
            row["n"] = number
            yield row

    pump.root.take(values())
    pump.run()

    assert [{"n": 0}, {"n": 1}, {"n": 2}] == taken(server_of(pump).kept[0], pump)


def test_a_stream_beside_what_is_shared_is_begun_once(pump):
    """The payload is written twice then, as a tree and as a graph."""
    one, two, stream = pump.call("both")

    assert one is two
    assert [*range(1, 17)] == stream.taken()
    assert (1, 1) == streams_of(pump)


def test_a_stream_whose_call_is_not_sent_is_as_if_it_had_never_been(pump):
    """Its source may be used again: nothing was made of it."""
    source = Source()

    outcome = pump.root.take(source, object())
    with pytest.raises(jelly.Unjellyable):
        outcome.result()
    assert (0, 0) == streams_of(pump)

    pump.call("take", source)
    assert 16 == source.made


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (lambda source: (source, source), "one consumer"),
        (lambda source: ([source], {"a": source}), "one consumer"),
    ],
)
def test_a_stream_stands_once_in_a_payload(pump, arguments, text):
    """Two consumers would each get half of it."""
    outcome = pump.root.take(*arguments(Source()))

    with pytest.raises(jelly.Unjellyable, match=text):
        outcome.result()


def test_a_stream_that_is_being_sent_cannot_be_sent_again(pump):
    """For the same reason."""
    source = Source()
    pump.call("take", source)
    outcome = pump.root.take(source)

    with pytest.raises(jelly.Unjellyable, match="already"):
        outcome.result()


def test_an_open_file_and_an_awaitable_are_no_streams(pump, tmp_path):
    """The one has a function of its own, the other is not what it stands for."""
    with open(tmp_path / "x", "wb") as file, pytest.raises(jelly.Unjellyable, match="stream_file"):
        pump.root.take(file).result()
    with pytest.raises(jelly.Unjellyable, match="not registered"):
        pump.root.take(Gate()).result()
    with pytest.raises(jelly.Unjellyable, match="no connection"):
        jelly.Encoder(REGISTRY).dumps([Source()])


def test_what_waits_to_be_taken_is_bounded_in_bytes():
    """Credit counts items, which may be large (PB-S8)."""
    pump = Pump(Server(), limits=pb.Limits(max_stream_bytes=200_000))

    async def values():
        while True:
            yield b"x" * 60_000

    pump.call("take", values())
    (stream,) = server_of(pump).kept
    assert 3 == len(stream.taken())
    with pytest.raises(pb.TooLarge, match="max_stream_bytes"):
        run(pump, stream._pb_row.next(), pump.server)
    assert 0 == pump.server.broker.streams.ledger.bytes
    assert (0, 0) == streams_of(pump)


def test_tables_that_are_shared_give_no_stream():
    """An update that everybody gets cannot hold what has one consumer."""
    from pb.holding.scope import SHARED, NotShared

    with pytest.raises(NotShared):
        jelly.Encoder(REGISTRY).dumps([Source()], SHARED)


def test_head_of_line_a_call_waits_for_no_more_than_the_window_of_a_stream():
    """However long the stream is: what may be under way before an answer is the window, and no more."""

    class Busy(Server):
        async def remote_bytes(self):
            while True:
                yield bytes(32 * 1024)

    pump = Pump(Busy())
    stream = pump.call("bytes")
    link = bytearray()  # what is under way to the client, which takes 64 KiB of it at a time
    most = 0
    for _ in range(20):
        echo = pump.root.echo("ping")
        sent_before = None
        while not echo.settled:
            pump.server.input(pump.client.output())
            link += pump.server.output()
            if sent_before is None:
                sent_before = len(link)
                most = max(most, sent_before)
            piece = bytes(link[: 64 * 1024])
            del link[: 64 * 1024]
            pump.client.input(piece)
            stream.taken()
        assert "ping" == echo.result()

    assert most <= 17 * 33 * 1024
    stream.stop()


def test_a_stream_beside_what_is_shared_arrives_once():
    """Sharing is found under way, when the stream has its id already: the payload is written again, and the
    stream is still one."""

    class Root(pb.Root):
        def remote_both(self):
            shared = [1]
            return [iter([1, 2]), shared, shared]

    pump = Pump(Root())
    stream, one, other = pump.call("both")

    assert one is other
    assert [1, 2] == taken(stream, pump)
