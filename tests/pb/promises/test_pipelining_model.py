"""Two brokers against a model: calls on results to come, under any interleaving, answers withheld, given up.

Each call says what it expects to reach and to be given; each object knows what was called on it through one
promise before. A run is made by its seed alone: PB_MODEL_SEEDS=1000:500 runs five hundred others. What the
model is good for is shown by breaking a rule of the protocol: it has to notice.
"""

from __future__ import annotations

import gc
import logging
import os
import random

import pytest

import jelly
import pb
from pb.promises import pipelining, promised, slots

from ...sizes import exhaustive, sized
from ..pump import Cancelled, Gate, Pump
from ..results import Told, tell

FIRST, COUNT = map(int, os.environ.get("PB_MODEL_SEEDS", sized("0:15", "0:40")).split(":"))
MOVES = 200
MOST_CALLS = 12
BROKEN_SEEDS = 60  # in which a broken rule must show


class Refusal(pb.Error):
    """Known to both sides."""


FAILURES = (Refusal, pb.BrokenPromise, pb.Cancelled, pb.NotExecuted, pb.Unjellyable)


class Thing(pb.Referenceable):
    """An object of one party."""

    def __init__(self, party, name):
        self.party = party
        self.name = name

    def remote_make(self, expected, line, number, name, plan, things):
        """Return an object of that name: now, later, or not at all."""
        self.party.serve(self, expected, line, number, things)
        if plan == "later":
            gate = Gate()
            self.party.gates.append(gate)
            return self.make_later(gate, name)
        if plan == "fail":
            raise Refusal(name)
        if plan == "plain":
            return name
        if plan == "home" and things:
            return things[0][1]
        return Thing(self.party, name)

    async def make_later(self, gate, name):
        try:
            await gate
        except Cancelled:
            if self.party.world.rng.random() < 0.5:
                raise
        return Thing(self.party, name)


def plan_of(value):
    """Return what a promise among the arguments will become; references and own objects are there."""
    return value.plan if isinstance(value, Told) else "now"


class Party:
    """One side: what it holds, what it has promised, and what it has been promised."""

    def __init__(self, world, name):
        self.world = world
        self.name = name
        self.root = Thing(self, f"{name} root")
        self.mine = Thing(self, f"{name} mine")
        self.promises = []  # (expected name, None where unknown, promise)
        self.gates = []
        self.lines = {}  # line -> the last number that came along it
        self.numbers = {}  # line -> the last number that was sent along it
        self.made = 0
        self.last = None  # the last reference that was sent home

    def target(self):
        """Return what to call, its name if it is known, and the line along which it is called."""
        rng = self.world.rng
        if self.promises and rng.random() < 0.8:
            name, promise = rng.choice(self.promises[-8:])
            return promise, name, promise.line
        return self.side.broker.root_reference(), self.peer.root.name, f"{self.name} to root"

    def call(self):
        rng = self.world.rng
        on, expected, line = self.target()
        plan = rng.choice(["now", "now", "later", "later", "fail", "plain", "home"])
        self.made += 1
        name = f"made for {self.name} {self.made}"
        things = []
        for _ in range(rng.choice([0, 0, 0, 1, 1, 2])):
            kind = rng.random()
            if self.promises and kind < 0.5:
                things.append(list(rng.choice(self.promises[-8:])))
            elif self.promises and kind < 0.8:
                things.append([None, rng.choice(self.promises)[1]])
                if isinstance(things[-1][1].value, pb.RemoteReference):
                    things[-1][1] = self.last = things[-1][1].value
            else:
                things.append([self.mine.name, self.mine])
        # What becomes a value is sent again, and may be overtaken: numbers are for the rest.
        number = 0
        if isinstance(on, Told) and all(plan_of(each) in ("now", "later") for _, each in things):
            number = self.numbers[line] = self.numbers.get(line, 0) + 1
        at = self.side.now + 1000 if rng.random() < 0.1 else None
        made = tell(on, "make", expected, line, number, name, plan, things, at=at)
        made.line = f"{self.name} line {self.made}"
        made.plan = plan
        made.on = on
        becomes = {"now": name, "later": name, "home": things[0][0] if things else name}.get(plan)
        self.promises.append((becomes, made))

    def serve(self, thing, expected, line, number, things):
        """Check that a call is where its caller thinks it is."""
        world = self.world
        if expected is not None:
            world.check(thing.name == expected, f"a call on {expected} reached {thing.name}")
        for name, value in things:
            found = getattr(value, "name", value) if not isinstance(value, pb.RemoteReference) else None
            world.check(found in (name, None) or name is None, f"{name} came as {found}")
        if number:
            last = self.lines.get(line, 0)
            world.check(number > last, f"{line}: {number} came after {last}")
            self.lines[line] = number

    def give_up(self):
        waiting = [promise for _, promise in self.promises if not promise.done()]
        if waiting:
            self.world.rng.choice(waiting).give_up()

    def answer(self):
        if self.gates:
            self.gates.pop(self.world.rng.randrange(len(self.gates))).open()

    def check_errors(self):
        """Check that what failed may fail."""
        for _, promise in self.promises:
            error, on = promise.error, promise.on
            is_right = error is None or isinstance(error, FAILURES)
            if isinstance(error, pb.NotPipelinable):
                is_right = isinstance(on, Told) and (on.is_given_up or isinstance(on.value, str))
            self.world.check(is_right, f"{promise.plan} on {type(getattr(on, 'value', on))}: {error!r}")

    def drop(self):
        self.check_errors()
        self.last = None
        del self.promises[: self.world.rng.randrange(len(self.promises) + 1)]

    def release(self):
        """Release by hand what a promise brought, best what is on its way home."""
        values = [
            promise.value for _, promise in self.promises if isinstance(promise.value, pb.RemoteReference)
        ]
        if values:
            is_recent = self.last is not None and self.world.rng.random() < 0.7
            reference = self.last if is_recent else self.world.rng.choice(values)
            self.last = None
            self.promises = [pair for pair in self.promises if pair[1].value is not reference]
            self.side.broker.tables.drop_now(reference._pb_import)

    def take_turn(self):
        if self.side.turns:
            self.side.turns = 0
            self.side.broker.turn()


class World:
    """Both parties and the bytes between them."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.wrong = []
        registry = jelly.Registry()
        registry.add(Refusal, "model.Refusal")
        one, two = Party(self, "one"), Party(self, "two")
        self.parties = one, two
        limits = pb.Limits(turn_envelopes=5, max_calls=MOST_CALLS)
        self.pump = Pump(two.root, client_root=one.root, registry=registry, limits=limits)
        one.side, two.side = self.pump.client, self.pump.server
        one.peer, two.peer = two, one
        for party in self.parties:
            party.incoming = bytearray()

    def check(self, holds, what):
        """Note what does not hold; raising here would only look like an error of a handler."""
        if not holds:
            self.wrong.append(what)

    def step(self):
        party = self.rng.choice(self.parties)
        action = self.rng.choices(
            ["call", "calls", "flush", "deliver", "turn", "tasks", "drop", "give_up", "answer", "release"],
            [20, 15, 20, 40, 30, 15, 2, 4, 14, 3],
        )[0]
        if action == "call":
            party.call()
        elif action == "calls":
            for _ in range(self.rng.randrange(6)):  # in one turn: only then are they pipelined
                party.call()
            if party.last is not None and self.rng.random() < 0.3:
                party.release()
        elif action == "flush":
            party.peer.incoming += party.side.output()
        elif action == "deliver":
            size = self.rng.randrange(1, 2 * len(party.incoming) + 2)
            chunk = bytes(party.incoming[:size])
            del party.incoming[:size]
            party.side.broker.receive_data(chunk)
        elif action == "turn":
            party.take_turn()
        elif action == "tasks":
            party.side.run_tasks()
        else:
            getattr(party, action)()

    def run(self):
        """Carry everything until nothing moves."""
        while True:
            for party in self.parties:
                party.peer.incoming += party.side.output()
            if not any(each.incoming or each.side.has_work for each in self.parties):
                return
            for party in self.parties:
                chunk = bytes(party.incoming)
                party.incoming.clear()
                party.side.broker.receive_data(chunk)
                party.take_turn()
                party.side.run_tasks()

    def close(self):
        """End a run, so that no handler of one that ended early is thrown away unfinished."""
        self.pump.lose()
        for party in self.parties:
            party.side.run_tasks()

    def check_always(self):
        assert [] == self.wrong
        for party in self.parties:
            assert None is party.side.broker.error
            assert party.side.broker.calls.kept <= MOST_CALLS

    def end(self):
        """Let everything finish and go; then nothing may be left."""
        self.run()
        while any(party.gates for party in self.parties):
            for party in self.parties:
                party.answer()
            self.run()
        self.check_always()
        for party in self.parties:
            party.check_errors()
            outcomes = [each.settled + each.is_given_up for _, each in party.promises]
            assert [1] * len(outcomes) == outcomes
            party.promises.clear()
            party.last = None
        gc.collect()
        self.run()
        self.check_always()
        for party in self.parties:
            broker = party.side.broker
            assert {} == broker.calls.pending
            assert 0 == broker.calls.kept
            assert not broker.tables.pinned
            assert 0 == broker.serving.count
            assert not broker.serving.holds
            assert broker.serving.slots is None or 0 == len(broker.serving.slots)
            assert 0 == len(broker.deadlines.due)
            assert [0] == list(broker.tables.exports)
            assert {} == broker.tables.imports


def play(seed):
    world = World(seed)
    gc.disable()  # collected at times of its own choosing, a run could not be repeated
    try:
        for _ in range(MOVES):
            world.step()
            world.check_always()
        world.end()
    finally:
        gc.enable()
        world.close()


@exhaustive
@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT), ids=lambda seed: f"seed-{seed}-")
def test_whatever_is_pipelined_both_sides_agree(seed, caplog):
    """Targets, order, outcomes, and empty tables at the end."""
    caplog.set_level(logging.CRITICAL, "pb")  # a record of an error would hold what its frames hold
    play(seed)


def finish_early(monkeypatch):
    """FINISH when the answer has come, though calls that name the result are under way (PB-M20)."""

    def check_finished(self):
        if self.is_answered and not self._is_finished:
            self._is_finished = True
            self.calls.kept -= 1
            promised.finish(self.calls, self.id)
            self.users = 10_000

    monkeypatch.setattr(promised.Promised, "check_finished", check_finished)


def finish_twice(monkeypatch):
    """FINISH again for what was finished (PB-P5)."""
    told = promised.finish

    def finish(calls, q):
        told(calls, q)
        if q % 5 == 0:
            told(calls, q)

    monkeypatch.setattr(promised, "finish", finish)


def never_finish(monkeypatch):
    """No FINISH at all (PB-P5)."""
    monkeypatch.setattr(promised, "finish", lambda calls, q: None)


def start_unordered(monkeypatch):
    """Start the last of those that wait for a result first (PB-P17)."""
    monkeypatch.setattr(slots, "_number", lambda call: -call.number)


def overtake(monkeypatch):
    """Do not hold back what comes behind a call that waits for a second result (PB-P18)."""

    def start_first(self, on):
        line = self._lines.get(on)
        if line and type(on) is not slots.Slot and len(line) > 1:
            line.rotate(-1)
        plain(self, on)

    plain = slots.Slots._start_first
    monkeypatch.setattr(slots.Slots, "_start_first", start_first)


def call_home_late(monkeypatch):
    """Leave what came home to the peer, which cannot call it (PB-P13)."""
    monkeypatch.setattr(pipelining.Piped, "_may_be_made_again", lambda self, users: True)
    monkeypatch.setattr(promised, "is_ours", lambda value: False)


@pytest.mark.parametrize(
    "broken",
    [finish_early, finish_twice, never_finish, start_unordered, overtake, call_home_late],
)
def test_a_broken_rule_is_noticed(broken, monkeypatch, caplog):
    """Else the model would prove nothing. (That references are pinned: test_pipelining_ends.)"""
    caplog.set_level(logging.CRITICAL, "pb")
    broken(monkeypatch)
    with pytest.raises((Exception, Cancelled)):
        for seed in range(BROKEN_SEEDS):
            play(seed)
