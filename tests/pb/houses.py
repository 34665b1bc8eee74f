"""A house whose rooms lead to others: what pipelined calls are tried on."""

from __future__ import annotations

import gc

import jelly
import pb
from pb import context

from .pump import Cancelled, Gate, Pump, frame
from .results import tell


class Insufficient(pb.Error):
    """An error that both sides know."""


class Stock(pb.Cacheable, pb.RemoteCache):
    """Kept up to date, and so nothing for a call that waits."""

    def get_state_to_cache_and_observe_for(self, perspective, observer):
        return {}

    def stopped_observing(self, perspective, observer):
        pass


class Room(pb.Referenceable):
    """Leads to others; notes what it hears."""

    def __init__(self, name="hall", house=None):
        self.name = name
        self.house = house or self
        if house is None:
            self.heard, self.gates, self.kept, self.stopped = [], [], [], []

    def remote_room(self, name):
        return Room(name, self.house)

    def remote_name(self):
        return self.name

    def remote_note(self, value):
        self.house.heard.append(value)

    def remote_same(self, value):
        return value

    def remote_names(self, *rooms, more=()):
        return [each.name if isinstance(each, Room) else each for each in (*rooms, *more)]

    def remote_fail(self):
        raise Insufficient("no")

    def remote_keep(self, value):
        self.house.kept.append(value)
        return value

    def remote_peer(self):
        return self.house.kept[-1]

    async def remote_later(self, name):
        gate = Gate()
        self.house.gates.append(gate)
        try:
            await gate
        except Cancelled:
            self.house.stopped.append(name)
            raise
        return Room(name, self.house)

    async def remote_left(self):
        return context.due_at()


class Mine(pb.Referenceable):
    """An object of the caller's."""

    def __init__(self, gate=None):
        self.heard = []
        self.gate = gate or Gate()

    def remote_note(self, value):
        self.heard.append(value)
        return self

    async def remote_wait(self):
        return await self.gate

    def remote_fail(self):
        raise StopIteration("mine")


REGISTRY = jelly.Registry()
REGISTRY.add(Insufficient, "bank.Insufficient")
REGISTRY.add(Stock, "shop.Stock", from_clients=True)


def make(step=None, **options):
    house = Room()
    pump = Pump(house, registry=REGISTRY, step=step, **options)
    return house, pump


def waiting_at_home():
    """Return a pump, the outcome of a call whose target came home, and the task of its method, not begun."""
    _, pump = make()
    pump.call("keep", Mine())
    wait = tell(tell(pump.root, "peer"), "wait")
    pump.server.broker.receive_data(pump.client.output())
    pump.client.broker.receive_data(pump.server.output())
    (task,) = pump.client.tasks
    return pump, wait, task


def assert_quiet(pump):
    """Nothing is left of what was called: on neither side, in no table."""
    gc.collect()
    pump.run()
    for side in (pump.client, pump.server):
        broker = side.broker
        assert None is broker.error
        assert {} == broker.calls.pending
        assert 0 == broker.calls.kept
        assert 0 == broker.serving.count
        assert not broker.serving.holds
        assert broker.serving.slots is None or 0 == len(broker.serving.slots)
        assert not broker.tables.pinned
        assert 0 == len(broker.deadlines.due)
    assert [0] == list(pump.server.broker.tables.exports)


def pump_frames(messages):
    """Return the bytes of messages again."""
    return b"".join(map(frame, messages))
