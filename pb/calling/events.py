"""Events for one object of the peer's: what is not answered yet is bounded, and what waits obeys a policy.

An event is an ordinary call; its answer is the credit for the next. So a slow subscriber holds up nobody, and
no memory grows for it. Spec: spec/6-limits.md, PB-L4; nothing of it is on the wire.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import Context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..errors import ConnectionLost, Gone
from ..logfields import fields

if TYPE_CHECKING:
    from ..reference import Import, RemoteReference

log = logging.getLogger("pb")

POLICIES: Final = ("wait", "drop_oldest", "latest")


@dataclass(frozen=True, slots=True)
class EventUsage:
    """How events for one reference stand.

    Attributes:
        queued: those that wait for answers to earlier ones.
        unanswered: those on their way.
        delivered: those that the subscriber has answered, with errors too.
        dropped: those that were given up for newer ones.
        failed: those of the delivered whose method raised, and those that could not be sent.
    """

    queued: int
    unanswered: int
    delivered: int
    dropped: int
    failed: int


class EventQueue:
    """Events on their way to one reference.

    Args:
        reference: whose methods are called; kept as long as this is.
        policy: one of POLICIES.
        max_queued: events that may wait; with "latest" it is one of each method.
        window: events that may be unanswered at a time.
        on_error: is given each error of an event; None: the first is logged.
        moved: called when an event has left the queue, or an answer has come.
    """

    __slots__ = (
        "_handle",
        "_is_told",
        "_max_queued",
        "_moved",
        "_on_error",
        "_policy",
        "_queue",
        "_reference",
        "_window",
        "delivered",
        "dropped",
        "end",
        "failed",
        "unanswered",
    )

    def __init__(
        self,
        reference: RemoteReference,
        policy: str,
        *,
        max_queued: int,
        window: int,
        on_error: Callable[[BaseException], object] | None,
        moved: Callable[[], None],
    ) -> None:
        self._reference = reference
        self._handle: Import = reference._pb_import
        self._policy = policy
        self._max_queued = max_queued
        self._window = window
        self._on_error = on_error
        self._moved = moved
        self._queue: deque[tuple[str, tuple[Any, ...], Mapping[str, Any]]] = deque()
        self._is_told = False
        self.end: BaseException | None = None  # why no more are sent
        self.unanswered = self.delivered = self.dropped = self.failed = 0

    @property
    def usage(self) -> EventUsage:
        """How things stand."""
        return EventUsage(len(self._queue), self.unanswered, self.delivered, self.dropped, self.failed)

    @property
    def is_full(self) -> bool:
        """Whether an event more would have to wait, or another be dropped for it."""
        return self.end is None and len(self._queue) >= self._max_queued

    @property
    def is_idle(self) -> bool:
        """Whether all has been answered, or nothing will be any more."""
        return self.end is not None or not (self._queue or self.unanswered)

    def put(self, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Send an event, now or when its turn has come; arguments are encoded then.

        Raises:
            ConnectionLost, Gone: the subscriber is not there any more.
        """
        if self.end is not None:
            raise self.end.with_traceback(None)
        if self._policy == "latest":
            for index, (queued, _, _) in enumerate(self._queue):
                if queued == method:
                    self._queue[index] = method, args, kwargs
                    self.dropped += 1
                    return
        elif self._policy == "drop_oldest" and self.is_full:
            self._queue.popleft()
            self.dropped += 1
        self._queue.append((method, args, kwargs))
        self._go_on()
        if self.end is not None:  # noticed by this very event
            raise self.end.with_traceback(None)

    def _go_on(self) -> None:
        calls = self._handle.scope.broker.calls
        while self._queue and self.unanswered < self._window:
            method, args, kwargs = self._queue.popleft()
            self.unanswered += 1
            # Not on behalf of whoever makes room: without its deadline, and waiting its turn as others do.
            outcome = _Outcome(self)
            try:
                outcome.call_started(Context().run(calls.make, self._handle, method, args, kwargs, outcome))
            except Exception as error:
                self.settled(error)

    def settled(self, error: BaseException | None) -> None:
        """Note that an event was answered; send the next."""
        self.unanswered -= 1
        if isinstance(error, ConnectionLost | Gone):
            if self.end is None:
                self.end = error
                self._queue.clear()
        else:
            self.delivered += 1
            if error is not None:
                self._tell(error)
            if self.end is None:
                self._go_on()
        self._moved()

    def _tell(self, error: BaseException) -> None:
        self.failed += 1
        if self._on_error is not None:
            try:
                self._on_error(error)
            except Exception as secondary:  # it is told of the event's error, and must not end the connection
                log.error(
                    "the on_error of events failed",
                    exc_info=secondary,
                    extra=fields("watcher.failed", error=secondary),
                )
        elif not self._is_told:
            self._is_told = True
            log.error(
                "an event failed, and on_error is not given; later ones are not logged",
                exc_info=error,
                extra=fields("event.failed", scope=self._handle.scope.direct, error=error),
            )


class _Outcome:
    """What becomes of one event."""

    __slots__ = ("_is_done", "_queue")

    def __init__(self, queue: EventQueue) -> None:
        self._queue = queue
        self._is_done = False

    def call_started(self, id: int) -> None:
        """Do nothing: events are not cancelled."""

    def done(self) -> bool:
        """Whether it was answered."""
        return self._is_done

    def set_result(self, value: object) -> None:
        """Take the answer, whatever it is."""
        self._is_done = True
        self._queue.settled(None)

    def set_exception(self, error: BaseException) -> None:
        """Take the error."""
        self._is_done = True
        self._queue.settled(error)
