"""The calls of the peer, as hooks are told of them. See `pb._watching`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._replica import Replica
from ._serving import IGNORED, Serving
from .context import Inherited, inherited

if TYPE_CHECKING:
    from ._running import Served
    from ._scope import Scope


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
        *rest: Any,
    ) -> None:
        """Decode the arguments of a call and run it, unless it is refused."""
        if isinstance(export, Replica) or refusal is IGNORED:  # an update
            super().start(id, export, scope, function, method, payload, refusal, *rest)  # type: ignore[misc]
            return
        token = self._begin(id, export, scope, method, len(payload))
        try:
            super().start(id, export, scope, function, method, payload, refusal, *rest)  # type: ignore[misc]
        finally:
            inherited.reset(token)

    def _begin(self, id: int, export: Any, scope: Any, method: str, size: int) -> Any:
        """Tell that a call begins, and let what is called from here on belong to it."""
        of: Any = self
        more: dict[str, Any] = {"call_id": id, "bytes_in": size}
        if export is not None:
            more["kind"] = export.kind.name.lower()
            more["type"] = type(export.object).__name__
            more["object_id"] = export.id
        call = of.watch.event("callee", scope.direct, method, **more)
        of.watch.started(call)
        if id:
            of.begun[id] = call
        found = inherited.get() or Inherited()
        return inherited.set(found._replace(trace=call.trace, call=call))

    def run(self, id: int, export: Any, function: Any, method: str, *rest: Any) -> None:
        """Run a call."""
        of: Any = self
        if isinstance(export, Replica):
            super().run(id, export, function, method, *rest)  # type: ignore[misc]
            return
        found = inherited.get()
        token = None
        if id not in of.begun and (id or found is None or found.call is None):
            # It named results that were not there when it came; its payload has been read meanwhile.
            token = self._begin(id, export, export.scope, method, 0)
            found = inherited.get()
        assert found is not None
        call = found.call
        try:
            with of.watch.around(call):
                super().run(id, export, function, method, *rest)  # type: ignore[misc]
        finally:
            if token is not None:
                inherited.reset(token)
        if not id and not call._goes_on:
            of.watch.ended(call, "answered")

    def run_on(self, served: Served, at: float | None = None) -> None:
        """Go on with a call that takes its time."""
        found = inherited.get()
        if found is not None and found.call is not None:
            found.call._goes_on = True
        super().run_on(served, at)  # type: ignore[misc]

    async def _await(self, served: Served) -> None:
        found = inherited.get()
        await super()._await(served)  # type: ignore[misc]
        if found is not None and not served.id and not isinstance(served.export, Replica):
            self.watch.ended(found.call, "answered")  # type: ignore[attr-defined]

    def _answer(self, id: int, scope: Any, value: object) -> Any:
        of: Any = self
        told = of._told_answer(id, scope, value)
        call = of.begun.pop(id, None)
        if call is not None:
            of.watch.told(call, told)
        return told

    def _fail(self, id: int, scope: Any, error: BaseException, relayed: bool = False) -> Any:
        of: Any = self
        told = of._told_fail(id, scope, error, relayed)
        if id:
            call = of.begun.pop(id, None)
            if call is not None:  # pragma: no branch - else it named a result that is none, and never began
                of.watch.told(call, told)
        else:
            found = inherited.get()
            if found is not None and found.call is not None and not found.call.call_id:
                of.watch.raised(found.call, error)
        return told

    def abandon(self) -> None:
        """Stop whatever is running: nobody waits for it any longer."""
        of: Any = self
        super().abandon()  # type: ignore[misc]
        for id in [id for id in of.begun if id not in of.running]:  # they never ran
            of.watch.ended(of.begun.pop(id), "lost")  # pragma: no cover - whoever drops one without a word

    def _watch(self, base: Any) -> None:
        of: Any = self
        of.watch = base.broker.watch
        of.begun = {}
        of._told_answer, of.answer = of.answer, of._answer
        of._told_fail, of.fail = of.fail, of._fail


class WatchedServing(Watching, Serving):
    """The calls of the peer, as hooks are told of them."""

    __slots__ = ("_told_answer", "_told_fail", "begun", "watch")

    def __init__(self, base: Scope, *rest: Any, **options: Any) -> None:
        super().__init__(base, *rest, **options)
        self._watch(base)
