"""The streams of one connection, in both directions: their table, and the four messages about them.

Spec: spec/10-streams.md, spec/3-messages.md PULL, ITEMS, END, STOP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgpack import ExtType

from jelly import MalformedJelly, Unjellyable

from .. import messages
from ..bounds.ledger import Ledger
from ..errors import Cancelled, ConnectionLost, Forbidden, Gone, ProtocolError, TooLarge, Unsupported
from ..holding.detached import Detached
from ..stream import RemoteStream
from ..wire.ids import STREAM, id_ext
from ..wire.payloads import PAYLOADS, put_message, refused
from .consumer import Consumer
from .producer import Producer, passed_on, source_of
from .stream_state import PRODUCER, Phase

if TYPE_CHECKING:
    from ..broker import Broker
    from ..holding.scope import Scope
    from ..wire.hello import Hello


class Streams:
    """All streams of a connection that have not ended.

    Args:
        broker: whose streams they are.

    Attributes:
        producers: ours, by id.
        consumers: the peer's, by its id.
        ended: those that have ended and were not taken to their end, until the program drops them.
        is_held: whether the network takes no more for now.
        step: how many items are taken before credit for them is given.
        ledger: counts the items that have arrived and were not taken.
        peer_takes: whether the peer's HELLO announced the feature.
        peer_window: items that it takes before it asks for any.
        peer_max: streams that it takes at a time.
    """

    __slots__ = (
        "broker",
        "consumers",
        "deadlines",
        "ended",
        "face",
        "is_held",
        "ledger",
        "limits",
        "outbox",
        "pack",
        "peer_max",
        "peer_takes",
        "peer_window",
        "producers",
        "step",
        "tables",
    )

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.face = broker.face
        self.tables = broker.tables
        self.outbox = broker.outbox
        self.pack = broker.codec.pack
        self.limits = broker.limits
        self.deadlines = broker.deadlines
        self.producers: dict[int, Producer] = {}
        self.consumers: dict[int, Consumer] = {}
        self.ended: dict[int, Consumer] = {}
        self.is_held = False
        self.step = max(1, broker.limits.window // 2)
        self.ledger = Ledger("max_stream_bytes", broker.limits.max_stream_bytes)
        self.peer_takes = False
        self.peer_window = 0
        self.peer_max = 0

    def meet(self, hello: Hello) -> None:
        """Learn from the peer's HELLO how many streams it takes."""
        self.peer_takes = "stream" in hello.features
        self.peer_window = hello.limits.window
        self.peer_max = hello.limits.max_streams

    def __len__(self) -> int:
        return len(self.producers) + len(self.consumers)

    # --- ours

    def produce(self, value: Any, scope: Scope) -> ExtType:
        """Begin a stream of what a value gives, and return the Ext that announces it.

        Raises:
            Unsupported: the peer takes no streams.
            TooLarge: it takes no more of them now.
            Forbidden: a stream of another connection, and this one passes none on.
            Unjellyable: it is being sent already, or there is nobody to send it to.
        """
        if not self.peer_takes:
            raise Unsupported("the peer takes no streams: its HELLO did not announce 'stream'; send a list")
        if not self.tables.is_open:
            raise Unjellyable("is to be streamed over a connection that a hook has just ended")
        if scope.direct.is_over:
            raise Detached("is streamed by a perspective that has been detached meanwhile")
        most = min(self.limits.max_streams, self.peer_max)
        if len(self.producers) >= most:
            raise TooLarge(
                f"{len(self.producers)} streams are sent to the peer, the limit max_streams is {most}"
            )
        if any(row.value is value for row in self.producers.values()):
            raise Unjellyable("is a stream that is being sent to this peer already; it has one consumer")
        if isinstance(value, RemoteStream):
            self._take_over(value)
        id = self.tables.take_id()
        row = self.producers[id] = Producer(self, id_ext(STREAM, id), id, value, scope)
        scope.direct.running += 1
        return row.ext

    def _take_over(self, stream: RemoteStream) -> None:
        """Make a stream that came over a connection one that is passed on."""
        row = stream._pb_row
        if row.streams is not self and not self.tables.passes_on:
            raise Forbidden("a stream of another connection; this one passes none on (proxy=False)")
        if row.streams.face.thread != self.face.thread:
            raise Unjellyable("is a stream of a connection that lives in another thread")
        if row.is_passed_on or row.waiter is not None:
            raise Unjellyable("is a stream that is being read or passed on already; it has one consumer")
        row.is_passed_on = True

    def open(self, value: Any, id: int) -> Any:
        """Return an async iterator over what a value gives."""
        return source_of(value, id, self.face.iterate)

    def seal(self, id: int) -> None:
        """Note that the payload which announces this stream is sent next."""
        row = self.producers.get(id)
        if row is not None:  # else a hook has ended the connection meanwhile
            self.tables.fresh.append(row)

    def undo(self, id: int) -> None:
        """Take back a stream whose payload will not be sent: nothing of it has been made."""
        row = self.producers.get(id)
        if row is not None:  # pragma: no branch - as above
            row.phase = Phase.ENDED
            if isinstance(row.value, RemoteStream):
                row.value._pb_row.is_passed_on = False
            self.forget(row)

    def finish(self, row: Producer, error: BaseException | None, *, relayed: bool) -> None:
        """Send END, unless the connection is gone, and forget the stream."""
        if row.phase is Phase.ENDED:
            return
        if error is None:
            self.outbox.put(self.pack((messages.END, row.id)))
        else:
            if relayed:
                error = passed_on(error)
            payload = self.broker.serving.tell(row.scope, error, relayed=relayed, what="a stream to")
            put_message(self.outbox, self.pack, [messages.END, row.id], payload)
            if self.tables.fresh:
                self.tables.observing.sent(self.tables)
        row.phase = PRODUCER[row.phase, "end"]
        self.forget(row)
        self.broker.check_settled()

    def forget(self, row: Producer) -> None:
        """Take a stream of ours off the table."""
        if self.producers.pop(row.id, None) is not None:
            if self.deadlines:
                self.deadlines.discard(row)
            row.scope.direct.leave()

    def end_under(self, scope: Scope) -> None:
        """End what is streamed under an attachment, in both directions: it is over."""
        for row in list(self.producers.values()):
            if row.scope.direct is scope:
                row.end_because(Gone("what the stream was handed out under has ended"))
        for taken in list(self.consumers.values()):
            if taken.scope.direct is scope:
                self.stop(taken, Gone("what the stream was received under has ended"))

    def is_made_within(self, call: object) -> bool:
        """Whether a call has handed over a stream that is still being made."""
        return any(row.is_within(call) for row in self.producers.values())

    def hold(self) -> None:
        """Make no more items: the network takes no more for now."""
        self.is_held = True

    def go_on(self) -> None:
        """Make items again."""
        self.is_held = False
        for row in list(self.producers.values()):
            row.wake()

    def receive_pull(self, envelope: list[Any]) -> None:
        """Let a stream of ours send more."""
        if len(envelope) != 3 or type(envelope[1]) is not int or type(envelope[2]) is not int:
            raise ProtocolError("PULL is [9, stream, count]")
        if not 1 <= envelope[2] <= messages.MAX_ID:
            raise ProtocolError("PULL whose count is not 1 to 2^53-1")
        row = self._sent(envelope[1], "PULL")
        if row is not None:
            row.pull(envelope[2])

    def receive_stop(self, envelope: list[Any]) -> None:
        """End a stream of ours: the peer has given it up."""
        if len(envelope) != 2 or type(envelope[1]) is not int:
            raise ProtocolError("STOP is [12, stream]")
        row = self._sent(envelope[1], "STOP")
        if row is not None:
            row.stop()

    def _sent(self, id: int, name: str) -> Producer | None:
        """Return a stream of ours, None for one that has ended meanwhile."""
        row = self.producers.get(id)
        if row is None and (id in self.tables.exports or not self.tables.was_given(id)):
            raise ProtocolError(f"{name} for an id that is no stream")
        return row

    # --- the peer's

    def consume(self, id: int, scope: Scope) -> RemoteStream:
        """Return what stands for a stream that the peer announces.

        Raises:
            MalformedJelly: the id is in use.
        """
        if id in self.consumers or self.tables.holds(id):
            raise MalformedJelly(f"STREAM {id}, an id that is in use")
        stream: RemoteStream = self.face.make_stream()
        row = stream._pb_row = Consumer(stream, self.tables.drop)
        row.begin(id, scope, self)
        if not self.tables.is_open:  # a hook has ended the connection meanwhile
            row.finish("lost", ConnectionLost("the connection has ended"))
            return stream
        if len(self.consumers) >= self.limits.max_streams:
            row.finish("lost", ConnectionLost("the peer sent more streams than it may"))
            most = self.limits.max_streams
            self.broker.fail(
                ProtocolError(f"more than {most} streams, the limit max_streams", messages.BYE_LIMIT)
            )
            return stream
        self.consumers[id] = row
        self.tables.arrived.append(row)
        row.mark = self.broker.serving.last_id
        scope.direct.running += 1
        return stream

    def belong(self, call_id: int) -> None:
        """Note which streams came with a call that was just decoded; others came with something else."""
        for row in self.tables.arrived:
            if row.mark == call_id:
                row.call_id = call_id
        self.tables.arrived.clear()

    def stop_of_call(self, call_id: int) -> None:
        """Give up the streams that came with a call which was cancelled."""
        for row in list(self.consumers.values()):
            if call_id and row.call_id == call_id:  # of those without an id nobody can tell which it was
                self.stop(row, Cancelled("the call that brought the stream was cancelled"))

    def stop(self, row: Consumer, why: BaseException | None = None) -> None:
        """Give a stream of the peer's up; whoever waits for it is told why, or else that it is over."""
        row.clear()
        self.ended.pop(row.id, None)
        if row.phase is Phase.OPEN:
            row.finish("stop", why)
            self.outbox.put(self.pack((messages.STOP, row.id)))
        else:
            row.error = None

    def say_pull(self, id: int, count: int) -> None:
        """Send PULL."""
        self.outbox.put(self.pack((messages.PULL, id, count)))

    def receive_items(self, envelope: list[Any]) -> None:
        """Take in the next items of a stream."""
        if len(envelope) != 3 or type(envelope[1]) is not int or type(envelope[2]) not in PAYLOADS:
            raise ProtocolError("ITEMS is [10, stream, payload]")
        _, id, payload = envelope
        row = self.consumers.get(id)
        if row is None:
            raise ProtocolError("ITEMS for an id that is no stream, or whose END was sent")
        try:
            items = row.scope.decoder.loads(payload, row.scope)
        except MalformedJelly:
            raise
        except BaseException as error:  # a hook of a copy may raise anything
            self.stop_at(row, refused(error))
            return
        if type(items) is not list or not items:
            raise ProtocolError("the payload of ITEMS is no array of items", messages.BYE_MALFORMED)
        if len(items) > row.credit:
            raise ProtocolError(
                f"ITEMS with {len(items)} items, where {row.credit} were asked for", messages.BYE_LIMIT
            )
        row.credit -= len(items)
        if row.phase is not Phase.OPEN:
            return  # they crossed our STOP; they were counted, and are dropped
        weight = self.ledger.weigh(payload)
        why = self.ledger.why_full(weight)
        if why:
            self.stop_at(
                row,
                TooLarge(f"too much waits to be taken: {why}; take items sooner, or have them made smaller"),
            )
            return
        row.arrive(items, weight)

    def stop_at(self, row: Consumer, error: BaseException) -> None:
        """Give a stream up at this place: what came before can still be taken, and then comes the error."""
        if row.phase is Phase.OPEN:
            row.finish("stop", error)
            self.outbox.put(self.pack((messages.STOP, row.id)))

    def receive_end(self, envelope: list[Any]) -> None:
        """Take notice that a stream has ended, well or not."""
        if len(envelope) not in (2, 3) or type(envelope[1]) is not int:
            raise ProtocolError("END is [11, stream] or [11, stream, payload]")
        row = self.consumers.get(envelope[1])
        if row is None:
            raise ProtocolError("END for an id that is no stream, or that has ended")
        error: BaseException | None = None
        if len(envelope) == 3:
            if type(envelope[2]) not in PAYLOADS:
                raise ProtocolError("END whose payload is no bin")
            try:
                error = row.scope.decoder.loads_error(envelope[2], row.scope)
            except MalformedJelly:
                raise
            except BaseException as refusal:  # as above
                error = refused(refusal)
        if self.consumers.pop(row.id, None) is None:  # pragma: no cover - a hook has ended the connection
            return
        row.finish("end", error)
        if row.items or row.lent:  # a weak reference that is gone tells nobody of the end of its object
            self.ended[row.id] = row
        row.scope.direct.leave()
        # Nothing is owed; but a connection that is kept by what is held of it may close now.
        self.tables.drop((row.id, 0))
        self.broker.check_settled()

    def close(self, reason: str) -> None:
        """End all: the connection is gone."""
        self.ledger.leave()
        self.ended.clear()
        producers, self.producers = self.producers, {}
        consumers, self.consumers = self.consumers, {}
        for row in producers.values():
            if self.deadlines:
                self.deadlines.discard(row)
            row.lose()
        for taken in consumers.values():
            taken.finish("lost", ConnectionLost(f"the stream was cut: {reason}"))
