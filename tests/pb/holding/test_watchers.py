"""Who is told of an end: those whose reference is gone are forgotten, and that costs nothing that grows."""

from __future__ import annotations

import gc
import weakref

from pb.holding.watchers import Watchers


class Held:
    """Something that a watcher is about."""


def test_each_is_there_until_it_is_taken_back():
    """Also twice, and while others stay."""
    watchers = Watchers()
    first, second = (lambda: 1), (lambda: 2)
    forget = watchers.add(first, None)
    watchers.add(second, None)
    forget()
    forget()

    assert [second] == [*watchers]


def test_those_of_what_is_gone_are_forgotten():
    """Whoever subscribes again and again fills no memory."""
    watchers, held = Watchers(), Held()
    watchers.add(lambda: None, weakref.ref(held))
    watchers.add(lambda: None, None)
    for _ in range(1000):
        watchers.add(lambda: None, weakref.ref(Held()))
    gc.collect()

    assert len(watchers) <= 16


def test_many_that_are_held_are_looked_through_seldom():
    """With a thousand subscribers one more must not cost a thousand looks."""

    class Counted:
        """Alive; counts how often that is asked."""

        looks = 0

        def __call__(self):
            Counted.looks += 1
            return self

    watchers = Watchers()
    for _ in range(4096):
        watchers.add(lambda: None, Counted())
    watchers.add(lambda: None, None)

    assert 4097 == len(watchers) == len([*watchers])
    assert Counted.looks <= 2 * 4096
