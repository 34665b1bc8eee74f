"""An update of a replica that is answered. Spec: spec/7-caches.md.

It keeps its place among the updates: where those wait for the snapshot, so does this, and gets its id only
when it is put, because ids increase on the wire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jelly import Bulk

from ._payloads import put_message
from .errors import NotExecuted

if TYPE_CHECKING:
    from ._calls import Calls
    from ._observing import ObserverHandle


class Question:
    """An update of a replica that is answered."""

    __slots__ = ("_calls", "_handle", "_method", "_outcome", "_payload")

    def __init__(
        self, calls: Calls, handle: ObserverHandle, method: str, payload: bytes | Bulk, outcome: Any
    ) -> None:
        self._calls = calls
        self._handle = handle
        self._method = method
        self._payload = payload
        self._outcome = outcome

    def put(self) -> int:
        """Queue it, unless nobody wants the answer any more; return its id."""
        calls, handle, outcome = self._calls, self._handle, self._outcome
        if outcome.done():
            return 0
        id = calls.next_id
        calls.next_id = id + 1
        calls.pending[id] = (outcome, handle.scope)
        outcome.call_started(id)
        put_message(calls.outbox, calls.pack, [handle.code, id, handle.id, self._method], self._payload)
        return id

    def drop(self) -> None:
        """Settle it: the payload with the snapshot was not sent."""
        if not self._outcome.done():
            self._outcome.set_exception(NotExecuted("the replica that was to be asked never came to be"))
