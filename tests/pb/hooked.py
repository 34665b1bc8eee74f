"""A root, and hooks that write down what they are told of it: shared by the tests of hooks."""

from __future__ import annotations

import pb

from .peers import ask
from .pump import Gate, Pump


class Log(pb.Hooks):
    """Writes down whatever it is told."""

    def __init__(self):
        self.told = []
        self.calls = []

    def connection_opened(self, connection):
        self.told.append(("opened", connection))

    def connection_closed(self, connection, reason):
        self.told.append(("closed", connection, reason))

    def call_started(self, call):
        # All can be asked for at any time.
        assert ["", 0.0, 0.0, "", "", 0] == [
            call.outcome,
            call.seconds,
            call.ended_at,
            call.error_type,
            call.incident,
            call.bytes_out,
        ]
        self.told.append(("started", call))
        self.calls.append(call)

    def call_ended(self, call):
        self.told.append(("ended", call))

    def reference_given(self, reference):
        self.told.append(("given", reference))

    def reference_returned(self, reference):
        self.told.append(("returned", reference))

    def reference_received(self, reference):
        self.told.append(("received", reference))

    def reference_dropped(self, reference):
        self.told.append(("dropped", reference))

    def of(self, what):
        return [each[1] for each in self.told if each[0] == what]

    def ends(self, side):
        return [(c.method, c.outcome, c.error_type) for c in self.of("ended") if c.side == side]


class Thing(pb.Referenceable):
    def remote_look(self):
        return "dark"


class Root(pb.Root):
    def __init__(self):
        self.gate = Gate()
        self.thing = Thing()
        self.trace = None

    def remote_echo(self, value=None):
        self.trace = pb.current_call().trace
        return value

    def remote_fail(self):
        raise ZeroDivisionError("secret")

    async def remote_wait(self):
        await self.gate
        return 1

    def remote_me(self):
        return self

    def remote_thing(self):
        return self.thing

    async def remote_later(self):
        await self.gate
        return self.thing

    def remote_bad(self):
        return object()

    async def remote_ask(self, other):
        return await ask(other, "echo", 1)


def make(**options):
    log = Log()
    root = Root()
    return log, root, Pump(root, client_root=Root(), hooks=log, **options)


def both(log):
    """Return how all calls ended at the caller and at the callee, after checking that each was told once."""
    started, ended = log.of("started"), log.of("ended")
    assert len(set(map(id, started))) == len(started)
    assert set(map(id, started)) == set(map(id, ended)) and len(started) == len(ended)
    return log.ends("caller"), log.ends("callee")
