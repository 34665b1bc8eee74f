"""A second conversation, to be cut after any byte: streams both ways, and calls on results to come.

As `session.py`, without the login that is in that one. What each handler and each stream did is noted where
it happened; `check` compares the two ends.
"""

from __future__ import annotations

import functools
import weakref

import jelly
import pb
from pb.testing import Cancelled, Pump, Task, Wire, held, send
from pb.wire.codec import Codec

from ..results import tell
from .session import LOST

REGISTRY = jelly.Registry()
REGISTRY.add(ValueError, "py.ValueError")
ROWS = 12  # more than the window, so that credit goes to and fro
WINDOW = 4
BROKEN = object()  # what a call on a result comes to that never came


class Room(pb.Referenceable):
    """Leads on, and notes who came."""

    def __init__(self, flow, name):
        self.flow = flow
        self.name = name
        flow.alive.append(weakref.ref(self))

    def remote_room(self, tag, name):
        self.flow.ran.append(tag)
        return Room(self.flow, name)

    def remote_name(self, tag):
        self.flow.ran.append(tag)
        return self.name

    def remote_names(self, tag, rooms):
        self.flow.ran.append(tag)
        return [room.name for room in rooms]

    def remote_no_room(self, tag):
        self.flow.ran.append(tag)
        raise ValueError(tag)


class Root(pb.Root):
    """What the server publishes: streams out, streams in, and rooms."""

    def __init__(self, flow):
        self.flow = flow
        self.room = Room(flow, "hall")

    def remote_hall(self, tag):
        self.flow.ran.append(tag)
        return self.room

    def remote_rows(self, tag, count, ending=None):
        self.flow.ran.append(tag)
        return self.flow.made(tag, count, ending)

    async def remote_take(self, tag, stream, most=None):
        self.flow.ran.append(tag)
        return await self.flow.taken(tag, stream, most)

    def remote_echo(self, tag, value):
        self.flow.ran.append(tag)
        return value

    def remote_note(self, tag):
        self.flow.ran.append(tag)


@functools.cache
def codec():
    """Return what converts the values of all flows."""
    return Codec(REGISTRY)


class Flow:
    """One conversation, over wires that may be cut.

    Attributes:
        ran: the tags whose handler ran, in order.
        outcomes: what became of each call, by tag, in the order in which they were made.
        began, closed: the streams whose producer took its first step, and whose `finally` ran.
        got: by stream, what its consumer took.
        ends: by stream, each end that its consumer met: "end", or the error.
        alive: what must not outlive the connection.
        told: whose end-of-connection callbacks were called.
        came_to_end: whether the script came to where the endings differ.
    """

    def __init__(self, up=None, down=None):
        self.ran, self.alive, self.told = [], [], []
        self.began, self.closed = [], []
        self.outcomes, self.got, self.ends = {}, {}, {}
        self.came_to_end = False
        self.up, self.down = (Wire() if each is None else each for each in (up, down))
        self.pump = Pump(
            Root(self),
            registry=codec(),
            limits=pb.Limits(window=WINDOW),
            up=self.up,
            down=self.down,
            greet=False,
        )
        for name in ("client", "server"):
            getattr(self.pump, name).watch(functools.partial(self.told.append, name))

    async def made(self, tag, count, ending=None):
        """Produce a stream, here or there: numbers, and things in between."""
        self.began.append(tag)
        try:
            for number in range(count):
                yield Room(self, f"{tag} {number}") if number % 5 == 4 else number
            if ending is not None:
                raise ValueError(ending)
        finally:
            self.closed.append(tag)

    async def taken(self, tag, stream, most=None):
        """Take a stream, here or there, to its end or until there is enough; return how many items came."""
        got, ends = self.got.setdefault(tag, []), self.ends.setdefault(tag, [])
        try:
            async for item in stream:
                got.append(item if type(item) is int else "a room")
                if len(got) == most:
                    break
        except BaseException as error:  # a handler whose caller has gone is stopped
            ends.append(error)
            raise
        ends.append("enough" if len(got) == most else "end")
        return len(got)

    def call(self, tag, target, method, *args):
        """Call a method of a reference, or of a result to come."""
        self.outcomes[tag] = made = tell(target, method, tag, *args)
        return made

    async def read(self, tag, call, most=None):
        """Take the stream that a call returns, beside what the script does meanwhile."""
        try:
            stream = await call
            call.value = None
            await self.taken(tag, stream, most)
        except (*LOST, pb.ConnectionLost, ValueError):
            pass

    async def script(self, ending):
        """Say everything there is to say."""
        root = self.pump.root
        rows = self.call("rows", root, "rows", ROWS)
        reading = [
            self.read("rows", rows),
            self.read("failing", self.call("failing", root, "rows", 2, "failing")),
            self.read("left early", self.call("left early", root, "rows", 10 * ROWS), 3),
        ]
        for each in reading:
            Task(each).step()
        up = self.call("up", root, "take", self.made("up", ROWS))
        self.call("up, left early", root, "take", self.made("up, left early", 10 * ROWS), 3)
        hall = self.call("hall", root, "hall")
        room = self.call("room", hall, "room", "attic")
        inner = self.call("inner", room, "room", "chest")
        name = self.call("name", inner, "name")
        named = self.call("names", hall, "names", [room, inner])
        broken = self.call("no room", hall, "no_room")
        self.call("broken", broken, "name")
        send(root, "note", "without answer")
        assert "chest" == await name
        assert ["attic", "chest"] == await named
        await up
        Task(self.read("open", self.call("open", root, "rows", ROWS))).step()
        self.call("echo", root, "echo", "last")
        later = self.call("later", room, "name")
        self.came_to_end = True
        if ending == "close":
            self.pump.client.broker.close()
        self.call("at the end", root, "echo", "x")
        await later

    async def play(self, ending):
        """Run the script as far as it comes."""
        try:
            await self.script(ending)
        except (*LOST, pb.ConnectionLost, pb.BrokenPromise):
            pass

    def run(self, ending):
        """Say it, and lose the connection where it still is."""
        pump = self.pump
        pump.run()
        if pump.client.broker.calls.is_open:
            Task(self.play(ending)).step()
        pump.run()
        pump.lose()
        pump.run()
        for outcome in self.outcomes.values():  # what a call brought is the program's to drop
            outcome.promised = None
            if not isinstance(outcome.value, int | str | list):
                outcome.value = None


# What each call comes to when nothing is cut; None: an object, or a stream.
WHOLE = {
    "rows": None,
    "failing": None,
    "left early": None,
    "up": ROWS,
    "up, left early": 3,
    "hall": None,
    "room": None,
    "inner": None,
    "name": "chest",
    "names": ["attic", "chest"],
    "no room": ValueError,
    "broken": BROKEN,
    "open": None,
    "echo": "last",
    "later": "attic",
    "at the end": "x",
}
# Of each stream: how many items its producer has, and how its consumer sees it end.
STREAMS = {
    "rows": (ROWS, "end"),
    "failing": (2, ValueError),
    "left early": (3, "enough"),
    "open": (ROWS, "end"),
    "up": (ROWS, "end"),
    "up, left early": (3, "enough"),
}

# What runs in this order, as far as it runs: calls of one target, with and without an answer.
LINES = (
    ["rows", "failing", "left early", "hall", "without answer", "open", "echo"],
    ["up", "up, left early"],
    ["room", "names", "no room"],
    ["inner", "name"],
)


def is_lost(error):
    """Tell whether an error says that the connection was lost, or what it was on or for was."""
    cause = error.__cause__ if isinstance(error, pb.BrokenPromise) else error
    return isinstance(cause, (*LOST, pb.ConnectionLost, Cancelled))


def check(flow):
    """Check what is promised whatever arrived.

    Each call is settled exactly once and is told no lie; no handler ran twice; each stream comes in order,
    without gaps, and meets one end, and a good one only if it is whole; each producer that began is closed,
    once; nothing is held.
    """
    ran = flow.ran
    for tag, outcome in flow.outcomes.items():
        error = outcome.error
        assert 1 == outcome.settled, f"{tag} settled {outcome.settled} times"
        if isinstance(error, pb.NotExecuted):
            assert tag not in ran, f"{tag} did run"
        if error is None:
            assert tag in ran, f"{tag} is said to have run"
            assert WHOLE[tag] in (None, outcome.value), f"{tag}: {outcome.value!r}"
        elif not is_lost(error):
            expected = pb.BrokenPromise if WHOLE[tag] is BROKEN else WHOLE[tag]
            assert expected is type(error), f"{tag}: {error!r}"
    assert "broken" not in ran
    assert len(ran) == len(set(ran)), f"ran twice: {ran}"
    for line in LINES:
        here = [tag for tag in ran if tag in line]
        assert here == line[: len(here)], f"out of order: {ran}"
    for tag, (size, ending) in STREAMS.items():
        got, ends = flow.got.get(tag, []), flow.ends.get(tag, [])
        whole = ["a room" if number % 5 == 4 else number for number in range(size)]
        assert got == whole[: len(got)], f"{tag}: {got}"
        assert len(ends) == (tag in flow.got), f"{tag} met {ends}"
        for end in ends:
            if end == ending or type(end) is ending:
                assert got == whole, f"{tag} is said to be whole: {got}"
            else:
                assert is_lost(end), f"{tag} met {end!r}"
    assert sorted(flow.began) == sorted(flow.closed)
    assert len(flow.began) == len(set(flow.began))
    assert ["client", "server"] == sorted(flow.told), flow.told
    for side in (flow.pump.client, flow.pump.server):
        assert not held(side), held(side)
        assert 0 == len(side.broker.streams)
        assert side.broker.error is None, side.broker.error


__all__ = ["STREAMS", "WHOLE", "Flow", "check", "is_lost"]
