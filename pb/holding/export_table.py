"""What we let the peer hold: the table of exports of one connection.

The counting rules are spec/4-references.md R1 to R10; the names of the rules stand at the code.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final

import msgpack
from msgpack import ExtType

from jelly import Unjellyable, Viewable
from jelly._article import a

from ..attachment import Attachment
from ..dispatch import Kind
from ..errors import Forbidden, ProtocolError, TooLarge
from ..reference import RemoteReference
from ..wire.ids import CACHED, HOME, REF, REFX, id_ext
from .detached import Detached
from .export import Export

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..caches.observing import Observing
    from ..caches.resync import Offers
    from ..streams.producer import Producer
    from .scope import Scope

# Looked up for every object handed out: a member of an Enum is found five times as slowly as a global.
REMOTE: Final = Kind.REMOTE
PERSPECTIVE: Final = Kind.PERSPECTIVE
CACHE: Final = Kind.CACHE
PROXY: Final = Kind.PROXY


class ExportTable:
    """Objects of ours by id, and by object and perspective.

    Attributes:
        scopes: those with a perspective that are not over.
        unsent: caches whose snapshot is being made, or is not queued yet.
        late: what is told while there are such, behind which it has to stay.
        unbegun: attachments made by calls that are not answered yet, with the ids of the calls.
        fresh: caches whose snapshot, and streams whose announcement, is the next thing to be queued.
        offers: what the peer has of earlier connections; None where it has offered nothing.
    """

    is_open: bool

    def __init__(
        self,
        *,
        max_refs: int,
        proxy: bool,
        observing: Observing,
        make_reference: Callable[[], RemoteReference],
        clock: Callable[[], float],
    ) -> None:
        self.exports: dict[int, Export] = {}
        self.scopes: dict[Scope, None] = {}  # ordered; a list would cost its length for each that ends
        self.fresh: list[Export | Producer] = []
        self.unsent: dict[Export, None] = {}  # an empty set takes 150 bytes more
        self.late: list[tuple[Export, Any]] | None = None
        self.unbegun: list[tuple[int, Attachment]] = []
        self.offers: Offers | None = None
        self.peer_max_refs = 1024
        self.observing = observing
        self._by_object: dict[object, Export] = {}
        self._next_id = 1  # R4: never reused on a connection
        self._max_refs = max_refs
        self._make_reference = make_reference
        self._clock = clock
        self._proxy = proxy

    @property
    def passes_on(self) -> bool:
        """Whether what came over another connection may be handed out over this one."""
        return self._proxy

    def take_id(self) -> int:
        """Return an id for something of ours that is not in this table."""
        number = self._next_id
        self._next_id = number + 1
        return number

    def was_given(self, number: int) -> bool:
        """Tell whether an id was ever given to something of ours."""
        return 1 <= number < self._next_id

    def set_root(self, root: Any, scope: Scope) -> None:
        """Publish `root` as target 0: it is never counted nor released."""
        kind = Kind.PROXY if isinstance(root, RemoteReference) else Kind.REMOTE
        export = Export(0, root, kind, scope, id_ext(REF, 0), self._clock())
        export.count = 1
        self.exports[0] = export

    def export(self, value: Any, scope: Scope) -> Export:
        """Return the row of `value` as seen through `scope`, made now if the peer does not hold it.

        Raises:
            TooLarge: the peer holds as many as it said it would.
            Forbidden: a reference of another connection, and this one passes none on.
            Unjellyable: it can be seen under a perspective only, and there is none, or it was detached.
        """
        direct = scope.of or scope  # scope.direct, spelled out
        key = id(value) if direct.exports is None else _key(value, direct)
        export = self._by_object.get(key)
        if export is not None:
            return export
        if type(value) is Attachment:
            if value.scope.tables is not self:
                raise Forbidden("an attachment of another connection; attach to the service on this one")
            scope, value = value.scope, value.perspective
            if value is None:
                raise Unjellyable("is an attachment without a perspective; set its perspective first")
            return self._by_object.get(_key(value, scope)) or self._add(value, Kind.PERSPECTIVE, scope)
        if isinstance(value, RemoteReference):
            if not self._proxy:
                raise Forbidden("a reference of another connection; this one passes none on (proxy=False)")
            export = self._add(value, Kind.PROXY, scope.direct)
            handle = value._pb_import
            live = tuple(weak for weak in handle.passed_on if weak() is not None)
            handle.passed_on = (*live, weakref.ref(export))
            return export
        kind = REMOTE
        if value is scope.perspective:
            kind = PERSPECTIVE
        elif isinstance(value, Viewable):
            if scope.perspective is None:
                raise Unjellyable(
                    f"is {a(type(value).__qualname__)}, a Viewable, and no perspective is in force here; "
                    "send it from a method of a perspective or of something handed out by one"
                )
            kind = Kind.VIEW
        return self._add(value, kind, direct)

    def _add(self, value: Any, kind: Kind, scope: Scope, number: int | None = None) -> Export:
        held = len(self.exports)
        if held >= self.peer_max_refs or held >= self._max_refs:
            self._check_room()
        if not self.is_open:
            raise Unjellyable("is to be handed out over a connection that a hook has just ended")
        if scope.is_over:
            raise Detached("is handed out by a perspective that has been detached meanwhile")
        if number is None:
            number = self.take_id()
        seen_through = scope
        if kind is PROXY:
            ext = ExtType(REFX, msgpack.packb([number, {"kind": "proxy"}]))
            seen_through = scope.relay()
        else:
            ext = id_ext(CACHED if kind is CACHE else REF, number)
        export = Export(number, value, kind, seen_through, ext, self._clock())
        if kind is PERSPECTIVE:
            scope.has_begun = True
        self.exports[number] = self._by_object[_key(value, scope)] = export
        if scope.exports is not None:
            scope.exports[number] = export
        return export

    def _check_room(self) -> None:
        """Refuse one more where the peer holds as many as may be; the root is not counted."""
        held = len(self.exports) - (0 in self.exports)
        most = min(self.peer_max_refs, self._max_refs)
        if held >= most:
            raise TooLarge(
                f"the peer holds {held} references, the limit max_refs is {most}; release some first"
            )

    def observe(self, value: Any, scope: Scope) -> tuple[ExtType, tuple[Any] | None]:
        """Count one occurrence of a Cacheable; return its Ext and, in a tuple, the state of a new one.

        Raises:
            Unjellyable: the state could not be had; what the object raised is the cause.
            Unsupported: the peer holds no caches.
            TooLarge: as export().
        """
        export = self._by_object.get(_key(value, scope))
        if export is not None:
            if export.is_unsent:
                raise Unjellyable(
                    f"is {a(type(value).__qualname__)} that is being sent to this peer right now"
                )
            export.count += 1
            return export.ext, None
        self.observing.check_peer()
        taken = None if self.offers is None else self.offers.match(value, scope.perspective)
        export = self._add(value, Kind.CACHE, scope, None if taken is None else taken.id)
        try:
            state = self.observing.begin(export, self._make_reference())
            if taken is not None:
                taken.catch_up(export, state)
        except BaseException as error:
            self.exports.pop(export.id, None)
            self._forget_object(export)
            self.observing.take_back(export)
            if not isinstance(error, Exception):
                raise
            why = f"{error}" if isinstance(error, Unjellyable) else f"{error!r:.200}"
            raise Unjellyable(
                f"is {a(type(value).__qualname__)} whose state could not be had: {why}"
            ) from error
        export.count = 1
        return export.ext, None if taken is not None else (state,)

    def give_back(self, ext: ExtType) -> None:
        """Undo one count that was taken for a payload that is not sent (R7)."""
        if ext.code == HOME:
            return
        number = msgpack.unpackb(ext.data)[0] if ext.code == REFX else int.from_bytes(ext.data, "big")
        export = self.exports.get(number)
        if export is not None:  # else a hook has ended the connection meanwhile
            self._subtract(export, 1)

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
        if export.count:
            return
        del self.exports[export.id]
        self._forget_object(export)
        if export.observer is not None:
            self.observing.finish(export)
        scope = export.scope.direct
        if scope.has_begun:
            scope.check_empty()

    def _forget_object(self, export: Export) -> None:
        scope = export.scope.direct
        key = id(export.object) if scope.exports is None else _key(export.object, scope)
        if self._by_object.get(key) is export:
            del self._by_object[key]
            if scope.exports is not None:
                scope.exports.pop(export.id, None)

    def end_unbegun(self, call_id: int) -> None:
        """End the attachments that a call made and whose perspective did not leave with its answer."""
        made, self.unbegun = self.unbegun, []
        for id, attachment in made:
            if id != call_id:
                self.unbegun.append((id, attachment))
            elif not attachment.scope.has_begun:
                attachment.detach()

    def rows_of(self, value: object) -> list[Export]:
        """Return the rows under which the peer holds an object, whatever the perspective."""
        keys = [_key(value, scope) for scope in self.scopes]
        return [row for key in (id(value), *keys) if (row := self._by_object.get(key)) is not None]

    def rows_under(self, value: object, is_meant: Callable[[Scope], bool]) -> list[Export]:
        """Return the rows under which the peer holds an object through some of the attachments only."""
        keys = [_key(value, scope) for scope in self.scopes if is_meant(scope)]
        return [row for key in keys if (row := self._by_object.get(key)) is not None]

    def revoke(self, export: Export) -> None:
        """Make a tombstone of a row: it answers `pb.Gone` until the peer has released it."""
        self._forget_object(export)
        export.kind = Kind.GONE
        export.prefix = ""
        self.observing.end(export)
        export.object = None

    def close_exports(self) -> None:
        """Forget all: the connection has ended. Observers are told, and attachments end."""
        exports = list(self.exports.values())
        self.exports.clear()
        self._by_object.clear()
        self.fresh.clear()
        self.unsent.clear()
        late, self.late = self.late, None
        for _, message in late or ():
            if not isinstance(message, bytes):
                message.drop()
        self.unbegun.clear()
        for export in exports:
            self.observing.end(export)
        scopes, self.scopes = self.scopes, {}
        for scope in scopes:
            scope.exports = {}
        for scope in scopes:
            if scope.on_empty is not None:  # else the end of another has ended it
                scope.on_empty()


def _key(value: object, scope: Scope) -> object:
    """Return the key of an object under a perspective. The row keeps both alive."""
    return id(value) if scope.exports is None else (id(value), id(scope))
