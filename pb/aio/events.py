"""Events for subscribers that may be slow: `events = pb.events(reference, "latest")`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from threading import get_ident
from typing import TYPE_CHECKING, Any

from jelly._article import a
from pb.calling.events import POLICIES, EventQueue, EventUsage
from pb.reference import RemoteReference

from .delivery import check_name

if TYPE_CHECKING:
    from .link import Link

__all__ = ["EventUsage", "Events", "event_usage", "events", "events_delivered"]


class Events:
    """Sends events to one subscriber. Made by `events`; names without an underscore are events."""

    __slots__ = ("_pb_link", "_pb_policy", "_pb_queue", "_pb_waiting")

    def __init__(self, reference: RemoteReference, policy: str, **options: Any) -> None:
        self._pb_policy = policy
        self._pb_link: Link = reference._pb_import.scope.broker.face
        self._pb_waiting: deque[asyncio.Future[None]] = deque()
        self._pb_queue = EventQueue(reference, policy, moved=self._pb_wake, **options)

    def __getattr__(self, name: str) -> Any:
        if name[0] == "_":
            raise AttributeError(name)
        check_name(name)
        return _Event(self, name)

    def _pb_wake(self) -> None:
        waiting, self._pb_waiting = self._pb_waiting, deque()
        for each in waiting:
            if not each.done():
                each.set_result(None)

    async def _pb_until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            moved = self._pb_link.loop.create_future()
            self._pb_waiting.append(moved)
            await moved

    async def _pb_put(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        queue = self._pb_queue
        await self._pb_until(lambda: not queue.is_full)
        queue.put(name, args, kwargs)


class _Event:
    __slots__ = ("_events", "_name")

    def __init__(self, events: Events, name: str) -> None:
        self._events = events
        self._name = name

    def __call__(self, /, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, None] | None:
        events = self._events
        if events._pb_link.thread != get_ident():
            events._pb_link.check_thread()
        if events._pb_policy == "wait":
            return events._pb_put(self._name, args, kwargs)
        events._pb_queue.put(self._name, args, kwargs)
        return None


def events(
    reference: RemoteReference,
    policy: str = "wait",
    *,
    max_queued: int = 100,
    window: int = 16,
    on_error: Callable[[BaseException], object] | None = None,
) -> Any:
    """Return what sends events to a callback of the peer's, which may be slow to take them.

        listeners = [pb.events(callback, "latest") for callback in callbacks]
        for listener in listeners:
            listener.price(stock, 12.5)       # a call of its method price, whose value does not matter

    Each event is a call of the method of that name. As many as `window` are on their way at a time; an answer
    lets the next go. What becomes of those beyond is the policy:

    * `"wait"`: they wait, up to `max_queued`, then who sends does: `await listener.price(...)`.
    * `"drop_oldest"`: they wait, up to `max_queued`, then the oldest of them is dropped for the newest.
    * `"latest"`: of each method only the newest waits; what is sent keeps the place of what it replaces.

    With the last two `listener.price(...)` returns None at once. So a slow subscriber neither holds up the
    others nor grows memory. Arguments are encoded when the event goes, not when it is made. Events arrive in
    their order.

    Args:
        max_queued: how many may wait; without meaning for `"latest"`.
        window: how many may be unanswered.
        on_error: is given what a method of the subscriber raised, or why an event could not be sent. Where it
            is None, the first is logged.

    Raises (by `listener.price(...)`, from when the subscriber is gone):
        ConnectionLost, Gone: nothing reaches it any more: forget the listener.
    """
    check_options(reference, policy, max_queued, window)
    return Events(reference, policy, max_queued=max_queued, window=window, on_error=on_error)


def check_options(reference: object, policy: str, max_queued: int, window: int) -> None:
    """Refuse what makes no sense. Raises ValueError or TypeError."""
    if not isinstance(reference, RemoteReference):
        raise TypeError(f"a remote reference is expected, not {a(type(reference).__name__)}")
    if policy not in POLICIES:
        raise ValueError(f"a policy is one of {', '.join(POLICIES)}, not {policy!r}")
    if max_queued < 1 or window < 1:
        raise ValueError(f"max_queued and window are at least 1, not {max_queued} and {window}")


def event_usage(events: Any) -> EventUsage:
    """Return how the events of a listener stand: waiting, on their way, delivered, dropped, failed."""
    queue: EventQueue = events._pb_queue
    return queue.usage


async def events_delivered(events: Any) -> None:
    """Wait until all events of a listener so far have been answered, or it has gone."""
    queue: EventQueue = events._pb_queue
    await events._pb_until(lambda: queue.is_idle)
