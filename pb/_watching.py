"""The broker whose calls, references and bytes are told to hooks. Made only where there are hooks.

Each class here, and in `pb._watched_calls` and `pb._watched_serving`, stands in for the one it derives from,
so that who has no hooks pays for none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ._frames import FrameReader
from ._serving import Serving
from ._tables import Tables
from ._watch import Watch, hooks_of, reference_event
from ._watched_calls import WatchedCalls
from ._watched_serving import WatchedServing
from .broker import Broker

if TYPE_CHECKING:
    from ._export import Export
    from ._scope import Scope
    from .reference import Import, RemoteReference


class WatchedTables(Tables):
    """What is held over a connection, as hooks are told of it."""

    watch: Watch

    def _tell(self, name: str, side: str, row: Any) -> None:
        self.watch.tell(name, reference_event(side, self.watch.face.connection, row))

    def _add(self, *rest: Any, **more: Any) -> Export:
        export = super()._add(*rest, **more)
        self._tell("reference_given", "owner", export)
        return export

    def _forget_object(self, export: Export) -> None:
        super()._forget_object(export)
        if not export.is_gone:  # told when it was revoked
            self._tell("reference_returned", "owner", export)

    def close_exports(self) -> None:
        """Forget all: the connection has ended."""
        rows = [row for row in self.exports.values() if row.id and not row.is_gone]
        for row in rows:
            self._tell("reference_returned", "owner", row)
        super().close_exports()

    def _import(self, key: object, number: int, scope: Scope) -> RemoteReference:
        reference = super()._import(key, number, scope)
        self._tell("reference_received", "holder", reference._pb_import)
        return reference

    def _forget(self, handle: Import) -> None:
        super()._forget(handle)
        self._tell("reference_dropped", "holder", handle)


class WatchedReader(FrameReader):
    """The reader of a connection whose bytes are counted for hooks."""

    watch: Watch

    def filled(self, size: int) -> None:
        """Take what was read into the room of a long frame."""
        self.watch.tell("bytes_received", self.watch.face.connection, size)
        super().filled(size)


class WatchedBroker(Broker):
    """A broker that tells hooks what happens.

    Args:
        hooks: one, or a list or tuple of them.
    """

    serving_type: ClassVar[type[Serving]] = WatchedServing
    tables_type: ClassVar[type[Tables]] = WatchedTables

    __slots__ = ("watch",)

    def __init__(self, face: Any, *rest: Any, hooks: Any, **options: Any) -> None:
        self.watch = Watch(face, hooks_of(hooks))
        super().__init__(face, *rest, **options)
        self.tables.watch = self.watch  # type: ignore[attr-defined]
        self.reader = reader = WatchedReader()
        reader.watch = self.watch
        calls = self.calls
        self.calls = WatchedCalls(self.watch, calls.outbox, calls.pack, calls.deadlines, calls.tables, face)
        self._enter(self.state)  # whose receivers are these calls

    def receive_data(self, data: bytes | memoryview, size: int | None = None) -> None:
        """Take bytes from the peer and act on them."""
        self.watch.tell("bytes_received", self.face.connection, len(data) if size is None else size)
        super().receive_data(data, size)

    def take_output(self) -> list[bytes]:
        """Return the buffers to be written now."""
        buffers = super().take_output()
        if buffers:
            self.watch.tell("bytes_sent", self.face.connection, sum(map(len, buffers)))
        return buffers

    def receive_hello(self, envelope: list[Any]) -> None:
        """Learn what the peer can do."""
        super().receive_hello(envelope)
        self.watch.opened()

    def _forget(self, reason: str) -> None:
        super()._forget(reason)
        self.watch.closed(reason)
