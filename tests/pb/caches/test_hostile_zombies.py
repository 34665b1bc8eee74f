"""Owners that never confirm that a replica was dropped: what they send is not kept for ever. PB-C25."""

from __future__ import annotations

import tracemalloc

import msgpack
import pytest

import pb
from pb import messages
from pb.caches.zombies import Zombies, weight_of_state

from ..cached import REGISTRY, Stock
from ..peers import call, ext, frame, hello, is_alive, said
from ..pump import Side

MOST = 2_000_000
STATE = {"n": [{}] * 4000}  # 288 KB of memory
NAME = "shop.Stock"


class Root(pb.Root):
    def __init__(self):
        self.kept = []

    def remote_see(self, value):
        pass

    def remote_keep(self, value):
        self.kept.append(value)


def victim():
    side = Side("victim", Root(), REGISTRY, pb.Limits())
    side.broker.tables.zombies = Zombies(MOST)
    side.broker.start()
    side.input(hello(features=["cache"], max_refs=1000))
    side.output()
    return side


def bring(id, method="see", state=STATE):
    """Return a call that brings a cache."""
    return call(b"\x92\x91" + ext(9, msgpack.packb([id, NAME, state])) + b"\x80", method, id)


def name(id, call_id, method="see"):
    """Return a call that names a cache that was sent before."""
    return call(b"\x92\x91" + ext(10, bytes([id])) + b"\x80", method, call_id)


def update(id, *args):
    return frame([messages.OBSERVE, 0, id, "put", msgpack.packb([args, {}])])


def zombies_of(side):
    return side.broker.tables.zombies


@pytest.mark.unmeasured
@pytest.mark.parametrize("method", ["see", "not_there"])
def test_what_an_owner_keeps_alive_is_bounded(method):
    """It may bring a hundred thousand replicas, each as large as a frame, and never say GONE."""
    side = victim()

    tracemalloc.start()
    for id in range(1, 51):
        side.input(bring(id, method))
        said(side)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    rows = side.broker.tables.replicas
    assert 50 == len(rows)
    assert 4 <= sum(row.zombie is not None for row in rows.values()) <= 7
    assert taken < MOST + 500_000
    assert zombies_of(side).bytes < MOST
    assert is_alive(side)
    side.input(frame([messages.GONE, [*range(1, 51)]]))
    assert 0 == zombies_of(side).bytes
    assert {} == rows


def test_updates_of_what_was_dropped_do_not_make_it_grow_without_end():
    """They are applied until its owner confirms, and it need not."""
    side = victim()
    side.input(bring(1, state={"n": 1}))
    said(side)
    row = side.broker.tables.replicas[1]
    assert 0 < row.weight < 1000

    for number in range(20):
        side.input(update(1, f"n{number}", [{}] * 4000))

    assert row.zombie is None and row.is_stale
    assert 0 == row.weight == zombies_of(side).bytes
    side.input(update(1, "n", 5))
    assert is_alive(side)


def test_what_was_given_up_is_refused_when_it_is_named_again():
    """Once the release has arrived it comes with a new id, whole."""
    side = victim()
    for id in range(1, 11):
        side.input(bring(id))
        said(side)

    side.input(name(1, 11, "keep"))
    side.input(name(10, 12, "keep"))

    answers = [each for each in said(side) if each[0] != messages.RELEASE]
    assert [messages.ANSWER, 11] == answers[0][:2]
    assert [messages.ERROR, 12] == answers[1][:2]
    assert "pb.NoSuchObject" == msgpack.unpackb(answers[1][2])["type"]
    (kept,) = side.broker.tables.exports[0].object.kept
    assert isinstance(kept, Stock) and 4000 == len(kept.n)
    assert 0 == side.broker.tables.replicas[1].weight
    assert is_alive(side)


def test_what_comes_before_the_release_is_told_is_counted_once():
    """An update, or the end, of what nobody holds any more and whose release was not written yet."""
    side = victim()
    gone, kept = (ext(9, msgpack.packb([id, NAME, {"n": 1}])) for id in (1, 2))
    argument = b"\x92\x92" + gone + kept + b"\x80"
    side.broker.tables.exports[0].object.remote_two = lambda first, second: None

    side.broker.receive_data(
        frame(
            [
                [messages.CALL, 1, 0, "two", argument],
                [messages.OBSERVE, 0, 2, "set", msgpack.packb([[[{}] * 100], {}])],
                [messages.GONE, [1]],
            ]
        )
    )
    assert 0 == zombies_of(side).bytes
    said(side)

    assert [2] == [*side.broker.tables.replicas]
    assert 7000 < side.broker.tables.replicas[2].weight == zombies_of(side).bytes < 10_000
    assert is_alive(side)


def test_what_the_program_holds_does_not_count():
    """Nor when it is named again, nor its updates."""
    side = victim()
    for id in range(1, 11):
        side.input(bring(id, "keep"))
        side.input(update(id, "more", [1]))
    said(side)

    assert 0 == zombies_of(side).bytes
    assert [[1]] * 10 == [stock.more for stock in side.broker.tables.exports[0].object.kept]


def test_what_is_reached_on_two_ways_counts_once_and_rings_have_an_end():
    """The state of a replica may hold anything, and what the program has put there is not followed."""

    class Copy:
        def __init__(self):
            self.text = "x" * 10_000

    shared = [0.5] * 10_000
    ring = [shared, shared, (shared,), {"a": Copy()}, {frozenset([1])}]
    ring.append(ring)
    stock = Stock(n=ring, _own=["y" * 10**6] * 2, replica=Stock(n="z" * 10**6), kind=Stock)
    stock._observers = "y" * 10**6

    assert 330_000 < weight_of_state(vars(stock), 10**9) < 335_000, "24 for each of the numbers"
    assert 100 < weight_of_state(vars(stock), 100) < 100_000, "no more is looked at than is needed"
