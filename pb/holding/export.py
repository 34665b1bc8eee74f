"""One object of ours that the peer holds, and in what role: decided here, never by the peer.

Knows nothing of counting; the tables do that. Spec: spec/4-references.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..dispatch import Kind, open_methods_of

if TYPE_CHECKING:
    from msgpack import ExtType

    from ..reference import RemoteReference
    from .scope import Scope


class Export:
    """A row of the table of exports.

    Attributes:
        count: occurrences that the peer has not released.
        observer: of a cache, what its owner tells changes to.
        is_unsent: of a cache, whether its snapshot is not queued yet.
        since: when the peer got it, as the clock of the connection counts.
        told: what hooks are told of it with each call; made by who tells them, with the first.
    """

    __slots__ = (
        "__weakref__",
        "count",
        "ext",
        "id",
        "is_unsent",
        "kind",
        "object",
        "observer",
        "open_methods",
        "prefix",
        "scope",
        "since",
        "told",
    )

    def __init__(self, id: int, object: Any, kind: Kind, scope: Scope, ext: ExtType, since: float) -> None:
        self.id = id
        self.object = object
        self.kind = kind
        self.prefix = kind.prefix
        self.open_methods = open_methods_of(type(object), kind)
        self.scope = scope
        self.ext = ext
        self.since = since
        self.count = 0
        self.observer: RemoteReference | None = None
        self.is_unsent = False
        self.told: tuple[int, Kind, type, Any] | None = None

    @property
    def is_gone(self) -> bool:
        """Whether the object was revoked: the row stays until the peer has released it."""
        return self.kind is Kind.GONE
