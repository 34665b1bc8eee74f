"""Third parties: references of one connection that are sent over another. Spec: 4-references.md 4.5.

    left client  <-- left pump -->  middle  <-- right pump -->  right server

The middle has what it got from either side, and passes it on.
"""

from __future__ import annotations

import gc

import pytest

import jelly
import pb

from ..pump import STEPS, Gate, Pump, cancel, run_all, send


class Point(pb.Copyable):
    """Known to both ends, not to the middle."""

    def __init__(self, x=0):
        self.x = x

    def __eq__(self, other):
        return type(other) is Point and self.x == other.x

    __hash__ = None


class Overdrawn(Exception):
    """An error both ends know, and the middle does not."""


class Thing(pb.Referenceable):
    def __init__(self, name="thing"):
        self.name = name

    def remote_name(self):
        return self.name

    def remote_point(self):
        return Point(5)

    def remote_take(self, value):
        self.taken = value
        return "taken"


class Right(pb.Root):
    """At the far end."""

    def __init__(self):
        self.gate = Gate()
        self.thing = Thing("of the right")
        self.seen = []
        self.kept = []
        self.stopped = 0

    def remote_echo(self, *values):
        return list(values)

    def remote_both(self, /, *args, **kwargs):
        return [list(args), kwargs]

    def remote_note(self, value=None):
        self.seen.append(value)

    def remote_keep(self, value):
        self.kept.append(value)

    def remote_thing(self):
        return self.thing

    def remote_is_mine(self, value):
        return value is self.thing

    async def remote_wait(self):
        try:
            return await self.gate
        except BaseException:
            self.stopped += 1
            raise

    def remote_point(self, x):
        return Point(x)

    def remote_overdrawn(self):
        raise Overdrawn("balance is 5", 5)

    def remote_bug(self):
        raise RuntimeError("secret")


class Middle(pb.Root):
    """Passes on what it has."""

    def __init__(self):
        self.has = {}
        self.own = Thing("of the middle")

    def remote_get(self, name):
        return self.has[name]

    def remote_put(self, name, value):
        self.has[name] = value

    def remote_own(self):
        return self.own


class Three:
    """Two pumps with a middle between them."""

    def __init__(self, step=None, right_limits=None, **options):
        ends = jelly.Registry()
        ends.add(Point, "geo.Point", fields=["x"])
        ends.add(Overdrawn, "bank.Overdrawn")
        empty = jelly.Registry()
        self.right_root, self.middle = Right(), Middle()
        self.right = Pump(
            self.right_root,
            client_root=self.middle,
            registry=ends,
            client_registry=empty,
            step=step,
            limits=right_limits,
            client_limits=pb.Limits(),
            **options,
        )
        self.left = Pump(self.middle, registry=empty, client_registry=ends, step=step, **options)
        self.middle.has["right"] = self.right.root

    def run(self):
        run_all(self.left, self.right)

    def call(self, reference, name, /, *args, **kwargs):
        outcome = getattr(reference, name)(*args, **kwargs)
        self.run()
        return outcome.result()

    def proxy(self):
        """The right's root, as the left holds it by way of the middle."""
        return self.call(self.left.root, "get", "right")

    def tables(self):
        """What the four sides let their peers hold, roots aside."""
        sides = self.left.client, self.left.server, self.right.client, self.right.server
        return [[id for id in side.broker.tables.exports if id] for side in sides]


# --- calls


@STEPS
def test_calls_are_passed_on_with_all_their_arguments(step):
    """And their answers back (R19)."""
    three = Three(step)
    proxy = three.proxy()

    assert [[1, "a"], {"name": 1, "self": 2}] == three.call(proxy, "both", 1, "a", name=1, self=2)


def test_large_payloads_are_passed_on():
    """They are views of a buffer here, and must be read before it is used again."""
    three = Three()

    assert [b"x" * 100_000] == three.call(three.proxy(), "echo", b"x" * 100_000)


def test_calls_without_an_answer_are_passed_on_as_such():
    """Nothing comes back for them."""
    three = Three()
    proxy = three.proxy()
    send(proxy, "note", 5)
    send(proxy, "nope")
    three.run()

    assert [5] == three.right_root.seen
    assert {} == three.right.client.broker.calls.pending
    assert 0 == three.left.server.broker.serving.count


@STEPS
def test_a_cancel_is_passed_on(step):
    """And the outcome comes back as ever (R19)."""
    three = Three(step)
    proxy = three.proxy()
    outcome = proxy.wait()
    three.run()
    assert 1 == three.right.server.broker.serving.count == three.left.server.broker.serving.count
    cancel(proxy, outcome)
    three.run()

    assert 1 == three.right_root.stopped
    for side in (three.right.server, three.left.server):
        assert 0 == side.broker.serving.count
    assert {} == three.left.client.broker.calls.pending == three.right.client.broker.calls.pending


def test_of_several_cancels_for_a_call_one_is_passed_on():
    """Else one user of a proxy could use up what it may ask for in vain, for all of them (PB-L14)."""
    three = Three()
    proxy = three.proxy()

    async def linger():
        try:
            return await Gate()
        except BaseException:
            return await three.right_root.gate

    three.right_root.remote_linger = linger
    outcome = proxy.linger()
    three.run()
    for _ in range(3):
        three.left.client.broker.calls.cancel(outcome.id, outcome)
        three.run()
    near, far = [side.broker.serving for side in (three.left.server, three.right.server)]
    assert [2, 0] == [serving.budget.spent(serving.taken) for serving in (near, far)]
    three.right_root.gate.open("tidied")
    three.run()

    assert "tidied" == outcome.result()


def test_a_call_that_waits_in_the_middle_can_be_cancelled():
    """It never reaches the far end."""
    three = Three(right_limits=pb.Limits(max_calls=1))
    proxy = three.proxy()
    first, second, third = proxy.wait(), proxy.note("second"), proxy.note("third")
    three.run()
    three.left.client.broker.calls.cancel(second.id, second)
    three.run()
    with pytest.raises(pb.Cancelled):
        second.result()
    three.right_root.gate.open("first")
    three.run()

    assert "first" == first.result()
    assert None is third.result()
    assert ["third"] == three.right_root.seen


def test_calls_that_wait_in_the_middle_keep_their_order_and_what_they_carry():
    """Copies of unknown classes too."""
    three = Three(right_limits=pb.Limits(max_calls=1))
    proxy = three.proxy()
    first = proxy.wait()
    later = [proxy.point(number) for number in range(3)]
    three.run()
    three.right_root.gate.open()
    three.run()

    assert None is first.result()
    assert [Point(0), Point(1), Point(2)] == [outcome.result() for outcome in later]


def test_the_middle_serves_only_so_many_at_once():
    """A call passed on is one of its caller's calls."""
    three = Three()
    proxy = three.proxy()
    three.left.client.broker.calls.peer_max_calls = 10_000
    outcomes = [proxy.wait() for _ in range(1030)]
    three.run()

    with pytest.raises(pb.Busy):
        outcomes[-1].result()
    three.right_root.gate.open(1)
    three.run()
    assert [1] * 1024 == [outcome.result() for outcome in outcomes[:1024]]


# --- values


@STEPS
def test_copies_the_middle_does_not_know_pass_unchanged(step):
    """As inert values, both ways (PB-R22)."""
    three = Three(step)
    proxy = three.proxy()

    assert Point(7) == three.call(proxy, "point", 7)
    assert [[Point(1)], {"a": Point(2)}] == three.call(proxy, "echo", [Point(1)], {"a": Point(2)})


def test_the_middle_itself_takes_no_unknown_copies():
    """What passes through it must not get into it."""
    three = Three()
    proxy = three.proxy()
    three.call(proxy, "point", 7)

    with pytest.raises(pb.Unregistered):
        three.call(three.left.root, "put", "x", Point(1))
    with pytest.raises(pb.Unregistered):
        three.call(three.middle.has["right"], "point", 7)


def test_a_reference_first_seen_in_passing_is_an_ordinary_one_for_the_middle():
    """Its own calls on it take no unknown copies."""
    three = Three()
    proxy = three.proxy()
    thing = three.call(proxy, "thing")
    mine = three.call(three.middle.has["right"], "thing")

    assert Point(5) == three.call(thing, "point")
    with pytest.raises(pb.Unregistered):
        three.call(mine, "point")


def test_an_object_of_the_middle_that_was_passed_on_is_an_ordinary_one():
    """Calls of the far end on it take no unknown copies."""
    three = Three()
    proxy = three.proxy()
    own = three.call(three.left.root, "own")
    three.call(proxy, "keep", own)
    (kept,) = three.right_root.kept

    assert "of the middle" == three.call(kept, "name")
    with pytest.raises(pb.Unregistered):
        three.call(kept, "take", Point(1))


# --- errors


@pytest.mark.parametrize("step", [None, 1], ids=["whole", "bytewise"])
@pytest.mark.parametrize(
    ("method", "error"),
    [("nope", pb.NoSuchMethod), ("point", pb.BadArguments), ("overdrawn", Overdrawn)],
)
def test_errors_are_passed_on_as_they_are(step, method, error):
    """A proxy adds nothing (PB-E4); also errors whose class the middle does not know (R22)."""
    three = Three(step)

    with pytest.raises(error):
        three.call(three.proxy(), method)


def test_data_of_errors_the_middle_does_not_know_are_passed_on():
    """Not their name alone."""
    three = Three()

    with pytest.raises(Overdrawn) as caught:
        three.call(three.proxy(), "overdrawn")
    assert ("balance is 5", 5) == caught.value.args


def test_an_internal_error_keeps_the_incident_of_the_far_end():
    """That is where the log has it."""
    three = Three()

    with pytest.raises(pb.RemoteError) as caught:
        three.call(three.proxy(), "bug")
    assert ("pb.Internal", "incident-1") == (caught.value.remote_type, caught.value.incident)
    assert 0 == three.left.server.incidents
    assert 1 == three.right.server.incidents


def test_an_argument_the_far_end_would_not_take_fails_its_call_only():
    """The limits of the two connections differ."""
    three = Three(right_limits=pb.Limits(max_refs=2))
    proxy = three.proxy()

    with pytest.raises(pb.TooLarge):
        three.call(proxy, "echo", *[Thing() for _ in range(5)])
    assert 0 == three.left.server.broker.serving.count
    gc.collect()
    three.run()
    assert [[], [1], [], []] == three.tables()
