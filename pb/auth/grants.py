"""What secret names have given, on the connections that are open: it ends with the name.

Which names there are is kept in a store; what was had by one is known here only, for as long as it is held.
Spec: spec/12-reconnecting.md, PB-K23.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pb.attachment import Attachment

# How long the time is not looked at: clocks are set, and computers sleep.
MAX_WAIT_S: Final = 3600.0
# So many are kept on a connection before it is looked which of them the peer has released.
KEPT: Final = 16


class Grant:
    """One use of a secret name on one connection, from before the store is asked for it.

    Attributes:
        hash: of the name.
        value: what was given; None as long as it is looked up.
        is_over: whether the name was revoked since.
    """

    __slots__ = ("hash", "is_over", "on_end", "value")

    def __init__(self, hash: str) -> None:
        self.hash = hash
        self.value: Any = None
        self.is_over = False
        self.on_end: Any = None  # takes the value back

    def end(self) -> None:
        """Take back what was given, or see to it that it is not given."""
        self.is_over = True
        if self.on_end is not None:
            self.on_end()


class Grants:
    """The uses of the names of an application, on all its connections."""

    def __init__(self) -> None:
        self._by_hash: dict[str, dict[Grant, None]] = {}

    @property
    def hashes(self) -> list[str]:
        """The names that are in use, as the store knows them."""
        return list(self._by_hash)

    def begin(self, hash: str) -> Grant:
        """Note that a name is about to be looked up: were it revoked meanwhile, nobody else would know."""
        grant = Grant(hash)
        self._by_hash.setdefault(hash, {})[grant] = None
        return grant

    def discard(self, grant: Grant) -> None:
        """Forget a use: it gave nothing, or that is no longer held."""
        uses = self._by_hash.get(grant.hash, {})
        uses.pop(grant, None)
        if not uses:
            self._by_hash.pop(grant.hash, None)

    def end(self, hash: str) -> None:
        """End all uses of a name, which is void from here on."""
        for grant in self._by_hash.pop(hash, {}):
            grant.end()


class Held:
    """What one connection has by secret names.

    Args:
        grants: of the application.
        face: of the connection.
        clock: seconds since 1970.
        published: the objects that the connection has by a published name too, by their ids.
    """

    def __init__(
        self,
        grants: Grants,
        face: Any,
        clock: Callable[[], float],
        published: Mapping[int, object],
    ) -> None:
        self._grants = grants
        self._face = face
        self._clock = clock
        self._published = published
        self._held: dict[tuple[str, int], Grant] = {}
        self._most = KEPT

    def keep(self, grant: Grant, value: object, expires: int | None) -> None:
        """Note what a name has given; it is taken back when the name expires."""
        known = (grant.hash, id(value))
        # What is held keeps the value, and so its id. Nobody would forget what is noted after the end.
        if known in self._held or not self._face.broker.tables.is_open:
            self._grants.discard(grant)
            return
        if len(self._held) >= self._most:
            self._forget_released()
            self._most = max(KEPT, 2 * len(self._held))
        grant.value = value
        grant.on_end = lambda: self._withdraw(known)
        self._held[known] = grant
        if expires is not None:
            self._expire(grant, expires)

    def has(self, value: object) -> bool:
        """Return whether an object is had by a secret name."""
        return any(grant.value is value for grant in self._held.values())

    def forget_all(self) -> None:
        """The connection is lost."""
        for known in list(self._held):
            self._forget(known)

    def _expire(self, grant: Grant, expires: int) -> None:
        left_s = expires - self._clock()
        if left_s <= 0:
            grant.end()
            return
        deadlines = self._face.broker.deadlines
        at = deadlines.after(min(left_s, MAX_WAIT_S))
        deadlines.add(grant, at, lambda: self._expire(grant, expires))

    def _withdraw(self, known: tuple[str, int]) -> None:
        value = self._held[known].value
        self._forget(known)
        if not self.has(value) and id(value) not in self._published:  # else it is had by another name
            self._face.broker.holdings.revoke_object(value)

    def _forget_released(self) -> None:
        rows_of = self._face.broker.tables.rows_of
        for known, grant in list(self._held.items()):
            value = grant.value
            if value.is_over if isinstance(value, Attachment) else not rows_of(value):
                self._forget(known)

    def _forget(self, known: tuple[str, int]) -> None:
        grant = self._held.pop(known)
        grant.on_end = None
        self._grants.discard(grant)
        self._face.broker.deadlines.discard(grant)
