"""Who is told of an end: those whose reference is gone are forgotten, and that costs nothing that grows."""

from __future__ import annotations

import gc
import weakref

from pb.holding.watchers import Watchers, WatchersOfGone


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


def test_those_of_an_object_are_told_when_it_is_gone():
    """Once, and nobody else; what takes one back may be called at any time."""
    watchers, held = WatchersOfGone(), Held()
    first, second, third = (lambda: 1), (lambda: 2), (lambda: 3)
    of = weakref.ref(held)
    watchers.add(1, first, of)
    forget_second, forget_third = watchers.add(1, second, of), watchers.add(2, third, of)
    forget_second()
    forget_second()

    assert [first] == watchers.take(1)
    assert [] == watchers.take(1)
    assert 1 == len(watchers)
    forget_third()
    forget_third()
    assert (0, []) == (len(watchers), watchers.take(2))


def test_those_of_what_is_gone_here_are_forgotten_too():
    """A peer may send objects without end that a program watches."""
    watchers, held = WatchersOfGone(), Held()
    kept = [watchers.add(0, len, weakref.ref(held))]
    for id in range(1, 1000):
        kept.append(watchers.add(id, len, weakref.ref(Held())))
        gc.collect() if id % 100 == 0 else None

    assert len(watchers) <= 16
    assert [len] == watchers.take(0)
    kept[-1]()
    kept[-1]()
