"""Calls of the peer that are not run, or not to their end.

Spec: spec/3-messages.md, CANCEL; spec/2-frames.md, "The end".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import messages
from ..context import serving
from ..errors import ProtocolError
from .postponing import Postponing
from .running import Relay, Served

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..holding.scope import Scope
    from .running import Held, Waiting


class Cancelling(Postponing):
    """What `Serving` knows of calls that end before they are over.

    Attributes:
        last_id: of the calls that have come.
    """

    __slots__ = ("last_id",)

    if TYPE_CHECKING:
        base: Scope
        last_id: int
        running: dict[int, Served | Relay | Held | Waiting]
        _quiet: dict[Served | Relay | Held | Waiting, None]

    def drop_call(self, envelope: list[Any]) -> None:
        """Ignore a call that crossed our BYE, which tells the caller that it did not run."""
        id = envelope[1] if len(envelope) in (5, 6) else None
        if type(id) is not int or (id and not self.last_id < id <= messages.MAX_ID):
            raise ProtocolError("CALL whose id is not above all earlier ones")
        if id:
            self.last_id = id
            self.taken += 1

    def receive_cancel(self, envelope: list[Any]) -> None:
        """Ask a running call to stop; one that has been answered meanwhile is left alone."""
        if len(envelope) != 2 or type(envelope[1]) is not int:
            raise ProtocolError("CANCEL is [4, id]")
        id = envelope[1]
        if not 1 <= id <= self.last_id:
            raise ProtocolError(f"CANCEL of call {id}, which was never made")
        served = self.running.get(id)
        if served is not None and not served.is_cancelled:
            self.base.broker.streams.stop_of_call(id)
            served.cancel()
        else:
            self.budget.draw(self.taken, "a CANCEL of a call that has ended")

    def take_away(self, is_meant: Callable[[Served | Relay], bool], error: Callable[[], Exception]) -> None:
        """End the calls of what was just taken away: the caller is told at once, the method stopped (PB-R37).

        The call that has taken it away is let finish: what it ended was its own. Those that have not begun
        are told when their turn comes.
        """
        own = serving.get()
        for served in [*self.running.values(), *self._quiet]:
            if not isinstance(served, Served | Relay) or not is_meant(served):
                continue
            id = served.id
            is_own = own is not None and getattr(served, "call", None) is own
            if is_own or (id and self.running.get(id) is not served):
                continue
            self.base.broker.streams.stop_of_call(id)
            if isinstance(served, Relay):
                served.take_away(error())
                continue
            if id:  # it counts until it has ended, and a CANCEL of it comes too late
                del self.running[id]
                served.id, served.is_told = 0, True
                self._quiet[served] = None
                self.fail(id, served.scope, error())
            if not served.is_cancelled:
                served.cancel()

    def abandon(self) -> None:
        """Stop whatever is running: nobody waits for it any longer."""
        for served in [*self.running.values(), *self._quiet]:
            if type(served) is Served:
                served.connection = self.base.broker.connection
            if not served.is_cancelled:
                served.cancel()
        slots, self.slots = self.slots, None
        if slots is not None:
            slots.clear()
