"""Coroutines driven by hand, and what they wait for: tasks without a loop. Knows nothing of the broker."""

from __future__ import annotations

import contextvars
from collections.abc import Coroutine, Generator
from typing import Any

__all__ = ["Cancelled", "Gate", "Outcome", "Signal", "Task"]


class Outcome:
    """What becomes of one call made over a `Pump`. A handler, or a `Task`, may await it.

    Attributes:
        settled: how often it was settled; once is right.
        value: the answer, or None.
        error: the error, or None.
        is_given_up: whether whoever made the call cancelled it.
        id: the call's number on the wire.
    """

    def __init__(self) -> None:
        self.settled = 0
        self.value: Any = None
        self.error: BaseException | None = None
        self.is_given_up = False
        self.id = 0
        self.waiting: list[Task] = []

    def __await__(self) -> Generator[Outcome, None, Any]:
        while not self.settled:
            yield self
        return self.result()

    def done(self) -> bool:
        """Return whether nobody waits for it any longer."""
        return self.settled > 0 or self.is_given_up

    def set_result(self, value: Any) -> None:
        """Take the value."""
        self.settled += 1
        self.value = value
        self._go_on()

    def set_exception(self, error: BaseException) -> None:
        """Take the error."""
        self.settled += 1
        self.error = error
        self._go_on()

    def _go_on(self) -> None:
        waiting, self.waiting = self.waiting, []
        for task in waiting:
            task.step()

    def call_started(self, id: int) -> None:
        """Take the number of a call that had to wait for its turn."""
        self.id = id

    def result(self) -> Any:
        """Return the value or raise the error.

        Raises:
            AssertionError: the call has not settled exactly once.
        """
        if self.settled != 1:
            raise AssertionError(f"the call settled {self.settled} times, expected once; was the pump run?")
        if self.error is not None:
            raise self.error
        return self.value


class Gate:
    """Something a handler can wait for: `await gate` goes on after `open(value)`, and gives the value."""

    def __init__(self) -> None:
        self.is_open = False
        self.value: Any = None
        self.waiting: list[Task] = []

    def __await__(self) -> Generator[Gate, None, Any]:
        while not self.is_open:
            yield self
        return self.value

    def open(self, value: Any = None) -> None:
        """Let everybody through, from now on."""
        self.is_open = True
        self.value = value
        waiting, self.waiting = self.waiting, []
        for task in waiting:
            task.step()


class Signal(Gate):
    """A gate that is opened by the name a future has for it."""

    def done(self) -> bool:
        """Return whether it is open."""
        return self.is_open

    def set_result(self, value: Any) -> None:
        """Let everybody through."""
        self.open(value)


class Cancelled(BaseException):
    """What a cancelled handler sees, as asyncio.CancelledError is for tasks."""


class Task:
    """A coroutine driven by hand; it may wait for gates. Its first step is taken by whoever made it."""

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self.coroutine = coroutine
        self.is_done = False
        self._cancel = False
        self._asked = 0
        self._context = contextvars.copy_context()  # as a task of asyncio does

    def step(self) -> None:
        """Go on to the next gate, or to the end."""
        if not self.is_done:
            self._context.run(self._step)

    def _step(self) -> None:
        try:
            if self._cancel:
                self._cancel = False
                gate = self.coroutine.throw(Cancelled())
            else:
                gate = self.coroutine.send(None)
        except StopIteration:
            self.is_done = True
            return
        gate.waiting.append(self)

    def cancel(self) -> None:
        """Throw `Cancelled` into it, at the gate where it waits."""
        self._cancel = True
        self._asked += 1
        self.step()

    def cancelling(self) -> int:
        """Return how often it was cancelled."""
        return self._asked
