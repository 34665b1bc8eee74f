"""The calls of the peer, as hooks are told of them. See `pb.watching.watching`."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ..caches.replica import Replica
from ..calling.serving import Serving
from ..context import Inherited, inherited
from ..hooks import CallEvent, Login, Outcome, names_of

if TYPE_CHECKING:
    from ..calling.running import Held, Served
    from ..dispatch import Kind
    from ..holding.export import Export
    from ..holding.scope import Scope


Called = tuple[int, "Kind | None", type | None, Login | None]

_NOTHING: Final[Called] = (0, None, None, None)


def _told_of(export: Export) -> Called:
    """Return what hooks are told of an object: id, kind, class, and the object itself where it is a login.

    A login is nobody's perspective, and has a name all the same. Of others nothing is kept here: this
    stands in the row of the object itself.
    """
    of = export.object
    export.told = told = export.id, export.kind, type(of), of if isinstance(of, Login) else None
    return told


def _quiet() -> ServedCall | None:
    """Return the call that wants no answer and is served here, if there is one."""
    found = inherited.get()
    return None if found is None else found.call


class ServedCall(CallEvent):
    """A call of the peer as hooks are told of it."""

    __slots__ = ("_goes_on",)

    side = "callee"

    # In `_begun`, behind what all have: the object as `_told_of` says, id, and bytes of the arguments.
    _goes_on: bool  # only where no answer is wanted

    @property
    def names(self) -> tuple[str, str, str]:
        """On whose behalf it is made: identity, service and perspective, each "" where that is nobody's."""
        identity, service, perspective = names_of(self._begun[0].direct)
        login = self._begun[3][3]
        if not identity and login is not None:
            identity = login.name
        return identity, service, perspective

    @property
    def object_id(self) -> int:
        """The object's id on this connection. 0 is the root."""
        id: int = self._begun[3][0]
        return id

    @property
    def kind(self) -> str:
        """What the object is: "remote", "perspective", "view", "proxy"; "" for none."""
        kind: Kind | None = self._begun[3][1]
        return "" if kind is None else kind.name.lower()

    @property
    def type(self) -> str:
        """The class of the object; "" for none."""
        found: type | None = self._begun[3][2]
        return "" if found is None else found.__name__

    @property
    def is_of_protocol(self) -> bool:
        """Whether a library made it for itself, as `CallEvent` says."""
        own = getattr(self._begun[3][2], "_pb_methods_of_protocol", ())
        return super().is_of_protocol or self._begun[1] in own

    @property
    def call_id(self) -> int:
        """That of the call; 0 where no answer is wanted."""
        id: int = self._begun[4]
        return id

    @property
    def bytes_in(self) -> int:
        """How long the payload of the arguments is."""
        size: int = self._begun[5]
        return size

    @property
    def bytes_out(self) -> int:
        """How long the answer is."""
        return 0 if self._ended is None else self._ended[2]


class Watching:
    """What `WatchedServing` adds to a `Serving`, of whatever face."""

    __slots__ = ()

    def receive_call(self, envelope: list[Any]) -> None:
        """Run one call."""
        of: Any = self
        of.receive_other(envelope)  # the short way goes round `start`

    def start_call(
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
        of: Any = self
        if not id:
            self._start_quiet(export, scope, function, method, payload, refusal, ttl_ms)
            return
        token = self._begin(id, export, scope, function, method, len(payload))
        try:
            of.start(id, export, scope, function, method, payload, refusal, ttl_ms)
        finally:
            if token is not None:
                inherited.reset(token)

    def _start_quiet(
        self, export: Any, scope: Any, function: Any, method: str, payload: Any, *rest: Any
    ) -> None:
        """Start a call that wants no answer."""
        of: Any = self
        token = self._begin(0, export, scope, function, method, len(payload))
        call: Any = _quiet()
        call._goes_on = False
        outcome: Outcome = "lost"
        try:
            of.start(0, export, scope, function, method, payload, *rest)
            if of.base.tables.is_open:
                outcome = "answered"
        finally:
            inherited.reset(token)
            if not call._goes_on:
                of.told.ended(call, outcome)

    def _begin(self, id: int, export: Any, scope: Any, function: Any, method: str, size: int) -> Any:
        """Tell that a call begins; return what takes back that what is called from here on belongs to it."""
        of: Any = self
        passed = inherited.get()
        told = of.told
        call = ServedCall()
        called = _NOTHING if export is None else export.told or _told_of(export)
        if function is None:
            method = method[:128]  # the peer's, who may send any length
        call._begun = scope, method, told.clock(), called, id, size
        call._ended = None
        call.trace = trace = None if passed is None else passed.trace
        told.begun(call)
        if not id:  # nothing else leads from what it calls to it
            return inherited.set(Inherited(None if passed is None else passed.at, call.trace, call))
        of.begun[id] = call
        if call.trace is trace:
            return None
        return inherited.set((passed or Inherited())._replace(trace=call.trace))

    def postpone(self, held: Held) -> None:
        """Run a call when its turn has come, which it may have."""
        if not held.id:
            _quiet()._goes_on = True  # type: ignore[union-attr]
        super().postpone(held)  # type: ignore[misc]

    def run_late(self, id: int, export: Any, function: Any, method: str, *rest: Any) -> None:
        """Run a call that did not begin when it came."""
        of: Any = self
        token = None
        call: Any = of.begun.get(id) if id else _quiet()
        if call is None:
            # It named results that were not there when it came, as only calls with an id may.
            token = self._begin(id, export, export.scope, function, method, 0)
        elif not id:
            call._goes_on = False
        try:
            of.run(id, export, function, method, *rest)
        finally:
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

    def _await(self, served: Served, halt: Any) -> Any:
        wait: Any = super()._await  # type: ignore[misc]
        call = None if served.id or type(served.export) is Replica else _quiet()
        return wait(served, halt) if call is None else self._await_quiet(wait, served, halt, call)

    async def _await_quiet(self, wait: Any, served: Served, halt: Any, call: CallEvent) -> None:
        of: Any = self
        tell = partial(of.told.ended, call, "answered")
        try:
            is_put_off = await wait(served, halt)
        except GeneratorExit:  # thrown away, and what this waited for has seen it first
            is_put_off = True
        if is_put_off:
            of.base.tables.later(tell)
        else:
            tell()

    def _answer(self, id: int, scope: Any, value: object) -> Any:
        of: Any = self
        told = of._told_answer(id, scope, value)
        call: Any = of.begun.pop(id, None)
        if call is None:
            return told
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
        me = weakref.proxy(of)  # for what runs on, and has this; else it would keep itself
        of.answer = lambda *what: me._answer(*what)
        of.fail = lambda *what, **more: me._fail(*what, **more)

    def _watch(self, base: Any) -> None:
        of: Any = self
        of.told = base.broker.watch.callee
        of.begun = {}
        of._told_answer, of.answer = of.answer, of._answer
        of._told_fail, of.fail = of.fail, of._fail


class Around:
    """What is added to a `Watching` whose hooks want to enter something around methods."""

    __slots__ = ()

    def run(self, id: int, export: Any, *rest: Any) -> None:
        """Run a call."""
        of: Any = self
        entered = [] if type(export) is Replica else of.told.enter(of.begun[id] if id else _quiet())
        try:
            super().run(id, export, *rest)  # type: ignore[misc]
        finally:
            of.told.leave(entered)


class WatchedServing(Watching, Serving):
    """The calls of the peer, as hooks are told of them."""

    __slots__ = ("_told_answer", "_told_fail", "begun", "told")

    def __init__(self, base: Scope, *rest: Any, **options: Any) -> None:
        super().__init__(base, *rest, **options)
        self._watch(base)


class AroundServing(Around, WatchedServing):
    """The same, where something is entered around methods."""

    __slots__ = ()
