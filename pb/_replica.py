"""One cache of the peer's, at its holder: a replica, and what is known of it. spec/7-caches.md.

The replica itself belongs to the program. When the last handle on it is gone it comes back here by its
finalizer, and is kept up to date until the owner has confirmed that nothing refers to it any longer.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from jelly.flavours import set_row

from ._export import HOME, id_ext
from .dispatch import Kind, guards_of

if TYPE_CHECKING:
    from jelly import RemoteCache

    from ._scope import Scope

_set = object.__setattr__


class Replica:
    """A row of the table of replicas.

    Attributes:
        count: occurrences received and not released.
        held: the replica, as long as somebody else holds it too.
        zombie: the replica after its last handle was dropped, until GONE comes or it is sent again.
        is_stale: it does not follow its original any longer.
    """

    __slots__ = ("count", "guards", "held", "home", "id", "is_stale", "kind", "prefix", "scope", "zombie")

    def __init__(self, id: int, scope: Scope, replica: RemoteCache) -> None:
        self.id = id
        self.scope = scope
        self.count = 1
        self.kind = Kind.REPLICA
        self.prefix = Kind.REPLICA.prefix
        self.guards = guards_of(type(replica), Kind.REPLICA)
        self.home = id_ext(HOME, id)
        self.zombie: RemoteCache | None = None
        self.is_stale = False
        self.held = weakref.ref(replica)
        set_row(replica, self)

    @property
    def object(self) -> Any:
        """The replica that updates go to; None where it is gone for good."""
        return self.held() if self.zombie is None else self.zombie

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
