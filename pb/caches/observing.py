"""The caches of ours that the peer follows: who observes what, and what waits for its snapshot.

Spec: spec/7-caches.md. Knows nothing of how a change is encoded.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from .. import messages
from ..errors import DeadReference, Error, Unsupported
from ..holding.export import Export
from ..logfields import fields

if TYPE_CHECKING:
    from ..holding.scope import Scope
    from ..holding.tables import Tables
    from ..reference import RemoteReference
    from ..wire.outbox import Outbox
    from ..wire.payloads import Pack

log = logging.getLogger("pb")


class ObserverHandle:
    """What stands behind an observer, as an `Import` stands behind a reference: calls on it are OBSERVE.

    Attributes:
        encoder, outbox: of its connection, for each update.
    """

    __slots__ = ("dead", "encoder", "export", "id", "outbox", "scope")

    code: Final = messages.OBSERVE
    key: Final = None

    def __init__(self, export: Export) -> None:
        self.export = export
        self.id = export.id
        self.scope: Scope = export.scope
        self.dead: type[Error] | None = None
        self.encoder = self.scope.encoder
        self.outbox: Outbox = self.scope.broker.outbox

    def __call__(self) -> RemoteReference | None:  # pragma: no cover - asked for by the type, as of Import
        """Return the observer, as the weak reference of an import does."""
        return self.export.observer

    @property
    def late(self) -> Late | None:
        """Where changes wait while a snapshot is being made; None while there is none."""
        late = self.scope.tables.late
        return None if late is None else Late(late, self.export)


class Late:
    """The end of the queue of what is told meanwhile, for one cache."""

    __slots__ = ("_export", "_queue")

    def __init__(self, queue: list[tuple[Export, Any]], export: Export) -> None:
        self._queue = queue
        self._export = export

    def append(self, message: bytes | Question) -> None:
        """Send a message, or make one, when all snapshots that are being made have been queued."""
        self._queue.append((self._export, message))


class Question(Protocol):
    """A change that is encoded only when its turn has come."""

    def put(self) -> object:
        """Queue it."""

    def drop(self) -> object:
        """Settle it: it will not be sent."""


class Observing:
    """Begin and end the observation of the Cacheables of one connection.

    Attributes:
        peer_holds_caches: whether the peer's HELLO announced the feature.
        peer_comes_back: whether it announced that it may offer its caches again, over its next connection.
        outbox: what waits to be written; shut while a snapshot is being made.
    """

    def __init__(self, outbox: Outbox, pack: Pack) -> None:
        self.peer_holds_caches = False
        self.peer_comes_back = False
        self.outbox = outbox
        self._pack = pack

    def check_peer(self) -> None:
        """Raise Unsupported where the peer holds no caches."""
        if not self.peer_holds_caches:
            raise Unsupported("the peer holds no caches: its HELLO did not announce 'cache'; send it a copy")

    def begin(self, export: Export, observer: RemoteReference) -> object:
        """Return the state a replica starts with; from here on the object tells the observer of changes.

        Raises whatever the object raises; then it is to be taken back.
        """
        handle = ObserverHandle(export)
        observer._pb_import = handle  # type: ignore[assignment]
        export.observer = observer
        tables = export.scope.tables
        tables.unsent[export] = None
        export.is_unsent = True
        if tables.late is None:
            tables.late = []
            self.outbox.shut()
        return export.object.get_state_to_cache_and_observe_for(export.scope.perspective, observer)

    def take_back(self, export: Export) -> None:
        """End what has begun, perhaps by half: the state could not be had, and the observer may be kept."""
        self.end(export)
        self._forget_unsent(export)

    def end(self, export: Export) -> None:
        """Tell the object that an observer is gone: once, and whatever it raises is only logged."""
        observer, export.observer = export.observer, None
        if observer is None:
            return
        observer._pb_import.dead = DeadReference
        try:
            export.object.stopped_observing(export.scope.perspective, observer)
        except BaseException:  # a CancelledError too: others are still to be told
            if export.scope.tables.may_log(logging.ERROR, "watcher.failed"):
                log.exception(
                    "stopped_observing of a %s failed",
                    type(export.object).__name__,
                    extra=fields(
                        "watcher.failed", scope=export.scope.direct, row=export, method="stopped_observing"
                    ),
                )

    def give_up(self, export: Export, why: BaseException) -> None:
        """End it because the loop of its connection is closed: nothing can be sent, nor will an end come."""
        if export.scope.tables.may_log(logging.WARNING, "replica.dropped"):
            log.warning(
                "a replica of a %s is given up: %s",
                type(export.object).__name__,
                why,
                extra=fields("replica.dropped", scope=export.scope.direct, row=export, error=why),
            )
        self.end(export)

    def finish(self, export: Export) -> None:
        """End it because the peer has released the replica, and confirm that to the peer."""
        self.end(export)
        if export.is_unsent:  # the payload that was to bring it is not sent
            self._forget_unsent(export)
        elif export.scope.tables.is_open:
            self.outbox.put(self._pack((messages.GONE, [export.id])))

    def sent(self, tables: Tables) -> None:
        """Take note that the snapshots and streams in `tables.fresh` were queued."""
        fresh = tables.fresh[:]
        tables.fresh.clear()
        for row in fresh:
            row.is_unsent = False
            if isinstance(row, Export):
                tables.unsent.pop(row, None)
        self._flush(tables)
        for row in fresh:
            if not isinstance(row, Export):
                row.begin()

    def _forget_unsent(self, export: Export) -> None:
        tables = export.scope.tables
        tables.unsent.pop(export, None)
        if export in tables.fresh:
            tables.fresh.remove(export)
        self._flush(tables)

    def _flush(self, tables: Tables) -> None:
        """Queue what was told meanwhile, in the order in which it was told, if no snapshot is missing."""
        if tables.unsent or tables.late is None:
            return
        late, tables.late = tables.late, None
        self.outbox.open()
        for export, message in late:
            if export.is_unsent:  # it never came to be
                if not isinstance(message, bytes):
                    message.drop()
            elif isinstance(message, bytes):
                self.outbox.put(message)
            else:
                message.put()
