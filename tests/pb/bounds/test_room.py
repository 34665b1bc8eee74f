"""Messages that want no answer, to a peer that does not take them: they have an end too."""

from __future__ import annotations

import msgpack
import pytest

import pb
from pb import messages
from pb.bounds.room import MOST_CALLS, MOST_SERVING

from ..cached import REGISTRY, Shop
from ..peers import ask
from ..pump import Gate, Pump, Script, packed, send


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


def call(id, method):
    return [messages.CALL, id, 0, method, packed([[], {}])]


class Teller(pb.Root):
    """Calls its callers back, as often as they like, and awaits nothing."""

    def __init__(self):
        self.refused = []

    def remote_tell(self, listener):
        try:
            ask(listener, "heard")
        except pb.Busy as busy:
            self.refused.append(busy)

    def remote_pass_on(self, listener):
        ask(listener, "heard")


def tell(first, count, method="tell"):
    """Return calls that each have the teller call back."""
    listener = packed([[msgpack.ExtType(1, b"\x01")], {}])
    return [[messages.CALL, id, 0, method, listener] for id in range(first, first + count)]


def test_calls_that_serve_a_peer_which_answers_none_are_bounded():
    """They cannot wait for their turn; and the peer's own are answered, so it makes as many as it likes."""
    root = Teller()
    script = Script(root, info={"max_calls": 4})
    most = 2 * 4 + MOST_SERVING
    script.say(*tell(1, most))
    assert ([], most) == (root.refused, len(script.broker.calls.pending))
    script.say(*tell(most + 1, 3))

    assert 3 == len(root.refused)
    assert f"the call was not made: {most} have no answer, and the peer's max_calls is 4" in str(
        root.refused[0]
    )
    assert most == len(script.broker.calls.pending)
    assert most + 3 == len([each for each in script.heard() if each[0] == messages.ANSWER])


def test_questions_that_serve_a_peer_which_answers_none_are_bounded():
    """They are calls to a replica."""

    class Asker(Shop):
        def remote_begin(self):
            return self.stock

        def remote_ask(self):
            (observer,) = self.stock._observers
            self.outcomes.append(observer.double(4))

    shop = Asker()
    script = Script(shop, registry=REGISTRY, info={"max_calls": 4, "features": ["cache"]})
    most = 2 * 4 + MOST_SERVING
    script.say(call(1, "begin"), *[call(id, "ask") for id in range(2, most + 4)])

    assert [pb.Busy] * 2 == [type(each.error) for each in shop.outcomes if each.done()]
    assert most == len(script.broker.calls.pending)


def test_where_a_handler_lets_that_pass_its_own_caller_is_not_told_to_try_again():
    """Busy would say that the call of the handler did not run (PB-E10)."""
    script = Script(Teller(), info={"max_calls": 4})
    script.say(*tell(1, 2 * 4 + MOST_SERVING))
    script.heard()
    script.say(*tell(2 * 4 + MOST_SERVING + 1, 1, "pass_on"))
    (answer,) = [each for each in script.heard() if each[0] == messages.ERROR]

    assert "pb.Internal" == msgpack.unpackb(answer[2])["type"]


def test_no_more_calls_are_made_than_this_side_keeps_whatever_the_peer_announces():
    """To say a number costs it nothing."""
    assert MOST_CALLS == Script(Teller(), info={"max_calls": messages.MAX_ID}).broker.calls.peer_max_calls
    assert 1024 == Script(Teller(), info={"max_calls": 1024}).broker.calls.peer_max_calls
