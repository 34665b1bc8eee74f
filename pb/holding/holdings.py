"""What each side holds of the other's, as messages: RELEASE, GONE, and the perspectives that end with them.

Spec: spec/3-messages.md, RELEASE and GONE; spec/4-references.md, "Revocation".
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .. import messages
from ..attachment import Attachment
from ..calling.giving_up import give_up_under
from ..dispatch import Kind
from ..errors import Gone, NotExecuted, ProtocolError
from ..wire.fields import numbers_of
from .watchers import WatchersOfGone

if TYPE_CHECKING:
    from ..broker import Broker
    from ..wire.outbox import Outbox
    from ..wire.payloads import Pack
    from .export import Export
    from .scope import Scope
    from .tables import Tables

# Numbers of one RELEASE or GONE: each takes at most nine bytes, so any peer's max_frame holds it.
_MAX_NUMBERS = 400


class Holdings:
    """Give up what the peer lets us hold, and take back what we let it hold."""

    __slots__ = ("_outbox", "_pack", "_tables", "_watchers", "broker")

    def __init__(self, tables: Tables, outbox: Outbox, pack: Pack, broker: Broker) -> None:
        self._tables = tables
        self._outbox = outbox
        self._pack = pack
        self.broker = broker
        self._watchers: WatchersOfGone | None = None

    def release_dropped(self) -> None:
        """Tell the peer which of its objects nobody here holds any longer."""
        while self._tables.dropped:  # what one of them kept is dropped with it
            owed = self._tables.take_dropped()  # nothing before HELLO and after the end
            for start in range(0, len(owed), _MAX_NUMBERS):
                self._outbox.put(self._pack((messages.RELEASE, owed[start : start + _MAX_NUMBERS])))

    def receive_release(self, envelope: list[Any]) -> None:
        """The peer no longer holds some of our objects."""
        owed = numbers_of(envelope, "RELEASE is [6, [id, count, id, count, …]]")
        if len(owed) % 2:
            raise ProtocolError("RELEASE whose last id has no count")
        for index in range(0, len(owed), 2):
            self._tables.release(owed[index], owed[index + 1])

    def receive_gone(self, envelope: list[Any]) -> None:
        """The peer revoked some of its objects, or confirms that replicas are no longer followed."""
        for number in numbers_of(envelope, "GONE is [8, [id, …]]"):
            for export in self._tables.mark_gone(number):
                export.scope.broker.holdings.revoke(export)
            for tell in self._watchers.take(number) if self._watchers is not None else ():
                tell()

    def watch_gone(self, id: int, watcher: Callable[[], None], of: weakref.ref[Any]) -> Callable[[], None]:
        """Call `watcher` when the peer takes one of its objects away; return what takes that back.

        Args:
            of: the reference without which there is nobody to be told.
        """
        if self._watchers is None:
            self._watchers = WatchersOfGone()
        return self._watchers.add(id, watcher, of)

    def tell_gone(self, ids: Sequence[int]) -> None:
        """Send GONE."""
        if self._tables.is_open:
            for start in range(0, len(ids), _MAX_NUMBERS):
                self._outbox.put(self._pack((messages.GONE, ids[start : start + _MAX_NUMBERS])))

    def revoke(self, export: Export) -> None:
        """Withdraw an object from the peer: it is told, and calls are answered `pb.Gone` from here on."""
        if export.kind is not Kind.GONE and self._tables.exports.get(export.id) is export:
            self._tables.revoke(export)
            self._tell_gone_of([export])

    def revoke_object(self, value: object) -> int:
        """Withdraw an object, whatever it was exported as; return how many ids it had.

        With a perspective, all that was handed out under it is withdrawn.
        """
        if isinstance(value, Attachment):
            count = len(value.scope.exports or ())
            value.detach()
            return count
        rows = self._tables.rows_of(value)
        for scope in [scope for scope in self._tables.scopes if scope.perspective is value]:
            ended = scope.on_empty
            if ended is not None:  # else the end of another has ended it
                self.detach(scope)
                ended()
        self._take_away(rows)
        return len(rows)

    def revoke_from(self, value: object, is_meant: Callable[[Scope], bool]) -> int:
        """Withdraw an object from some attachments only; return from how many."""
        rows = self._tables.rows_under(value, is_meant)
        self._take_away(rows)
        return len(rows)

    def has_attached(self, perspective: object) -> bool:
        """Tell whether a perspective is attached to this connection: this very object."""
        return any(scope.perspective is perspective for scope in self._tables.scopes)

    def _take_away(self, rows: Sequence[Export]) -> None:
        for export in rows:
            self.revoke(export)
        if rows:
            self.broker.serving.take_away(
                lambda served: served.export in rows,
                lambda: Gone("the object was revoked while the call ran, which was stopped"),
            )

    # --- perspectives

    def attach(
        self, perspective: object = None, ended: Callable[[], object] | None = None, call_id: int = 0
    ) -> Attachment:
        """Return a new attachment of a perspective to this connection; see `CurrentCall.attach`."""
        if not self._tables.is_open:
            raise NotExecuted("the connection has ended; nothing can be attached to it")
        scope = self.broker.scope.under(None)
        attachment = Attachment(scope, ended)
        attachment.perspective = perspective
        self._tables.scopes[scope] = None
        if call_id:
            self._tables.unbegun.append((call_id, attachment))
        return attachment

    def detach(self, scope: Scope) -> None:
        """Withdraw all that was handed out under a perspective."""
        scope.is_over = True  # first: what a hook hands out meanwhile would outlive it
        self._tables.scopes.pop(scope, None)
        gone: list[Export] = []
        while scope.exports:  # a hook may release some of them, but hands out no more
            for number in list(scope.exports):
                export = scope.exports.pop(number, None)
                if export is not None:
                    self._tables.revoke(export)
                    gone.append(export)
        self._tell_gone_of(gone)

    def end_under(self, scope: Scope) -> None:
        """End what is under way under an attachment that is over, and all that came under it (PB-R36).

        Before anybody is told of its end: nothing more goes to who was put out.
        """
        for export in self._tables.end_received(scope):
            export.scope.broker.holdings.revoke(export)
        if self._tables.is_open:  # else what is under way ends with the connection
            self._end_calls_under(scope)
        watchers, scope.watchers = scope.watchers, None
        for watcher in watchers or ():
            watcher()

    def _end_calls_under(self, scope: Scope) -> None:
        broker = scope.broker
        # First, or they would answer with what becomes of the streams and calls they wait for.
        broker.serving.take_away(
            lambda served: served.scope.direct is scope,
            lambda: Gone("what the call was made under has ended; it was stopped"),
        )
        broker.streams.end_under(scope)
        give_up_under(broker.calls, scope)

    def _tell_gone_of(self, exports: Sequence[Export]) -> None:
        """Send GONE for these; for a cache that is being sent right now, behind its snapshot."""
        for export in exports:
            if export.is_unsent and self._tables.late is not None:
                self._tables.late.append((export, self._pack((messages.GONE, [export.id]))))
        self.tell_gone([export.id for export in exports if not export.is_unsent])
