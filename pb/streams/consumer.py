"""One stream of the peer's, as it is taken here: what has arrived, and how much more may.

Knows nothing of the other streams. Spec: spec/10-streams.md.
"""

from __future__ import annotations

import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from ..calling.ending import NOTHING
from ..calling.own import of_own_call
from ..context import due_at
from ..errors import DeadlineExceeded
from .stream_state import CONSUMER, Phase

if TYPE_CHECKING:
    from ..holding.scope import Scope
    from ..stream import RemoteStream
    from .streams import Streams


class Consumer(weakref.ref["RemoteStream"]):
    """The row of a stream that is received. It outlives what the program holds, which is what it refers to.

    Attributes:
        items: what has arrived and was not taken, each with its share of what it takes of memory.
        lent: what those take that were taken all at once and are still to be used.
        credit: how many more items the peer may send.
        owed: items taken for which no new credit was given.
        error: why it ended, once it has and if not well; raised once.
        mark: the last call that had arrived when it did.
        call_id: of the peer's call that brought it, 0 for none that could be cancelled.
        is_passed_on: whether its items go to another consumer, over this connection or another.
    """

    __slots__ = (
        "call_id",
        "credit",
        "error",
        "id",
        "is_passed_on",
        "items",
        "lent",
        "mark",
        "owed",
        "phase",
        "scope",
        "streams",
        "waiter",
    )

    id: int
    scope: Scope
    streams: Streams
    phase: Phase
    items: deque[tuple[Any, int]]
    credit: int
    lent: int
    owed: int
    error: BaseException | None
    waiter: Any
    mark: int
    call_id: int
    is_passed_on: bool

    def begin(self, id: int, scope: Scope, streams: Streams) -> None:
        """Be the row of this id. A weak reference has no constructor of its own that could do it."""
        self.id = id
        self.scope = scope
        self.streams = streams
        self.phase = Phase.OPEN
        self.items = NOTHING
        self.credit = streams.limits.window
        self.lent = self.owed = self.mark = self.call_id = 0
        self.error = self.waiter = None
        self.is_passed_on = False

    @property
    def is_over(self) -> bool:
        """Whether nothing more arrives."""
        return self.phase is not Phase.OPEN

    # --- what arrives

    def arrive(self, items: list[Any], size: int) -> None:
        """Take in items that take so many bytes of memory."""
        if self.items is NOTHING:
            self.items = deque()
        share = size // len(items)
        self.items.extend([(item, share) for item in items])
        self.streams.ledger.add(share * len(items))
        self.wake()

    def finish(self, event: str, error: BaseException | None) -> None:
        """Go where an event leads that ends it; what has arrived can be taken all the same."""
        was_open = self.phase is Phase.OPEN
        self.phase = CONSUMER[self.phase, event]
        if was_open:
            self.error = None if error is None else of_own_call(error)
            self.wake()

    def clear(self) -> None:
        """Drop what has arrived."""
        items, self.items = self.items, NOTHING
        self._take_back()
        self.streams.ledger.less(sum(size for _, size in items))

    def wake(self) -> None:
        """Let whoever waits look again."""
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # --- what is taken

    def take(self) -> Any:
        """Return the first item that has arrived, and let the peer send more where it is time to."""
        item, size = self.items.popleft()
        self.streams.ledger.less(size)
        self.grant(1)
        return item

    def take_all(self) -> list[Any]:
        """Return all that has arrived; it counts until the next time. Credit for more is given by `grant`."""
        items, self.items = self.items, NOTHING
        self.lent = sum(size for _, size in items)
        return [item for item, _ in items]

    def _take_back(self) -> None:
        lent, self.lent = self.lent, 0
        self.streams.ledger.less(lent)

    def grant(self, used: int) -> None:
        """Let the peer send as many as were used, in steps of half the window."""
        self.owed += used
        if self.owed >= self.streams.step and self.phase is Phase.OPEN:
            self.pull(self.owed)

    def pull(self, count: int) -> None:
        """Let the peer send so many more."""
        self.phase = CONSUMER[self.phase, "pull"]
        self.owed = 0
        self.credit += count
        self.streams.say_pull(self.id, count)

    async def next(self) -> Any:
        """Return the next item, once it has come.

        Raises:
            StopAsyncIteration: there are no more.
            RuntimeError: somebody else waits for it already.
        """
        await self._await_items()
        return self.take()

    async def more(self, used: int) -> list[Any]:
        """Return all that has come, once there is something, for a consumer that fetches by the heap.

        Args:
            used: how many of the last heap were used. So it is never further behind than one item at a time.

        Raises as next().
        """
        self._take_back()
        self.grant(used)
        await self._await_items()
        return self.take_all()

    async def _await_items(self) -> None:
        while not self.items:
            if self.is_over:
                error, self.error = self.error, None
                if error is None:
                    raise StopAsyncIteration
                try:
                    raise error
                finally:
                    del error  # its traceback holds this frame
            await self.wait()

    async def wait(self) -> None:
        """Wait until something has come, or it is over.

        Raises:
            RuntimeError: somebody else does.
        """
        if self.waiter is not None:
            raise RuntimeError("somebody waits for the next item already; a stream has one consumer")
        if not self.credit:
            self.pull(max(self.owed, self.streams.limits.window, 1))
        self.waiter = waiter = self.streams.face.make_future()
        limit = due_at()
        deadlines = self.streams.deadlines
        if limit is not None:
            deadlines.add(self, limit, self.expire)
        try:
            await waiter
        finally:
            if self.waiter is waiter:
                self.waiter = None
            if limit is not None:
                deadlines.discard(self)

    def expire(self) -> None:
        """Give it up: whoever waits has no more time."""
        self.streams.stop(self, DeadlineExceeded("the time for the stream is over; it was given up"))


class Passed:
    """What a stream that came over a connection is to whom it is passed on: an iterator over its items.

    So credit goes from end to end: nothing is asked of its producer before the new consumer asks for it.
    """

    __slots__ = ("_stream",)

    def __init__(self, stream: RemoteStream) -> None:
        self._stream = stream  # held: dropping it would give it up

    def __aiter__(self) -> Passed:  # pragma: no cover - asked for by the protocol of iterators only
        return self

    async def __anext__(self) -> Any:
        return await self._stream._pb_row.next()

    async def aclose(self) -> None:
        """Give it up."""
        row = self._stream._pb_row
        row.streams.stop(row)
