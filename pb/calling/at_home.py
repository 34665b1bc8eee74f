"""Calls that this side makes on objects of its own, because what they were to be made on has come home.

Spec: spec/11-pipelining.md, "What a result is".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from jelly import Promising, Referenceable

from ..dispatch import Kind, find_method
from ..errors import BrokenPromise, Cancelled
from .awaiting import awaited
from .halting import start
from .running import drop

if TYPE_CHECKING:
    from ..promises.promised import LaterCall
    from .calls import Calls

_CONTAINERS: Final = frozenset({list, tuple, dict, set, frozenset})


def broken(error: BaseException) -> BrokenPromise:
    """Return the error of a call on the result of one that failed. A chain has one cause."""
    told = BrokenPromise("the call whose result was to be used has failed")
    told.is_of_own_call = True
    is_link = isinstance(error, BrokenPromise) and error.__cause__ is not None
    told.__cause__ = error.__cause__ if is_link else error
    return told


def fit(error: BaseException) -> Exception:
    """Return what an outcome takes, for whatever a method of ours raised."""
    if isinstance(error, StopIteration):  # which a future does not
        return RuntimeError("the method raised StopIteration")
    return error if isinstance(error, Exception) else Cancelled("the method was cancelled")


def find_promise(call: LaterCall, is_wanted: Callable[[Promising], bool]) -> Promising | None:
    """Return a promise among the arguments of a call; what copies hold is not looked into."""
    stack: list[Any] = [call.args, call.kwargs]
    seen: set[int] = set()
    while stack:
        value = stack.pop()
        if isinstance(value, Promising):
            if is_wanted(value):
                return value
        elif type(value) in _CONTAINERS and id(value) not in seen:
            seen.add(id(value))
            stack.extend(value)
            if isinstance(value, dict):
                stack.extend(value.values())
    return None


def is_ours(value: object) -> bool:
    """Whether a result can be called here: an object of ours that came home."""
    return isinstance(value, Referenceable)


def call_here(call: LaterCall, target: Referenceable) -> None:
    """Call an object of ours as the peer would."""
    args, kwargs = call.args, call.kwargs
    if find_promise(call, lambda promise: True) is not None:
        args, kwargs = _with_values([args, kwargs], {})
    result = find_method(target, Kind.REMOTE.prefix, call.method)(*args, **kwargs)
    outcome = call.outcome
    if hasattr(type(result), "__await__"):
        here = _Here(call.calls)
        outcome.call_moved(here)
        face = call.calls.face
        here.task = start(face, face.spawn, partial(here.follow, result, outcome))
    else:
        outcome.set_result(result)


def _with_values(value: Any, met: dict[int, Any]) -> Any:
    """Return a value with what promises have become in their place; containers that hold none are copied too.

    Raises:
        BrokenPromise: one has failed.
    """
    if isinstance(value, Promising):
        settled = value._pb_settled()
        if isinstance(settled, BaseException):
            raise broken(settled)
        assert settled is not None
        return settled[0]
    kind = type(value)
    if kind not in _CONTAINERS:
        return value
    if id(value) in met:
        return met[id(value)]
    if kind is list:
        made: Any = []
        met[id(value)] = made
        made.extend(_with_values(each, met) for each in value)
    elif kind is dict:
        met[id(value)] = made = {}
        for key, each in value.items():
            made[_with_values(key, met)] = _with_values(each, met)
    else:
        made = met[id(value)] = kind(_with_values(each, met) for each in value)
    return made


class _Here:
    """Stands for the calls of a connection, to an outcome whose method runs on this side."""

    __slots__ = ("core", "task")

    def __init__(self, core: Calls) -> None:
        self.core = core
        self.task: Any = None

    def awaited(self, id: int) -> None:
        """Take note that somebody waits for the outcome: nothing is to be sent."""

    def cancel(self, id: int, outcome: object) -> None:
        """Stop the method; one that has not begun does not begin."""
        if self.task is not None:  # None: it is in its first step right now
            self.task.cancel()

    async def follow(self, result: Any, outcome: Any, halt: Any) -> None:
        """Wait for what the method returned."""
        try:
            try:
                await halt
            except GeneratorExit:  # thrown away with its loop: nobody waits for the outcome
                drop(result)
                return
            except BaseException:
                drop(result)
                raise
            value = await awaited(result)
        except GeneratorExit as error:  # it was thrown away, or the method has raised that
            self.core.tables.later(partial(_fail, outcome, error))
        except BaseException as error:
            _fail(outcome, error)
        else:
            if not outcome.done():
                outcome.set_result(value)


def _fail(outcome: Any, error: BaseException) -> None:
    if not outcome.done():
        outcome.set_exception(fit(error))
