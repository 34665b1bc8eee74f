"""Pipelining over a middle: on its proxies, and on what they return."""

from __future__ import annotations

import pytest

import pb

from ..holding.test_relay import Three
from ..pump import messages_in
from ..results import tell


def test_a_proxy_to_come_is_called_through():
    """It is an object of the callee like others; what it returns is called in turn."""
    three = Three()
    proxy = tell(three.left.root, "get", "right")
    thing = tell(proxy, "thing")
    name = tell(thing, "name")
    mine = tell(proxy, "is_mine", thing)
    flight = three.left.client.output()
    assert [0, -1, -2, -1] == [call[2] for call in messages_in(flight)]
    three.left.server.input(flight)
    three.run()

    assert "of the right" == name.result()
    assert mine.result() is True
    del proxy, thing, name, mine
    three.run()
    assert 0 == len(three.left.server.broker.serving.slots)


def test_a_promise_of_the_middle_is_an_argument_of_the_far_end():
    """Where it is there, it goes on as what it is."""
    three = Three()
    proxy = tell(three.left.root, "get", "right")
    own = tell(three.left.root, "own")
    taken = tell(proxy, "keep", own)
    three.run()

    assert None is taken.result()
    (kept,) = three.right_root.kept
    assert isinstance(kept, pb.RemoteReference)


def test_what_a_lost_far_end_answers_breaks_what_was_called_on_it():
    """The middle says so for both: of the call that it had passed on, that it may have run (PB-R21)."""
    three = Three()
    proxy = tell(three.left.root, "get", "right")
    three.run()
    first = tell(proxy.result(), "wait")
    second = tell(first, "name")
    three.run()
    three.right.lose()
    three.run()

    with pytest.raises(pb.Gone, match="it may have run"):
        first.result()
    with pytest.raises(pb.BrokenPromise):
        second.result()
