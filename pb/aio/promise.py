"""The result of a remote call, before it is there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pb._calls import Calls


class Promise(asyncio.Future[Any]):
    """What a remote call returns: await it for the value.

    It is an `asyncio.Future`, so that `gather`, `wait_for`, `wait` and `add_done_callback` take it as it
    is, without a task around it. Cancelling it asks the callee to stop. One that nobody awaits is
    not cancelled; its error is logged once.
    """

    __slots__ = ("_pb_calls", "_pb_id")

    _pb_calls: Calls
    _pb_id: int

    def call_started(self, id: int) -> None:
        """Note the id of a call that had to wait for its turn."""
        self._pb_id = id

    def cancel(self, msg: Any | None = None) -> bool:
        """Ask the callee to stop, and give up waiting. Returns False if the outcome is already there."""
        if not super().cancel(msg):
            return False
        self._pb_calls.cancel(self._pb_id, self)
        return True
