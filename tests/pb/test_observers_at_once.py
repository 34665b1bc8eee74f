"""A change that is alone in its turn is written while it is told: to whom, and in which order it arrives."""

from __future__ import annotations

import pytest

import pb
from pb import messages
from pb.limits import Limits
from pb.observers import Observers
from pb.wire.codec import Codec
from pb.wire.flushed import ALONE, Flushed

from .cached import REGISTRY, Shop, Stock
from .pump import STEPS, Pump, messages_in, run_all


class Room:
    """A stock with an empty list, followed over pumps whose server sides are written as those of one loop.

    Attributes:
        written: the number of a pump and the frame, for each that was written past its outbox.
        errors: what a pump raises when that is tried, by its number.
    """

    def __init__(self, count, step=None):
        self.shop = Shop(stock=Stock(items=[]))
        self.pumps = [Pump(self.shop, registry=REGISTRY, greet=False, step=step) for _ in range(count)]
        codec = Codec(REGISTRY)
        self.flushed = Flushed()
        self.written = []
        self.errors = {}
        for number, pump in enumerate(self.pumps):
            pump.server.broker.codec = codec
            pump.run()
            box = self.box(number)
            box.flushed = self.flushed
            box.wake = lambda side=pump.server: self.flushed.append(side)
            self.resume(number)
        self.replicas = [pump.call("get", "stock") for pump in self.pumps]
        self.end_turn()
        self.calm()

    def box(self, number):
        """Return the outbox of one."""
        return self.pumps[number].server.broker.outbox

    def resume(self, number):
        """Let one be written to past its outbox."""

        def write(frame):
            if number in self.errors:
                raise self.errors[number]
            self.written.append((number, frame))
            self.pumps[number].down.write(frame)

        self.box(number).direct = write

    def calm(self):
        """Let changes have come one by one for a while."""
        for _ in range(ALONE):
            self.flushed.note_change()
            self.flushed.take()

    def add(self, item):
        """Tell all that the list has grown."""
        self.shop.stock._observers.send("add", item)

    def end_turn(self):
        """Write what waits, let it be read, and return who was written to meanwhile."""
        self.flushed.take()
        run_all(*self.pumps)
        reached, self.written = [number for number, _ in self.written], []
        return reached

    @property
    def lists(self):
        """What each replica has by now."""
        return [replica.items for replica in self.replicas]


@STEPS
def test_a_change_that_is_alone_is_written_while_it_is_told(step):
    """One frame for all; only the first waits, and with it the end of the turn."""
    room = Room(4, step)
    room.add("a")
    frames = {frame for _, frame in room.written}

    assert [room.pumps[0].server] == room.flushed
    assert [[messages.OBSERVE, 0, 1, "add"]] == [
        message[:4] for frame in frames for message in messages_in(frame)
    ]
    assert [1, 2, 3] == room.end_turn()
    assert [["a"]] * 4 == room.lists


@STEPS
def test_what_is_told_later_in_the_turn_is_behind_it(step):
    """A batch, as if the first had not been written; and the next turns wait from the beginning."""
    room = Room(3, step)
    room.add("a")
    room.add("b")
    room.add("c")
    assert [3, 2, 2] == [len(room.box(number).batch) for number in range(3)]
    assert [1, 2] == room.end_turn()
    room.add("d")
    assert [1, 1, 1] == [len(room.box(number).batch) for number in range(3)]
    assert [] == room.end_turn()
    room.calm()
    room.add("e")
    assert [1, 2] == room.end_turn()

    assert [["a", "b", "c", "d", "e"]] * 3 == room.lists


@STEPS
def test_it_does_not_overtake_what_waits(step):
    """Neither a message of that connection, nor one that is written in the same turn because of another."""
    room = Room(4, step)
    room.flushed.append("somebody")
    room.add("a")
    assert [] == room.end_turn()
    box = room.box(2)
    box.due = True  # as while its input is acted on
    room.add("b")
    assert [1, 3] == [number for number, _ in room.written]
    assert 1 == len(box.batch)
    room.end_turn()
    room.pumps[3].server.broker.ping()  # it is the first to wait for this turn's end
    room.add("c")

    assert [] == room.end_turn()
    assert [["a", "b", "c"]] * 4 == room.lists


@STEPS
def test_who_is_looked_after_at_each_write_is_not_written_past_the_outbox(step):
    """The network takes no more, or a hook counts the bytes: its own face writes."""
    room = Room(4, step)
    room.box(1).direct = None
    room.add("a")
    assert (1, True) == (len(room.box(1).batch), room.pumps[1].server in room.flushed)
    assert [2, 3] == room.end_turn()
    room.resume(1)
    room.add("b")

    assert [1, 2, 3] == room.end_turn()
    assert [["a", "b"]] * 4 == room.lists


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_write_that_fails_keeps_nobody_from_being_told(failing):
    """Whoever changes something is not told of it; the face is, whose affair it is."""
    room = Room(4)
    room.errors[failing] = OSError("broken")
    room.add("a")
    sides = [pump.server for pump in room.pumps]

    assert [number for number in (1, 2, 3) if number != failing] == room.end_turn()
    assert [[side.failures] for side in sides] == [
        [[room.errors[failing]]] if number == failing else [[]] for number in range(4)
    ]
    assert 3 == room.lists.count(["a"])


def test_the_dead_are_skipped():
    """Whether the connection is lost or was closed."""
    room = Room(4)
    room.pumps[1].lose()
    room.pumps[2].server.broker.close()
    room.end_turn()
    room.add("a")

    assert [3] == room.end_turn()
    assert [["a"], [], [], ["a"]] == room.lists


def test_one_that_ends_while_others_are_written_to_is_told_no_more():
    """What is alive is looked at for each."""
    room = Room(4)
    box = room.box(1)
    write, box.direct = box.direct, lambda frame: (room.pumps[2].lose(), write(frame))
    room.add("a")

    assert [1, 3] == room.end_turn()
    assert [["a"], ["a"], [], ["a"]] == room.lists


def test_several_observers_of_one_connection_are_one_write_more():
    """The first of them is written; the others share a batch, as do those of a gateway with many users."""
    room = Room(2)
    for pump in room.pumps:
        outcomes = [pump.root.enter(f"user {number}") for number in range(5)]
        pump.run()
        outcomes = [outcome.result().get("stock") for outcome in outcomes]
        pump.run()
        room.replicas += [outcome.result() for outcome in outcomes]
    room.end_turn()
    room.add("a")

    assert 5 == len(room.box(1).batch)
    assert [1] == room.end_turn()
    assert [["a"]] * 12 == room.lists


def test_each_is_written_the_id_that_the_cache_has_there():
    """The same cache is another number for who holds more of them."""
    room = Room(6)
    room.shop.other, room.shop.door = Stock(items=[]), Stock()
    held = [pump.call("get", "door") for pump in room.pumps[1::2]]
    replicas = [pump.call("get", "other") for pump in room.pumps]
    room.end_turn()
    room.shop.other.tell("add", "a")
    ids = [messages_in(frame)[0][2] for _, frame in room.written]

    assert (3, [2, 3, 2, 3]) == (len(held), ids)
    assert [2, 3, 4, 5] == room.end_turn()
    assert [["a"]] * 6 == [replica.items for replica in replicas]


def test_not_everybody_is_written_to_before_who_made_the_change_is_answered():
    """Of more than a certain number the rest waits for the end of the turn."""
    room = Room(300)
    room.add("a")
    waiting = len(room.flushed)

    assert 256 == len(room.end_turn())
    assert 300 - 256 == waiting
    assert [["a"]] * 300 == room.lists


def test_what_one_alone_is_told_is_no_sign_of_more():
    """Each user may have something of their own that changes all the time."""
    room = Room(3)
    group = Observers()
    group.add(next(iter(room.shop.stock._observers)))
    for item in "abc":
        group.send("add", item)
    room.end_turn()
    for item in "de":
        room.add(item)
        assert [1, 2] == room.end_turn()

    assert [["a", "b", "c", "d", "e"], ["d", "e"], ["d", "e"]] == room.lists


def test_who_is_chosen_by_perspective_waits():
    """Whoever is asked may do anything meanwhile."""
    room = Room(3)
    room.shop.stock._observers.tell("add", ("a",), shows=lambda perspective: True)

    assert [] == room.end_turn()
    assert [["a"]] * 3 == room.lists


def test_a_written_change_counts_as_a_sign_of_life():
    """Else a peer that is told something all the time would be sent a PING as well."""
    room = Room(2)
    room.end_turn()
    for number in range(2):
        room.box(number).has_spoken = False
    room.add("a")

    assert [1] == [number for number, _ in room.written]
    assert [False, True] == [room.box(number).has_spoken for number in range(2)]


@STEPS
def test_a_large_change_is_not_written_in_between(step):
    """It goes as it always did, and what comes after it keeps its place."""
    room = Room(3, step and 1000 * step)
    room.add(bytes(20_000))
    assert [] == room.end_turn()
    room.add("x")
    room.end_turn()

    assert [[bytes(20_000), "x"]] * 3 == room.lists


def test_peers_with_other_limits_are_written_their_own_bytes():
    """What is encoded for one is not for another."""
    room = Room(2)
    other = Pump(room.shop, registry=REGISTRY, client_limits=Limits(max_frame=8192))
    box = other.server.broker.outbox
    box.flushed = room.flushed
    frames = []
    box.direct = lambda frame: (frames.append(frame), other.down.write(frame))
    narrow = other.call("get", "stock")
    room.pumps.append(other)
    group = Observers()
    for observer in room.shop.stock._observers:
        group.add(observer)
    room.flushed.take()
    group.send("add", "a")
    assert ([], 1) == (frames, len(box.batch))  # the first with this encoder
    room.end_turn()

    assert [["a"], ["a"], ["a"]] == [*room.lists, narrow.items]
    assert not pb.is_stale(narrow)
