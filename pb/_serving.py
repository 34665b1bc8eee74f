"""The calls the peer makes here: found, run, and answered exactly once each.

Spec: spec/3-messages.md, CALL and CANCEL; spec/5-errors.md for what the caller is told.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from types import CoroutineType, MethodType
from typing import TYPE_CHECKING, Any, Final

from jelly import SCALARS, MalformedJelly, Oversized

from . import messages
from ._calls import PAYLOADS, Pack, put_message, refused
from ._outbox import LARGE_PAYLOAD, Outbox
from .context import serving
from .dispatch import Kind, bind_error, check_arguments, find_method
from .errors import (
    Busy,
    Cancelled,
    DeadlineExceeded,
    Gone,
    NoSuchObject,
    NotExecuted,
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


class Served:
    """A call that is still running."""

    __slots__ = ("awaitable", "id", "is_cancelled", "is_started", "scope", "task")

    def __init__(self, id: int, scope: Scope, awaitable: Awaitable[Any]) -> None:
        self.id = id
        self.scope = scope
        self.awaitable = awaitable
        self.is_cancelled = False
        self.is_started = False
        self.task: Any = None

    def cancel(self) -> None:
        """Stop it. One that has not started yet sees the flag; a task cancelled then would never run."""
        self.is_cancelled = True
        if self.is_started and self.task is not None:  # None: it is in its first step right now
            self.task.cancel()


class Relay:
    """A call that is passed on to the connection its target came over; takes the outcome there."""

    __slots__ = ("_serving", "id", "is_cancelled", "reference", "relayed_id", "scope")

    def __init__(self, serving: Serving, id: int, export: Export) -> None:
        self._serving = serving
        self.id = id
        self.scope = export.scope
        self.reference = export.object
        self.relayed_id = 0
        self.is_cancelled = False

    def cancel(self) -> None:
        """Pass the CANCEL on; the outcome arrives as ever."""
        self.is_cancelled = True
        self.reference._pb_import.scope.broker.calls.cancel(self.relayed_id, self)

    def call_started(self, id: int) -> None:
        """Note the id of a call that had to wait for its turn."""
        self.relayed_id = id

    def done(self) -> bool:
        """Return False: whatever comes is passed back."""
        return False

    def set_result(self, value: object) -> None:
        """Pass a value back."""
        self._serving.finish(self.id, self)
        self._serving.answer(self.id, self.scope, value)
        self._serving.settled()

    def set_exception(self, error: BaseException) -> None:
        """Pass an error back as it is: it was disclosed by the other side, not by this one."""
        if isinstance(error, NotExecuted):
            error = Gone(f"the connection to the object was lost; {error}")
        self._serving.finish(self.id, self)
        self._serving.fail(self.id, self.scope, error, relayed=True)
        self._serving.settled()


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
        "_incident",
        "_limits",
        "_outbox",
        "_pack",
        "_quiet",
        "_spawn",
        "_tables",
        "base",
        "count",
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
        self.running: dict[int, Served | Relay] = {}
        self._quiet: set[Served | Relay] = set()
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
            return
        assert export is not None
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

    def _begin(self, id: int, served: Served | Relay) -> None:
        self.count += 1
        if id:
            self.running[id] = served
        else:
            self._quiet.add(served)

    def finish(self, id: int, served: Served | Relay) -> None:
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
        log.error("incident %s: a call failed", incident, exc_info=error)
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


def without_options(envelope: list[Any]) -> tuple[list[Any], BaseException | None]:
    """Return the fields of a CALL that has options, after checking those; unknown ones are ignored.

    Returns:
        The fields, and the refusal where the options leave no time to run it.

    Raises:
        ProtocolError: it has no options but another length, or a known option has the wrong type.
    """
    options = envelope[5] if len(envelope) == 6 else None
    if type(options) is not dict:
        raise ProtocolError(f"CALL of {len(envelope)} elements, or whose options are no map")
    for name, value in options.items():
        expected = messages.CALL_OPTIONS.get(name)
        if expected is not None and type(value) is not expected:
            raise ProtocolError(f"CALL option {name!r} is no {expected.__name__}")
    if not all(type(q) is int for q in options.get("needs", ())):
        raise ProtocolError("CALL option 'needs' holds something that is no call id")
    for name in ("trace", "meta"):
        if not all(type(value) is str for value in options.get(name, {}).values()):
            raise ProtocolError(f"CALL option {name!r} holds something that is no str")
    ttl_ms = options.get("ttl", 1)
    if ttl_ms < 0:
        raise ProtocolError("CALL option 'ttl' is negative")
    return envelope[:5], None if ttl_ms else DeadlineExceeded("no time was left for the call; it was not run")
