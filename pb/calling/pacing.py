"""Calls that take their time: each in a task of its own, and when these begin.

Not so many in one turn of the loop that others wait for them.

A turn ends when its time is over, and plain methods run in it. What asynchronous ones do before they first
wait runs behind it, all in one go: here it is given the same time. Spec: spec/6-limits.md, PB-L6.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from .awaiting import PLAIN, awaited, is_awaitable
from .halting import start
from .keeping import Keeping

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..holding.tables import Tables
    from ..limits import Limits
    from ..wire.outbox import Outbox
    from .deadlines import Deadlines
    from .running import Served


class Pacing(Keeping):
    """What `Serving` knows of calls whose task is there and has not begun.

    Attributes:
        beginning: how many there are. One alone looks at no clock.
    """

    __slots__ = ("_until", "_yields", "beginning")

    if TYPE_CHECKING:
        base: Any
        limits: Limits
        deadlines: Deadlines
        outbox: Outbox
        settled: Callable[[], None]
        answer: Callable[..., Any]
        begin: Callable[..., None]
        finish: Callable[..., None]
        fail_call: Callable[..., None]
        count_update: Callable[[Served], None]
        _spawn: Callable[..., Any]
        _tables: Tables

    def __init__(self) -> None:
        super().__init__()
        self.beginning = 0
        self._until = 0.0  # when the time is over that began with the first of them; 0: it has not begun
        self._yields = False  # whether the time is over, and others have their turn

    def run_on(self, served: Served, at: float | None = None) -> None:
        """Go on with a call that takes its time; at a time it is ended.

        Raises:
            Busy: it is an update, and as many are running as calls may be.
        """
        if not self._tables.is_open:  # its own first step has ended the connection
            served.drop()
            return
        if served.is_update:
            self.count_update(served)
        self.begin(served.id, served)
        if at is not None:
            self.deadlines.add(served, at, served.expire)
        self.outbox.follows = True  # its first step may have the answer
        self.expect()
        served.task = start(self.base.broker.face, self._spawn, partial(self._await, served))

    async def _await(self, served: Served, halt: Any) -> bool:
        """Wait for what a method returned, and answer; tell whether the loop is to do the rest."""
        try:
            try:
                await halt
                if self.beginning > 1 and self.is_late:
                    await self.give_way()
            except GeneratorExit:  # thrown away with its loop: nobody is there to be told, nothing was begun
                served.drop()
                return False
            except BaseException:  # it was stopped, by the peer or by the program
                served.drop()
                raise
            finally:
                self.beginning -= 1
            result = await served.awaitable
            kind: Any = type(result)
            if kind not in PLAIN and is_awaitable(kind):  # it was returned without `await`
                result = await awaited(result)
        except GeneratorExit as error:  # it was thrown away, or the method has raised that
            self._tables.later(partial(self._fail_served, served, error))
            return True
        except BaseException as error:
            self._fail_served(served, error)
            return False
        self.finish(served.id, served)
        self.answer(served.id, served.scope, result)
        (served.scope.of or served.scope).leave()  # scope.direct, spelled out
        self.settled()
        return False

    def _fail_served(self, served: Served, error: BaseException) -> None:
        self.finish(served.id, served)
        is_stopped = not isinstance(error, Exception) and served.is_stopped
        if is_stopped:
            error = served.why_ended()
        if not (is_stopped and served.is_told):
            self.fail_call(served.id, served.export, served.scope, error)
        served.scope.direct.leave()
        self.settled()

    def expect(self) -> None:
        """Count one whose task is about to be made."""
        self.beginning += 1
        if not self._yields:
            self._until = 0.0

    @property
    def is_late(self) -> bool:
        """Whether others are to have their turn before the next one begins."""
        now: float = self.base.broker.face.clock()
        if not self._until:
            self._until = now + self.limits.turn_s
        return now >= self._until

    async def give_way(self) -> None:
        """Let others have their turn. Tasks go on in the order in which they gave way, so calls do too."""
        while self.is_late:
            is_first, self._yields = not self._yields, True
            try:
                await self.base.broker.face.sleep(0)
            finally:
                if is_first:
                    self._yields = False
                    self._until = 0.0
