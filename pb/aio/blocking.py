"""Handlers that hold up the loop: who they were and for how long.

In its debug mode asyncio tells that a step took long, but every call of a peer runs in steps of this library:
which method it was does not stand there. To look at the clock twice for each call is too much where all is
well. So that is done in debug mode, and else from when a timer has come so late that something held it up.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Generator
from typing import TYPE_CHECKING, Any

from pb.calling.running import Served, drop
from pb.calling.serving import Serving
from pb.logfields import fields

from . import forking
from ._thread import shared

if TYPE_CHECKING:
    from .link import Link

log = logging.getLogger("pb")

_SLOW_S = 0.1  # in debug mode, where the loop does not say
_HELD_UP_S = 1.0  # else


def watch_blocking(link: Link) -> None:
    """Log whatever method blocks the loop longer than its `slow_callback_duration`, if it debugs.

    If it does not, whatever blocks it for a second, once that has happened there.
    """
    if link.loop.get_debug() or shared.flush(link.loop).was_held_up:
        _time_calls(link)


def held_up(link: Link, late_s: float) -> None:
    """Log that something has held up the loop; from here on methods that do so are named."""
    flush = shared.flush(link.loop)
    if flush.was_held_up or link.loop.get_debug():
        return
    flush.was_held_up = True
    log.warning(
        "the event loop was held up for %.1f s or more, and no connection was served: something in this "
        "program blocks it; from now on methods that peers call are timed, and named when it is one of them",
        late_s,
        extra=fields("call.slow"),
    )
    for each in forking.links():
        if each.loop is link.loop:
            _time_calls(each)


def _time_calls(link: Link) -> None:
    serving: Any = link.broker.serving
    kind: Any = type(serving)
    serving.__class__ = _timed(kind)


def _note(serving: Serving, export: Any, method: str, began: float) -> None:
    link: Link = serving.base.broker.face
    took = link.clock() - began
    if took < (
        getattr(link.loop, "slow_callback_duration", _SLOW_S) if link.loop.get_debug() else _HELD_UP_S
    ):
        return
    name = f"{type(export.object).__qualname__}.{export.prefix}{method}"
    log.warning(
        "%s blocked the loop for %.3f s, and nobody else was served; let it await what takes long, "
        "or make it a plain method with @pb.in_thread",
        name,
        took,
        extra=fields("call.slow", scope=export.scope.direct, method=method),
    )


class _Steps:
    """What a method awaits, step by step."""

    def __init__(self, serving: Serving, export: Any, method: str, awaitable: Awaitable[Any]) -> None:
        self._what = serving, export, method
        self._awaitable = awaitable

    def close(self) -> None:
        """Take it back: it has not begun."""
        drop(self._awaitable)

    def __await__(self) -> Generator[Any, Any, Any]:
        steps: Any = self._awaitable.__await__()
        clock = self._what[0].base.broker.face.clock
        step: Any = next
        given: tuple[Any, ...] = ()
        while True:
            began = clock()
            try:
                wanted = step(steps, *given)
            except StopIteration as done:
                return done.value
            finally:
                _note(*self._what, began)
            try:
                yield wanted
                step, given = next, ()
            except BaseException as error:
                step, given = _throw, (error,)


def _throw(steps: Any, error: BaseException) -> Any:
    return steps.throw(error)


@functools.cache
def _timed(kind: Any) -> Any:
    """Return a kind of serving that times what the methods of this one take."""

    class Timed(kind):  # type: ignore[misc]
        __slots__ = ()

        def run(self, id: int, export: Any, function: Any, method: str, *rest: Any) -> None:
            began = self.base.broker.face.clock()
            try:
                super().run(id, export, function, method, *rest)
            finally:
                _note(self, export, method, began)

        def run_on(self, served: Served, at: float | None = None) -> None:
            method = getattr(served.awaitable, "__name__", "").removeprefix(served.export.prefix)
            served.awaitable = _Steps(self, served.export, method, served.awaitable)
            super().run_on(served, at)

    return Timed
