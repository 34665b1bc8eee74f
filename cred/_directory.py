"""Directory: what a login may ask of the store. Nothing here changes anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from ._types import IdentityStore
from ._waiting import never_waits
from .credential import Credential
from .errors import LoginFailed
from .identity import IdentityRecord, PasswordRecord
from .passwords import DEFAULT_ITERATIONS, MockHash, mock_hash

# Counting all hashes of a big store for each login would be work that any stranger can ask for.
HISTOGRAM_AGE_S = 60.0


class Directory:
    """Look identities up for a login, and stand in for those that are not there.

    Args:
        iterations: what stands in while no identity has a password.

    Attributes:
        never_waits: whether the store says so of itself.
    """

    def __init__(
        self,
        store: IdentityStore,
        *,
        iterations: int = DEFAULT_ITERATIONS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.never_waits = never_waits(store)
        self._store = store
        self._iterations = iterations
        self._clock = clock
        self._histogram: Mapping[int, int] = {}
        self._counted_at: float | None = None

    async def record(self, name: str) -> IdentityRecord | None:
        """Return what the store has under a name, disabled or not, or None.

        It takes longer where there is more to read: ask when something was proven, not before.
        """
        return await self._store.get(name)

    def password(self, name: str) -> Coroutine[Any, Any, PasswordRecord]:
        """Return, when awaited, hash, state and epoch of a name, known or not, in the same time for all."""
        return self._store.get_password(name)

    async def record_since(self, name: str, began: PasswordRecord) -> IdentityRecord:
        """Return what the store has under a name that was proven.

        Args:
            began: what `password` returned when the login began.

        Raises:
            LoginFailed: it is disabled, or a right was taken away since.
        """
        record = await self._store.get(name)
        if record is None or record.disabled or record.epoch != began.epoch:
            raise LoginFailed("disabled, or the identity changed while it logged in")
        return record

    async def mock_hash(self, name: str) -> MockHash:
        """Return the hash that stands in for a name without one. Ask for it whether it is needed or not."""
        now = self._clock()
        if self._counted_at is None or now - self._counted_at >= HISTOGRAM_AGE_S:
            counts = await self._store.iteration_counts()
            self._histogram = counts or {self._iterations: 1}
            self._counted_at = now
        return mock_hash(await self._store.secret(), name, self._histogram)

    async def names_with(self, credential: Credential) -> list[str]:
        """Return the names of the identities that list this credential, sorted."""
        return await self._store.names_with(credential)
