"""The calls of this side, as hooks are told of them. See `pb.watching.watching`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ..caches.observing import ObserverHandle
from ..calling.calls import Calls
from ..calling.giving_up import innermost
from ..context import Inherited, inherited, serving
from ..hooks import CallEvent
from ..promises.pipelining import Unheard, call_result
from ..promises.promised import Promised
from .watch import CallWatch, Watch

if TYPE_CHECKING:
    from jelly import Bulk

    from ..holding.scope import Scope
    from ..reference import Import

_make: Final = Calls.make  # not by super(), which costs 0.2 us a call
_encode: Final = Calls.encode
_receive_answer: Final = Calls.receive_answer


class MadeCall(CallEvent):
    """A call of this side as hooks are told of it, and its outcome on the way to who waits for that.

    One object for both, because two cost more than all else about a call that is told.
    """

    __slots__ = ("_calls", "_id", "_outcome", "_sent")

    side = "caller"

    # In `_begun`, behind what all have: the id of the object.
    _calls: WatchedCalls
    _id: int  # not before its start was told
    _sent: tuple[int, int]  # the id of a call that was encoded, and the bytes: its own once the ids agree
    _outcome: Any  # None once it has its value or error: who keeps what was told must not keep those

    @property
    def object_id(self) -> int:
        """The object's id on this connection; the owner's. 0 is the root."""
        id: int = self._begun[3]
        return id

    @property
    def call_id(self) -> int:
        """That of the call; 0 where no answer is wanted, and until it is sent."""
        return getattr(self, "_id", 0)

    @property
    def bytes_in(self) -> int:
        """How long the answer is."""
        return 0 if self._ended is None else self._ended[2]

    @property
    def bytes_out(self) -> int:
        """How long the payload of the arguments is."""
        id, size = getattr(self, "_sent", (0, 0))
        return size if id == self.call_id else 0

    @property
    def parent(self) -> CallEvent | None:
        """In `call_started`, the call that is served and makes this one; None for none, and later.

        It is known where hooks are told of the calls of that connection too.
        """
        if hasattr(self, "_id"):
            return None
        found = serving.get()
        if found is not None and found[1]:
            begun: dict[int, CallEvent] = getattr(found[0].broker.serving, "begun", {})
            return begun.get(found[1])
        passed = inherited.get()
        return None if passed is None else passed.call

    def done(self) -> bool:
        """Tell whether nobody waits for the outcome any longer."""
        outcome = self._outcome
        return outcome is None or bool(outcome.done())

    def call_started(self, id: int) -> None:
        """Note the id of a call that had to wait for its turn, and its size."""
        self._id = id
        self._sent = self._calls.encoded
        if self._outcome is not None:  # pragma: no branch - else a promise among its arguments has failed
            self._outcome.call_started(id)

    def call_moved(self, calls: Any) -> None:
        """Note that the call is made elsewhere."""
        self._outcome.call_moved(calls)

    def set_result(self, value: object) -> None:
        """Take the value."""
        calls = self._calls
        outcome = self._outcome
        if calls.later:
            calls.later.pop(outcome, None)
        calls.told.ended(self, "answered", self._size_of_answer())
        self._outcome = None
        outcome.set_result(value)

    def set_exception(self, error: BaseException) -> None:
        """Take the error."""
        calls = self._calls
        outcome = self._outcome
        calls.later.pop(outcome, None)
        calls.told.raised(self, error, self._size_of_answer())
        self._outcome = None
        outcome.set_exception(error)

    def _size_of_answer(self) -> int:
        """Return the bytes of the answer that is being received; 0 where it ends without one of its own."""
        arriving = self._calls.arriving
        return len(arriving[2]) if arriving is not None and arriving[1] == self._id else 0

    def give_up(self) -> None:
        """Note that nobody waits any longer."""
        self._calls.later.pop(self._outcome, None)
        self._calls.told.ended(self, "cancelled")


class WatchedCalls(Calls):
    """The calls of this side, as hooks are told of them.

    Attributes:
        told: whom to tell.
        later: calls that were not sent when they were made, until they end, by who waits for their outcome.
        encoded: the id of the call that was encoded last, and the bytes of its payload.
        arriving: the ANSWER or ERROR that is being received.
    """

    __slots__ = ("arriving", "encoded", "later", "told", "watch")

    told: CallWatch

    def __init__(self, watch: Watch, *rest: Any) -> None:
        super().__init__(*rest)
        self.watch = watch
        self.told = watch.caller
        self.encoded = (0, 0)
        self.arriving: list[Any] | None = None
        self.later: dict[Any, MadeCall] = {}

    def _begin(
        self, scope: Scope, method: str, object_id: int, passed: Inherited | None, outcome: Any
    ) -> MadeCall:
        """Tell that a call is made."""
        told = self.told
        call = MadeCall()
        call._calls = self
        call._outcome = outcome
        call._begun = scope, method, told.clock(), object_id
        call._ended = None
        call.trace = None if passed is None else passed.trace
        told.begun(call)
        call._id = 0
        return call

    def make(
        self,
        handle: Import | ObserverHandle,
        method: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        outcome: Any,
        scope: Scope | None = None,
        at: float | None = None,
    ) -> int:
        """Call a method of the peer's object; see `Calls`."""
        if type(outcome) is MadeCall:  # it had to wait
            return _make(self, handle, method, args, kwargs, outcome, scope, at)
        passed = inherited.get()
        call = self._begin(handle.scope, method, handle.id, passed, outcome)
        token = None if passed is None and call.trace is None else _put_in(call, passed)
        try:
            id = _make(self, handle, method, args, kwargs, call, scope, at)
        except BaseException as error:
            self.told.raised(call, error)
            call._outcome = None
            raise
        finally:
            if token is not None:
                inherited.reset(token)
        if id:
            call._id = id
            call._sent = self.encoded
        elif call._ended is None:  # pragma: no branch - else a promise among its arguments has failed
            self.later[outcome] = call
        return id

    def call_promised(
        self,
        promised: Promised,
        method: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        outcome: Any,
        at: float | None,
    ) -> None:
        """Call what another call will return; see `pb.promises.pipelining`."""
        passed = inherited.get()
        outcome = Unheard(self, method) if outcome is None else outcome
        call = self._begin(self.tables_scope, method, 0, passed, outcome)
        token = _put_in(call, passed)
        try:
            call_result(promised, method, args, kwargs, call, at)
        finally:
            if token is not None:
                inherited.reset(token)
        if not call._id and call._ended is None:
            self.later[outcome] = call

    @property
    def tables_scope(self) -> Scope:
        """The scope of nobody: on whose behalf a result is called is not known before it is there."""
        scope: Scope = self.face.broker.scope
        return scope

    def send(
        self,
        handle: Import | ObserverHandle,
        method: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        scope: Scope | None = None,
    ) -> None:
        """Call a method and want no answer; see `Calls`."""
        if type(handle) is ObserverHandle:  # an update, which is no call
            super().send(handle, method, args, kwargs, scope)
            return
        passed = inherited.get()
        call = self._begin(handle.scope, method, handle.id, passed, None)
        token = _put_in(call, passed)
        try:
            super().send(handle, method, args, kwargs, scope)
        except BaseException as error:
            self.told.raised(call, error)
            raise
        finally:
            if token is not None:
                inherited.reset(token)
        self.told.ended(call, "sent")

    def encode(
        self, scope: Any, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> bytes | Bulk:
        """Return the payload of a call, whose id is the next."""
        payload = _encode(self, scope, method, args, kwargs)
        self.encoded = self.next_id, len(payload)
        return payload

    def cancel(self, id: int, outcome: Any) -> None:
        """Ask the callee to stop."""
        call = self._find(id, outcome)
        if call is not None:
            call.give_up()
        super().cancel(id, outcome if call is None else call)

    def _find(self, id: int, outcome: Any) -> MadeCall | None:
        """Return the call whose outcome somebody waits for; None for one that has ended."""
        found, _ = self.pending.get(id, (None, None))
        found = innermost(found)
        return found if type(found) is MadeCall else self.later.get(outcome)

    def receive_answer(self, envelope: list[Any]) -> None:
        """Settle a call with its value."""
        self.arriving = envelope
        try:
            _receive_answer(self, envelope)
        finally:
            self.arriving = None

    def receive_error(self, envelope: list[Any]) -> None:
        """Settle a call with its error."""
        self.arriving = envelope
        try:
            Calls.receive_error(self, envelope)
        finally:
            self.arriving = None


def _put_in(call: CallEvent, passed: Inherited | None) -> Any:
    """Let what is done from here on belong to the trace that hooks have chosen for a call, if they have."""
    if call.trace is (None if passed is None else passed.trace):
        return None
    return inherited.set((passed or Inherited())._replace(trace=call.trace))
