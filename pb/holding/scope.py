"""The tables of one connection as seen under one perspective: what jelly is given for a payload.

A perspective never comes from the wire: it is that of the row of the table a call goes to.
Spec: spec/4-references.md, "Views and perspectives".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from zope.interface import implementer

from jelly import InsecureJelly, Unjellyable, interfaces
from jelly.flavours import row_of

from .. import messages
from ..errors import Forbidden, Gone
from ..hooks import names_of
from ..reference import Import, RemoteReference
from ..wire.ids import STREAM
from .watchers import Watchers

if TYPE_CHECKING:
    import weakref

    from msgpack import ExtType

    from jelly import Decoder, Encoder, Promising, RemoteCache

    from ..caches.replica import Replica
    from .export import Export
    from .tables import Tables

# Of the scope of the root, which does not end before its connection. Nothing is ever put there.
_NOTHING: Final[dict[int, Any]] = {}


def _nothing() -> None:
    """Take nothing back: it was told already."""


@implementer(interfaces.IReferenceTables)
class Scope:
    """The tables of one connection under one perspective.

    Attributes:
        perspective: None for the scope of the root, before anyone has logged in, and while it is not settled
            which perspective an attachment gets; after it has ended, as soon as no call runs under it.
        exports: what was handed out under an attachment, by id; None for the scope of the root.
        has_begun: whether the perspective itself was handed out: before, an attachment does not end because
            something else was released.
        is_over: whether the attachment has ended: nothing more is handed out under it.
        received: what was received under an attachment, by its id(): it is dead when that ends.
        watchers: who is told of that, as far as they have asked.
        names: identity, service and perspective, once `perspective` was let go; hooks tell them still.
        of: the scope that this is a relay of, or stands for in one payload; None where it is neither.
    """

    __slots__ = (
        "_relayed",
        "broker",
        "decoder",
        "encoder",
        "exports",
        "has_begun",
        "identity",
        "is_over",
        "names",
        "of",
        "on_empty",
        "perspective",
        "received",
        "running",
        "tables",
        "watchers",
    )

    def __init__(
        self,
        tables: Tables,
        broker: Any,
        encoder: Encoder,
        decoder: Decoder,
        perspective: object = None,
        *,
        is_base: bool = True,
    ) -> None:
        self.tables = tables
        self.broker = broker
        self.encoder = encoder
        self.decoder = decoder
        self.perspective = perspective
        self.exports: dict[int, Export] | None = None if is_base else {}
        self.received: dict[int, Import | Replica] = _NOTHING if is_base else {}
        self.watchers: Watchers | None = None
        self.has_begun = False
        self.identity = ""  # who has logged in to get it, for those who are told
        self.names: tuple[str, str, str] | None = None
        self.running = 0  # calls under it that have not been answered, and streams
        self.is_over = False
        self.on_empty: Any = None  # called when the last of what was handed out has been released
        self.of: Scope | None = None
        self._relayed: Scope | None = None

    @property
    def direct(self) -> Scope:
        """The scope of what is not passed on: this, or the one that this is of.

        Where each call asks, `scope.of or scope` stands for it. To keep it would be to keep oneself.
        """
        return self.of or self

    def under(self, perspective: object) -> Scope:
        """Return a new scope of the same connection for a perspective."""
        decoder = self.broker.codec.decoder(self.broker.limits, serves=not self.broker.dials)
        return Scope(self.tables, self.broker, self.encoder, decoder, perspective, is_base=False)

    def watch(self, watcher: Callable[[], None], of: weakref.ref[Any]) -> Callable[[], None]:
        """Call `watcher` when the attachment has ended, now if it has; return what takes that back.

        Args:
            watcher: has the program told, soon; does nothing else and raises nothing.
            of: the reference without which there is nobody to be told.
        """
        if self.is_over:
            watcher()
            return _nothing
        if self.watchers is None:
            self.watchers = Watchers()
        return self.watchers.add(watcher, of)

    def leave(self) -> None:
        """Count a call out; an attachment ends when nothing is held under it and nothing runs."""
        self.running -= 1
        if self.exports is not None and not self.exports:  # looked at here, for nearly always there is more
            self.check_empty()

    def check_empty(self) -> None:
        """End the attachment if the peer has released all that it was given and no call runs under it."""
        if self.on_empty is None:  # it has ended
            self.forget()
        elif self.has_begun and not self.exports and not self.running and not self.is_over:
            self.on_empty()

    def forget(self) -> None:
        """Let go of whom it was for, and of who is told of its end: it has ended.

        The tables know what was received under it together with this scope. If the way led on from here to
        whoever keeps such a reference, the client of an attachment for one, neither would ever go.
        """
        self.on_empty = None
        if not self.running and self.perspective is not None:
            self.names = names_of(self)
            self.perspective = self._relayed = None

    def relay(self) -> Scope:
        """Return this scope with a decoder that lets classes it does not know pass through."""
        if self._relayed is None:
            self._relayed = Scope(
                self.tables, self.broker, self.encoder, self.broker.relay_decoder, self.perspective
            )
            self._relayed.of = self
        return self._relayed

    def orphan(self, broker: Any) -> Scope:
        """Return what stands for this scope in a broker that has ended, and does not lead back to that.

        Args:
            broker: a weak proxy for it.
        """
        self._relayed = None
        return Scope(self.tables, broker, self.encoder, self.decoder)

    # --- sender

    def refer(self, value: Any) -> ExtType:
        """Count one occurrence of `value` in a payload that is being made, and return its Ext."""
        if isinstance(value, RemoteReference):
            handle = value._pb_import
            if type(handle) is not Import:
                raise Forbidden("an observer stays with its Cacheable; send the Cacheable itself")
            if handle.dead is not None or not handle.scope.tables.is_open:
                raise DeadValue(_why_dead(handle))
            if handle.scope.tables is self.tables:
                # R5: the caller's arguments pin it until the frame is queued
                return handle.home or handle.make_home()
        export = self.tables.export(value, self)
        export.count += 1
        return export.ext

    def promise(self, value: Promising) -> ExtType | tuple[Any]:
        """Return the value of a promise that is there, in a tuple.

        Raises:
            PromiseMet: it is not, or never will be.
        """
        settled = value._pb_settled()
        if type(settled) is not tuple:
            raise PromiseMet(value)
        return settled

    def observe(self, value: Any) -> tuple[ExtType, tuple[Any] | None]:
        """Count one occurrence of a Cacheable; where the peer has no replica of it, get its state too."""
        self.broker.calls.has_told = True  # what it is told of it from now on
        return self.tables.observe(value, self.direct)

    def count(self, ext: ExtType) -> None:
        """Count one more occurrence of a cache in the payload that is being made."""
        export = self.tables.exports.get(int.from_bytes(ext.data, "big"))
        if export is not None:  # else a hook has ended the connection meanwhile
            export.count += 1

    def home_of(self, replica: RemoteCache) -> ExtType:
        """Return HOME for a replica that goes back to its owner."""
        row = row_of(replica)
        if row.scope.tables is not self.tables:
            raise Forbidden("a replica of another connection: its state was cut for someone else's eyes")
        if row.is_stale or row.is_behind or not self.tables.is_open:
            raise Unjellyable("is a replica that no longer follows its original")
        return row.home

    def seal(self, exts: list[ExtType]) -> None:
        """Note that the payload is sent next which starts these caches and streams."""
        exports = self.tables.exports
        for ext in exts:
            number = int.from_bytes(ext.data, "big")
            if ext.code == STREAM:
                self.broker.streams.seal(number)
            elif number in exports:
                self.tables.fresh.append(exports[number])

    def produce(self, value: Any) -> ExtType:
        """Begin a stream of what a value gives."""
        began: ExtType = self.broker.streams.produce(value, self)
        return began

    def undo(self, exts: list[ExtType]) -> None:
        """Give back what was counted and begun for a payload that will not be sent."""
        for ext in reversed(exts):
            if ext.code == STREAM:
                self.broker.streams.undo(int.from_bytes(ext.data, "big"))
            else:
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
        """Refuse: only a call can name results, those that it says it needs."""
        raise InsecureJelly(
            f"names the result of call {q}, which it does not need", wire_type="pb.BadPayload"
        )

    def stream(self, id: int) -> object:
        """Return what stands for a stream that the peer begins."""
        began: object = self.broker.streams.consume(id, self)
        return began

    def cache(self, id: int, replica: RemoteCache | None) -> None:
        """Take in the replica that the first occurrence of a cache makes, and count the occurrence."""
        self.tables.begin_replica(id, replica, self.direct)

    def refuse_caches(self, ids: Iterable[int]) -> None:
        """Forget the replicas of a payload that was refused."""
        for id in ids:
            self.tables.forget_replica(id)

    def cached(self, id: int) -> object:
        """Return the replica of a cache that is here already, and count it."""
        return self.tables.replica(id)


class DeadValue(Unjellyable):
    """What is to be sent holds a reference that is dead. Nobody who is called is dead for it."""


def _why_dead(handle: Import) -> str:
    if handle.dead is Gone:
        why = "its owner has revoked the object"
    elif handle.dead is not None:
        why = "it was released"
    else:
        why = f"its connection, with {handle.scope.tables.peer_name}, has ended"
    return f"is a reference that is dead, because {why}; pb.is_live tells beforehand"


class PromiseMet(BaseException):
    """What is to be sent holds the result of a call that is not there. Not for hooks to catch either."""

    def __init__(self, promise: Promising) -> None:
        super().__init__("holds a promise: the result of a call, which is not there yet; await it first")
        self.promise = promise


class HoldsPromise(Unjellyable):
    """The arguments of a call hold a promise."""

    def __init__(self, promise: Promising) -> None:
        super().__init__("the arguments hold a promise: the result of a call; await it first")
        self.promise = promise


class NotShared(BaseException):
    """A value differs between receivers. A BaseException, so that no hook in between takes it for its own."""


@implementer(interfaces.IReferenceTables)
class SharedTables:
    """Tables for a payload that is to be the same for everyone: whatever would differ raises NotShared."""

    @property
    def perspective(self) -> object:
        """Raise: the state of something depends on who sees it."""
        raise NotShared

    def refer(self, value: object) -> ExtType:
        """Raise: ids differ between connections."""
        raise NotShared

    observe = home_of = promise = produce = refer


SHARED = SharedTables()
