"""The calls of the peer, as hooks are told of them. See `pb.watching.watching`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..caches.replica import Replica
from ..calling.serving import IGNORED, Serving
from ..context import Inherited, inherited
from ..hooks import CallEvent, Login

if TYPE_CHECKING:
    from ..calling.running import Served
    from ..holding.scope import Scope


def _quiet() -> CallEvent | None:
    """Return the call that wants no answer and is served here, if there is one."""
    found = inherited.get()
    return None if found is None else found.call


class Watching:
    """What `WatchedServing` adds to a `Serving`, of whatever face."""

    __slots__ = ()

    def start(
        self,
        id: int,
        export: Any,
        scope: Any,
        function: Any,
        method: str,
        payload: Any,
        refusal: Any,
        ttl_ms: int | None,
    ) -> None:
        """Decode the arguments of a call and run it, unless it is refused."""
        if isinstance(export, Replica) or refusal is IGNORED:  # an update
            super().start(id, export, scope, function, method, payload, refusal, ttl_ms)  # type: ignore[misc]
            return
        token = self._begin(id, export, scope, method, len(payload))
        try:
            super().start(id, export, scope, function, method, payload, refusal, ttl_ms)  # type: ignore[misc]
        finally:
            if token is not None:
                inherited.reset(token)

    def _begin(self, id: int, export: Any, scope: Any, method: str, size: int) -> Any:
        """Tell that a call begins; return what takes back that what is called from here on belongs to it."""
        of: Any = self
        passed = inherited.get()
        told = of.told
        call = CallEvent("callee", scope.direct, method, told.clock())
        if passed is not None:
            call.trace = passed.trace
        call.call_id = id
        call.bytes_in = size
        if export is not None:
            call._kind = export.kind
            call._type = type(export.object)
            call.object_id = export.id
            if isinstance(export.object, Login):
                call._login = export.object
        trace = call.trace
        if told.starts:
            told.started(call)
        if not id:  # nothing else leads from what it calls to it
            return inherited.set(Inherited(None if passed is None else passed.at, call.trace, call))
        of.begun[id] = call
        if call.trace is trace:
            return None
        return inherited.set((passed or Inherited())._replace(trace=call.trace))

    def run(
        self,
        id: int,
        export: Any,
        function: Any,
        method: str,
        args: list[Any],
        kwargs: dict[str, Any],
        at: float | None,
    ) -> None:
        """Run a call."""
        of: Any = self
        if isinstance(export, Replica):
            super().run(id, export, function, method, args, kwargs, at)  # type: ignore[misc]
            return
        token = None
        call: Any = of.begun.get(id) if id else _quiet()
        if call is None:
            # It named results that were not there when it came, as only calls with an id may.
            token = self._begin(id, export, export.scope, method, 0)
            call = of.begun[id]
        entered = of.told.enter(call) if of.told.arounds else None
        try:
            super().run(id, export, function, method, args, kwargs, at)  # type: ignore[misc]
        finally:
            if entered:
                of.told.leave(entered)
            if token is not None:
                inherited.reset(token)
        if not id and not call._goes_on:
            of.told.ended(call, "answered")

    def run_on(self, served: Served, at: float | None = None) -> None:
        """Go on with a call that takes its time."""
        call = None if served.id else _quiet()
        if call is not None:
            call._goes_on = True
        super().run_on(served, at)  # type: ignore[misc]

    def _await(self, served: Served) -> Any:
        waiting = super()._await(served)  # type: ignore[misc]
        call = None if served.id or isinstance(served.export, Replica) else _quiet()
        return waiting if call is None else self._await_quiet(waiting, call)

    async def _await_quiet(self, waiting: Any, call: CallEvent) -> None:
        await waiting
        self.told.ended(call, "answered")  # type: ignore[attr-defined]

    def _answer(self, id: int, scope: Any, value: object) -> Any:
        of: Any = self
        told = of._told_answer(id, scope, value)
        call = of.begun.pop(id, None)
        if call is not None:
            of.told.answered(call, told)
        return told

    def _fail(self, id: int, scope: Any, error: BaseException, relayed: bool = False) -> Any:
        of: Any = self
        told = of._told_fail(id, scope, error, relayed)
        if id:
            call = of.begun.pop(id, None)
            if call is not None:  # pragma: no branch - else it named a result that is none, and never began
                of.told.answered(call, told)
        else:
            call = _quiet()
            if call is not None:
                of.told.raised(call, error)
        return told

    def abandon(self) -> None:
        """Stop whatever is running: nobody waits for it any longer."""
        of: Any = self
        super().abandon()  # type: ignore[misc]
        for id in [id for id in of.begun if id not in of.running]:  # they never ran
            of.told.ended(of.begun.pop(id), "lost")  # pragma: no cover - whoever drops one without a word

    def _watch(self, base: Any) -> None:
        of: Any = self
        of.told = base.broker.watch.callee
        of.begun = {}
        of._told_answer, of.answer = of.answer, of._answer
        of._told_fail, of.fail = of.fail, of._fail


class WatchedServing(Watching, Serving):
    """The calls of the peer, as hooks are told of them."""

    __slots__ = ("_told_answer", "_told_fail", "begun", "told")

    def __init__(self, base: Scope, *rest: Any, **options: Any) -> None:
        super().__init__(base, *rest, **options)
        self._watch(base)
