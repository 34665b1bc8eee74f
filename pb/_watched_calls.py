"""The calls of this side, as hooks are told of them. See `pb._watching`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._calls import Calls
from ._observing import ObserverHandle
from ._pipelining import Unheard, call_result
from ._watch import Watch
from .context import Inherited, inherited

if TYPE_CHECKING:
    from jelly import Bulk

    from ._promised import Promised
    from ._scope import Scope
    from .hooks import CallEvent
    from .reference import Import


class Watched:
    """The outcome of a call of ours, on its way to who waits for it."""

    __slots__ = ("_calls", "call", "outcome")

    def __init__(self, calls: WatchedCalls, call: CallEvent, outcome: Any) -> None:
        self._calls = calls
        self.call = call
        self.outcome = outcome

    def done(self) -> bool:
        """Whether nobody waits for the outcome any longer."""
        done: bool = self.outcome.done()
        return done

    def sent(self, id: int) -> None:
        """Note the id of a call that has been sent, and its size."""
        self.call.call_id = id
        if self._calls.encoded[0] == id:  # pragma: no branch - else what was sent with it is a call too
            self.call.bytes_out = self._calls.encoded[1]

    def call_started(self, id: int) -> None:
        """Note the id of a call that had to wait for its turn."""
        self.sent(id)
        self.outcome.call_started(id)

    def call_moved(self, calls: Any) -> None:
        """Note that the call is made elsewhere."""
        self.outcome.call_moved(calls)

    def set_result(self, value: object) -> None:
        """Take the value."""
        self._over().ended(self.call, "answered")
        self.outcome.set_result(value)

    def set_exception(self, error: BaseException) -> None:
        """Take the error."""
        self._over().raised(self.call, error)
        self.outcome.set_exception(error)

    def give_up(self) -> None:
        """Note that nobody waits any longer."""
        self._over().ended(self.call, "cancelled")

    def _over(self) -> Watch:
        self._calls.forget(self.outcome)
        self.call.bytes_in = self._calls.arriving
        watch: Watch = self._calls.watch
        return watch


class WatchedCalls(Calls):
    """The calls of this side, as hooks are told of them.

    Attributes:
        encoded: id and size of the call that was encoded last.
        arriving: the size of the answer that is being received.
    """

    __slots__ = ("_watched", "arriving", "encoded", "watch")

    def __init__(self, watch: Watch, *rest: Any) -> None:
        super().__init__(*rest)
        self.watch = watch
        watch.call_promised = self.call_promised
        self.encoded = (0, 0)
        self.arriving = 0
        self._watched: dict[Any, Watched] = {}

    def forget(self, outcome: Any) -> None:
        """Forget a call: it is over."""
        self._watched.pop(outcome, None)

    def _begin(self, scope: Scope, method: str, object_id: int, outcome: Any) -> Watched:
        call = self.watch.event("caller", scope, method, object_id=object_id)
        self.watch.started(call)
        watched = Watched(self, call, outcome)
        if outcome is not None:
            self._watched[outcome] = watched
        return watched

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
            return super().make(handle, method, args, kwargs, outcome, scope, at)
        watched = self._begin(handle.scope.direct, method, handle.id, outcome)
        token = _put_in(watched.call)
        try:
            id = super().make(handle, method, args, kwargs, watched, scope, at)
        except BaseException as error:
            self.forget(outcome)
            self.watch.raised(watched.call, error)
            raise
        finally:
            inherited.reset(token)
        if id:
            watched.sent(id)
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
        """Call what another call will return; see `pb._pipelining`."""
        watched = self._begin(self.tables_scope, method, 0, outcome or Unheard(method))
        token = _put_in(watched.call)
        try:
            call_result(promised, method, args, kwargs, watched, at)
        finally:
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
        call = self._begin(handle.scope.direct, method, handle.id, None).call
        token = _put_in(call)
        try:
            super().send(handle, method, args, kwargs, scope)
        except BaseException as error:
            self.watch.raised(call, error)
            raise
        finally:
            inherited.reset(token)
        self.watch.ended(call, "sent")

    def encode(
        self, scope: Any, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> bytes | Bulk:
        """Return the payload of a call, whose id is the next."""
        payload = super().encode(scope, method, args, kwargs)
        self.encoded = (self.next_id, len(payload))
        return payload

    def cancel(self, id: int, outcome: Any) -> None:
        """Ask the callee to stop."""
        watched = self._watched.get(outcome)
        if watched is not None:
            watched.give_up()
        super().cancel(id, outcome if watched is None else watched)

    def receive_answer(self, envelope: list[Any]) -> None:
        """Settle a call with its value."""
        self._receive(super().receive_answer, envelope)

    def receive_error(self, envelope: list[Any]) -> None:
        """Settle a call with its error."""
        self._receive(super().receive_error, envelope)

    def _receive(self, receive: Any, envelope: list[Any]) -> None:
        payload = envelope[-1]
        self.arriving = len(payload) if isinstance(payload, bytes | memoryview) else 0
        try:
            receive(envelope)
        finally:
            self.arriving = 0


def _put_in(call: CallEvent) -> Any:
    """Let what is done from here on belong to the trace that hooks have chosen for a call."""
    found = inherited.get() or Inherited()
    return inherited.set(found._replace(trace=call.trace))
