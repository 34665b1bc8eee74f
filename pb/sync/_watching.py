"""The broker of a blocking program whose calls are told to hooks. See `pb.watching.watching`."""

from __future__ import annotations

from typing import Any, ClassVar

from pb.calling.serving import Serving
from pb.watching.watched_serving import Around, Watching
from pb.watching.watching import Metered, WatchedBroker

from ._handlers import ThreadServing


class WatchedThreadServing(Watching, ThreadServing):
    """The calls of the peer, whose methods run in threads, as hooks are told of them on the loop."""

    __slots__ = ("_told_answer", "_told_fail", "begun", "told")

    def __init__(self, base: Any, *rest: Any, **options: Any) -> None:
        super().__init__(base, *rest, **options)
        self._watch(base)


class AroundThreadServing(Around, WatchedThreadServing):
    """The same, where something is entered around methods."""

    __slots__ = ()


class WatchedSyncBroker(WatchedBroker):
    """A broker whose handlers run in threads, and that tells hooks what happens, but for bytes."""

    __slots__ = ()

    plain_serving_type: ClassVar[type[Serving]] = ThreadServing
    watched_serving_types: ClassVar[tuple[type[Serving], ...]] = (WatchedThreadServing, AroundThreadServing)


class MeteredSyncBroker(Metered, WatchedSyncBroker):
    """The same, bytes too."""

    __slots__ = ()
