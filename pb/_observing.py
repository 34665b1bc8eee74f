"""The caches of ours that the peer follows: who observes what, and what waits for its snapshot.

Spec: spec/7-caches.md. Knows nothing of how a change is encoded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from . import messages
from .errors import DeadReference, Error, Unsupported

if TYPE_CHECKING:
    from ._export import Export
    from ._scope import Scope
    from .reference import RemoteReference

log = logging.getLogger("pb")


class ObserverHandle:
    """What stands behind an observer, as an `Import` stands behind a reference: calls on it are OBSERVE."""

    __slots__ = ("dead", "export", "id", "scope")

    code: Final = messages.OBSERVE
    key: Final = None

    def __init__(self, export: Export) -> None:
        self.export = export
        self.id = export.id
        self.scope: Scope = export.scope
        self.dead: type[Error] | None = None

    def __call__(self) -> RemoteReference | None:
        """Return the observer, as the weak reference of an import does."""
        return self.export.observer

    @property
    def late(self) -> list[bytes | Question] | None:
        """Where changes wait until the snapshot is queued; None afterwards."""
        return self.export.late


class Question(Protocol):
    """An update that is answered, and that waits for the snapshot: its id is given when it is put."""

    def put(self) -> object:
        """Queue it."""

    def drop(self) -> object:
        """Settle it: it will not be sent."""


class Observing:
    """Begin and end the observation of the Cacheables of one connection.

    Attributes:
        peer_holds_caches: whether the peer's HELLO announced the feature.
        tell_gone: sends GONE with an id.
    """

    def __init__(self, tell_gone: Callable[[int], None]) -> None:
        self.peer_holds_caches = False
        self._tell_gone = tell_gone

    def check_peer(self) -> None:
        """Raise Unsupported where the peer holds no caches."""
        if not self.peer_holds_caches:
            raise Unsupported("the peer holds no caches: its HELLO did not announce 'cache'; send it a copy")

    def begin(self, export: Export, observer: RemoteReference) -> object:
        """Return the state a replica starts with; from here on the object tells the observer of changes.

        Raises whatever the object raises, which then observes nothing.
        """
        handle = ObserverHandle(export)
        observer._pb_import = handle  # type: ignore[assignment]
        export.observer = observer
        export.late = []
        try:
            return export.object.get_state_to_cache_and_observe_for(export.scope.perspective, observer)
        except BaseException:
            handle.dead = DeadReference
            export.observer = None
            raise

    def end(self, export: Export) -> None:
        """Tell the object that an observer is gone: once, and whatever it raises is only logged."""
        observer, export.observer = export.observer, None
        if observer is None:
            return
        observer._pb_import.dead = DeadReference
        for message in export.late or ():
            if not isinstance(message, bytes):
                message.drop()
        try:
            export.object.stopped_observing(export.scope.perspective, observer)
        except Exception:
            log.exception("stopped_observing of a %s failed", type(export.object).__name__)

    def finish(self, export: Export) -> None:
        """End it because the peer has released the replica, and confirm that to the peer."""
        if export.observer is not None:
            self.end(export)
            if export.late is None:  # else the payload that was to bring it was never sent
                self._tell_gone(export.id)


def flush(fresh: list[Export], put: Callable[[bytes], Any]) -> None:
    """Queue what was told of new caches while their snapshots were being made."""
    for export in fresh:
        late, export.late = export.late or (), None
        for message in late:
            if isinstance(message, bytes):
                put(message)
            else:
                message.put()
    fresh.clear()
