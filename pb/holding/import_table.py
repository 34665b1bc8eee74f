"""What we hold of the peer's: the tables of references and replicas of one connection.

The counting rules are spec/4-references.md R1 to R10; the names of the rules stand at the code.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from jelly import InsecureJelly, MalformedJelly

from .. import messages
from ..caches.replica import Replica
from ..caches.zombies import Zombies
from ..errors import DeadReference, Gone
from ..reference import Import, RemoteReference
from ..streams.consumer import Consumer
from .later import Later

if TYPE_CHECKING:
    from jelly import RemoteCache

    from .export import Export
    from .scope import Scope

Owed = Import | Replica | Consumer | tuple[int, int] | Later


class ImportTable:
    """Objects and caches of the peer's, by id.

    Attributes:
        imports: under a perspective the key is (id, scope): what is received under one is called under it.
        dropped: what waits to be released, or to be done by the loop.
        arrived: streams that came since a call of the peer was last decoded.
        pinned: references that calls on the way may name until they are answered: how often, and how many
            counts are owed for them then.
    """

    def __init__(
        self, *, max_refs: int, make_reference: Callable[[], RemoteReference], wake: Callable[[], None]
    ) -> None:
        self.imports: dict[object, Import] = {}
        # One id may have a handle under each perspective. Where there are several, or were, they are found
        # by their own id(): a client may attach ten thousand times with the same object.
        self._by_id: dict[int, tuple[Import] | dict[int, Import]] = {}
        self.replicas: dict[int, Replica] = {}
        self.zombies = Zombies()
        self._lost: list[weakref.ref[Replica]] = []  # which lead to this table, as all that came here does
        self.dropped: list[Owed] = []  # an empty deque takes 760 bytes of an idle connection
        self.arrived: list[Consumer] = []
        self.is_open = True
        self.pinned: dict[int, list[int]] | None = None
        self._on_drop: Callable[[Owed], None] = self.drop  # bound once
        self._max_refs = max_refs
        self._make_reference = make_reference
        self._wake = wake

    def reference(self, number: int, scope: Scope) -> RemoteReference:
        """Return the reference for an id the peer has just sent, and count the occurrence (R2).

        Raises:
            InsecureJelly: it would be one more than `max_refs`; its count is owed back all the same.
        """
        direct = scope.of or scope  # scope.direct, spelled out
        key = number if direct.exports is None else (number, direct)
        handle = self.imports.get(key)
        if handle is not None:
            reference = handle()
            if reference is not None:
                handle.count += 1
                return reference
        # First what costs next to nothing; the root, which is not counted, can only make it less.
        elif len(self._by_id) + len(self.replicas) >= self._max_refs and self._is_full:
            self.drop((number, 1))
            raise InsecureJelly(
                f"this side holds {self._max_refs} references, its limit max_refs; release some first",
                wire_type="pb.TooLarge",
            )
        return self._import(key, number, direct)

    @property
    def held(self) -> int:
        """How many objects of the peer's are held, its root among them where it was asked for."""
        return len(self._by_id) + len(self.replicas)

    @property
    def _is_full(self) -> bool:
        return self.held - self.holds_root >= self._max_refs

    @property
    def holds_root(self) -> bool:
        """Whether the peer's root is held, which is not counted."""
        return 0 in self._by_id

    def holds(self, number: int) -> bool:
        """Tell whether an id of the peer's stands for a reference or a replica here."""
        return number in self._by_id or number in self.replicas

    def root(self, scope: Scope) -> RemoteReference:
        """Return the reference for the peer's root, which is not counted."""
        handle = self.imports.get(0)
        reference = None if handle is None else handle()
        return self._import(0, 0, scope) if reference is None else reference

    def adopt(self, reference: RemoteReference, scope: Scope) -> RemoteReference:
        """Return a reference for the same object of the peer's, under another perspective."""
        handle = reference._pb_import
        known = self.imports.get((handle.id, scope))
        adopted = None if known is None else known()
        if adopted is None:
            adopted = self._import((handle.id, scope), handle.id, scope)
            adopted._pb_import.count = 0
            adopted._pb_import.source = reference  # which is counted, and must not be released before
        return adopted

    def take_over(self, fresh: RemoteReference, older: RemoteReference) -> None:
        """Let an older reference, of a connection that has ended, stand for what a fresh one does.

        Both work from here on; the older one is counted, and is what the peer's object is known as.
        """
        handle = fresh._pb_import
        taken = Import(older, self._on_drop)
        for name in ("id", "key", "count", "home", "scope", "dead", "passed_on", "source"):
            setattr(taken, name, getattr(handle, name))
        handle.count = 0
        handle.source = older  # which is counted, and must not be released before
        older._pb_import = taken
        if id(handle) in handle.scope.received:
            handle.scope.received[id(taken)] = taken
        if self.imports.get(handle.key) is handle:
            self.imports[handle.key] = taken
            self._add_handle(handle.id, taken)

    def _import(self, key: object, number: int, scope: Scope) -> RemoteReference:
        reference = self._make_reference()
        handle = Import(reference, self._on_drop)
        handle.id = number
        handle.key = key
        handle.count = 1
        handle.source = None
        handle.dead = None
        handle.passed_on = ()
        handle.home = None
        handle.scope = scope
        reference._pb_import = self.imports[key] = handle
        if scope.is_over:
            handle.dead = Gone
        elif scope.exports is not None:
            scope.received[id(handle)] = handle
        if number in self._by_id:
            self._add_handle(number, handle)
        else:
            self._by_id[number] = (handle,)
        return reference

    def _add_handle(self, number: int, handle: Import) -> None:
        others = self._by_id[number]
        if isinstance(others, tuple):
            others = self._by_id[number] = {id(each): each for each in others}
        others[id(handle)] = handle

    def _forget(self, handle: Import) -> None:
        if handle.scope.exports is not None:
            handle.scope.received.pop(id(handle), None)
        if self.imports.get(handle.key) is handle:
            del self.imports[handle.key]
        known = self._by_id.get(handle.id)
        if type(known) is dict:
            known.pop(id(handle), None)
            if not known:
                del self._by_id[handle.id]
        elif known is not None and known[0] is handle:  # nearly always
            del self._by_id[handle.id]

    def begin_replica(self, number: int, replica: RemoteCache | None, scope: Scope) -> None:
        """Take in a replica that a payload brings, and count the occurrence; None for a refused one.

        Raises:
            MalformedJelly: there is one of this id.
            InsecureJelly: it would be one more than `max_refs`; its count is owed back all the same.
        """
        if number in self.replicas:
            raise MalformedJelly(f"CACHE {number}, which was sent before; CACHED stands for it from then on")
        if replica is None or self._is_full:
            self.drop((number, 1))
            if replica is not None:
                raise InsecureJelly(
                    f"this side holds {self._max_refs} references, its limit max_refs; release some first",
                    wire_type="pb.TooLarge",
                )
            return
        row = Replica(number, scope, replica)
        if self.is_open:
            self.replicas[number] = row
            if scope.is_over:
                self.make_stale(row)
            elif scope.exports is not None:
                scope.received[id(row)] = row
        else:  # a hook has ended the connection meanwhile
            row.is_stale = True

    def replica(self, number: int) -> object:
        """Return the replica of an id, for one more occurrence of it.

        Raises:
            InsecureJelly: there is none; the count is owed back all the same.
        """
        row = self.replicas.get(number)
        if row is None or row.is_stale:
            self.drop((number, 1))
            found = None if row is None else row.object
            if found is None:
                raise InsecureJelly(f"no cache {number} is held here", wire_type="pb.NoSuchObject")
            return found
        row.count += 1
        self.zombies.drop(row)
        found = row.hand_out()
        if found is None:  # collected by another thread this very moment
            raise InsecureJelly(f"cache {number} is being given up", wire_type="pb.NoSuchObject")
        return found

    def expect_replica(
        self, number: object, replica: RemoteCache, key: bytes | None, version: int, scope: Scope
    ) -> None:
        """Let a replica of an earlier connection wait under an id until the peer sends the object again."""
        if type(number) is not int or not 1 <= number <= messages.MAX_ID:
            return
        if number in self.replicas or not self.is_open:
            return
        row = Replica(number, scope, replica)
        row.count = 0
        row.key, row.version, row.is_behind = key, version, True
        self.replicas[number] = row

    def forget_replica(self, number: int) -> None:
        """Give up a replica that was never given out: its payload was refused."""
        row = self._take_replica(number)
        if row is not None:
            self.make_stale(row)

    def _take_replica(self, number: int) -> Replica | None:
        row = self.replicas.pop(number, None)
        if row is not None and row.scope.exports is not None:
            row.scope.received.pop(id(row), None)
        return row

    def make_stale(self, row: Replica) -> None:
        """Give up a replica that missed an update: its owner is told by the release of all counts."""
        row.is_stale = True
        if row.count:
            owed, row.count = (row.id, row.count), 0
            self.drop(owed)

    def drop(self, owed: Owed) -> None:
        """Note that something is to be released. May run at any moment and in any thread."""
        if self.is_open:
            self.dropped.append(owed)
            self._wake()

    def later(self, action: Callable[[], object]) -> None:
        """Have the loop do something soon, on behalf of nobody. May run at any moment and in any thread.

        For what a coroutine learns when it is thrown away, which may be in the middle of the collector:
        nothing is to begin there, and no context variable to be set. CPython 3.11 runs its collector also
        while it changes those, and then uses what the change has freed.
        """
        self.dropped.append(Later(action))
        self._wake()

    def drop_now(self, handle: Import | Replica) -> None:
        """Give an object back though its reference is still about: that one is dead from here on."""
        if isinstance(handle, Replica):
            self.make_stale(handle)
        elif self.imports.get(handle.key) is handle:
            self._forget(handle)
            handle.dead = DeadReference
            handle.source = None
            if handle.id:
                owed, handle.count = (handle.id, handle.count), 0
                if self.pinned is not None and id(handle) in self.pinned:
                    self.pinned[id(handle)][1] += owed[1]
                else:
                    self.drop(owed)

    def end_received(self, scope: Scope) -> list[Export]:
        """Give back all that was received under an attachment, which has ended (PB-R36).

        Returns the rows of other connections that pass some of it on: they are to be revoked too.
        """
        received, scope.received = scope.received, {}
        rows: list[Export] = []
        for held in received.values() if self.is_open else ():
            if isinstance(held, Replica):
                self.make_stale(held)
            elif held.dead is None:
                rows += _rows(held)
                self.drop_now(held)
                held.dead = Gone
        return rows

    def pin(self, reference: RemoteReference) -> None:
        """Release an object only after `unpin`, whatever the program says (R10). Whoever pins holds it."""
        if self.pinned is None:
            self.pinned = {}
        self.pinned.setdefault(id(reference._pb_import), [0, 0])[0] += 1

    def unpin(self, reference: RemoteReference) -> None:
        """Release what waited for that."""
        assert self.pinned is not None
        handle = reference._pb_import
        row = self.pinned[id(handle)]
        row[0] -= 1
        if not row[0]:
            del self.pinned[id(handle)]
            if row[1]:
                self.drop((handle.id, row[1]))

    def take_dropped(self) -> list[int]:
        """Return `[id, count, id, count, …]` to be released, and forget it."""
        owed: list[int] = []
        taken: list[Owed] = []
        while self.dropped:  # other threads may append meanwhile, which pop() does not mind
            taken.append(self.dropped.pop())
        for dropped in reversed(taken):
            if isinstance(dropped, Import):  # most are
                self._forget(dropped)
            elif isinstance(dropped, tuple):
                if dropped[1]:
                    owed += dropped
                continue
            elif isinstance(dropped, Consumer):
                dropped.streams.stop(dropped)
                continue
            elif isinstance(dropped, Later):
                dropped.run()
                continue
            # Where it was sent again meanwhile, the new handle has taken the counts over.
            elif dropped.zombie is None and self.replicas.get(dropped.id) is dropped:
                continue
            else:
                self.zombies.add(dropped)
            if dropped.id and dropped.count:
                owed += (dropped.id, dropped.count)
                dropped.count = 0
        return owed

    def mark_gone(self, number: int) -> list[Export]:
        """Note that the peer revoked an object, or confirms that a replica is no longer followed.

        Returns the rows of other connections that pass it on: they are to be revoked too.
        """
        row = self._take_replica(number)
        if row is not None:
            self.zombies.end(row)
            return []
        rows: list[Export] = []
        known = self._by_id.get(number, ()) if number else ()
        for handle in known.values() if isinstance(known, dict) else known:
            if handle.dead is None:
                handle.dead = Gone
                rows += _rows(handle)
        return rows

    def close_imports(self) -> list[Export]:
        """Forget all: the connection has ended. Returns what other connections pass on of it."""
        self.is_open = False
        self.dropped[:] = [dropped for dropped in self.dropped if isinstance(dropped, Later)]
        self.arrived.clear()
        passed_on = [export for handle in self.imports.values() for export in _rows(handle)]
        self._by_id.clear()
        self.imports.clear()  # references keep their own rows, and are dead from here on
        replicas, self.replicas = self.replicas, {}
        self._lost = [
            weakref.ref(row)
            for row in replicas.values()
            if row.key and not row.is_stale and row.zombie is None
        ]
        for row in replicas.values():
            self.zombies.end(row)
        self._on_drop = _forgotten
        return passed_on

    @property
    def lost(self) -> list[Replica]:
        """Replicas that the end of the connection has made stale, are held, and may be offered again."""
        return [row for weak in self._lost if (row := weak()) is not None]


def _forgotten(owed: Owed) -> None:
    """Do nothing: when a connection has ended nothing that came over it is released any more."""


def _rows(handle: Import) -> list[Export]:
    """Return the rows of other connections that pass a reference on."""
    return [export for weak in handle.passed_on if (export := weak()) is not None]
