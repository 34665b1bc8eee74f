"""The calls this side has made: encoded, sent, and waiting for their one answer each.

Spec: spec/3-messages.md, CALL, ANSWER, ERROR, CANCEL.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from jelly import Bulk, MalformedJelly, Oversized

from .. import messages
from ..bounds.room import Room
from ..caches.observing import ObserverHandle
from ..caches.question import Question, ask
from ..context import due, inherited, inherited_here, serving
from ..errors import (
    Cancelled,
    DeadlineExceeded,
    DeadReference,
    NoSuchMethod,
    NotExecuted,
    ProtocolError,
    TooLarge,
)
from ..holding.scope import HoldsPromise, PromiseMet
from ..logfields import fields
from ..promises.pipelining import call_naming
from ..streams.bringing import bring
from ..wire.outbox import LARGE_PAYLOAD, Outbox
from ..wire.payloads import PAYLOADS, Pack, put_message, refused_here
from .ending import NOTHING, Ending, Waiting
from .options import expire, make_with_options, put_quiet
from .own import of_own_call, why_dead
from .why import note_prefix

if TYPE_CHECKING:
    from ..holding.scope import Scope
    from ..holding.tables import Tables
    from ..promises.promised import Promised
    from ..reference import Import
    from .deadlines import Deadlines

log = logging.getLogger("pb")

_CALL: Final = messages.CALL


class Calls(Ending):
    """The calls of one connection that have no answer yet.

    `outcome` below is anything with `done()`, `set_result(value)` and `set_exception(error)`.
    """

    watch: Any = None  # tells hooks of them; see pb.watching.watching

    __slots__ = (
        "__weakref__",
        "deadlines",
        "face",
        "finished",
        "has_told",
        "is_held",
        "kept",
        "later_calls",
        "next_id",
        "outbox",
        "pack",
        "peer_pipelines",
        "room",
        "settling",
        "tables",
    )

    def __init__(
        self,
        outbox: Outbox,
        pack: Pack,
        deadlines: Deadlines,
        tables: Tables,
        face: Any,
    ) -> None:
        self.tables = tables
        self.face = face
        self.peer_pipelines = False
        # Whether anything was sent that wants no answer: when that has ended, nobody knows.
        self.has_told = False
        self.later_calls = 0  # on promises
        self.kept = 0  # results that the peer keeps for us
        self.finished: tuple[bytes, list[int]] | None = None  # the last FINISH, to which others may be joined
        self.settling: deque[Promised] | None = None  # promises whose calls are being made
        self.deadlines = deadlines
        self.pending: dict[int, tuple[Any, Scope]] = {}
        self.next_id = 1
        self.written_id = 0  # calls up to here were handed to the transport
        self.last_run: int | None = None  # from the peer's BYE: later ones did not run
        self.bye_id = 0  # the first call made after our own BYE, once that was said
        self.peer_max_calls = 0
        self.is_open = False
        self.is_held = False  # while the network takes no more, new calls wait like those over the limit
        self.end_reason = "the peer's HELLO has not arrived yet"
        self.remedy = "get a new reference over a new connection"
        self.outbox = outbox
        self.pack = pack
        self._waiting = NOTHING
        self.room = Room()

    @property
    def core(self) -> Calls:
        """These; who stands in for them, to an outcome, tells those of its connection."""
        return self

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
        """Call a method of the peer's object; return the id of the call, or 0 if it waits its turn.

        It has to be over by `at`, and by what is in force where it is made, whichever is earlier.

        A call over the peer's `max_calls` waits unencoded, in order; one made while serving a call of
        that peer does not wait, because two peers waiting for each other would never end.

        Raises:
            Busy: it would serve a call of the peer, which leaves thousands of such without an answer.
            jelly.Unjellyable: an argument cannot be sent; nothing was.
            TooLarge: the call would exceed the peer's `max_frame`; nothing was sent.
            NotExecuted: the connection takes no calls (any longer).
            Gone, DeadReference: the reference is dead.
            DeadlineExceeded: no time is left; nothing was sent.
        """
        passed = inherited_here()
        if passed is not None:
            at = passed.due(at)
        if at is not None and self.deadlines.left_s(at) <= 0:
            raise of_own_call(DeadlineExceeded("the call was over before it began; it was not sent"))
        if type(handle) is ObserverHandle:
            return ask(self, handle, method, args, kwargs, outcome)
        if (
            self.is_held
            or not self.is_open
            or handle.dead is not None
            or len(self.pending) >= self.peer_max_calls
        ):
            self.check_open(handle)
            if not self.serves_peer(handle.scope):
                # The reference itself waits too: its RELEASE must not go before the call (R5).
                if at is not None:
                    passed = due(at)
                self._wait((handle(), handle, method, args, kwargs, scope, passed, outcome))
                if at is not None:
                    self.deadlines.add(outcome, at, partial(expire, self, 0, outcome))
                return 0
            self.room.serve(len(self.pending), self.peer_max_calls)
        scope = scope or handle.scope
        try:
            payload = self.encode(scope, method, args, kwargs)
        except HoldsPromise as held:
            return call_naming(self, handle, method, args, kwargs, outcome, scope, at, held)  # type: ignore[arg-type]
        if at is not None or passed is not None:
            if scope.tables.fresh:
                bring(self, self.next_id, scope.tables.fresh, method, args, kwargs)
            return make_with_options(self, handle, method, payload, outcome, scope, at, passed)
        id = self.next_id
        self.next_id = id + 1
        self.pending[id] = (outcome, scope)
        if len(payload) < LARGE_PAYLOAD:
            outbox, pack = self.outbox, self.pack
            outbox.batch.append(pack((_CALL, id, handle.id, method, payload)))
            if not outbox.due:  # Outbox.put, spelled out
                outbox.due = True
                outbox.wake()
        else:
            put_message(self.outbox, self.pack, [messages.CALL, id, handle.id, method], payload)
        if scope.tables.fresh:
            bring(self, id, scope.tables.fresh, method, args, kwargs)
            scope.tables.observing.sent(scope.tables)
        return id

    def awaited(self, id: int) -> None:
        """Take note that somebody waits for the outcome of a call: on that nothing is called any more."""
        outbox = self.outbox
        batch = outbox.batch
        # The last call, and one message waits: that is the call, or the call was written before it.
        if outbox.at_once is not None and len(batch) == 1 and id == self.next_id - 1:
            message = batch[0]
            batch.clear()
            self.written_id = id
            outbox.write_at_once(message)

    def encode(
        self, scope: Scope, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> bytes | Bulk:
        """Return the payload of a call. Raises as `make` does."""
        try:
            payload = scope.encoder.encode_call(args, kwargs, scope, method)
        except Oversized as error:
            raise of_own_call(TooLarge(str(error))) from None
        except PromiseMet as met:
            raise HoldsPromise(met.promise) from None
        if not scope.tables.is_open:  # a hook of what is sent has ended the connection
            raise DeadReference(f"the call was not sent: {self.end_reason}")
        return payload

    def send(
        self,
        handle: Import | ObserverHandle,
        method: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        scope: Scope | None = None,
    ) -> None:
        """Call a method and want no answer: none is sent. Raises like `make`.

        It does not count toward the peer's `max_calls`, but it keeps its place behind calls that wait.

        Raises:
            Busy: too much waits already for a peer that does not take it; this was not sent.
        """
        if handle.code == messages.CALL or handle.dead is not None or not handle.scope.tables.is_open:
            self.check_open(handle)
        # Updates of replicas do not wait: an answer must not overtake the change that came before it.
        if handle.code == messages.CALL:
            if self._waiting and not self.serves_peer(handle.scope):
                self.room.wait()
                self._wait((handle(), handle, method, args, kwargs, scope, inherited.get(), None))
                return
            if self.is_held:
                self.room.check()
        self._send(handle, method, args, kwargs, scope)

    def _send(
        self,
        handle: Import | ObserverHandle,
        method: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        scope: Scope | None,
    ) -> None:
        self.has_told = True
        late = handle.late
        if late is not None and type(handle) is ObserverHandle:
            late.append(Question(self, handle, method, args, kwargs, None))
            return
        scope = scope or handle.scope
        try:
            payload = self.encode(scope, method, args, kwargs)
        except HoldsPromise as held:
            if type(handle) is ObserverHandle:
                raise
            call_naming(self, handle, method, args, kwargs, None, scope, None, held)  # type: ignore[arg-type]
            return
        passed = inherited.get()
        if passed is None or passed.trace is None:
            put_message(self.outbox, self.pack, [handle.code, 0, handle.id, method], payload)
        else:
            put_quiet(self, handle, method, payload, passed.trace)
        if self.is_held:
            self.room.put(len(payload))
        if scope.tables.fresh:
            scope.tables.observing.sent(scope.tables)

    def check_open(self, handle: Import | ObserverHandle) -> None:
        """Refuse what cannot be called any more."""
        if handle.dead is not None:
            raise why_dead(handle)
        if not self.is_open and not self.serves_peer(handle.scope):
            error = NotExecuted if handle.scope.tables.is_open else DeadReference
            remedy = f"; {self.remedy}" if error is DeadReference else ""
            raise error(f"the call was not sent: {self.end_reason}{remedy}")

    def cancel(self, id: int, outcome: Any) -> None:
        """Ask the callee to stop. The call stays here until its answer, which may carry references."""
        if id in self.pending:
            if self.tables.is_open:  # else a handler that is stopped gives its own calls up behind the BYE
                self.outbox.put(self.pack((messages.CANCEL, id)))
            return
        for waiting in self._waiting:
            if waiting[-1] is outcome:
                self._waiting.remove(waiting)
                self.deadlines.discard(outcome)
                if not outcome.done():
                    outcome.set_exception(Cancelled("cancelled before it was sent"))
                return

    def receive_answer(self, envelope: list[Any]) -> None:
        """Settle a call with its value."""
        if len(envelope) != 3:
            raise ProtocolError("ANSWER is [2, id, payload]")
        _, id, payload = envelope
        if type(id) is not int or (type(payload) is not bytes and type(payload) not in PAYLOADS):
            raise ProtocolError("ANSWER is [2, id, payload]")
        found = self.pending.get(id)
        if found is None:
            raise ProtocolError("ANSWER for a call that is not outstanding")
        outcome, scope = found
        # The row stays until the payload is decoded: a malformed one ends the connection, and that must
        # fail this call too.
        try:
            value = scope.decoder.loads(payload, scope)
        except MalformedJelly:
            raise
        except BaseException as error:  # a hook of a copy may raise anything
            self._finish(id)
            if not outcome.done():
                outcome.set_exception(of_own_call(refused_here(error)))
            return
        self.pending.pop(id, None)  # a hook may have ended the connection meanwhile
        self.outbox.follows = True
        if self.deadlines.due:
            self.deadlines.discard(outcome)
        if self._waiting and not self.is_held:
            self.start_waiting()
        # By its class: where an outcome has a __getattr__, a bound method is made, in 500 instructions.
        if not type(outcome).done(outcome):
            outcome.set_result(value)

    def receive_error(self, envelope: list[Any]) -> None:
        """Settle a call with its error."""
        id = envelope[1] if len(envelope) == 3 else None
        if type(id) is not int or type(envelope[2]) not in PAYLOADS:
            raise ProtocolError("ERROR is [3, id, payload]")
        found = self.pending.get(id)
        if found is None:
            raise ProtocolError("ERROR for a call that is not outstanding")
        outcome, scope = found
        error: BaseException
        try:
            error = scope.decoder.loads_error(envelope[2], scope)
        except MalformedJelly:
            raise
        except BaseException as refusal:  # as above
            error = refused_here(refusal)
        if type(error) is NoSuchMethod:
            note_prefix(error)
        of_own_call(error)
        self._finish(id)
        if not outcome.done():
            outcome.set_exception(error)

    def _finish(self, id: int) -> None:
        outcome, _ = self.pending.pop(id, (None, None))
        self.outbox.follows = True
        if self.deadlines.due:
            self.deadlines.discard(outcome)
        if self._waiting and not self.is_held:
            self.start_waiting()

    def would_wait(self, handle: Import | ObserverHandle) -> bool:
        """Whether a call made now would have to wait for its turn."""
        is_full = self.is_held or len(self.pending) >= self.peer_max_calls
        return is_full and self.is_open and not self.serves_peer(handle.scope)

    def hold(self) -> None:
        """Let new calls wait: the network takes no more for now."""
        self.is_held = True

    def _wait(self, call: Waiting) -> None:
        if self._waiting is NOTHING:
            self._waiting = deque()
        self._waiting.append(call)

    def start_waiting(self) -> None:
        """Send the calls that waited for their turn, as many as may go."""
        if self.is_held:
            self.is_held = False
            self.room.resumed()
        while self._waiting and not self.is_held and len(self.pending) < self.peer_max_calls:
            _, handle, method, args, kwargs, scope, passed, outcome = self._waiting.popleft()
            token = inherited.set(passed)  # of who has called, not of who makes room
            try:
                if outcome is None:
                    self.room.started()
                    self._send(handle, method, args, kwargs, scope)
                elif not outcome.done():
                    outcome.call_started(self.make(handle, method, args, kwargs, outcome, scope))
            except Exception as error:
                if outcome is not None:
                    self.deadlines.discard(outcome)
                    outcome.set_exception(error)
                else:
                    why = fields("call.unsent", scope=handle.scope.direct, method=method, error=error)
                    log.error("a call that wanted no answer was not sent", exc_info=error, extra=why)
            finally:
                inherited.reset(token)

    def serves_peer(self, scope: Scope) -> bool:
        """Whether the caller is a handler that serves a call of this very peer."""
        found = serving.get()
        return found is not None and found[0].tables is scope.tables and self.peer_max_calls > 0
