"""One object of ours that the peer holds, and in what role: decided here, never by the peer.

Knows nothing of counting; the tables do that. Spec: spec/4-references.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgpack import ExtType

from .dispatch import Kind, guards_of

if TYPE_CHECKING:
    from ._scope import Scope
    from .reference import RemoteReference

REF: Final = 1
HOME: Final = 2
ANSWER: Final = 3
REFX: Final = 4
STREAM: Final = 5
CACHED: Final = 10


def id_ext(code: int, id: int) -> ExtType:
    """Return the Ext of an id: the shortest of 1, 2, 4 and 8 big-endian bytes that holds it."""
    size = 1 if id < 0x100 else 2 if id < 0x10000 else 4 if id < 0x100000000 else 8
    # tuple.__new__ skips the checks of ExtType for arguments known to be right: 0.30 us instead of 0.60.
    return tuple.__new__(ExtType, (code, id.to_bytes(size, "big")))


class Export:
    """A row of the table of exports.

    Attributes:
        count: occurrences that the peer has not released.
        observer: of a cache, what its owner tells changes to.
        is_unsent: of a cache, whether its snapshot is not queued yet.
        since: when the peer got it, as the clock of the connection counts.
    """

    __slots__ = (
        "__weakref__",
        "count",
        "ext",
        "guards",
        "id",
        "is_unsent",
        "kind",
        "object",
        "observer",
        "prefix",
        "scope",
        "since",
    )

    def __init__(self, id: int, object: Any, kind: Kind, scope: Scope, ext: ExtType, since: float) -> None:
        self.id = id
        self.object = object
        self.kind = kind
        self.prefix = kind.prefix
        self.guards = guards_of(type(object), kind)
        self.scope = scope
        self.ext = ext
        self.since = since
        self.count = 0
        self.observer: RemoteReference | None = None
        self.is_unsent = False

    @property
    def is_gone(self) -> bool:
        """Whether the object was revoked: the row stays until the peer has released it."""
        return self.kind is Kind.GONE
