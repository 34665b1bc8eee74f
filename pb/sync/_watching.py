"""The broker of a blocking program whose calls are told to hooks. See `pb._watching`."""

from __future__ import annotations

from typing import Any, ClassVar

from pb._serving import Serving
from pb._watched_serving import Watching
from pb._watching import WatchedBroker

from ._handlers import ThreadServing


class WatchedThreadServing(Watching, ThreadServing):
    """The calls of the peer, whose methods run in threads, as hooks are told of them on the loop."""

    __slots__ = ("_told_answer", "_told_fail", "begun", "watch")

    def __init__(self, base: Any, *rest: Any, **options: Any) -> None:
        super().__init__(base, *rest, **options)
        self._watch(base)


class WatchedSyncBroker(WatchedBroker):
    """A broker whose handlers run in threads, and that tells hooks what happens."""

    __slots__ = ()

    serving_type: ClassVar[type[Serving]] = WatchedThreadServing
