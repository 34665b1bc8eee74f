"""The broker: one connection's protocol, without a socket, a clock or a loop.

Bytes go in by `receive_data`, bytes come out by `take_output`; the face (`pb.interfaces.IFace`) gives
everything else. So every conversation can be replayed. Spec: spec/2-frames.md, spec/3-messages.md.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, ClassVar

import msgpack

from jelly.visibility import DIALED

from . import messages
from .bounds.budget import Budget
from .bounds.leaving import bound_drain, bound_late
from .bounds.room import MOST_CALLS
from .caches.updates import Updates
from .calling.calls import Calls
from .calling.deadlines import Deadlines
from .calling.serving import Serving
from .errors import ProtocolError, printable
from .holding.holdings import Holdings
from .holding.scope import Scope
from .holding.tables import Tables
from .streams.streams import Streams
from .wire.fields import token_of
from .wire.greeting import Greeting
from .wire.hello import read_hello
from .wire.outbox import Outbox
from .wire.state import NEXT, State
from .wire.turns import Turns

if TYPE_CHECKING:
    from jelly import Decoder, Encoder

    from .limits import Limits
    from .reference import RemoteReference
    from .wire.codec import Codec


class Broker(Turns):
    """Both ends of the protocol on one connection; the protocol is symmetric.

    Args:
        face: gives clock, tasks and references, and is told what to do (`pb.interfaces.IFace`).
        codec: the registry in both directions.
        limits: what this side accepts.
        root: the object the peer may call first, or None.
        agent: name and version told in HELLO; for people.
        debug: send text and traceback of internal errors to the peer.
        proxy: let references of other connections pass through this one.
        dials: whether this side has made the connection: then the peer is no stranger to be shown nothing.
    """

    serving_type: ClassVar[type[Serving]] = Serving  # these three are others where hooks are told
    tables_type: ClassVar[type[Tables]] = Tables
    watch: Any = None
    is_metered: ClassVar[bool] = False  # whether `take_output` tells somebody what it takes

    __slots__ = (
        "__weakref__",
        "_last",
        "agent",
        "calls",
        "codec",
        "deadlines",
        "dials",
        "error",
        "face",
        "gives_up",
        "greeting",
        "holdings",
        "is_initiator",
        "outbox",
        "peer_agent",
        "peer_limits",
        "scope",
        "serving",
        "speaks_pb",
        "streams",
        "tables",
        "updates",
    )

    def __init__(
        self,
        face: Any,
        codec: Codec,
        limits: Limits,
        *,
        root: object = None,
        agent: str = "",
        debug: bool = False,
        proxy: bool = True,
        dials: bool = False,
    ) -> None:
        self.face = face
        super().__init__(limits)
        self.agent = agent
        self.codec = codec
        self.dials = dials
        self.error: ProtocolError | None = None  # why it ended, if it ended badly
        self._last = 0  # the `last` of our BYE
        self.greeting = Greeting(self)
        self.is_initiator = False  # whether this side said BYE first, and so closes the transport
        self.gives_up = False  # whether answers are awaited no longer than calls of the peer are served
        self.peer_agent = ""
        self.peer_limits: Limits | None = None
        self.speaks_pb = False  # whether what came first was a HELLO, good or bad
        self.outbox = Outbox(face)
        self.tables: Tables = self.tables_type(
            make_reference=face.make_reference,
            max_refs=limits.max_refs,
            wake=face.wants_release,
            proxy=proxy,
            outbox=self.outbox,
            pack=codec.pack,
            clock=face.clock,
        )
        self.scope = Scope(self.tables, self, self._encoder(limits), codec.decoder(limits, serves=not dials))
        self.holdings = Holdings(self.tables, self.outbox, codec.pack, self)
        self.deadlines = Deadlines(face.clock, face.wake_at)
        self.calls = Calls(self.outbox, codec.pack, self.deadlines, self.tables, face)
        self.serving = self.serving_type(
            self.scope,
            self.outbox,
            codec.pack,
            limits,
            spawn=face.begin,
            incident=face.incident,
            settled=self.check_settled,
            deadlines=self.deadlines,
            budget=Budget(face.clock, limits),
            debug=debug,
        )
        self.updates = Updates(self.serving, self.tables, limits)
        self.streams = Streams(self)
        if root is not None:
            self.tables.set_root(root, self.scope)

    def _encoder(self, limits: Limits) -> Encoder:
        return self.codec.encoder(limits, DIALED if self.dials else None)

    @property
    def connection(self) -> Any:
        """What handlers see as their connection."""
        return self.face.connection

    @property
    def itself(self) -> Broker:
        """This broker, also where one has but a weak proxy for it."""
        return self

    @property
    def relay_decoder(self) -> Decoder:
        """The decoder for calls that are passed on: unknown classes go through it unharmed."""
        return self.codec.relay_decoder(self.limits, not self.dials)

    @property
    def is_unused(self) -> bool:
        """Whether nothing of the peer's is held or awaited: a connection for its references may close."""
        return (
            not (self.tables.imports or self.tables.replicas or self.calls.pending or self.streams)
            and self.state is State.OPEN
        )

    # --- bytes

    def start(self) -> None:
        """Say HELLO. Call it once, before anything else; then write `take_output()`."""
        self.greeting.say_hello()

    def take_output(self) -> list[bytes]:
        """Return the buffers to be written now, in order. Write all, or report the connection lost."""
        if self.tables.dropped:
            self.holdings.release_dropped()
        self.calls.written_id = self.calls.next_id - 1
        return self.outbox.take()

    # --- states

    def enter(self, event: str) -> None:
        """Go where the table of states leads from here."""
        self._enter(NEXT[self.state, event])

    def receive_hello(self, envelope: list[Any]) -> None:
        """Learn what the peer can do; from here on calls may be made."""
        self.speaks_pb = envelope[1:2] == [messages.MAGIC]
        hello = read_hello(envelope, self.limits)
        self.greeting.heard(hello)
        self.peer_agent = hello.agent
        self.peer_limits = limits = hello.limits
        if self.greeting.stranger is None:
            self.enter("hello")
            self.reader.allow(self.limits.max_frame)
        else:
            self.enter("hello of a stranger")
        self.outbox.max_frame = limits.max_frame
        self.outbox.open()
        self.tables.peer_max_refs = limits.max_refs
        self.tables.observing.peer_holds_caches = "cache" in hello.features
        self.tables.observing.peer_comes_back = "resync" in hello.features
        self.scope.encoder = self._encoder(limits)
        self.streams.meet(hello)
        self.calls.peer_max_calls = min(limits.max_calls, MOST_CALLS)
        self.calls.peer_pipelines = "pipeline" in hello.features
        self.calls.is_open = True
        self.face.opened()

    def close(self, code: int = messages.BYE_NORMAL, text: str = "") -> None:
        """Say BYE: nothing new begins, what is under way is finished, then the face is told `ended`."""
        if self.state is State.CLOSED:
            return
        if self.state is State.GREETING:
            self._say_bye(code, text)
            self.end(None)
            return
        if self.state in (State.STRANGER, State.OPEN, State.LEAVING):
            self.is_initiator = True
        if self.state in (State.STRANGER, State.OPEN):
            self._say_bye(code, text)
            self.calls.stop("this side is closing the connection")
        self.enter("bye")
        bound_drain(self)
        self.check_settled()

    def give_up(self, reason: str) -> None:
        """Say BYE and end at once: what is queued goes out before it, and nothing is waited for."""
        if self.state is State.CLOSED:
            return
        self.calls.written_id = self.calls.next_id - 1  # what is queued is written
        if self.state not in (State.LEAVING, State.DRAINING):  # where it was said
            self._say_bye(messages.BYE_NORMAL, "")
        self.end(None, reason)

    def _say_bye(self, code: int, text: str) -> None:
        text = text.encode("utf-8", "replace")[: messages.MAX_BYE_TEXT_BYTES].decode("utf-8", "ignore")
        if self.state is not State.LEAVING:  # there, whatever came since our BYE was dropped
            self._last = self.serving.last_id
        self.calls.bye_id = self.calls.bye_id or self.calls.next_id
        self.outbox.put_alone(msgpack.packb([messages.BYE, code, text, self._last]))

    def receive_bye(self, envelope: list[Any]) -> None:
        """The peer leaves: finish what is under way, or, for the abort codes, end at once."""
        if len(envelope) != 4 or [type(field) for field in envelope[1:]] != [int, str, int]:
            raise ProtocolError("BYE is [15, code, text, last]")
        _, code, text, last = envelope
        if code < 0 or not 0 <= last <= messages.MAX_ID:
            raise ProtocolError("BYE whose code or last is out of range")
        meaning = messages.BYE_CODES.get(code, "unknown code")
        reason = f"the peer said BYE {code} ({meaning})" + (f": {printable(text)}" if text else "")
        if code not in messages.DRAINING_CODES:
            self.calls.last_run = last
            self.outbox.clear()  # nothing is sent after an aborting BYE was seen
            self.end(ProtocolError(reason, code), reason)
            return
        if self.state is State.DRAINING:
            return  # a second one (F27): what it says of calls is no longer true
        if self.state in (State.STRANGER, State.OPEN):
            self._say_bye(messages.BYE_NORMAL, "")
        self.enter("peer bye")
        self.calls.stop(reason)
        self.calls.fail_not_run(last, reason)
        bound_late(self)
        bound_drain(self)

    def receive_late_call(self, envelope: list[Any]) -> None:
        """Run a call that comes after both have said BYE, where it may serve one of this side's."""
        bound_late(self)
        self.serving.receive_call(envelope)

    def receive_late_observe(self, envelope: list[Any]) -> None:
        """Apply an update that comes after both have said BYE; a question as a call."""
        bound_late(self)
        self.updates.receive_observe(envelope)

    def check_settled(self) -> None:
        """Close the transport if this side is the one to do so and nothing is under way any longer."""
        is_leaving = self.is_initiator and self.state is State.DRAINING  # first: it is asked after each call
        if is_leaving and not (self._is_awaited or self.serving.count or self.is_cut or self.streams):
            self.end(None)

    @property
    def _is_awaited(self) -> bool:
        return bool(self.calls.pending) and not self.gives_up

    def fail(self, error: ProtocolError) -> None:
        """End the connection because of `error`: say BYE with its code, then close."""
        if self.state is State.CLOSED:
            return
        self.calls.written_id = self.calls.next_id - 1  # what is queued goes out before the BYE
        if self.speaks_pb:  # to others, closing says enough
            self._say_bye(error.code, str(error))
        self.end(error)

    def end(self, error: ProtocolError | None, reason: str | None = None) -> None:
        """End the connection; what was to be said has been said."""
        self.enter("end")
        if error is not None:  # raised in functions that know this: it would lead back here from its frames
            error.__traceback__ = error.__context__ = None
        self.error = error
        self._forget(reason or (str(error) if error else "the connection was closed"))
        self.face.ended(error)

    def connection_lost(self, reason: str) -> None:
        """The transport is gone: settle every call and forget the peer. Calling it again does nothing."""
        if self.state is not State.CLOSED:
            self.enter("end")
            self._forget(reason)
        self.outbox.clear()

    def _forget(self, reason: str) -> None:
        self._batch = self._rest = None
        self.calls.stop(reason)  # before the program is told: what it sent now would never end
        self.calls.peer_max_calls = 0
        for export in self.tables.close():
            export.scope.broker.holdings.revoke(export)
        self.serving.abandon()
        self.streams.close(reason)
        self.calls.fail_all(reason)
        self._let_go()

    def _let_go(self) -> None:
        """Lead back to this from nowhere below, so that it is freed with the last that leads here.

        That is the face, a reference, or a handler that runs on, by its scope: what none of them has any
        longer would else be left to the collector of garbage, at 20 us for each connection.
        """
        self.deadlines.due.clear()  # calls of either side, and no time ends them any more
        self.serving.settled = _nothing
        me = weakref.proxy(self)
        self.greeting.broker = self.holdings.broker = self.streams.broker = me
        self.scope = self.serving.base = self.scope.orphan(me)

    def root_reference(self) -> RemoteReference:
        """Return the reference for the peer's root object."""
        return self.tables.root(self.scope)

    def ping(self, token: int = 0) -> None:
        """Ask for a sign of life."""
        self.outbox.put(self.codec.pack((messages.PING, token)))

    def receive_ping(self, envelope: list[Any]) -> None:
        """Give a sign of life."""
        self.serving.budget.draw(self.serving.taken, "a PING")
        self.outbox.put(self.codec.pack((messages.PONG, token_of(envelope, "PING"))))

    def receive_pong(self, envelope: list[Any]) -> None:
        """Take the sign of life: that bytes came is all that counts."""
        token_of(envelope, "PONG")


def _nothing() -> None:
    """See whether a connection that has ended is settled."""
