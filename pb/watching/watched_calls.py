"""The calls of this side, as hooks are told of them. See `pb.watching.watching`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..caches.observing import ObserverHandle
from ..calling.calls import Calls
from ..context import Inherited, inherited, serving
from ..hooks import CallEvent
from ..promises.pipelining import Unheard, call_result
from .watch import CallWatch, Watch

if TYPE_CHECKING:
    from jelly import Bulk

    from ..holding.scope import Scope
    from ..promises.promised import Promised
    from ..reference import Import


class Watched:
    """The outcome of a call of ours, on its way to who waits for it.

    Attributes:
        done: tells whether nobody waits for the outcome any longer.
    """

    __slots__ = ("_calls", "call", "done", "outcome")

    def __init__(self, calls: WatchedCalls, call: CallEvent, outcome: Any) -> None:
        self._calls = calls
        self.call = call
        self.outcome = outcome
        self.done = outcome.done

    def call_started(self, id: int) -> None:
        """Note the id of a call that had to wait for its turn, and its size."""
        calls = self._calls
        self.call.call_id = id
        if calls.encoded_id == id:  # pragma: no branch - else what was sent with it is a call too
            self.call.bytes_out = calls.encoded_size
        self.outcome.call_started(id)

    def call_moved(self, calls: Any) -> None:
        """Note that the call is made elsewhere."""
        self.outcome.call_moved(calls)

    def set_result(self, value: object) -> None:
        """Take the value."""
        calls = self._calls
        outcome = self.outcome
        calls.watched.pop(outcome, None)
        call = self.call
        arriving = calls.arriving
        if arriving is not None and arriving[1] == call.call_id:  # `_over`, spelled out
            call.bytes_in = len(arriving[2])
        calls.told.ended(call, "answered")
        outcome.set_result(value)

    def set_exception(self, error: BaseException) -> None:
        """Take the error."""
        self._over().raised(self.call, error)
        self.outcome.set_exception(error)

    def give_up(self) -> None:
        """Note that nobody waits any longer."""
        self._over().ended(self.call, "cancelled")

    def _over(self) -> CallWatch:
        calls = self._calls
        calls.watched.pop(self.outcome, None)
        arriving = calls.arriving
        if arriving is not None and arriving[1] == self.call.call_id:
            self.call.bytes_in = len(arriving[2])
        told: CallWatch = calls.told
        return told


class WatchedCalls(Calls):
    """The calls of this side, as hooks are told of them.

    Attributes:
        told: whom to tell.
        watched: the calls that have not ended, by who waits for their outcome.
        encoded_id, encoded_size: of the call that was encoded last.
        arriving: the ANSWER or ERROR that is being received.
    """

    __slots__ = ("arriving", "encoded_id", "encoded_size", "told", "watch", "watched")

    def __init__(self, watch: Watch, *rest: Any) -> None:
        super().__init__(*rest)
        self.watch = watch
        self.told = watch.caller
        watch.call_promised = self.call_promised
        self.encoded_id = self.encoded_size = 0
        self.arriving: list[Any] | None = None
        self.watched: dict[Any, Watched] = {}

    def _begin(self, scope: Scope, method: str, object_id: int, passed: Inherited | None) -> CallEvent:
        """Tell that a call is made."""
        told = self.told
        call = CallEvent("caller", scope, method, told.clock())
        call.object_id = object_id
        call._serves = serving.get()
        if passed is not None:
            call.trace = passed.trace
            call._parent = passed.call
        if told.starts:
            told.started(call)
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
        if type(outcome) is Watched:  # it had to wait
            return Calls.make(self, handle, method, args, kwargs, outcome, scope, at)
        passed = inherited.get()
        call = self._begin(handle.scope.direct, method, handle.id, passed)
        watched = self.watched[outcome] = Watched(self, call, outcome)
        token = None if passed is None and call.trace is None else _put_in(call, passed)
        try:
            id = Calls.make(self, handle, method, args, kwargs, watched, scope, at)
        except BaseException as error:
            self.watched.pop(outcome, None)
            self.told.raised(call, error)
            raise
        finally:
            if token is not None:
                inherited.reset(token)
        if id:
            call.call_id = id
            if self.encoded_id == id:  # pragma: no branch - else what was sent with it is a call too
                call.bytes_out = self.encoded_size
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
        call = self._begin(self.tables_scope, method, 0, passed)
        outcome = outcome or Unheard(method)
        watched = self.watched[outcome] = Watched(self, call, outcome)
        token = _put_in(call, passed)
        try:
            call_result(promised, method, args, kwargs, watched, at)
        finally:
            if token is not None:
                inherited.reset(token)

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
        call = self._begin(handle.scope.direct, method, handle.id, passed)
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
        payload = Calls.encode(self, scope, method, args, kwargs)
        self.encoded_id = self.next_id
        self.encoded_size = len(payload)
        return payload

    def cancel(self, id: int, outcome: Any) -> None:
        """Ask the callee to stop."""
        watched = self.watched.get(outcome)
        if watched is not None:
            watched.give_up()
        super().cancel(id, outcome if watched is None else watched)

    def receive_answer(self, envelope: list[Any]) -> None:
        """Settle a call with its value."""
        self.arriving = envelope
        try:
            Calls.receive_answer(self, envelope)
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
