"""Who gets what by its name, on one connection of a server that asks for logins: `pb:resolve` there.

A secret name is a login in one step: it gives one object in place of an identity, and guesses at it count as
guesses at passwords do. Published names are for those who are logged in. Spec: spec/12-reconnecting.md, 12.6.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from pb.holding.published import is_secret, no_such_name

from .grants import KEPT, Held

if TYPE_CHECKING:
    import cred

    from .names import Names


class Naming:
    """Resolve names on one connection.

    Args:
        names: of the application.
        face: of the connection.
        attempts: what may still fail on it.
        is_somebody: whether somebody is logged in on it now.
        admit: lets a stranger do more than log in.
        refuse: counts a refusal like one of a login, and returns after the time that one takes.
    """

    def __init__(
        self,
        names: Names,
        face: Any,
        attempts: cred.Attempts,
        *,
        is_somebody: Callable[[], bool],
        admit: Callable[[], None],
        refuse: Callable[[], Awaitable[None]],
    ) -> None:
        self._names = names
        self._face = face
        self._attempts = attempts
        self._is_somebody = is_somebody
        self._admit = admit
        self._refuse = refuse
        self._asked = 0  # secret names that are being looked up
        # By the object, not by its name: that may be another one's by now. It is held here, and so is its id.
        self._handed_out: dict[int, object] = {}
        self._most = KEPT
        self._held = Held(names.grants, face, names.clock, self._handed_out)
        face.watch(self._held.forget_all)

    async def resolve(self, name: str) -> object:
        """Return the object of a name. Raises NoSuchObject for every reason, of a secret name in due time."""
        if not is_secret(name):
            found = self._names.published.find(name) if self._is_somebody() else None
            if found is None:
                raise no_such_name()  # no secret: a guess gains nothing, and who forgot to log in guesses not
            self._hand_out(found)
            return found
        if self._asked < self._attempts.left:  # else more could be tried at once than one after the other
            self._asked += 1
            try:
                found = await self._load(name)
            finally:
                self._asked -= 1
            if found is not None:
                self._admit()
                return found
        await self._refuse()
        raise no_such_name()

    async def _load(self, name: str) -> object | None:
        grant = self._names.begin(name)
        try:
            found = await self._names.load(name, self._face.broker.tables.peer_name)
            if found is not None and not grant.is_over:
                self._held.keep(grant, *found)
        finally:
            if grant.value is None:
                self._names.grants.discard(grant)
        return None if found is None or grant.is_over else found[0]

    def withdraw(self) -> None:
        """Take back what was handed out by its published name, if nobody is logged in any longer."""
        if self._is_somebody():
            return
        handed_out = list(self._handed_out.values())
        self._handed_out.clear()
        self._most = KEPT
        for published in handed_out:
            if not self._held.has(published):
                self._face.broker.holdings.revoke_object(published)

    def _hand_out(self, published: object) -> None:
        if len(self._handed_out) >= self._most and id(published) not in self._handed_out:
            rows_of = self._face.broker.tables.rows_of
            for key in [key for key, value in self._handed_out.items() if not rows_of(value)]:
                del self._handed_out[key]
            self._most = max(KEPT, 2 * len(self._handed_out))
        self._handed_out[id(published)] = published
