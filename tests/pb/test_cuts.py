"""A session cut after every byte, in either direction: every call settles once and tells no lie."""

from __future__ import annotations

import gc
import weakref

import pytest

import jelly
import pb

from .pump import Cancelled, Gate, Outcome, Pump

LOST = (pb.NotExecuted, pb.OutcomeUnknown)
BIG = b"b" * 17_000  # leaves as a frame of its own


class Thing(pb.Referenceable):
    def __init__(self, session):
        self.session = session
        session.alive.append(weakref.ref(self))

    def remote_do(self, tag, *values):
        self.session.ran.append(tag)
        return len(values)


class Side(pb.Root):
    """The root of either side; it notes what it ran."""

    def __init__(self, session):
        self.session = session
        self.gate = Gate()

    def remote_do(self, tag, *values):
        self.session.ran.append(tag)
        return list(values)

    def remote_thing(self, tag):
        self.session.ran.append(tag)
        return [Thing(self.session), Thing(self.session)]

    def remote_fail(self, tag):
        self.session.ran.append(tag)
        raise ValueError(tag)

    def remote_bug(self, tag):
        self.session.ran.append(tag)
        raise KeyError(tag)

    async def remote_wait(self, tag):
        self.session.ran.append(tag)
        return await self.gate

    def remote_back(self, tag, callback):
        self.session.ran.append(tag)
        self.session.call(callback, "do", f"{tag}, back", callback)


class Session:
    """One conversation; of one of its directions only so many bytes arrive."""

    def __init__(self, up=None, down=None):
        self.ran = []
        self.alive = []
        self.outcomes = {}  # tag -> outcome
        self.left = {"up": up, "down": down}
        self.sent = {"up": b"", "down": b""}
        registry = jelly.Registry()
        registry.add(ValueError, "py.ValueError")
        self.server_root, self.client_root = Side(self), Side(self)
        self.pump = Pump(self.server_root, client_root=self.client_root, registry=registry, greet=False)

    def call(self, reference, method, tag, *args):
        outcome = self.outcomes[tag] = Outcome()
        broker = reference._pb_import.scope.broker
        try:
            outcome.id = broker.calls.make(reference._pb_import, method, (tag, *args), {}, outcome)
        except pb.NotExecuted as error:
            outcome.set_exception(error)

    def carry(self):
        """Carry bytes until nothing moves, as far as they arrive."""
        client, server = self.pump.client, self.pump.server
        while True:
            up, down = self.through("up", client.output()), self.through("down", server.output())
            if not (up or down or client.tasks or server.tasks):
                return
            server.input(up)
            client.input(down)

    def through(self, direction, data):
        left = self.left[direction]
        if left is not None:
            data = data[:left]
            self.left[direction] = left - len(data)
        self.sent[direction] += data
        return data

    def run(self, ending):
        """Say everything there is to say, and end it."""
        client, server = self.pump.client.broker, self.pump.server.broker
        self.carry()
        there, back = client.root_reference(), server.root_reference()
        mine = Thing(self)
        self.call(there, "do", "plain", 1, "two", [3.0])
        self.call(there, "thing", "references")
        self.call(back, "do", "from the server", None)
        self.carry()
        if self.outcomes["references"].value:
            self.call(self.outcomes["references"].value[0], "do", "on a reference", mine)
            self.call(there, "do", "home", self.outcomes["references"].value[1])
        self.call(there, "back", "with a callback", mine)
        self.carry()
        self.outcomes["references"].value = None
        self.call(there, "fail", "registered error")
        self.call(there, "bug", "internal error")
        self.call(there, "do", "big", BIG)
        self.call(there, "wait", "cancelled")
        self.call(there, "wait", "held back")
        self.call(back, "wait", "held back by the client")
        self.carry()
        client.calls.cancel(self.outcomes["cancelled"].id, self.outcomes["cancelled"])
        self.carry()
        if ending == "close":
            self.call(there, "do", "before the close")
            client.close()
        self.server_root.gate.open("late")
        self.client_root.gate.open("late too")
        self.call(there, "do", "at the end")
        self.carry()
        self.pump.lose()
        self.pump.client.run_tasks()
        self.pump.server.run_tasks()


# What each call comes to when nothing is cut.
WHOLE = {
    "plain": [1, "two", [3.0]],
    "references": None,
    "from the server": [None],
    "on a reference": 1,
    "with a callback": None,
    "with a callback, back": 1,
    "registered error": ValueError,
    "internal error": pb.RemoteError,
    "big": [BIG],
    "cancelled": pb.Cancelled,
    "held back": "late",
    "held back by the client": "late too",
    "before the close": [],
    "at the end": [],
}


def check(session):
    """Whatever arrived, nothing is left open and nobody was told a lie."""
    for tag, outcome in session.outcomes.items():
        assert 1 == outcome.settled, f"{tag} settled {outcome.settled} times"
        if isinstance(outcome.error, LOST):
            assert not (isinstance(outcome.error, pb.NotExecuted) and tag in session.ran), f"{tag} did run"
        elif outcome.error is not None:
            assert WHOLE[tag] is type(outcome.error), f"{tag}: {outcome.error!r}"
        elif tag == "cancelled":
            assert "late" == outcome.value, "the CANCEL was cut off, so the call ran to its end"
        elif tag != "home":
            assert WHOLE[tag] == outcome.value, tag
        if not isinstance(outcome.error, LOST):
            assert tag in session.ran, f"{tag} is said to have run"
    assert len(session.ran) == len(set(session.ran))
    for side in (session.pump.client, session.pump.server):
        assert {} == side.broker.tables.exports
        assert {} == side.broker.tables.imports
        assert {} == side.broker.calls.pending
        assert 0 == side.broker.serving.count
        assert None is side.broker.error


ENDINGS = pytest.mark.parametrize("ending", ["loss", "close"])


@ENDINGS
def test_the_whole_session_is_what_it_should_be(ending):
    """Or the cuts would prove nothing."""
    session = Session()
    session.run(ending)
    check(session)
    late = {"at the end"} if ending == "close" else {"before the close"}

    assert set(WHOLE) | {"home"} == set(session.outcomes) | late
    lost = {tag for tag, outcome in session.outcomes.items() if isinstance(outcome.error, LOST)}
    assert late & set(session.outcomes) == lost
    assert all(name in str(session.sent) for name in ("py.ValueError", "pb.Internal", "pb.Cancelled"))


@ENDINGS
@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_cut_after_any_byte_settles_every_call_once(direction, ending, caplog):
    """With what is known: NotExecuted where it certainly did not run, an answer only if it came."""
    caplog.set_level("CRITICAL", "pb")
    whole = Session()
    whole.run(ending)
    stream = whole.sent[direction]
    inside = range(stream.index(BIG) + 100, stream.index(BIG) + len(BIG) - 100)
    for at in range(len(stream) + 1):
        if at in inside and at % 1009:
            continue  # one byte in the middle of 17,000 equal ones is like another
        session = Session(**{direction: at})
        session.run(ending)
        try:
            check(session)
        except AssertionError as error:
            raise AssertionError(f"cut after byte {at} of {len(stream)} {direction}") from error
        assert at == len(session.sent[direction])
    alive = session.alive
    del session, whole
    gc.collect()
    assert [None] * len(alive) == [each() for each in alive]


def test_a_handler_that_is_cut_off_is_stopped():
    """Nobody waits for it."""
    stopped = []

    class Root(pb.Root):
        async def remote_wait(self):
            try:
                await Gate()
            except Cancelled:
                stopped.append(1)
                raise

    pump = Pump(Root())
    pump.root.wait()
    pump.run()
    pump.lose()

    assert [1] == stopped
