"""Messages that want no answer, to a peer that does not take them: they have an end too."""

from __future__ import annotations

import pytest

import pb

from ..pump import Gate, Pump, send


class Server(pb.Root):
    def __init__(self):
        self.seen = []
        self.gate = Gate()

    def remote_note(self, value):
        self.seen.append(value)

    async def remote_wait(self):
        await self.gate


def test_backpressure_of_messages_that_the_network_does_not_take():
    """Some are taken in; then each is refused before it is encoded, until the network takes more."""
    root = Server()
    pump = Pump(root)
    calls = pump.client.broker.calls
    told = []
    calls.hold()
    calls.room.when_free = lambda: told.append(1)
    sent = 0
    with pytest.raises(pb.Busy, match="bytes wait for it"):
        while True:
            send(pump.root, "note", bytes(10_000))
            sent += 1
    assert 27 == sent
    assert [] == told

    calls.start_waiting()
    calls.start_waiting()
    assert [1] == told
    send(pump.root, "note", "again")
    pump.run()
    assert sent + 1 == len(root.seen)


def test_backpressure_of_messages_that_wait_behind_calls():
    """They keep their place, so they wait unencoded; not without end."""
    root = Server()
    pump = Pump(root, limits=pb.Limits(max_calls=1))
    first, second = pump.root.wait(), pump.root.wait()
    told = []
    with pytest.raises(pb.Busy, match="4096 others wait behind calls"):
        for number in range(5000):
            send(pump.root, "note", number)
    room = pump.client.broker.calls.room
    assert room.is_short
    room.when_free = lambda: told.append(1)
    root.gate.open()
    pump.run()

    assert list(range(4096)) == root.seen
    assert [1] == told
    assert not room.is_short
    assert None is first.result() is second.result()


def test_backpressure_leaves_nothing_counted_behind_the_end():
    """What waited is dropped with the connection."""
    pump = Pump(Server(), limits=pb.Limits(max_calls=1))
    outcomes = [pump.root.wait(), pump.root.wait()]
    send(pump.root, "note", 1)
    assert 1 == pump.client.broker.calls.room.waiting
    pump.lose()

    assert 0 == pump.client.broker.calls.room.waiting
    assert [pb.NotExecuted] * 2 == [type(outcome.error) for outcome in outcomes]
