"""The result of a remote call, before it is there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from .stream import Rows

if TYPE_CHECKING:
    from pb._calls import Calls


class Promise(asyncio.Future[Any]):
    """What a remote call returns: await it for the value.

    It is an `asyncio.Future`, so that `gather`, `wait_for`, `wait` and `add_done_callback` take it as it
    is, without a task around it. Cancelling it asks the callee to stop. One that nobody awaits is
    not cancelled; its error is logged once, with the name of the method.
    """

    __slots__ = ("_pb_calls", "_pb_id", "_pb_name", "_pb_reference")

    _pb_calls: Calls
    _pb_id: int
    _pb_name: str
    _pb_reference: object  # kept: what is called must not be released while it answers

    def call_started(self, id: int) -> None:
        """Note the id of a call that had to wait for its turn."""
        self._pb_id = id

    def cancel(self, msg: Any | None = None) -> bool:
        """Ask the callee to stop, and give up waiting. Returns False if the outcome is already there."""
        if not super().cancel(msg):
            return False
        self._pb_calls.cancel(self._pb_id, self)
        return True

    def __aiter__(self) -> Rows:
        """Go through the stream that the call returns: `async for row in reference.rows():`."""
        return Rows(self)

    def __repr__(self) -> str:
        # Not asyncio's, which shows the value: that is the peer's, and what is shown may be logged.
        name = getattr(self, "_pb_name", "a call")
        return f"<Promise of {name}, {self._state_in_words()}>"

    def _state_in_words(self) -> str:
        if not self.done():
            return "no answer yet" if getattr(self, "_pb_id", 0) else "not sent yet"
        if self.cancelled():
            return "cancelled"
        # exception() would count as having looked at it, and then nobody logs it.
        error: BaseException | None = self._exception
        return "done" if error is None else f"failed with {type(error).__name__}"
