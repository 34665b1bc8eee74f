"""The end of calls that get no answer: settled, each once, with what is certain about them.

Spec: spec/2-frames.md, "The end".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ..context import Inherited
from ..errors import ConnectionLost, NotExecuted, OutcomeUnknown

if TYPE_CHECKING:
    from ..bounds.room import Room
    from ..caches.observing import ObserverHandle
    from ..holding.scope import Scope
    from ..reference import Import

# What is called and how, as long as it waits for its turn; the outcome of a call without answer is None.
Waiting = tuple[
    object,
    "Import | ObserverHandle",
    str,
    tuple[Any, ...],
    Mapping[str, Any],
    "Scope | None",
    Inherited | None,
    Any,
]
# What nobody waits in: an empty deque takes 760 bytes of an idle connection. Nothing is ever appended to it.
NOTHING: Final[deque[Any]] = deque(maxlen=0)


class Ending:
    """What `Calls` knows of the end of the connection."""

    __slots__ = (
        "_waiting",
        "bye_id",
        "end_reason",
        "is_open",
        "last_run",
        "peer_max_calls",
        "pending",
        "remedy",
        "written_id",
    )

    pending: dict[int, tuple[Any, Scope]]
    last_run: int | None
    is_open: bool
    end_reason: str
    remedy: str  # for who has a reference whose connection has ended
    peer_max_calls: int
    written_id: int
    bye_id: int
    _waiting: deque[Waiting]
    room: Room

    @property
    def waiting(self) -> int:
        """How many calls and messages wait for their turn."""
        return len(self._waiting)

    def fail_not_run(self, last: int, reason: str) -> None:
        """Fail the calls that the peer's BYE says did not run."""
        self.last_run = last
        for id in [id for id in self.pending if self._is_refused(id)]:
            outcome, _ = self.pending.pop(id)
            if not outcome.done():
                outcome.set_exception(NotExecuted(f"the call did not run: {reason}"))
        self._fail_waiting(reason)

    def stop(self, reason: str) -> None:
        """Take no more calls, except from handlers that still serve the peer."""
        self.is_open = False
        self.end_reason = reason
        self._fail_waiting(reason)

    def fail_all(self, reason: str) -> None:
        """Settle every call: the connection has ended. What was never written did certainly not run."""
        self.is_open = False
        self.peer_max_calls = 0
        self.end_reason = reason
        self._fail_waiting(reason)
        pending, self.pending = self.pending, {}
        for id, (outcome, _) in pending.items():
            if outcome.done():
                continue
            error: ConnectionLost
            if id > self.written_id or self._is_refused(id):
                error = NotExecuted(f"the call did not run: {reason}")
            else:
                error = OutcomeUnknown(f"the call was sent, and there was no answer: {reason}")
            outcome.set_exception(error)

    def _is_refused(self, id: int) -> bool:
        """Whether the peer's BYE says that a call did not run.

        What was sent after our own BYE serves the peer's calls, and `last` does not speak of it.
        """
        is_before_bye = not self.bye_id or id < self.bye_id
        return self.last_run is not None and id > self.last_run and is_before_bye

    def take_waiting(self, scope: Scope) -> list[Any]:
        """Let calls under an attachment wait no longer; return the outcomes of those that want an answer."""
        taken = [call for call in self._waiting if call[1].scope is scope]
        for call in taken:
            self._waiting.remove(call)
            if call[-1] is None:
                self.room.started()
        return [call[-1] for call in taken if call[-1] is not None]

    def _fail_waiting(self, reason: str) -> None:
        waiting, self._waiting = self._waiting, NOTHING
        self.room.waiting = 0
        for *_, outcome in waiting:
            if outcome is not None and not outcome.done():
                outcome.set_exception(NotExecuted(f"the call was not sent: {reason}"))
