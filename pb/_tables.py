"""The two tables of a connection: what we let the peer hold, and what we hold of the peer's.

The counting rules are spec/4-references.md R1 to R10; the names of the rules stand at the code.
Knows nothing of frames, calls or the network.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgpack
from msgpack import ExtType
from zope.interface import implementer

from jelly import InsecureJelly, interfaces

from . import messages
from .dispatch import Kind, guards_of, kind_of
from .errors import DeadReference, Forbidden, Gone, ProtocolError, TooLarge
from .reference import Import, RemoteReference

if TYPE_CHECKING:
    from jelly import Decoder, Encoder

_REF = 1
_HOME = 2
_REFX = 4


def _id_ext(code: int, id: int) -> ExtType:
    """Return the Ext of an id: the shortest of 1, 2, 4 and 8 big-endian bytes that holds it."""
    size = 1 if id < 0x100 else 2 if id < 0x10000 else 4 if id < 0x100000000 else 8
    # tuple.__new__ skips the checks of ExtType for arguments known to be right: 0.30 us instead of 0.60.
    return tuple.__new__(ExtType, (code, id.to_bytes(size, "big")))


class Export:
    """One object that the peer holds, and in what role it does: decided here, never by the peer."""

    __slots__ = ("__weakref__", "count", "ext", "guards", "id", "kind", "object", "prefix", "scope")

    def __init__(self, id: int, object: Any, kind: Kind, scope: Scope, ext: ExtType) -> None:
        self.id = id
        self.object = object
        self.kind = kind
        self.prefix = kind.prefix
        self.guards = guards_of(type(object), kind)
        self.scope = scope
        self.ext = ext
        self.count = 0

    @property
    def is_gone(self) -> bool:
        """Whether the object was revoked: the row stays until the peer has released it."""
        return self.kind is Kind.GONE


class Tables:
    """Both tables of one connection.

    Args:
        make_reference: makes the face's `RemoteReference` for an import; gets nothing.
        max_refs: how many live ids of the peer we hold.
        wake: called (from any thread) when a collected reference waits to be released.
        proxy: whether references of other connections may be passed on.
    """

    def __init__(
        self,
        *,
        make_reference: Callable[[], RemoteReference],
        max_refs: int,
        wake: Callable[[], None],
        proxy: bool,
    ) -> None:
        self.exports: dict[int, Export] = {}
        self.imports: dict[int, Import] = {}
        self.peer_max_refs = 1024
        self.is_open = True
        self.peer_name = "the peer"
        self._on_drop = self._drop  # bound once
        self._by_object: dict[object, Export] = {}
        self._next_id = 1  # R4: never reused on a connection
        self._make_reference = make_reference
        self._max_refs = max_refs
        self._wake = wake
        self._proxy = proxy
        self.dropped: deque[Import | tuple[int, int]] = deque()  # what waits to be released

    # --- what we let the peer hold

    def set_root(self, root: Any, scope: Scope) -> None:
        """Publish `root` as target 0: it is never counted nor released."""
        export = Export(0, root, kind_of(root), scope, _id_ext(_REF, 0))
        export.count = 1
        self.exports[0] = export

    def export(self, value: Any, scope: Scope) -> Export:
        """Return the row of `value` as seen through `scope`, made now if the peer does not hold it.

        Raises:
            TooLarge: the peer holds as many as it said it would.
            Forbidden: a reference of another connection, and this one passes none on.
        """
        key = id(value) if scope.perspective is None else (id(value), id(scope.perspective))
        export = self._by_object.get(key)
        if export is None:
            held = len(self.exports) - (0 in self.exports)
            most = min(self.peer_max_refs, self._max_refs)
            if held >= most:
                raise TooLarge(
                    f"the peer holds {held} references, the limit max_refs is {most}; release some first"
                )
            kind = kind_of(value)
            if kind is Kind.PROXY and not self._proxy:
                raise Forbidden("a reference of another connection; this one passes none on (proxy=False)")
            number = self._next_id
            self._next_id = number + 1
            if kind is Kind.PROXY:
                ext = ExtType(_REFX, msgpack.packb([number, {"kind": "proxy"}]))
                scope = scope.relay()
            else:
                ext = _id_ext(_REF, number)
                scope = scope.direct
            export = Export(number, value, kind, scope, ext)
            self.exports[number] = self._by_object[key] = export
            if kind is Kind.PROXY:
                value._pb_import.passed_on += (weakref.ref(export),)
        return export

    def give_back(self, ext: ExtType) -> None:
        """Undo one count that `Scope.refer` took for a payload that is not sent (R7)."""
        if ext.code == _HOME:
            return
        number = int.from_bytes(ext.data, "big") if ext.code == _REF else msgpack.unpackb(ext.data)[0]
        self._subtract(self.exports[number], 1)

    def release(self, number: int, count: int) -> None:
        """Take back what the peer releases (R3).

        Raises:
            ProtocolError: the root, an id the peer does not hold, or more than it holds.
        """
        export = self.exports.get(number) if number else None
        if export is None or not 1 <= count <= export.count:
            held = 0 if export is None else export.count
            raise ProtocolError(f"RELEASE of {count} of object {number}, of which {held} are held")
        self._subtract(export, count)

    def _subtract(self, export: Export, count: int) -> None:
        export.count -= count
        if export.count == 0:
            del self.exports[export.id]
            self._forget_object(export)

    def _forget_object(self, export: Export) -> None:
        perspective = export.scope.perspective
        key = id(export.object) if perspective is None else (id(export.object), id(perspective))
        if self._by_object.get(key) is export:
            del self._by_object[key]

    def revoke(self, export: Export) -> None:
        """Make a tombstone of a row: it answers `pb.Gone` until the peer has released it."""
        self._forget_object(export)
        export.kind = Kind.GONE
        export.prefix = ""
        export.object = None

    # --- what we hold of the peer's

    def reference(self, number: int, scope: Scope) -> RemoteReference:
        """Return the reference for an id the peer has just sent, and count the occurrence (R2).

        Raises:
            InsecureJelly: it would be one more than `max_refs`; its count is owed back all the same.
        """
        handle = self.imports.get(number)
        if handle is not None:
            reference = handle()
            if reference is not None:
                handle.count += 1
                return reference
        elif len(self.imports) - (0 in self.imports) >= self._max_refs:
            self._drop((number, 1))
            raise InsecureJelly(
                f"this side holds {self._max_refs} references, its limit max_refs; release some first",
                wire_type="pb.TooLarge",
            )
        return self._import(number, scope.direct)

    def root(self, scope: Scope) -> RemoteReference:
        """Return the reference for the peer's root, which is not counted."""
        handle = self.imports.get(0)
        reference = None if handle is None else handle()
        return self._import(0, scope) if reference is None else reference

    def _import(self, number: int, scope: Scope) -> RemoteReference:
        reference = self._make_reference()
        handle = Import(reference, self._on_drop)
        handle.id = number
        handle.count = 1
        handle.dead = None
        handle.passed_on = ()
        handle.home = _id_ext(_HOME, number)
        handle.scope = scope
        reference._pb_import = self.imports[number] = handle
        return reference

    def _drop(self, owed: Import | tuple[int, int]) -> None:
        """Note that a reference was collected. May run at any moment and in any thread."""
        if self.is_open:
            self.dropped.append(owed)
            self._wake()

    def drop_now(self, handle: Import) -> None:
        """Give an object back though its reference is still about: that one is dead from here on."""
        if self.imports.get(handle.id) is handle:
            del self.imports[handle.id]
            handle.dead = DeadReference
            if handle.id:
                owed, handle.count = (handle.id, handle.count), 0
                self._drop(owed)

    def take_dropped(self) -> list[int]:
        """Return `[id, count, id, count, …]` to be released, and forget it."""
        owed: list[int] = []
        while self.dropped:  # a deque: other threads may append meanwhile
            dropped = self.dropped.popleft()
            if isinstance(dropped, tuple):
                owed += dropped
                continue
            if self.imports.get(dropped.id) is dropped:
                del self.imports[dropped.id]
            if dropped.id and dropped.count:
                owed += (dropped.id, dropped.count)
        return owed

    def mark_gone(self, number: int) -> list[Export]:
        """Note that the peer revoked an object; its count is still owed.

        Returns the rows of other connections that pass it on: they are to be revoked too.
        """
        handle = self.imports.get(number) if number else None
        if handle is None or handle.dead is not None:
            return []
        handle.dead = Gone
        return _rows(handle)

    def close(self) -> list[Export]:
        """Forget everything: the connection has ended. Returns what other connections pass on of it."""
        self.is_open = False
        self.exports.clear()
        self._by_object.clear()
        self.dropped.clear()
        passed_on = [export for handle in self.imports.values() for export in _rows(handle)]
        self.imports.clear()  # references keep their own rows, and are dead from here on
        return passed_on


def _rows(handle: Import) -> list[Export]:
    """Return the rows of other connections that pass a reference on."""
    return [export for weak in handle.passed_on if (export := weak()) is not None]


@implementer(interfaces.IReferenceTables)
class Scope:
    """The tables of one connection as seen under one perspective: what jelly is given for a payload."""

    __slots__ = ("_relayed", "broker", "decoder", "direct", "encoder", "perspective", "tables")

    def __init__(
        self,
        tables: Tables,
        broker: Any,
        encoder: Encoder,
        decoder: Decoder,
        perspective: object = None,
    ) -> None:
        self.tables = tables
        self.broker = broker
        self.encoder = encoder
        self.decoder = decoder
        self.perspective = perspective
        self.direct = self  # the scope of what is not passed on, also seen from its relay
        self._relayed: Scope | None = None

    def relay(self) -> Scope:
        """Return this scope with a decoder that lets classes it does not know pass through."""
        if self._relayed is None:
            self._relayed = Scope(
                self.tables, self.broker, self.encoder, self.broker.relay_decoder, self.perspective
            )
            self._relayed.direct = self
            self._relayed._relayed = self._relayed
        return self._relayed

    # --- sender

    def refer(self, value: Any) -> ExtType:
        """Count one occurrence of `value` in a payload that is being made, and return its Ext."""
        if isinstance(value, RemoteReference):
            handle = value._pb_import
            if handle.dead is not None or not handle.scope.tables.is_open:
                raise DeadReference("a reference that was released, revoked, or whose connection has ended")
            if handle.scope.tables is self.tables:
                return handle.home  # R5: the caller's arguments pin it until the frame is queued
        export = self.tables.export(value, self)
        export.count += 1
        return export.ext

    def undo(self, exts: list[ExtType]) -> None:
        """Give back what `refer` counted for a payload that will not be sent."""
        for ext in reversed(exts):
            self.tables.give_back(ext)

    # --- receiver

    def reference(self, id: int, meta: dict[str, object] | None = None) -> object:
        """Return the reference for an object the peer sends, and count it."""
        if id > messages.MAX_ID:
            raise InsecureJelly(f"a reference id over 2^53-1: {id}", wire_type="pb.BadPayload")
        return self.tables.reference(id, self)

    def home(self, id: int) -> object:
        """Return the object of ours that the peer sends home."""
        export = self.tables.exports.get(id)
        if export is None:
            raise InsecureJelly(f"no object {id} is held by the peer", wire_type="pb.NoSuchObject")
        if export.is_gone:
            raise InsecureJelly(f"object {id} was revoked", wire_type="pb.Gone")
        return export.object

    def answer(self, q: int) -> object:
        """Refuse: pipelining is not announced."""
        raise InsecureJelly("results of calls cannot be named here", wire_type="pb.Unsupported")

    def stream(self, id: int) -> object:
        """Refuse: streams are not announced."""
        raise InsecureJelly("streams are not supported here", wire_type="pb.Unsupported")

    def cache(self, id: int, name: str, state: object) -> object:
        """Refuse: caches are not announced."""
        raise InsecureJelly("caches are not supported here", wire_type="pb.Unsupported")

    def cached(self, id: int) -> object:
        """Refuse: caches are not announced."""
        raise InsecureJelly("caches are not supported here", wire_type="pb.Unsupported")
