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


class Traced:
    """A face whose program makes the tasks."""

    def task_factory(self):
        return Task


class Task:
    """A task of a program's own, which is over with an error or without."""

    def __init__(self, coroutine):
        self.coroutine = coroutine

    def add_done_callback(self, callback):
        self.callback = callback

    def result(self):
        if self.error is not None:
            raise self.error

    def end(self, error=None):
        self.error = error
        self.callback(self)


class Seen:
    """A coroutine that notes what it sees."""

    def __init__(self):
        self.seen = []

    async def run(self, halt):
        try:
            await halt
        except BaseException as error:
            self.seen.append(error)
        else:
            self.seen.append("begun")


def test_a_task_of_the_program_is_given_a_coroutine_that_has_not_begun():
    """Who wraps it can await it, and once it has run the end of the task says nothing new."""
    run = Seen()
    task = start(Traced(), Task, run.run)

    async def wrap():
        await task.coroutine

    assert [] == run.seen
    with pytest.raises(StopIteration):
        wrap().send(None)
    assert ["begun"] == run.seen
    task.end()
    assert ["begun"] == run.seen


@pytest.mark.parametrize("error", [Cancelled(), ValueError("of the wrap")], ids=["cancelled", "failed"])
def test_a_task_of_the_program_that_ends_first_is_seen(error):
    """Its coroutine has not begun, and will not."""
    run = Seen()
    start(Traced(), Task, run.run).end(error)
    assert [error] == run.seen


def test_a_task_of_the_program_that_forgets_its_coroutine_is_seen():
    """No error says so by itself."""
    run = Seen()
    start(Traced(), Task, run.run).end()
    assert ["the task that the program's factory made has not run its coroutine"] == list(map(str, run.seen))


@pytest.mark.parametrize("face", [Plain(), Traced()], ids=["plain", "traced"])
def test_that_no_task_can_be_made_is_seen(face):
    """Nothing is returned, and nothing is left that was never awaited."""
    run = Seen()
    error = RuntimeError("no tasks here")

    def refuse(coroutine):
        raise error

    assert start(face, refuse, run.run) is None
    assert [error] == run.seen


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
