"""Whatever ends a task before its first step is seen by its coroutine."""

from __future__ import annotations

import pytest

from pb.calling.halting import start, stop

from ..pump import Cancelled, Script, frame
from .test_serving import NOTHING, Server, told


def came(*messages):
    """Return a script to which calls have come, and nothing of them has begun."""
    script = Script(Server())
    script.broker.receive_data(b"".join(map(frame, messages)))
    return script


class Plain:
    """A face whose program makes no tasks."""

    def task_factory(self):
        return None


def test_a_coroutine_that_has_not_begun_sees_what_is_thrown_into_it():
    """By itself it would run neither `except` nor `finally`."""
    seen = []

    async def sees(halt):
        try:
            await halt
        except Cancelled:
            seen.append("cancelled")
        finally:
            seen.append("finally")

    with pytest.raises(StopIteration):
        start(Plain(), lambda coroutine: coroutine, sees).throw(Cancelled())
    assert ["cancelled", "finally"] == seen
    stop(sees, Cancelled())
    assert ["cancelled", "finally"] * 2 == seen


def test_a_coroutine_goes_on_with_its_first_step():
    """It waits for nothing."""

    async def goes_on(halt):
        await halt
        return 7

    with pytest.raises(StopIteration) as done:
        start(Plain(), lambda coroutine: coroutine, goes_on).send(None)
    assert 7 == done.value.value


@pytest.mark.parametrize("id", [1, 0], ids=["call", "send"])
def test_a_call_that_the_program_stops_before_its_first_step_is_answered(id):
    """Once, if it wants that; nothing is left of it, and its method has not begun."""
    script = came([1, id, 0, "wait", NOTHING])
    serving = script.broker.serving
    (served,) = [*serving.running.values(), *serving._quiet]
    served.task.cancel()
    script.side.run_tasks()

    assert [(1, "pb.Cancelled")] * id == [told(message) for message in script.heard()]
    assert (0, 0, {}, 0) == (serving.count, serving.beginning, serving.running, script.broker.scope.running)


def test_a_call_whose_loop_is_gone_before_its_first_step_says_nothing(caplog):
    """A program may end so; its method has not begun, and no warning says that it was never awaited."""
    script = came([1, 1, 0, "wait", NOTHING])
    (served,) = script.broker.serving.running.values()
    served.task.coroutine.close()
    handler = served.awaitable

    assert [] == script.heard() == caplog.messages
    with pytest.raises(RuntimeError, match="cannot reuse"):
        handler.send(None)


def test_a_program_that_cannot_make_tasks_fails_the_call():
    """It is answered once, though its coroutine ends too."""
    script = Script(Server())
    serving = script.broker.serving

    def refuse(coroutine):
        raise RuntimeError("no tasks here")

    serving._spawn = refuse
    script.say([1, 1, 0, "wait", NOTHING])

    assert [1] == [message[1] for message in script.heard()]
    assert (0, 0, 0) == (serving.count, serving.beginning, script.broker.scope.running)
