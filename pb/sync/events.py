"""Events for subscribers that may be slow, from blocking programs: `sync.events(reference, "latest")`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pb.aio import events as aio
from pb.calling.events import EventUsage

from .reference import SyncReference


class Events:
    """Sends events to one subscriber, from any thread; see `pb.events`."""

    __slots__ = ("_pb_events",)

    def __init__(self, events: aio.Events) -> None:
        self._pb_events = events

    def __getattr__(self, name: str) -> Any:
        if name[0] == "_":
            raise AttributeError(name)
        return _Event(self._pb_events, name)


class _Event:
    __slots__ = ("_events", "_name")

    def __init__(self, events: aio.Events, name: str) -> None:
        self._events = events
        self._name = name

    def __call__(self, /, *args: Any, **kwargs: Any) -> None:
        events = self._events
        link: Any = events._pb_link
        send = getattr(events, self._name)
        if events._pb_policy == "wait":
            link.background.run(lambda: send(*args, **kwargs), link.desk)
        else:
            link.background.call(send, *args, **kwargs)


def events(
    reference: SyncReference,
    policy: str = "wait",
    *,
    max_queued: int = 100,
    window: int = 16,
    on_error: Callable[[BaseException], object] | None = None,
) -> Any:
    """Return what sends events to a callback of the peer's, which may be slow to take them; see `pb.events`.

    With the policy `"wait"` a method waits itself where the queue is full. `on_error` runs in the thread of
    the connections and must not block.
    """
    aio.check_options(reference, policy, max_queued, window)
    return Events(aio.events(reference, policy, max_queued=max_queued, window=window, on_error=on_error))


def event_usage(events: Events) -> EventUsage:
    """Return how the events of a listener stand: waiting, on their way, delivered, dropped, failed."""
    return aio.event_usage(events._pb_events)


def events_delivered(events: Events) -> None:
    """Wait until all events of a listener so far have been answered, or it has gone."""
    link: Any = events._pb_events._pb_link
    link.background.run(lambda: aio.events_delivered(events._pb_events), link.desk)
