"""Coroutines that see whatever ends their task, also where that ends before its first step.

A task that is cancelled then raises at the head of its coroutine, where no `try` has begun: neither `except`
nor `finally` runs, and what they were to answer, count or release stays for ever. So a coroutine whose end
counts begins with `await halt` inside its `try`, and is taken that far before it is given to a task. To be
told by the task instead (`add_done_callback`) costs a call by the loop for each.

Where a program has a task factory of its own, that is the way all the same: tools that trace programs give
the task a coroutine that awaits ours, and Python lets nobody await one that has begun.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Final


class _Halt(tuple[None]):
    """Awaited, it halts once. All of it runs in C: with the halt, a call executes 1,300 instructions more."""

    __slots__ = ()

    __await__ = tuple.__iter__


HALT: Final[Any] = _Halt((None,))

# Makes a coroutine that begins with `await halt` inside its `try`.
Run = Callable[[Any], Coroutine[Any, Any, object]]


class _Begun:
    """Awaited, it goes on at once, and has been awaited."""

    __slots__ = ("is_true",)

    def __init__(self) -> None:
        self.is_true = False

    def __await__(self) -> Iterator[None]:
        self.is_true = True
        return iter(())


def start(face: Any, spawn: Callable[[Coroutine[Any, Any, object]], Any], run: Run) -> Any:
    """Run a coroutine in a task; whatever ends that, also before its first step, is seen by the coroutine.

    Args:
        face: says whether the program makes the tasks.
        spawn: makes the task.

    Returns:
        The task; None where the program could not make one, which the coroutine was told.
    """
    if face.task_factory() is not None:
        return _start_fresh(spawn, run)
    coroutine = run(HALT)
    coroutine.send(None)
    try:
        return spawn(coroutine)
    except Exception as error:  # of a loop that is closed
        _throw(coroutine, error)
        return None


def _start_fresh(spawn: Callable[[Coroutine[Any, Any, object]], Any], run: Run) -> Any:
    begun = _Begun()
    coroutine = run(begun)
    try:
        task = spawn(coroutine)
    except Exception as error:  # of the program's own factory
        coroutine.close()
        stop(run, error)
        return None
    task.add_done_callback(partial(_look_after, begun, coroutine, run))
    return task


def _look_after(begun: _Begun, coroutine: Coroutine[Any, Any, object], run: Run, task: Any) -> None:
    """See whether a coroutine has begun whose task is over; else tell another one why it cannot."""
    if begun.is_true:
        return
    coroutine.close()
    error: BaseException = RuntimeError("the task that the program's factory made has not run its coroutine")
    try:
        task.result()
    except BaseException as caught:
        error = caught
    stop(run, error)


def stop(run: Run, error: BaseException) -> None:
    """Let a coroutine see an error before its first step."""
    coroutine = run(HALT)
    coroutine.send(None)
    _throw(coroutine, error)


def _throw(coroutine: Coroutine[Any, Any, object], error: BaseException) -> None:
    with suppress(StopIteration):
        coroutine.throw(error)
