"""One conversation with everything in it, to be cut after any byte: login, calls, references, caches.

The client's part is a coroutine that goes on as its calls are answered; what it makes of that is looked at by
`check`. Each call has a tag, under which it notes whether its handler ran and how it was settled.
"""

from __future__ import annotations

import functools
import weakref

import cred
import jelly
import pb
from pb.auth.channel import channel_of
from pb.auth.remote_identity import log_in
from pb.testing import Cancelled, Gate, Outcome, Pump, Task, Wire, held
from pb.wire.codec import Codec

from ..auth.doors import HERE, PASSWORD, Alias, Chat, alice, at_once, authorizer
from ..cached import Stock

LOST = (pb.NotExecuted, pb.OutcomeUnknown)
BIG = b"b" * 17_000  # leaves as a frame of its own

REGISTRY = jelly.Registry()
REGISTRY.add(ValueError, "py.ValueError")
REGISTRY.add(Stock, "shop.Stock")


class Thing(pb.Referenceable):
    """Something that is handed out by either side, and must be gone when the connection is."""

    def __init__(self, session):
        self.session = session
        session.alive.append(weakref.ref(self))

    def remote_do(self, tag, *values):
        self.session.ran.append(tag)
        return len(values)


class Ledger(Stock):
    """A cache that notes who begins and who stops to follow it."""

    def get_state_to_cache_and_observe_for(self, perspective, observer):
        self._begun.append(observer)
        return super().get_state_to_cache_and_observe_for(perspective, observer)


REGISTRY.add(Ledger, "shop.Ledger")


class User(Alias):
    """The perspective: it does, hands out, tells, fails and waits."""

    def detached(self, client, identity):
        super().detached(client, identity)
        self.client = None

    @property
    def session(self):
        return self.service.session

    def perspective_do(self, tag, *values):
        self.session.ran.append(tag)
        return list(values)

    def perspective_things(self, tag):
        self.session.ran.append(tag)
        return [Thing(self.session), Thing(self.session)]

    def perspective_ledger(self, tag):
        self.session.ran.append(tag)
        return self.session.ledger

    def perspective_change(self, tag, item):
        self.session.ran.append(tag)
        self.session.ledger.tell("add", item)

    def perspective_fail(self, tag):
        self.session.ran.append(tag)
        raise ValueError(tag)

    def perspective_bug(self, tag):
        self.session.ran.append(tag)
        raise KeyError(tag)

    async def perspective_wait(self, tag):
        self.session.ran.append(tag)
        return await self.session.gate

    async def perspective_back(self, tag, callback):
        self.session.ran.append(tag)
        return await self.session.call(f"{tag}, back", callback, "do", callback)


class House(Chat):
    perspective_class = User


@functools.cache
def house():
    """Return the server, made once: what a session leaves behind is found in the next."""
    return pb.AuthRoot(authorizer(service=House))


@functools.cache
def codec():
    """Return what converts the values of all sessions."""
    return Codec(REGISTRY)


@functools.cache
def credentials():
    """Return what the client logs in with; its keys are derived once."""
    return alice()


class Session:
    """One conversation, over wires that may be cut.

    Attributes:
        ran: the tags whose handler ran, in order.
        outcomes: what became of each call, in the order in which they were made.
        alive: what must not outlive the connection.
        told: whose end-of-connection callbacks were called.
        came_to_end: whether the script came to where the endings differ.
    """

    def __init__(self, up=None, down=None):
        self.ran = []
        self.alive = []
        self.outcomes = {}
        self.told = []
        self.came_to_end = False
        self.gate = Gate()
        self.ledger = Ledger(items=[])
        self.ledger._begun = []
        self.up, self.down = (Wire() if each is None else each for each in (up, down))
        self.chat = house().authorizer.services["chat"]
        self.chat.session = self
        self.chat.seen.clear()
        self.pump = Pump(
            house(), client_root=Thing(self), registry=codec(), up=self.up, down=self.down, greet=False
        )
        self.pump.client.watch(lambda: self.told.append("client"))
        self.pump.server.watch(lambda: self.told.append("server"))

    def call(self, tag, reference, method, *args):
        """Make a call of a handler that notes its tag; return the outcome."""
        return self.make(tag, reference, method, tag, *args)

    def make(self, tag, reference, method, *args):
        """Make a call; return the outcome."""
        outcome = self.outcomes[tag] = Outcome()
        broker = reference._pb_import.scope.broker
        try:
            outcome.id = broker.calls.make(reference._pb_import, method, args, {}, outcome)
        except pb.NotExecuted as error:
            outcome.set_exception(error)
        return outcome

    async def log_in(self):
        broker = self.pump.client.broker
        greeting = broker.greeting
        checked, offered = greeting.hello.bindings, greeting.hello.auth
        channel = channel_of(HERE, cred.hello_hash(greeting.sent, greeting.received), checked)
        steps = iter(range(9))

        async def call(reference, method, *args):
            return await self.make(f"{method} {next(steps)}", reference, method, *args)

        return await log_in(broker.root_reference(), credentials(), offered, channel, call, at_once)

    async def script(self, ending):
        """Say everything there is to say."""
        identity = await self.log_in()
        client = Thing(self)
        user = await self.make("attach", identity._reference, "attach", "chat", "alice", client)
        plain = self.call("plain", user, "do", 1, "two", [3.0])
        things = await self.call("references", user, "things")
        self.outcomes["references"].value = None
        ledger = await self.call("ledger", user, "ledger")
        self.outcomes["ledger"].value = None
        self.alive += [weakref.ref(each) for each in (ledger, user, *things)]
        calls = [
            plain,
            self.call("on a reference", things[0], "do", client),
            self.call("home", user, "do", things[1]),
            *(self.call(f"change {n}", user, "change", n) for n in range(3)),
            self.call("with a callback", user, "back", client),
        ]
        for call in calls:
            await call
            assert ledger.items == list(range(len(ledger.items))), "updates come in order, each once"
        assert ledger.items == [0, 1, 2], "updates come before the answers that follow them"
        self.outcomes["home"].value = None
        fail = self.call("registered error", user, "fail")
        self.call("internal error", user, "bug")
        self.call("big", user, "do", BIG)
        cancelled = self.call("cancelled", user, "wait")
        self.call("held back", user, "wait")
        try:
            await fail
        except ValueError:
            pass
        self.pump.client.broker.calls.cancel(cancelled.id, cancelled)
        await self.call("after the cancel", user, "do")
        self.came_to_end = True
        if ending == "close":
            self.call("before the close", user, "do")
            self.pump.client.broker.close()
        self.gate.open("late")
        self.call("at the end", user, "do")

    async def play(self, ending):
        """Run the script as far as it comes."""
        try:
            await self.script(ending)
        except LOST:
            pass

    def run(self, ending):
        """Say it, and lose the connection where it still is."""
        pump = self.pump
        pump.run()
        if pump.client.broker.calls.is_open:
            Task(self.play(ending)).step()
        pump.run()
        self.gate.open("too late")
        pump.run()
        pump.lose()
        pump.run()
        self.chat.session = None  # the server outlives it, and must not hold it


# What each call comes to when nothing is cut. Of logins, only that they succeed.
WHOLE = {
    "plain": [1, "two", [3.0]],
    "references": None,
    "ledger": None,
    "on a reference": 1,
    "home": None,
    "change 0": None,
    "change 1": None,
    "change 2": None,
    "with a callback": 1,
    "with a callback, back": 1,
    "registered error": ValueError,
    "internal error": pb.RemoteError,
    "big": [BIG],
    "cancelled": pb.Cancelled,
    "held back": "late",
    "after the cancel": [],
    "before the close": [],
    "at the end": [],
}
LOGIN = ("login 0", "respond 1", "attach")


def check(session):
    """Check what is promised whatever arrived.

    Each call is settled exactly once, and is told no lie; no handler ran twice; what was called in order ran
    in order; the end is told exactly once to everyone who asked; nothing is held.
    """
    ran, outcomes = session.ran, session.outcomes
    for tag, outcome in outcomes.items():
        assert 1 == outcome.settled, f"{tag} settled {outcome.settled} times"
        if isinstance(outcome.error, pb.NotExecuted):
            assert tag not in ran, f"{tag} did run"
        elif tag in LOGIN:
            assert outcome.error is None or isinstance(outcome.error, LOST), f"{tag}: {outcome.error!r}"
        elif not isinstance(outcome.error, LOST):
            assert tag in ran, f"{tag} is said to have run"
            if outcome.error is not None:
                assert WHOLE[tag] is type(outcome.error), f"{tag}: {outcome.error!r}"
            elif tag == "cancelled":
                assert "late" == outcome.value, "the CANCEL was cut off, so the call ran to its end"
            elif outcome.value is not None and tag != "home":
                assert WHOLE[tag] == outcome.value, tag
    assert len(ran) == len(set(ran)), f"ran twice: {ran}"
    ours = [tag for tag in outcomes if tag in ran and not tag.endswith("back")]
    assert ours == [tag for tag in ran if tag in ours], "what was called in order ran in order"
    assert ["client", "server"] == sorted(session.told), session.told
    attached, detached = (session.chat.seen.count((what, "alice")) for what in ("attached", "detached"))
    assert attached == detached, session.chat.seen
    assert session.ledger._begun == [observer for _, observer in session.ledger._stopped]
    assert 0 == len(session.ledger._observers)
    root = house()
    assert {} == root.attachments
    assert 0 == len(root.strangers)
    for side in (session.pump.client, session.pump.server):
        assert not held(side), held(side)
        assert side.broker.error is None, side.broker.error


__all__ = ["BIG", "LOGIN", "LOST", "PASSWORD", "WHOLE", "Cancelled", "Session", "check", "house"]
