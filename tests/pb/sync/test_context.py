"""What a method in a thread learns of its call, beside what every method does."""

from __future__ import annotations

import pb

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
