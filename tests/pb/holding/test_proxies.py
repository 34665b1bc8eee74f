"""Proxies: references on their way through a middle, and what ends them. Spec: 4-references.md 4.5."""

from __future__ import annotations

import gc
import logging
import re

import pytest

import pb

from ..pump import STEPS, send
from .test_relay import Thing, Three


@STEPS
def test_references_are_translated_in_both_directions(step):
    """Everybody's objects reach everybody (R19)."""
    three = Three(step)
    proxy = three.proxy()
    mine = Thing("of the left")
    three.call(proxy, "keep", mine)
    thing = three.call(proxy, "thing")

    assert "of the left" == three.call(three.right_root.kept[0], "name")
    assert "of the right" == three.call(thing, "name")


def test_detours_collapse():
    """Back at its owner it is the object itself (R20)."""
    three = Three()
    proxy = three.proxy()
    mine = Thing()
    thing = three.call(proxy, "thing")

    assert [mine, thing] == three.call(proxy, "echo", mine, thing)
    assert three.call(proxy, "is_mine", thing)
    three.call(proxy, "keep", proxy)
    assert three.right_root is three.right_root.kept[0]


def test_a_proxy_put_back_into_the_middle_is_the_import_it_stands_for():
    """HOME of a proxy (R13)."""
    three = Three()
    proxy = three.proxy()
    three.call(three.left.root, "put", "back", proxy)

    assert three.middle.has["right"] is three.middle.has["back"]


def test_the_same_reference_is_the_same_proxy():
    """One entry per object (R11), also under equal small ids of the two connections."""
    three = Three()
    proxy = three.proxy()
    assert proxy is three.proxy()
    mine = [Thing(f"left {number}") for number in range(3)]
    theirs = [three.call(proxy, "thing"), three.call(three.left.root, "own")]
    three.call(proxy, "keep", [*mine, *theirs])
    (kept,) = three.right_root.kept

    assert ["left 0", "left 1", "left 2"] == [three.call(each, "name") for each in kept[:3]]
    assert three.right_root.thing is kept[3]
    assert "of the middle" == three.call(kept[4], "name")
    assert [*mine, *theirs] == three.call(proxy, "echo", [*mine, *theirs])[0]


def test_whoever_sends_no_proxies_refuses_them_where_they_are_sent():
    """The switch of PB-R18."""
    three = Three(proxy=False)

    with pytest.raises(pb.Forbidden, match="proxy=False"):
        three.proxy()
    assert [[], [], [], []] == three.tables()
    assert "of the middle" == three.call(three.call(three.left.root, "own"), "name")


# --- the end of one of them


def test_giving_up_a_proxy_gives_up_what_it_stands_for():
    """All the way to the owner."""
    three = Three()
    proxy = three.proxy()
    thing = three.call(proxy, "thing")
    assert [[], [1, 2], [], [1]] == three.tables()
    del thing
    gc.collect()
    three.run()
    assert [[], [1], [], []] == three.tables()


@STEPS
def test_losing_the_far_end_kills_what_was_passed_on(step):
    """GONE is said, later calls get `pb.Gone`; those under way may have run, and say so (R21)."""
    three = Three(step)
    proxy = three.proxy()
    thing, own = three.call(proxy, "thing"), three.call(three.left.root, "own")
    waiting = proxy.wait()
    three.run()
    crossing = thing.name()
    three.right.lose()
    three.run()

    with pytest.raises(pb.Gone, match="under way; it may have run"):
        waiting.result()
    for outcome in (crossing, thing.name(), proxy.echo()):
        with pytest.raises(pb.Gone):
            outcome.result()
    assert "of the middle" == three.call(own, "name")
    assert 0 == three.left.server.broker.serving.count
    del proxy, thing, waiting, crossing, outcome
    gc.collect()
    three.run()
    assert 1 == len(three.tables()[1])


def test_a_call_that_never_reached_the_far_end_is_gone_too():
    """Whether it was written or not."""
    three = Three()
    proxy = three.proxy()
    outcome = proxy.echo(1)
    three.left.server.input(three.left.client.output())
    three.right.lose()
    three.run()

    with pytest.raises(pb.Gone):
        outcome.result()


@STEPS
def test_losing_the_near_end_cancels_what_was_passed_on(step):
    """And gives back what was held for it; answers that still come are dropped."""
    three = Three(step)
    proxy = three.proxy()
    waiting = proxy.wait()
    thing = three.call(proxy, "thing")
    three.left.lose()
    three.right.run()

    assert 1 == three.right_root.stopped
    assert {} == three.right.client.broker.calls.pending
    with pytest.raises(pb.OutcomeUnknown):
        waiting.result()
    assert 0 == three.left.server.broker.serving.count
    del thing, proxy
    gc.collect()
    three.right.run()
    assert [[], [], [], []] == three.tables()
    assert [1] == three.call(three.middle.has["right"], "echo", 1)


def test_gone_is_passed_on():
    """What was revoked at the far end is revoked in the middle (R19)."""
    three = Three()
    proxy = three.proxy()
    thing = three.call(proxy, "thing")
    server = three.right.server.broker
    server.holdings.revoke(server.tables.exports[1])
    three.run()

    with pytest.raises(pb.Gone):
        thing.name().result()
    assert [] == three.call(proxy, "echo")


def test_gone_is_passed_on_to_nobody_who_does_not_hold_it():
    """What the middle has and did not pass on is its own affair."""
    three = Three()
    proxy = three.proxy()
    mine = three.call(three.middle.has["right"], "thing")
    server = three.right.server.broker
    server.holdings.revoke(server.tables.exports[1])
    three.run()

    with pytest.raises(pb.Gone):
        mine.name().result()
    assert [] == three.call(proxy, "echo")
    assert [[], [1], [], [1]] == three.tables()


def test_a_dead_reference_is_not_passed_on(caplog):
    """It stands for nothing any more. Who asks is told that somebody has gone, not that the middle has
    failed, and not who; the log of the middle knows more."""
    three = Three()
    three.proxy()
    three.right.lose()
    three.run()

    with pytest.raises(pb.Gone, match=r"^the result holds a reference that is dead$"):
        three.proxy()
    assert [] == [each for each in caplog.records if each.levelno > logging.WARNING]
    assert re.search("because its connection, with .*, has ended", caplog.text)


@pytest.mark.parametrize("closer", ["client", "server"])
def test_a_close_waits_for_what_is_passed_on(closer):
    """It is under way like any other call."""
    three = Three()
    proxy = three.proxy()
    waiting = proxy.wait()
    three.run()
    getattr(three.left, closer).broker.close()
    three.run()
    assert not getattr(three.left, closer).has_ended
    three.right_root.gate.open("in time")
    three.run()

    assert "in time" == waiting.result()
    assert getattr(three.left, closer).has_ended


def test_a_far_end_that_closes_fails_what_it_did_not_run():
    """And finishes what it began."""
    three = Three()
    proxy = three.proxy()
    begun = proxy.wait()
    three.run()
    three.right.server.broker.close()
    late = proxy.note("late")
    three.run()
    with pytest.raises(pb.Gone):
        late.result()
    three.right_root.gate.open("begun")
    three.run()

    assert "begun" == begun.result()
    send(proxy, "note", "later")
    three.run()
    assert [] == three.right_root.seen
