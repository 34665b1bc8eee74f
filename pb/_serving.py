"""The calls the peer makes here: found, run, and answered exactly once each.

Spec: spec/3-messages.md, CALL and CANCEL; spec/5-errors.md for what the caller is told.
"""

from __future__ import annotations

import logging
import traceback
from collections import deque
from collections.abc import Callable, Coroutine
from types import CoroutineType, MethodType
from typing import TYPE_CHECKING, Any, Final

from jelly import SCALARS, MalformedJelly, Oversized

from . import messages
from ._calls import PAYLOADS, Pack, put_message, refused
from ._fields import without_options
from ._outbox import LARGE_PAYLOAD, Outbox
from ._running import Held, Relay, Served
from .context import serving
from .dispatch import Kind, bind_error, check_arguments, find_method
from .errors import (
    Busy,
    Cancelled,
    Gone,
    NoSuchObject,
    PeerError,
    ProtocolError,
    RemoteError,
    TooLarge,
)

if TYPE_CHECKING:
    from ._tables import Export, Scope, Tables
    from .limits import Limits

log = logging.getLogger("pb")

# Results of these types are certainly no awaitables; asking costs 0.2 us for others.
_PLAIN: Final = SCALARS | {list, dict, tuple, set, frozenset}


class Serving:
    """The calls of the peer on one connection.

    Args:
        spawn: runs a coroutine, returns something with `cancel()`.
        incident: makes the id under which an internal error is logged and told.
        debug: whether text and traceback of internal errors go to the peer.
    """

    __slots__ = (
        "_debug",
        "_exports",
        "_held",
        "_incident",
        "_limits",
        "_outbox",
        "_pack",
        "_quiet",
        "_spawn",
        "_tables",
        "base",
        "count",
        "is_held",
        "last_id",
        "running",
        "settled",
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
        debug: bool,
    ) -> None:
        self.base = base
        self.count = 0  # calls that are running
        self.last_id = 0
        self.running: dict[int, Served | Relay | Held] = {}
        # Decoded, counted and in order, but not run while the peer does not read: so the answers that wait
        # for it are bounded, and reading goes on (spec/2-frames.md, PB-F25 and PB-F26).
        self.is_held = False
        self._held: deque[Held] = deque()
        self._quiet: set[Served | Relay | Held] = set()
        self._tables: Tables = base.tables
        self._exports = base.tables.exports
        self._outbox = outbox
        self._pack = pack
        self._limits = limits
        self._spawn = spawn
        self._incident = incident
        self.settled = settled
        self._debug = debug

    def receive_call(self, envelope: list[Any]) -> None:
        """Run one call; answer it now, or when what it returned has finished."""
        refusal: BaseException | None = None
        if len(envelope) == 5:
            _, id, target, method, payload = envelope
        else:
            (_, id, target, method, payload), refusal = without_options(envelope)
        if type(id) is not int or type(target) is not int or type(method) is not str:
            raise ProtocolError("CALL whose id or target is no integer, or whose method is no string")
        if type(payload) not in PAYLOADS:
            raise ProtocolError("CALL whose payload is no bin")
        if id:
            if not self.last_id < id <= messages.MAX_ID:
                raise ProtocolError(f"CALL id {id} after {self.last_id}; ids increase and stay below 2^53")
            self.last_id = id
        export = self._exports.get(target)
        function: Any = None
        if export is None:
            if not -messages.MAX_ID <= target <= messages.MAX_ID:
                raise ProtocolError("CALL whose target is out of range")
            scope = self.base
            refusal = NoSuchObject(f"no object {target}")
        else:
            scope = export.scope
            if export.prefix:
                try:
                    function = find_method(export.object, export.prefix, method)
                except BaseException as error:  # the object's own __getattr__ may raise anything
                    refusal = error
            elif export.kind is Kind.GONE:
                refusal = Gone(f"object {target} was revoked")
        if self.count >= self._limits.max_calls:
            refusal = Busy(f"{self.count} calls are running, the limit max_calls; it was not run")
        # Decoded even when refused: its references must be counted to be released (spec/1-values.md).
        try:
            args, kwargs = scope.decoder.loads_call(payload, scope)
        except MalformedJelly:
            raise
        except BaseException as error:  # a hook of a copy may raise anything
            refusal = refusal or refused(error)
        if refusal is not None:
            self.fail(id, scope, refusal)
            # The error knows this frame: a ring of the two would keep the arguments' references alive.
            refusal = None
            return
        assert export is not None
        if self.is_held or self._held:
            self._hold(Held(self, id, export, function, method, args, kwargs))
            return
        self._run(id, export, function, method, args, kwargs)

    def _run(
        self, id: int, export: Export, function: Any, method: str, args: list[Any], kwargs: dict[str, Any]
    ) -> None:
        scope = export.scope
        token = serving.set((scope, id))
        try:
            if kwargs or export.guards is not None or type(function) is not MethodType:
                check_arguments(export, function, method, args, kwargs)
            if function is None:
                self._relay(id, export, method, args, kwargs)
                return
            result = function(*args, **kwargs)
            kind = type(result)
            if kind is CoroutineType or (kind not in _PLAIN and hasattr(kind, "__await__")):
                self._run_on(Served(id, scope, result))
                return
        except BaseException as error:
            fit = bind_error(error, function, method) if isinstance(error, TypeError) else None
            self.fail(id, scope, fit or error)
            return
        finally:
            serving.reset(token)
        if id:
            self.answer(id, scope, result)

    def drop_call(self, envelope: list[Any]) -> None:
        """Ignore a call that crossed our BYE, which tells the caller that it did not run."""
        id = envelope[1] if len(envelope) in (5, 6) else None
        if type(id) is not int or (id and not self.last_id < id <= messages.MAX_ID):
            raise ProtocolError("CALL whose id is not above all earlier ones")
        self.last_id = id or self.last_id

    def receive_cancel(self, envelope: list[Any]) -> None:
        """Ask a running call to stop; one that has been answered meanwhile is left alone."""
        if len(envelope) != 2 or type(envelope[1]) is not int:
            raise ProtocolError("CANCEL is [4, id]")
        id = envelope[1]
        if not 1 <= id <= self.last_id:
            raise ProtocolError(f"CANCEL of call {id}, which was never made")
        served = self.running.get(id)
        if served is not None and not served.is_cancelled:
            served.cancel()

    def _run_on(self, served: Served) -> None:
        self._begin(served.id, served)
        served.task = self._spawn(self._await(served))

    async def _await(self, served: Served) -> None:
        served.is_started = True
        try:
            if served.is_cancelled:
                for name in ("close", "cancel"):  # of a coroutine, of a future
                    stop = getattr(served.awaitable, name, None)
                    if stop is not None:
                        stop()
                raise Cancelled("cancelled by caller")
            result = await served.awaitable
        except BaseException as error:
            self.finish(served.id, served)
            if served.is_cancelled and not isinstance(error, Exception):
                error = Cancelled("cancelled by caller")
            self.fail(served.id, served.scope, error)
        else:
            self.finish(served.id, served)
            self.answer(served.id, served.scope, result)
        self.settled()

    def _relay(self, id: int, export: Export, method: str, args: list[Any], kwargs: dict[str, Any]) -> None:
        handle = export.object._pb_import
        other = handle.scope.broker
        if not id:
            other.calls.send(handle, method, tuple(args), kwargs, handle.scope.relay())
            return
        relay = Relay(self, id, export)
        self._begin(id, relay)
        try:
            relay.relayed_id = other.calls.make(
                handle, method, tuple(args), kwargs, relay, handle.scope.relay()
            )
        except BaseException:
            self.finish(id, relay)
            raise

    def _hold(self, held: Held) -> None:
        """Run it later: the peer does not read what the calls before it answered."""
        self._begin(held.id, held)
        self._held.append(held)

    def start_held(self) -> None:
        """Run the calls that were held, in their order, as long as the peer takes their answers."""
        self.is_held = False
        while self._held and not self.is_held:
            held = self._held.popleft()
            self.finish(held.id, held)
            self._run(held.id, held.export, held.function, held.method, held.args, held.kwargs)
        self.settled()

    def drop_held(self, held: Held) -> None:
        """Answer a held call that was cancelled; it never ran."""
        self._held.remove(held)
        self.finish(held.id, held)
        self.fail(held.id, held.export.scope, Cancelled("cancelled by caller"))

    def _begin(self, id: int, served: Served | Relay | Held) -> None:
        self.count += 1
        if id:
            self.running[id] = served
        else:
            self._quiet.add(served)

    def finish(self, id: int, served: Served | Relay | Held) -> None:
        """Take a call off the list of the running."""
        self.count -= 1
        if id:
            self.running.pop(id, None)
        else:
            self._quiet.discard(served)

    def answer(self, id: int, scope: Scope, value: object) -> None:
        """Send the value of a call; where it cannot be sent, the call fails."""
        if not id or not self._tables.is_open:
            return
        try:
            payload = scope.encoder.encode(value, scope, "the result")
        except Oversized as error:
            self.fail(id, scope, TooLarge(str(error)))
            return
        except BaseException as error:  # the value's own hooks may raise anything
            self.fail(id, scope, error)
            return
        if len(payload) < LARGE_PAYLOAD:
            outbox = self._outbox
            outbox.batch.append(self._pack((messages.ANSWER, id, payload)))
            if not outbox.due:  # Outbox.put, spelled out
                outbox.due = True
                outbox.wake()
        else:
            put_message(self._outbox, self._pack, [messages.ANSWER, id], payload)

    def fail(self, id: int, scope: Scope, error: BaseException, relayed: bool = False) -> None:
        """Send the error of a call; what is not registered is told as an incident only."""
        if not self._tables.is_open:
            return
        if not id:
            # Not encoded: what it holds would be counted and never sent (R7).
            if isinstance(error, PeerError):
                log.info("a call that wanted no answer was refused: %s", type(error).__name__)
            else:
                log.error("a call that wanted no answer failed", exc_info=error)
            return
        is_own = isinstance(error, RemoteError) or (isinstance(error, PeerError) and error.is_of_own_call)
        payload: bytes | None = None
        # How a call of the handler's own ended is its business; only a relay passes that on.
        if relayed or not is_own:
            try:
                payload = scope.encoder.dumps_error(error, scope)
            except BaseException as secondary:
                log.error("an error of type %s could not be sent", type(error).__name__, exc_info=secondary)
        if payload is None:
            payload = self._internal(scope, error)
        put_message(self._outbox, self._pack, [messages.ERROR, id], payload)

    def _internal(self, scope: Scope, error: BaseException) -> bytes:
        """Log an error that is nobody else's business, and return what the caller is told."""
        incident = self._incident()
        log.error("incident %s: a call of %s failed", incident, self._tables.peer_name, exc_info=error)
        told: dict[str, object] = {"type": "pb.Internal", "msg": "internal error", "data": {"ref": incident}}
        if self._debug:
            lines = traceback.format_exception(error)
            told["msg"] = lines[-1].strip()[: self._limits.max_error_bytes]
            told["trace"] = "".join(lines)[-self._limits.max_error_bytes :]
        return scope.encoder.dumps(told, None, "the error")

    def abandon(self) -> None:
        """Stop whatever is running: nobody waits for it any longer."""
        for served in [*self.running.values(), *self._quiet]:
            if not served.is_cancelled:
                served.cancel()
