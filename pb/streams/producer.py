"""One stream of ours: made item by item, never further ahead of its consumer than that one allows.

Everything happens in one task, from the first item to the end of a generator's `finally`: what is begun in
a task (a timeout, a task group) is to be ended in it. Spec: spec/10-streams.md.
"""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from jelly import SCALARS, Bulk, Oversized

from .. import messages
from ..calling.halting import start
from ..context import due_at, serving
from ..errors import Cancelled, ConnectionLost, DeadlineExceeded, Gone, TooLarge
from ..logfields import fields
from ..stream import RemoteStream
from ..wire.outbox import LARGE_PAYLOAD
from ..wire.payloads import put_message
from .consumer import Passed
from .stream_state import PRODUCER, Phase

if TYPE_CHECKING:
    from msgpack import ExtType

    from ..holding.scope import Scope
    from .streams import Streams

log = logging.getLogger("pb")

# Items of one message, in bytes: larger ones would keep calls waiting behind them.
_ITEMS_BYTES: Final = 64 * 1024
# Items, and pieces of 4 KiB, after which others get their turn: a producer that never waits must not keep
# the loop for as long as its consumer keeps asking.
_TURN: Final = 64
_PIECE: Final = 4096
# First bytes of every form of Ext: without them a payload holds no id, and may wait for others.
_EXTS: Final = bytes([0xC7, 0xC8, 0xC9, *range(0xD4, 0xD9)])
_MAX_GATHERED: Final = 1024


class Producer:
    """The row of a stream that is sent.

    Attributes:
        value: what gives the items.
        ext: STREAM, with its id.
        credit: how many items may be sent.
        is_unsent: whether the payload that announces it is not queued yet.
        connection: what the maker of its items sees as its connection; only behind the end, as for a call.
        why: what the consumer is told of a stream that was ended from outside.
        failed: is told the error that has ended the making of items; None where nobody waits for that.
    """

    __slots__ = (
        "_bytes",
        "_context",
        "_gathered",
        "_is_cancelled",
        "_most_bytes",
        "_task",
        "_waiter",
        "_work",
        "connection",
        "credit",
        "ext",
        "failed",
        "id",
        "is_unsent",
        "phase",
        "scope",
        "streams",
        "value",
        "why",
    )

    def __init__(self, streams: Streams, ext: ExtType, id: int, value: Any, scope: Scope) -> None:
        self.streams = streams
        self.ext = ext
        self.id = id
        self.value = value
        self.scope = scope
        self.phase = Phase.OPEN
        self.credit = streams.peer_window
        self.is_unsent = True
        self.why: Exception | None = None
        self.failed: Callable[[BaseException], None] | None = None
        # On whose behalf it is made, and by when, is as where the stream was handed over.
        self._context = contextvars.copy_context()
        self._task: Any = None
        self._waiter: Any = None
        self._is_cancelled = False
        self._gathered: list[bytes] = []
        # Each container takes a byte, so what is gathered never holds more than the peer takes (PB-V49).
        self._most_bytes = min(_ITEMS_BYTES, scope.encoder.limits.max_containers - 1)
        self._bytes = 0
        self._work = 0

    def begin(self) -> None:
        """Begin to make items: the payload that announces the stream is queued."""
        if self.phase is Phase.ENDED:  # pragma: no cover - a hook has ended the connection meanwhile
            return
        limit = self._context.run(due_at)
        if limit is not None:
            self.streams.deadlines.add(self, limit, self.expire)
        face = self.streams.face
        self._task = self._context.run(start, face, face.spawn, self._run)

    def is_within(self, call: object) -> bool:
        """Whether it was handed over in this call, as `pb.context.serving` has it."""
        return self._context.get(serving) is call

    # --- what comes from outside

    def pull(self, count: int) -> None:
        """Take credit for more items."""
        self.phase = PRODUCER[self.phase, "pull"]
        self.credit = min(self.credit + count, messages.MAX_ID)
        self.wake()

    def wake(self) -> None:
        """Go on, if that is possible now."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def stop(self) -> None:
        """End it, because its consumer wants no more."""
        self.phase = PRODUCER[self.phase, "stop"]
        self._cancel()

    def end_because(self, why: Exception) -> None:
        """End it, and let the consumer know why."""
        if self.phase is Phase.OPEN and not self._is_cancelled:
            self.why = why
            self._cancel()

    def expire(self) -> None:
        """End it: its time is over."""
        self.end_because(DeadlineExceeded("the time for the stream is over; it was stopped"))

    def lose(self) -> None:
        """End it without a word: the connection is gone."""
        self.connection = self.streams.face.connection
        self.phase = PRODUCER[self.phase, "lost"]
        self._cancel()

    def _cancel(self) -> None:
        """Stop what makes the items, once; one that has not begun makes none."""
        if not self._is_cancelled:
            self._is_cancelled = True
            if self._task is not None:  # None: it is in its first step right now
                self._task.cancel()

    # --- the task

    async def _run(self, halt: Any) -> None:
        source: Any = None
        error: BaseException | None = None
        try:
            await halt
            if not self._is_cancelled:  # else before its task was made
                source = self.streams.open(self.value, self.id)
            while source is not None and not self._is_cancelled:
                await self._allow()
                self._put(await _Step(source.__anext__, self._flush))
        except StopAsyncIteration:
            pass
        except GeneratorExit as caught:  # this was thrown away, or the iterator has raised that
            self.scope.tables.later(partial(self._end, caught))
            return
        except BaseException as caught:
            error = caught
        try:
            await _close(source)
        except GeneratorExit as caught:
            self.scope.tables.later(partial(self._end, caught))
            return
        except BaseException as caught:
            if not isinstance(caught, Exception):
                error = error or caught
            elif error is None:
                error = caught
            elif self.scope.tables.may_log(logging.ERROR, "stream.failed"):
                log.error(
                    "a stream failed while it was closed",
                    exc_info=caught,
                    extra=fields("stream.failed", scope=self.scope.direct, error=caught),
                )
        self._end(error)
        del error, source  # the traceback holds this frame

    async def _allow(self) -> None:
        """Wait until an item may be made."""
        if self._work >= _TURN:
            self._work = 0
            self._flush()
            await self.streams.face.sleep(0)
        while (not self.credit or self.streams.is_held) and not self._is_cancelled:
            self._flush()
            self._waiter = self.streams.face.make_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def _put(self, item: Any) -> None:
        """Encode an item now, before its maker can change it, and send it, alone or with its neighbours.

        Raises:
            Unjellyable, TooLarge: it cannot be sent.
        """
        if self._is_cancelled:
            return  # made while it was being stopped
        self.phase = PRODUCER[self.phase, "items"]
        self.credit -= 1
        kind = type(item)
        payload: bytes | Bulk
        if kind is bytes and len(item) >= LARGE_PAYLOAD:
            self._flush()
            payload = _bulk_item(item, self.scope.encoder.max_payload)
        else:
            try:
                payload = self.scope.encoder.encode([item], self.scope, "the items of the stream")
            except Oversized as error:
                raise TooLarge(str(error)) from None
            if type(payload) is bytes and (kind in SCALARS or _is_alone(payload)):
                self._gather(payload[1:])
                return
            self._flush()
        self._send(payload)

    def _gather(self, piece: bytes) -> None:
        """Keep an item that names nothing for the next message."""
        if self._bytes + len(piece) > self._most_bytes or len(self._gathered) == _MAX_GATHERED:
            self._flush()
        self._gathered.append(piece)
        self._bytes += len(piece)
        self._work += 1

    def _flush(self) -> None:
        """Send the items that were gathered."""
        pieces = self._gathered
        if not pieces:
            return
        count = len(pieces)
        head = bytes((0x90 | count,)) if count < 16 else b"\xdc" + count.to_bytes(2, "big")
        payload = head + b"".join(pieces)
        self._gathered = []
        self._bytes = 0
        self._send(payload)

    def _send(self, payload: bytes | Bulk) -> None:
        streams = self.streams
        self._work += 1 + len(payload) // _PIECE
        if (
            self.phase is Phase.OPEN and streams.tables.is_open
        ):  # pragma: no branch - else a hook has ended it
            put_message(streams.outbox, streams.pack, [messages.ITEMS, self.id], payload)
            if streams.tables.fresh:
                streams.tables.observing.sent(streams.tables)

    def _end(self, error: BaseException | None) -> None:
        """Tell the consumer that it is over: exactly once, and never to one that is gone."""
        if self.phase is Phase.OPEN:
            self._flush()
        if self._is_cancelled:
            if isinstance(error, Exception) and self.scope.tables.may_log(logging.ERROR, "stream.failed"):
                log.error(
                    "a stream failed while it was stopped",
                    exc_info=error,
                    extra=fields("stream.failed", scope=self.scope.direct, error=error),
                )
            error = self.why
        elif error is not None:
            if not isinstance(error, Exception):
                error = Cancelled("the producer of the stream was stopped")
            if self.failed is not None:
                self.failed(error)
        self.streams.finish(self, error, relayed=isinstance(self.value, RemoteStream))


class _Step:
    """Wait for the next item; what has been gathered before it leaves if that takes its time."""

    __slots__ = ("_flush", "_next")

    def __init__(self, next: Callable[[], Any], flush: Callable[[], None]) -> None:
        self._next = next
        self._flush = flush

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._next().__await__()
        if not hasattr(steps, "throw"):  # no generator: it may be anything with a __next__
            self._flush()
            return (yield from steps)
        try:
            waits_for = steps.send(None)
            self._flush()
            while True:
                try:
                    got = yield waits_for
                except BaseException as error:
                    waits_for = steps.throw(error)
                else:
                    waits_for = steps.send(got)
        except StopIteration as done:
            return done.value


def _is_alone(payload: bytes) -> bool:
    """Tell whether an item can share a message: it is no GRAPH, and names nothing that could be released."""
    return payload[0] == 0x91 and len(payload.translate(None, _EXTS)) == len(payload)


def _bulk_item(item: bytes, max_payload: int) -> Bulk:
    """Return the payload of one large bytes, which are not copied for it."""
    size = len(item)
    head = b"\x91\xc5" + size.to_bytes(2, "big") if size < 0x10000 else b"\x91\xc6" + size.to_bytes(4, "big")
    if len(head) + size > max_payload:
        raise TooLarge(
            f"an item of {size} bytes exceeds what the peer takes, {max_payload} (the smaller max_frame of "
            "the two sides, less its envelope); make smaller ones, or raise both"
        )
    return Bulk(head, item)


async def _close(source: Any) -> None:
    """Let the source clean up."""
    close = getattr(source, "aclose", None)
    if close is not None:
        await close()


def passed_on(error: BaseException) -> BaseException:
    """Return what the consumer is told where the connection is gone that a stream came over."""
    if isinstance(error, ConnectionLost):
        return Gone(f"the connection that the stream came over was lost; {error}")
    return error


def source_of(value: Any, id: int, iterate: Callable[[Any, int], Any]) -> Any:
    """Return an async iterator over what a value gives.

    Args:
        id: of the stream.
        iterate: makes one of a plain iterator.
    """
    if isinstance(value, RemoteStream):
        return Passed(value)
    if hasattr(type(value), "__aiter__"):
        return value.__aiter__()
    return value if hasattr(type(value), "__anext__") else iterate(value, id)
