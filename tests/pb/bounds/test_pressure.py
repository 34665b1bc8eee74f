"""A peer that does not read: its calls are taken in and counted, and run when it reads again."""

from __future__ import annotations

import pytest

import pb
from pb.wire.outbox import LARGE_PAYLOAD, Outbox

from ..cached import REGISTRY, Shop
from ..pump import Gate, Pump, Side, cancel, send


class Server(pb.Root):
    def __init__(self):
        self.seen = []
        self.gate = Gate()

    def remote_note(self, value):
        self.seen.append(value)
        return value

    async def remote_wait(self):
        return await self.gate

    def remote_burn(self, value):
        self.pump.server.now += 0.002
        return self.remote_note(value)

    def remote_stop_reading(self):
        self.pump.server.broker.serving.hold()


def make(**options):
    root = Server()
    root.pump = Pump(root, **options)
    return root, root.pump


def test_calls_are_held_in_order_and_run_when_the_peer_reads_again():
    """What waits for a peer that does not read stays bounded, and nothing is lost."""
    root, pump = make()
    serving = pump.server.broker.serving
    serving.hold()
    outcomes = [pump.root.note(number) for number in range(5)]
    send(pump.root, "note", "quiet")
    pump.run()
    assert [] == root.seen
    assert 6 == serving.count

    serving.start_held()
    pump.run()

    assert [0, 1, 2, 3, 4, "quiet"] == root.seen
    assert [0, 1, 2, 3, 4] == [outcome.result() for outcome in outcomes]
    assert 0 == serving.count


def test_holding_again_stops_in_the_middle():
    """Each answer may be the one that is too much."""
    root, pump = make()
    serving = pump.server.broker.serving
    serving.hold()
    for call in (pump.root.note(1), pump.root.stop_reading(), pump.root.note(2)):
        assert not call.done()
    pump.run()

    serving.start_held()
    pump.run()
    assert [1] == root.seen
    assert serving.is_held

    serving.start_held()
    pump.run()
    assert [1, 2] == root.seen


def begun(root, serving):
    """Let the peer read again; return how many calls began in each turn of the loop, until all have."""
    found = []
    serving.start_held()
    while True:
        found.append(len(root.seen) - sum(found))
        if not serving.count:
            return found
        root.pump.server.wakes.append(root.pump.server.now)
        root.pump.server.wake()


@pytest.mark.parametrize(
    ("method", "most", "turns"),
    [("note", 64, [64, 64, 22]), ("burn", 64, [3] * 50), ("note", 1, [1] * 150)],
    ids=["64", "5 ms", "one"],
)
def test_held_calls_begin_in_turns(method, most, turns):
    """Who stalls and reads again must not make all that it has sent meanwhile run in one go (PB-L6)."""
    root, pump = make(limits=pb.Limits(turn_envelopes=most, turn_s=0.005))
    serving = pump.server.broker.serving
    serving.hold()
    outcomes = [getattr(pump.root, method)(number) for number in range(150)]
    pump.run()

    assert turns == begun(root, serving)
    pump.run()
    assert list(range(150)) == root.seen == [outcome.result() for outcome in outcomes]
    assert (False, 0) == (serving.holds, len(serving.deadlines))


def test_what_comes_between_the_turns_of_held_calls_stands_behind_them():
    """In their order, as ever; and one that is cancelled meanwhile is answered and does not run."""
    root, pump = make(limits=pb.Limits(turn_envelopes=2))
    serving = pump.server.broker.serving
    serving.hold()
    outcomes = [pump.root.note(number) for number in range(5)]
    pump.run()
    serving.start_held()
    assert [0, 1] == root.seen
    late = pump.root.note("late")
    cancel(pump.root, outcomes[3])
    pump.run()
    assert [0, 1] == root.seen
    pump.advance(0)

    assert [0, 1, 2, 4] == root.seen
    pump.advance(0)
    assert [0, 1, 2, 4, "late"] == root.seen
    assert "late" == late.result()
    assert (0, 0) == (serving.count, len(pump.client.broker.calls.pending))


def with_two_of_four_begun():
    """Have a peer that reads again and whose first two calls have begun in this turn; two are left."""
    root, pump = make(limits=pb.Limits(turn_envelopes=2))
    serving = pump.server.broker.serving
    serving.hold()
    for number in range(4):
        send(pump.root, "note", number)
    pump.run()
    serving.start_held()
    return root, pump, serving


def test_held_calls_do_not_go_on_while_the_peer_has_stopped_reading_again():
    """Nor in the turn that was asked for before it did."""
    root, pump, serving = with_two_of_four_begun()
    serving.hold()
    pump.advance(0)
    assert [0, 1] == root.seen

    serving.start_held()
    assert [0, 1, 2, 3] == root.seen


def test_losing_the_connection_between_the_turns_drops_what_is_left():
    """Nothing begins for a peer that is gone."""
    root, pump, serving = with_two_of_four_begun()
    pump.lose()
    pump.advance(0)

    assert [0, 1] == root.seen
    assert 0 == serving.count


def test_a_question_of_an_observer_overtakes_no_call_that_is_held():
    """The peer reads again, and calls that it made before have not had their turn yet."""
    shop, root = Shop(), Server()
    limits = pb.Limits(turn_envelopes=1)
    pump = Pump(shop, registry=REGISTRY, client_root=root, client_limits=limits)
    replica = pump.call("get", "stock")
    (observer,) = shop.stock._observers
    serving = pump.client.broker.serving
    serving.hold()
    for number in range(2):
        send(pump.server.broker.root_reference(), "note", number)
    pump.run()
    serving.start_held()
    asked = observer.double(4)
    pump.run()

    with pytest.raises(pb.Busy):
        asked.result()
    assert ([0], False) == (root.seen, pb.is_stale(replica))


def test_a_held_call_can_be_cancelled_and_is_answered_once():
    """It never ran."""
    root, pump = make()
    serving = pump.server.broker.serving
    serving.hold()
    outcome, other = pump.root.note(1), pump.root.note(2)
    pump.run()
    cancel(pump.root, outcome)
    pump.run()
    serving.start_held()
    pump.run()

    assert [2] == root.seen
    assert 2 == other.result()
    assert 0 == len(pump.client.broker.calls.pending)


def test_held_calls_count_toward_the_limit():
    """A peer that does not read cannot make us hold any number."""
    _, pump = make(limits=pb.Limits(max_calls=3))
    pump.client.broker.calls.peer_max_calls = 100
    pump.server.broker.serving.hold()
    outcomes = [pump.root.note(number) for number in range(4)]
    pump.run()

    with pytest.raises(pb.Busy):
        outcomes[3].result()


def test_losing_the_connection_drops_held_calls():
    """Nobody waits for them any longer."""
    root, pump = make()
    serving = pump.server.broker.serving
    serving.hold()
    pump.root.note(1)
    pump.run()
    pump.lose()
    serving.start_held()

    assert [] == root.seen
    assert 0 == serving.count


def test_much_output_is_written_before_the_turn_ends():
    """Otherwise the network could not say that it takes no more until all of it is there."""
    wakes, writes = [], []
    face = Side("server", None, None, pb.Limits())
    face.wants_write = lambda: wakes.append(1)
    face.write_now = lambda: writes.append(box.take())
    box = Outbox(face)
    block = b"x" * LARGE_PAYLOAD * 3
    for _ in range(6):
        box.put_alone(b"head", block)

    assert 2 == len(writes)
    assert wakes
    assert 6 * (4 + 4 + len(block)) == sum(
        len(buffer) for buffers in [*writes, box.take()] for buffer in buffers
    )
