"""What a method in a thread learns of its call, beside what every method does."""

from __future__ import annotations

import pytest

import pb
from pb import context, sync

HOLD_S = 20


def test_a_method_in_a_thread_sees_how_much_time_it_has_left(connect):
    """Nobody can stop a thread: this is how it learns that it should."""

    class Hurried(pb.Root):
        def remote_left(self):
            return pb.current_call().left_s

        async def remote_left_on_the_loop(self):
            return pb.current_call().left_s

    connection, _ = connect(Hurried())
    for method in (connection.root.left, connection.root.left_on_the_loop):
        assert method() is None
        assert 0.0 < method.within(HOLD_S)() <= HOLD_S


@pytest.mark.parametrize("is_collected", [False, True], ids=["closed", "collected"])
def test_a_deadline_in_a_generator_that_is_thrown_away_ends(is_collected):
    """Without setting anything where Python collects garbage; what is around it is in force again."""

    def in_a_deadline():
        with sync.deadline(HOLD_S / 2):
            yield context.inherited.get()

    with sync.deadline(HOLD_S):
        before = context.due_at()
        driven = in_a_deadline()
        set_there = next(driven)
        assert context.due_at() < before
        if not is_collected:
            driven.close()
        del driven
        assert set_there is context.inherited.get()
        assert before == context.due_at()
    assert context.inherited.get() is None
