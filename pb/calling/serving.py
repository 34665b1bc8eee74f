"""The calls the peer makes here: found, run, and answered exactly once each.

Spec: spec/3-messages.md, CALL and CANCEL; spec/5-errors.md for what the caller is told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from types import CoroutineType, MethodType
from typing import TYPE_CHECKING, Any, Final

from .. import messages
from ..bounds.budget import Budget
from ..bounds.ledger import Ledger
from ..caches.replica import Replica, log_stale
from ..context import due, enter_call, inherited, leave_call
from ..dispatch import FIND, Kind, bind_error, check_arguments
from ..errors import BadArguments, DeadlineExceeded, Gone, NoSuchObject, ProtocolError
from ..holding.export import Export
from ..tracing import receive_traced
from ..wire.fields import without_options
from ..wire.outbox import Outbox
from ..wire.payloads import PAYLOADS, Pack, unread
from .answers import Answers, Told
from .awaiting import PLAIN, is_awaitable
from .cancelling import Cancelling
from .finding import Finding
from .keeping import SHORT, Load, load_of
from .reserved import Reserved
from .running import Held, Relay, Served, Waiting, stopped_here
from .why import log_refusal, why_bad_arguments

if TYPE_CHECKING:
    from ..holding.scope import Scope
    from ..holding.tables import Tables
    from ..limits import Limits
    from .deadlines import Deadlines

# Looked up for every call: a member of an Enum is found five times as slowly as a global.
GONE, VIEW = Kind.GONE, Kind.VIEW
IGNORED: Final = NoSuchObject("an update for a cache that is not held here")


class Serving(Finding, Cancelling):
    """The calls of the peer on one connection.

    Args:
        spawn: runs a coroutine, returns something with `cancel()`, which is held until that has ended.
        incident: makes the id under which an internal error is logged and told.
        debug: whether text and traceback of internal errors go to the peer.
    """

    __slots__ = (
        "__weakref__",
        "_arrived",
        "_exports",
        "_quiet",
        "_spawn",
        "_tables",
        "answer",
        "base",
        "count",
        "deadlines",
        "fail",
        "limits",
        "most_calls",
        "outbox",
        "pack",
        "reserved",
        "running",
        "settled",
        "tell",
    )

    def __init__(
        self,
        base: Scope,
        outbox: Outbox,
        pack: Pack,
        limits: Limits,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], Any],
        incident: Callable[[], str],
        settled: Callable[[], None],
        deadlines: Deadlines,
        budget: Budget,
        debug: bool,
    ) -> None:
        super().__init__()
        self.base = base
        self.reserved = Reserved(base.tables, base.broker.greeting)
        self.count = 0  # calls and updates that are running
        self.last_id = 0
        self.taken = 0  # calls that want an answer; each of them earns what a CANCEL may cost
        self.budget = budget
        self.running: dict[int, Served | Relay | Held | Waiting] = {}
        # Ordered; and an empty set takes 150 bytes more of an idle connection.
        self._quiet: dict[Served | Relay | Held | Waiting, None] = {}
        self._tables: Tables = base.tables
        self._exports = base.tables.exports
        self.limits = limits
        self.ledger = Ledger("max_call_bytes", limits.max_call_bytes)
        self.most_calls = limits.max_calls
        self._spawn = spawn
        self.settled = settled
        self.deadlines = deadlines
        answers = Answers(base.tables, outbox, pack, limits, incident=incident, debug=debug)
        self.outbox = outbox
        self.pack = pack
        self.answer: Callable[[int, Scope, object], Told] = answers.answer
        self.fail: Callable[..., Told] = answers.fail
        self.tell = answers.tell
        self._arrived = base.tables.arrived

    def receive_call(self, envelope: list[Any]) -> None:
        """Run one call; answer it now, or when what it returned has finished."""
        # The usual call: of a method, with an id and without options, and nothing is in its way. It runs
        # cold, and this way takes 2,000 instructions less than the other, which is for all else.
        if len(envelope) != 5:
            self.receive_other(envelope)
            return
        _, id, target, method, payload = envelope
        export = self._exports.get(target) if type(target) is int else None
        if (
            export is None
            or not export.prefix
            or not (type(id) is int and type(method) is str and type(payload) is bytes)
            or not self.last_id < id <= messages.MAX_ID
            or len(payload) > SHORT
            or self.count - self.updates >= self.most_calls
        ):
            self.receive_other(envelope)
            return
        self.last_id = id
        self.taken += 1
        scope = export.scope
        try:
            function = FIND[export.prefix](export.object, method)
        except BaseException as error:  # the object's own __getattr__ may raise anything
            function, refusal = self.find_reserved(export, method, error)
            self.start_call(id, export, scope, function, method, payload, refusal, None)
            refusal = None  # as in `start`
            return
        try:
            args, kwargs = scope.decoder.loads_call(payload, scope)
        except BaseException as error:
            self._refuse(id, export, scope, unread(error))
            return
        if self._arrived or self.holds or not self._tables.is_open:
            self._go_on(id, export, function, method, args, kwargs, None, 0)
        else:
            self.run(id, export, function, method, args, kwargs, None, 0)

    def receive_other(self, envelope: list[Any]) -> None:
        """Run a call of any kind."""
        refusal: BaseException | None = None
        ttl_ms: int | None = None
        options: dict[str, Any] | None = None
        if len(envelope) == 5:
            _, id, target, method, payload = envelope
        else:
            (_, id, target, method, payload), ttl_ms, options = without_options(envelope)
            if "trace" in options:
                receive_traced(self.receive_other, envelope)
                return
        if type(id) is not int or type(target) is not int or type(method) is not str:
            raise ProtocolError("CALL whose id or target is no integer, or whose method is no string")
        if type(payload) not in PAYLOADS:
            raise ProtocolError("CALL whose payload is no bin")
        if id:
            if not self.last_id < id <= messages.MAX_ID:
                raise ProtocolError(f"CALL id {id} after {self.last_id}; ids increase and stay below 2^53")
            self.last_id = id
            self.taken += 1
        if options is not None and self.pipelines(id, target, method, payload, ttl_ms, options):
            return
        export = self._exports.get(target)
        function: Any = None
        if export is None:
            if target < 0 and self.pipelines(id, target, method, payload, ttl_ms, {}):
                return
            if not -messages.MAX_ID <= target <= messages.MAX_ID:
                raise ProtocolError("CALL whose target is out of range")
            scope = self.base
            refusal = NoSuchObject(f"no object {target}")
            self.refuse_useless(id, "a call of an object that is not there")
        else:
            scope = export.scope
            function, refusal = self.find(export, method)
        self.start_call(id, export, scope, function, method, payload, refusal, ttl_ms)
        refusal = None  # as in `start`

    def start(
        self,
        id: int,
        export: Export | Replica | None,
        scope: Scope,
        function: Any,
        method: str,
        payload: bytes,
        refusal: BaseException | None,
        ttl_ms: int | None,
    ) -> None:
        """Decode the arguments of a call, then run it, unless it is refused."""
        at: float | None = None
        if ttl_ms is not None:
            at = self.deadlines.after(ttl_ms / 1000)
            if not ttl_ms:
                refusal = refusal or DeadlineExceeded("no time was left for the call; it was not run")
        load = load_of(payload)
        if id or type(export) is not Replica:
            if self.count - self.updates >= self.most_calls:
                refusal = self.refuse_one_more(id)
            elif load:
                refusal = self.why_too_much(load) or refusal
        # Decoded even when refused: its references must be counted to be released (spec/1-values.md).
        try:
            args, kwargs = scope.decoder.loads_call(payload, scope)
        except BaseException as error:
            why = unread(error)  # whatever was refused before, this may end the connection
            refusal = refusal or why
        if refusal is not None:
            self._refuse(id, export, scope, refusal)
            # The error knows this frame: a ring of the two would keep the arguments' references alive.
            refusal = None
            return
        self._go_on(id, export, function, method, args, kwargs, at, load)

    def _refuse(self, id: int, export: Export | Replica | None, scope: Scope, refusal: BaseException) -> None:
        """Tell why a call whose arguments were decoded, as far as that went, is not run."""
        if self._arrived:
            self.base.broker.streams.belong(id)
        if refusal is not IGNORED:
            self.fail_call(id, export, scope, refusal)

    def _go_on(
        self,
        id: int,
        export: Export | Replica | None,
        function: Any,
        method: str,
        args: list[Any],
        kwargs: dict[str, Any],
        at: float | None,
        load: Load,
    ) -> None:
        """Run a call whose arguments were decoded, if its turn has come."""
        if self._arrived:
            self.base.broker.streams.belong(id)
        if not self._tables.is_open:  # what came with it has ended the connection: nobody waits for it
            return
        assert export is not None
        # Not an update: no answer must overtake it.
        if self.holds and type(export) is Export:
            self.postpone(Held(self, id, export, function, method, args, kwargs, at, load))
            return
        self.run(id, export, function, method, args, kwargs, at, load)

    start_call = start  # of calls only, not of updates: another where hooks are told of them

    def run(
        self,
        id: int,
        export: Any,  # an Export or a Replica
        function: Any,
        method: str,
        args: list[Any],
        kwargs: dict[str, Any],
        at: float | None,
        load: Load = 0,
    ) -> None:
        scope = export.scope
        refusal: Exception | None = None
        if export.kind is GONE:  # revoked while the call was held, or while it was decoded
            refusal = Gone(f"object {export.id} was revoked")
        elif at is not None and self.deadlines.left_s(at) <= 0:
            refusal = DeadlineExceeded("no time was left for the call; it was not run")
        if refusal is not None:
            self.fail_call(id, export, scope, refusal)
            return
        if export.kind is VIEW:
            args.insert(0, scope.perspective)  # the actor: never the peer's to choose
        token = enter_call((scope, id, export.id, method))
        limit = None if at is None else inherited.set(due(at))
        direct = scope.of or scope  # scope.direct, spelled out
        direct.running += 1  # a method may end what it runs under, and runs on under it
        try:
            try:
                # The usual case: a method of the object's own class, no parameter of which is private.
                is_own = type(function) is MethodType and function.__self__ is export.object
                if kwargs or not is_own or function.__func__ is not export.open_methods.get(method):
                    check_arguments(export, function, method, args, kwargs)
                    if function is None:
                        self._relay(id, export, method, args, kwargs, load)
                        return
                    result = function(*args, **kwargs)
                elif len(args) == 1:
                    result = function(args[0])  # as most do; 500 instructions less than the next line
                else:
                    result = function(*args)
                kind = type(result)
                if kind is CoroutineType or (
                    kind not in PLAIN and is_awaitable(kind)  # type: ignore[arg-type]
                ):
                    self.run_on(served := Served(id, export, result), at)
                    if load:
                        self.keep_on(served, load)
                    return
            except BaseException as error:
                fit = None
                if isinstance(error, TypeError):
                    fit = bind_error(error, function, method, export.kind is VIEW)
                is_misfit = fit or type(error) is BadArguments
                if is_misfit and self._tables.may_log(logging.INFO, "call.refused"):
                    log_refusal(export, method, fit or error, why_bad_arguments(function, len(args), kwargs))
                self.fail_call(id, export, scope, fit or error)
                return
            if id:
                answer = self.answer
                answer(id, scope, result)  # here: a stream in it is made on behalf of the same caller
        finally:
            leave_call(token)
            if limit is not None:
                inherited.reset(limit)
            direct.running -= 1  # Scope.leave, spelled out
            if direct.exports is not None and not direct.exports:
                direct.check_empty()

    def run_late(self, id: int, *what: Any) -> None:
        """Run a call that did not begin when it came."""
        self.run(id, *what)

    def _relay(
        self, id: int, export: Export, method: str, args: list[Any], kwargs: dict[str, Any], load: Load
    ) -> None:
        handle = export.object._pb_import
        other, under = handle.scope.broker, handle.scope.relay()
        if not id:
            other.calls.send(handle, method, tuple(args), kwargs, under)
            return
        relay = Relay(self, id, export)
        self.begin(id, relay)
        if load:
            self.keep(relay, load)
        try:
            relay.relayed_id = other.calls.make(handle, method, tuple(args), kwargs, relay, under)
        except BaseException:
            self.finish(id, relay)
            relay.scope.direct.leave()
            raise

    def is_running(self, id: int) -> bool:
        """Whether a call has begun and not ended; of those with id 0, whether any."""
        return id in self.running or (not id and bool(self._quiet))

    def begin(self, id: int, served: Served | Relay | Held | Waiting) -> None:
        """Put a call on the list of the running."""
        self.count += 1
        if type(served) is Held:
            scope = served.export.scope
            if served.load:
                served.load = self.keep(served, served.load)
        else:
            scope = served.scope  # type: ignore[union-attr]
        (scope.of or scope).running += 1
        if id:
            self.running[id] = served
        else:
            self._quiet[served] = None

    def finish(self, id: int, served: Served | Relay | Held | Waiting) -> None:
        """Take a call off the list of the running. Once it is answered, it has to leave its scope."""
        self.count -= 1
        if self.kept:
            self.let_go(served)
        if self.deadlines:
            self.deadlines.discard(served)
        if type(served) is Served:
            self.updates -= served.is_update
        if id:
            self.running.pop(id, None)
        else:
            self._quiet.pop(served, None)

    def fail_call(self, id: int, export: Export | Replica | None, scope: Scope, error: BaseException) -> None:
        """Send the error of a call; a replica that missed an update is given up, and its owner is told."""
        if isinstance(error, self.base.broker.face.cancelled):  # of something that the method waited for
            error = stopped_here()
        elif isinstance(error, KeyboardInterrupt):
            # Of the keyboard, so of no peer. SystemExit a library may raise for what a peer has sent.
            self.base.broker.face.interrupted(error)
            error = stopped_here()
        if not id and type(export) is Replica and not export.is_stale:
            log_stale(export, scope, error)
            self._tables.make_stale(export)
        else:
            self.fail(id, scope, error)
