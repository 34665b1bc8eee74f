"""The broker whose calls, references and bytes are told to hooks. Made only where hooks want to know of them.

Each class here, and in `pb.watching.watched_calls` and `pb.watching.watched_serving`, stands in for the one
it derives from, and each only where one of the methods is overridden that it calls: what nobody wants to know
costs nothing.
"""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ..broker import Broker
from ..calling.serving import Serving
from ..holding.tables import Tables
from ..wire.frames import FrameReader
from .watch import Wanted, Watch, hooks_of, log_failure, reference_event
from .watched_calls import WatchedCalls
from .watched_serving import AroundServing, WatchedServing

if TYPE_CHECKING:
    from ..holding.export import Export
    from ..holding.scope import Scope
    from ..reference import Import, RemoteReference


_receive_data: Final = Broker.receive_data  # not by super(), which costs 0.2 us a read
_take_output: Final = Broker.take_output


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
        FrameReader.filled(self, size)


class WatchedBroker(Broker):
    """A broker that tells hooks what happens, but for bytes.

    Args:
        wanted: what they want to know.
    """

    plain_serving_type: ClassVar[type[Serving]] = Serving
    # Without and with what hooks enter around methods.
    watched_serving_types: ClassVar[tuple[type[Serving], ...]] = (WatchedServing, AroundServing)

    __slots__ = ("serving_type", "tables_type", "watch")

    def __init__(self, face: Any, *rest: Any, wanted: Wanted, **options: Any) -> None:
        kind = type(self)
        self.watch = Watch(face, wanted)
        self.tables_type = WatchedTables if wanted.has_references else Tables  # type: ignore[misc]
        serving_type = kind.plain_serving_type
        if wanted.callee:
            serving_type = kind.watched_serving_types["around" in wanted.callee]
        self.serving_type = serving_type  # type: ignore[misc]
        super().__init__(face, *rest, **options)
        if wanted.has_references:
            self.tables.watch = self.watch  # type: ignore[attr-defined]
        if wanted.caller:
            made = self.calls
            self.calls = WatchedCalls(self.watch, made.outbox, made.pack, made.deadlines, made.tables, face)
            self._enter(self.state)  # whose receivers are these calls

    def receive_hello(self, envelope: list[Any]) -> None:
        """Learn what the peer can do."""
        super().receive_hello(envelope)
        self.watch.opened()

    def _forget(self, reason: str) -> None:
        super()._forget(reason)
        self.watch.closed(reason)


class Metered:
    """What is added to a `WatchedBroker` whose bytes are told too."""

    __slots__ = ()

    is_metered: ClassVar[bool] = True

    def __init__(self, *rest: Any, **options: Any) -> None:
        super().__init__(*rest, **options)
        of: Any = self
        of.reader = WatchedReader()
        of.reader.watch = weakref.proxy(of.watch)  # which knows the face, and that reads by this

    def receive_data(self, data: bytes | memoryview, size: int | None = None) -> None:
        """Take bytes from the peer and act on them."""
        of: Any = self
        size = len(data) if size is None else size
        for told in of.watch.methods["bytes_received"]:  # `tell`, spelled out
            try:
                told(of.face.connection, size)
            except Exception:
                log_failure("bytes_received", told)
        _receive_data(of, data, size)

    def take_output(self) -> list[bytes]:
        """Return the buffers to be written now."""
        of: Any = self
        buffers = _take_output(of)
        if buffers and of.watch.methods["bytes_sent"]:
            of.watch.tell("bytes_sent", of.face.connection, sum(map(len, buffers)))
        return buffers


class MeteredBroker(Metered, WatchedBroker):
    """A broker that tells hooks what happens, bytes too."""

    __slots__ = ()


def kind_of_broker(plain: Any, hooks: Any) -> Any:
    """Return what makes brokers that tell hooks what they want to know: `plain` where that is nothing.

    Args:
        plain: the class without hooks; its `watched_types` stand in for it, the second where bytes are told.
        hooks: one, or a list or tuple of them; None for none.

    Raises:
        TypeError: they are none.
    """
    if hooks is None:
        return plain
    wanted = Wanted(hooks_of(hooks))
    if not wanted:
        return plain
    watched = getattr(plain, "watched_types", (WatchedBroker, MeteredBroker))
    return partial(watched[wanted.has_bytes], wanted=wanted)
