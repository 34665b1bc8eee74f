"""The vectors of spec/vectors, run against a real broker: what a frame gets, and exchanges from both sides.

Knows of the broker what a peer can see, and its tables at the end. How to compare: spec/vectors/README.md.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable

import pytest

import cred
import jelly
import pb
from pb import messages
from pb.calling.reserved import METHODS
from pb.wire.state import State

from .pb import (
    binders_flavours,
    binders_leaving,
    binders_login,
    binders_names,
    binders_pipelining,
    binders_resync,
    binders_streams,
)
from .pb.comparing import assert_same, joined
from .pb.peers import BankError, Insufficient, Point, ask, envelopes_in
from .pb.peers import frame as frame_of
from .pb.pump import Gate, Side
from .pb.results import tell
from .test_spec import CONVERSATIONS as PATHS
from .test_spec import VECTORS, load, unpack
from .vectors import bytes_of

CONVERSATIONS = {path.stem: load(path) for path in PATHS}
REJECTS = load(VECTORS / "frames-reject.json")
FLAVOURS = load(VECTORS / "flavours.json")
LOGIN = load(VECTORS / "login.json")
HELLO = bytes.fromhex(FLAVOURS["hello"])

# The mechanisms that conversations need, by name; all of them are built.
MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "ED25519", "ANONYMOUS")

# The roles that our side does not play, and why.
NOT_THIS_ROLE = {
    ("37-stream-beyond-credit", "C"): "no honest producer does that",
    ("71-call-after-bye", "C"): "what it does not serve it does not call",
    ("70-trace", "C"): "no trace of zeros can be given here",
}


def registry():
    made = jelly.Registry()
    made.add(Point, "geo.Point")
    made.add(BankError, "bank.BankError")
    made.add(Insufficient, "bank.Insufficient")
    binders_flavours.add_flavours(made)
    return made


class Door(pb.Referenceable):
    def remote_open(self):
        return "open"


class Root(binders_streams.StreamRoot, binders_flavours.FlavourRoot, binders_pipelining.LibraryRoot):
    """The root objects of all conversations in one: their methods have different names."""

    def __init__(self):
        super().__init__()
        self.object = Door()
        self.chooser = None

    def remote_echo(self, value):
        return value

    async def remote_watch(self, callback, job):
        await ask(callback, "progress", 50)
        return True

    def remote_door(self):
        return self.object

    def remote_mid(self, a, b):
        return Point((a.x + b.x) // 2, (a.y + b.y) // 2)

    def remote_withdraw(self, amount):
        raise Insufficient(5)

    async def remote_slow(self):
        await Gate()

    @pb.idempotent
    def remote_look(self):
        return "dark"

    async def remote_offer(self, chooser):
        self.chooser = chooser
        await ask(chooser, "pick", self.object)


class Watcher(pb.Referenceable):
    def remote_progress(self, percent):
        assert 50 == percent

    def remote_pick(self, thing):
        return thing


class Play:
    """One side of a conversation, with what it does of its own; `replies` keep what it asked."""

    def __init__(self, role, window):
        root = Root() if role == "S" else None
        self.side = Side(role, root, registry(), pb.Limits(window=window))
        self.root = self.side.broker.tables.exports[0].object if role == "S" else None
        self.replies = []

    def ask(self, method, *args, of=None, **kwargs):
        """Call a method of the server's root, or of what the reply number `of` brought."""
        target = self.side.broker.root_reference() if of is None else self.replies[of].result()
        self.replies.append(tell(target, method, *args, **kwargs))

    def ask_result(self, number, method, *args):
        """Call what the reply of this number will bring."""
        self.replies.append(tell(self.replies[number], method, *args))

    def drop(self, number):
        """Drop the reference that a reply brought."""
        self.replies[number].value = self.replies[number].promised = None
        gc.collect()

    def revoke(self):
        assert 1 == self.side.broker.holdings.revoke_object(self.root.object)


def hello_with(needs):
    """Return the HELLO of a peer that has what a conversation needs."""
    features = [name for name in messages.BUILT_FEATURES if name == "cache" or name in needs]
    return frame_of([messages.HELLO, messages.MAGIC, messages.VERSION, {"features": features}])


def cyclic():
    made = []
    made.append(made)
    return made


# (conversation, role) -> what our side does of its own, each before the frame of that number.
Acts = dict[int, Callable[[Play], object]]
ACTS: dict[tuple[str, str], Acts] = {
    ("01-bootstrap-echo", "S"): {4: lambda play: play.side.broker.close()},
    ("01-bootstrap-echo", "C"): {1: lambda play: play.ask("echo", "hi")},
    ("02-callback", "C"): {0: lambda play: play.ask("watch", Watcher(), job="build")},
    ("60-reserved", "C"): {
        0: lambda play: play.ask("pb:idempotent"),
        2: lambda play: play.ask("look"),
        4: lambda play: play.ask("pb:nonsense"),
        6: lambda play: play.ask("pb:idempotent", 1),
    },
    ("03-decref-race", "C"): {
        0: lambda play: play.ask("door"),
        2: lambda play: play.ask("door"),
        3: lambda play: play.drop(0),
        5: lambda play: play.ask("open", of=1),
        7: lambda play: play.drop(1),
    },
    ("04-copyable", "C"): {
        0: lambda play: play.ask("mid", Point(0, 0), Point(6, 8)),
        2: lambda play: play.ask("mid", jelly.Relayed("os.system", {}), Point(0, 0)),
    },
    ("06-cyclic-list", "C"): {0: lambda play: play.ask("echo", cyclic())},
    ("07-errors", "C"): {
        0: lambda play: play.ask("withdraw", 9),
        2: lambda play: play.ask("nope"),
        4: lambda play: play.replies.append(ask_unknown(play)),
    },
    ("11-cancel", "C"): {
        0: lambda play: play.ask("slow", at=play.side.broker.deadlines.after(1.5)),
        1: lambda play: play.side.broker.calls.cancel(play.replies[0].id, play.replies[0]),
    },
    ("13-revoke", "S"): {2: lambda play: play.revoke()},
    ("13-revoke", "C"): {
        0: lambda play: play.ask("door"),
        2: lambda play: play.ask("open", of=0),  # before the GONE is read: afterwards it would fail here
        5: lambda play: play.drop(0),
    },
    ("14-home-before-release", "C"): {0: lambda play: play.ask("offer", Watcher())},
    ("39-full", "S"): {0: lambda play: play.side.broker.close(messages.BYE_POLICY, "it is full")},
    ("39-full", "C"): {3: lambda play: play.ask("echo", "hi")},
    ("15-batch", "C"): {
        0: lambda play: [play.ask("echo", 1), play.ask("echo", 2), play.side.broker.ping(7)],
    },
}


ACTS |= binders_flavours.ACTS | binders_login.ACTS | binders_resync.ACTS | binders_streams.ACTS
ACTS |= binders_leaving.ACTS | binders_names.ACTS | binders_pipelining.ACTS


def ask_unknown(play):
    """Call an object that the peer never gave: no honest caller can, so its handle is forged."""
    broker = play.side.broker
    forged = broker.tables._import(42, 42, broker.scope)
    reply = ask(forged, "x")
    forged._pb_import.count = 0  # nothing is owed for it
    return reply


def runs():
    """Return each conversation in each role that can be played."""
    return [
        pytest.param(conversation, role, id=f"{name}-{role}")
        for name, conversation in sorted(CONVERSATIONS.items())
        for role in "SC"
        if (name, role) not in NOT_THIS_ROLE
    ]


@pytest.mark.parametrize(("conversation", "role"), runs())
def test_conversation(conversation, role, caplog):
    """What two sides say to each other, byte by byte: an implementation of another language says the same."""
    logs_in, streams = "login" in conversation["needs"], "stream" in conversation["needs"]
    play = binders_login.LoginPlay(role, conversation) if logs_in else Play(role, 0 if streams else 16)
    acts = ACTS.get((conversation["name"], role), {})
    side, said = play.side, []
    frames = [(bytes.fromhex(each["hex"]), each) for each in conversation["frames"]]
    ours = [pair for pair in enumerate(frames) if pair[1][1]["dir"][0] == role]
    theirs = [pair for pair in enumerate(frames) if pair[1][1]["dir"][0] != role]
    greeted = frames[0][1].get("compare") == "hello"
    side.broker.start()
    if logs_in:
        play.greeted()
    if not greeted:
        side.output()
        side.input(hello_with(conversation["needs"]))
    elif role == "C":  # our callers wait for the HELLO, which comes first anyway
        side.input(theirs.pop(0)[1][0])
    done = -1

    def reach(index):
        """Do what our side does of its own before the frame of this number."""
        nonlocal done
        while done < index:
            done += 1
            acts.get(done, lambda play: None)(play)
            side.run_tasks()
            said.extend(envelopes_in(side.output()))

    def hear():
        index, (frame, _) = theirs.pop(0)
        reach(index)
        side.input(frame)
        said.extend(envelopes_in(side.output()))

    for index, (frame, told) in ours:
        while theirs and theirs[0][0] < index:
            hear()
        reach(index)
        for expected in envelopes_in(frame):
            while not said and theirs:
                hear()
            assert said, f"our side does not say {told['text']}"
            found = said.pop(0)
            found = joined(expected, found, said, told.get("compare"))
            assert_same(expected, found, told.get("compare"))
    while theirs:
        hear()
    reach(len(frames))

    assert [] == said
    assert all(reply.settled == 1 for reply in play.replies)
    aborts = frames[-1][1].get("compare") == "bye"
    assert side.has_ended if aborts else side.error is None
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    "frames",
    [
        {5: (b"v=ZpUaLbF", b"v=ZpUaLbE")},
        {3: (b"h=TQiPeCP", b"h=TQiPeCQ")},
        {1: (b"\xa9ANONYMOUS", b"\xa9ANONYMOUT")},
    ],
    ids=["another proof", "another h=", "another HELLO"],
)
def test_a_client_believes_no_server_that_has_not_proven_itself(frames):
    """One changed byte of what the server says, and there is no identity and no further call."""
    conversation = CONVERSATIONS["10-login-scram"]
    play = binders_login.LoginPlay("C", conversation)
    play.side.broker.start()
    play.greeted()
    play.side.output()
    for index, frame in enumerate(conversation["frames"][:6]):
        data = bytes.fromhex(frame["hex"])
        found, instead = frames.get(index, (b"", b""))
        assert data.count(found) == 1 or not found
        if frame["dir"] == "S>C":
            play.side.input(data.replace(found, instead))
        if index == 1:
            play.log_in(binders_login.password())
            play.side.run_tasks()
    said = [unpack(each)[3] for each in envelopes_in(play.side.output()) if unpack(each)[0] == messages.CALL]

    with pytest.raises(cred.UntrustedServer):
        play.replies[0].result()
    assert said == (["login", "respond"] if 5 in frames else ["login"])


def test_every_conversation_needs_only_what_is_built():
    """A new file must not be passed over in silence."""
    built = {*messages.BUILT_FEATURES, "view", "names", "login", *MECHANISMS, *METHODS}
    needy = {name for name, each in CONVERSATIONS.items() if set(each["needs"]) - built}

    assert set() == needy
    assert {name for name, _ in ACTS} | {name for name, _ in NOT_THIS_ROLE} <= CONVERSATIONS.keys()


class EchoRoot(pb.Root):
    def remote_echo(self, x):
        return x


# What a side gets that did not announce a feature, where this one does.
FRAMES = [
    case
    for case in REJECTS["cases"]
    if not {*case.get("without", ())} & {*messages.BUILT_FEATURES}
    and {*case.get("needs", ())} <= {*messages.BUILT_FEATURES}
]


@pytest.mark.unmeasured
@pytest.mark.parametrize("case", FRAMES, ids=lambda case: case["name"])
@pytest.mark.parametrize("step", [None, 1], ids=["whole", "bytewise"])
def test_a_frame_of_a_broken_peer_gets_what_the_specification_says(case, step, caplog):
    """One frame, one answer: nothing else is said, nothing is kept, nothing escapes."""
    side = Side("server", EchoRoot(), None, pb.Limits())
    side.broker.start()
    (hello,) = envelopes_in(side.output())
    assert [0, "PB", 1] == unpack(hello)[:3]
    if "first" not in case:
        side.input(bytes.fromhex(REJECTS["hello"]))
    expect = case["expect"]

    side.input(bytes_of(case), step)

    gc.collect()
    said = envelopes_in(side.output())
    for answer in expect.get("answers", ()):
        assert answer == said.pop(0).hex()
    owed = dict(expect.get("releases", ()))
    for envelope in [each for each in said if each[1] == messages.RELEASE]:
        said.remove(envelope)
        pairs = unpack(envelope)[1]
        for ref, count in zip(pairs[::2], pairs[1::2], strict=True):
            owed[ref] = owed.get(ref, 0) - count
    assert not any(owed.values())
    if "bye" in expect:
        assert side.has_ended
        assert State.CLOSED is side.broker.state
        assert {} == side.broker.tables.exports == side.broker.tables.imports
        codes = [unpack(each)[:2] for each in said]
        assert codes in [[[messages.BYE, code]] for code in expect["bye"]] + [[]] * ("silent" in expect)
    else:
        if "error" in expect:
            code, id, payload = unpack(said.pop(0))
            assert [messages.ERROR, expect["error"]["id"]] == [code, id]
            assert expect["error"]["type"] == unpack(payload)["type"]
        assert [] == said
        side.input(bytes.fromhex("00000003920d07"))
        assert ["920e07"] == [each.hex() for each in envelopes_in(side.output())]
        assert [0] == list(side.broker.tables.exports)
        assert {} == side.broker.tables.imports
    assert 0 == side.broker.serving.count
    assert [] == [record.msg for record in caplog.records if "fault of this side" in record.msg]


@pytest.mark.unmeasured
@pytest.mark.parametrize("case", FLAVOURS["cases"], ids=lambda case: case["name"])
@pytest.mark.parametrize("step", [None, 1], ids=["whole", "bytewise"])
def test_what_becomes_of_caches_copies_and_views(case, step):
    """Ordinary ones, stale ones and hostile ones."""
    binders_flavours.play_case(case, FLAVOURS["hello"], step)


@pytest.mark.parametrize("case", LOGIN["strangers"], ids=lambda case: case["name"])
@pytest.mark.parametrize("step", [None, 1], ids=["whole", "bytewise"])
def test_what_a_stranger_gets(case, step):
    """Who has not logged in may do nothing else, and little of that."""
    binders_login.play_stranger(case, LOGIN["hello"], step)
