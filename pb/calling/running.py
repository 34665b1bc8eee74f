"""The calls of the peer that have no answer yet, in the four ways they can be under way.

Each has `cancel()` and `is_cancelled`. Spec: spec/3-messages.md, CALL and CANCEL.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..context import Inherited, inherited, serving
from ..dispatch import Kind
from ..errors import Cancelled, DeadlineExceeded, Gone, NotExecuted, OutcomeUnknown

if TYPE_CHECKING:
    from ..caches.replica import Replica
    from ..holding.export import Export
    from ..holding.scope import Scope
    from ..promises.slots import Slot, Slots
    from .keeping import Load
    from .serving import Serving


def drop(awaitable: Any) -> None:
    """Take back what was not begun."""
    for name in ("close", "cancel"):  # of a coroutine, of a future
        stop = getattr(awaitable, name, None)
        if stop is not None:
            stop()


def stopped_here() -> Cancelled:
    """Return what the caller is told where this program has stopped a method, or what it waited for."""
    return Cancelled("the program that served the call has stopped it")


class Served:
    """A call that is still running.

    Attributes:
        call: what its method, and whatever that begins, finds as the call it serves.
        connection: what its method sees as its connection; only behind the end, when nobody else keeps it.
        id: of the call; 0 where no answer is wanted, or any more.
        is_told: whether the caller was told already that it is stopped, and waits no longer.
    """

    __slots__ = (
        "awaitable",
        "call",
        "connection",
        "export",
        "id",
        "is_cancelled",
        "is_late",
        "is_told",
        "scope",
        "task",
    )

    def __init__(self, id: int, export: Export | Replica, awaitable: Awaitable[Any]) -> None:
        self.id = id
        self.export = export
        self.scope = export.scope
        self.awaitable = awaitable
        self.call: object = serving.get()
        self.is_cancelled = False
        self.is_late = False
        self.is_told = False
        self.task: Any = None
        self.connection: Any

    @property
    def is_update(self) -> bool:
        """Whether it changes a replica and wants no answer."""
        return not self.id and not self.is_told and self.export.kind is Kind.REPLICA

    def drop(self) -> None:
        """Take back what was not begun."""
        drop(self.awaitable)

    def expire(self) -> None:
        """Stop it: its time is over."""
        if not self.is_cancelled:
            self.is_late = True
            self.scope.broker.streams.stop_of_call(self.id)
            self.cancel()

    @property
    def is_stopped(self) -> bool:
        """Whether it was told to end: for its caller, for its time, or by this program, which ends too."""
        return self.is_cancelled or (self.task is not None and self.task.cancelling() > 0)

    def why_ended(self) -> Exception:
        """Return what the caller is told of a call that was stopped."""
        if not self.is_cancelled:
            return stopped_here()
        if self.is_late:
            return DeadlineExceeded("the time for the call is over; it was stopped")
        return Cancelled("cancelled by caller")

    def cancel(self) -> None:
        """Stop it; one that has not begun does not begin."""
        self.is_cancelled = True
        if self.task is not None:  # None: it is in its first step right now
            self.task.cancel()


@dataclass(eq=False, slots=True)
class Held:
    """A call that has not begun: the peer does not read what is answered.

    Attributes:
        load: what its arguments count as long as it is under way.
    """

    serving: Serving
    id: int
    export: Export | Replica
    function: Any
    method: str
    args: list[Any]
    kwargs: dict[str, Any]
    at: float | None
    load: Load = 0
    is_cancelled: bool = False
    number: int = 0  # its place, if it waits behind calls that name results
    passed: Inherited | None = field(default_factory=inherited.get)

    def run(self) -> None:
        """Run it now, with all that its caller has passed on."""
        token = inherited.set(self.passed)
        try:
            self.serving.run_late(
                self.id, self.export, self.function, self.method, self.args, self.kwargs, self.at, self.load
            )
        finally:
            inherited.reset(token)

    def cancel(self) -> None:
        """Take it back."""
        self.is_cancelled = True
        self.serving.drop_held(self)


class Waiting:
    """A call that names results which are not there yet; its payload is not read before.

    Attributes:
        target: a slot, from its answer on the object; None where nothing has that id.
        scope: that of the object; until it is known, that of the root.
        number: its place among those that wait.
    """

    __slots__ = (
        "_slots",
        "at",
        "id",
        "is_cancelled",
        "method",
        "needs",
        "number",
        "passed",
        "payload",
        "scope",
        "target",
    )

    def __init__(
        self,
        slots: Slots,
        id: int,
        target: Slot | Export | None,
        method: str,
        payload: bytes,
        needs: dict[int, Slot],
        scope: Scope,
        at: float | None,
    ) -> None:
        self._slots = slots
        self.id = id
        self.target = target
        self.method = method
        self.payload = payload
        self.needs = needs
        self.number = 0
        self.scope = scope
        self.at = at
        self.passed = inherited.get()
        self.is_cancelled = False

    def cancel(self) -> None:
        """Take it back."""
        self.is_cancelled = True
        self._slots.drop(self, Cancelled("cancelled by caller"))

    def expire(self) -> None:
        """End it: its time is over before what it waits for has come."""
        self.is_cancelled = True
        self._slots.drop(self, DeadlineExceeded("the time for the call is over; it was not run"))


class Relay:
    """A call that is passed on to the connection its target came over; takes the outcome there."""

    __slots__ = ("_is_over", "_serving", "export", "id", "is_cancelled", "reference", "relayed_id", "scope")

    def __init__(self, serving: Serving, id: int, export: Export) -> None:
        self._serving = serving
        self.id = id
        self.export = export
        self.scope = export.scope
        self.reference = export.object
        self.relayed_id = 0
        self.is_cancelled = False
        self._is_over = False

    def cancel(self) -> None:
        """Pass the CANCEL on; the outcome arrives as ever."""
        self.is_cancelled = True
        self.reference._pb_import.scope.broker.calls.cancel(self.relayed_id, self)

    def call_started(self, id: int) -> None:
        """Note the id of a call that had to wait for its turn."""
        self.relayed_id = id

    def done(self) -> bool:
        """Return whether the peer has been told; until then whatever comes is passed back."""
        return self._is_over

    def take_away(self, error: Exception) -> None:
        """Tell the peer at once, and pass a CANCEL on: what it is called on was taken away."""
        self.set_exception(error)
        self.cancel()

    def set_result(self, value: object) -> None:
        """Pass a value back."""
        self._is_over = True
        self._serving.finish(self.id, self)
        self._serving.answer(self.id, self.scope, value)
        self.scope.direct.leave()
        self._serving.settled()

    def set_exception(self, error: BaseException) -> None:
        """Pass an error back as it is: it was disclosed by the other side, not by this one."""
        self._is_over = True
        if isinstance(error, NotExecuted):
            error = Gone(f"the connection to the object was lost; {error}")
        elif isinstance(error, OutcomeUnknown):
            error = Gone(
                "the connection to the object was lost while the call was under way; it may have run"
            )
        self._serving.finish(self.id, self)
        self._serving.fail(self.id, self.scope, error, relayed=True)
        self.scope.direct.leave()
        self._serving.settled()
