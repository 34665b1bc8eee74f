"""One cache of the peer's, at its holder: a replica, and what is known of it. spec/7-caches.md.

The replica itself belongs to the program. When the last handle on it is gone it comes back here by its
finalizer, and is kept up to date until the owner has confirmed that nothing refers to it any longer.
"""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING, Any

from jelly._article import a
from jelly.flavours import set_row

from ..dispatch import Kind, open_methods_of
from ..errors import BadArguments, PeerError
from ..logfields import fields
from ..wire.ids import HOME, id_ext
from .resync import is_key

if TYPE_CHECKING:
    from jelly import RemoteCache

    from ..holding.scope import Scope

log = logging.getLogger("pb")
_set = object.__setattr__


class Replica:
    """A row of the table of replicas.

    Attributes:
        count: occurrences received and not released.
        held: the replica, as long as somebody else holds it too.
        zombie: the replica after its last handle was dropped, until GONE comes or it is sent again.
        is_stale: it does not follow its original any longer.
        key: under which it may be offered again over the next connection, or None.
        version: updates that it was sent since it was told the key.
        weight: what the zombie counts; see `Zombies`.
        is_behind: it is of an earlier connection, and has not caught up yet.
    """

    __slots__ = (
        "__weakref__",
        "count",
        "held",
        "home",
        "id",
        "is_behind",
        "is_stale",
        "key",
        "kind",
        "open_methods",
        "prefix",
        "scope",
        "version",
        "weight",
        "zombie",
    )

    def __init__(self, id: int, scope: Scope, replica: RemoteCache) -> None:
        self.id = id
        self.scope = scope
        self.count = 1
        self.kind = Kind.REPLICA
        self.prefix = Kind.REPLICA.prefix
        self.open_methods = open_methods_of(type(replica), Kind.REPLICA)
        self.home = id_ext(HOME, id)
        self.zombie: RemoteCache | None = None
        self.is_stale = False
        self.key: bytes | None = None
        self.version = self.weight = 0
        self.is_behind = False
        self.held = weakref.ref(replica)
        set_row(replica, self)

    @property
    def object(self) -> Any:
        """The replica that updates go to; None where it is gone for good."""
        return self.held() if self.zombie is None else self.zombie

    def take_key(self, key: bytes) -> None:
        """Take note of the key that its owner tells. Raises BadArguments where it is none."""
        if not is_key(key):
            raise BadArguments("a key is bytes of a certain length")
        self.key = key
        self.version = 0
        self.is_behind = False

    def pass_to(self, held: RemoteCache) -> None:
        """Let the replica be an older object from here on, of an earlier connection.

        The object that it was shares all with that one. What the program keeps of its own in private
        attributes of the older one stays.
        """
        fresh = self.held()
        if fresh is None:  # pragma: no cover - whoever calls this holds it
            return
        attributes = vars(fresh)
        attributes.update((name, value) for name, value in vars(held).items() if name.startswith("_"))
        _set(held, "__dict__", attributes)
        set_row(held, self)
        self.held = weakref.ref(held)
        set_row(fresh, Alias(self, held))

    def let_go(self, replica: RemoteCache) -> None:
        """Take back a replica that nobody holds. Called by its finalizer, at any moment and in any thread."""
        tables = self.scope.tables
        if tables.is_open and tables.replicas.get(self.id) is self:
            self.zombie = replica
        tables.drop(self)

    def hand_out(self) -> Any:
        """Return the replica for one more occurrence of it.

        A zombie does not come back itself: Python runs a finalizer once, and its next end must be noticed
        too. A new object takes over its attributes.
        """
        zombie = self.zombie
        if zombie is None:
            return self.held()
        cls: Any = type(zombie)
        fresh = cls.__new__(cls)
        _set(fresh, "__dict__", vars(zombie))
        set_row(fresh, self)
        self.held = weakref.ref(fresh)
        self.zombie = None
        return fresh


class Alias:
    """What stands behind an object that was a replica for a moment: the row of the one that it is now."""

    __slots__ = ("_held", "_row")

    def __init__(self, row: Replica, held: RemoteCache) -> None:
        self._row = row
        self._held = held  # lives as long as anybody has the other one

    def let_go(self, replica: RemoteCache) -> None:
        """Do nothing: what it shares is the other's."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, name)


def log_stale(row: Replica, scope: Scope, error: BaseException) -> None:
    """Log that a replica follows no longer, because of an update that could not be applied.

    An error of a method of its class is this program's; what the owner sent wrongly is the owner's.
    """
    level = logging.INFO if isinstance(error, PeerError) else logging.ERROR
    if scope.tables.is_open and scope.tables.may_log(level, "replica.stale"):
        log.log(
            level,
            "replica %d of %s, %s, is stale from now on: an update of it failed with %s",
            row.id,
            scope.tables.peer_name,
            a(type(row.object).__name__),
            type(error).__name__,
            exc_info=error if level == logging.ERROR else None,
            extra=fields("replica.stale", scope=scope, row=row, error=error),
        )
