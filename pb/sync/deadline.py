"""Calls that must be over by a certain time: `with sync.deadline(5.0):`."""

from __future__ import annotations

from types import TracebackType

from pb import context
from pb.calling.deadlines import seconds_of

from ._background import background


class deadline:
    """Give everything that is called in a block, here and at whoever is called, so much time in all.

        with sync.deadline(5.0):
            room = connection.root.room("lobby")
            print(room.look())

    A call whose time is over raises DeadlineExceeded, a TimeoutError, and its callee is stopped; callees pass
    on what is left. Within another deadline the earlier one counts.

    Args:
        seconds: from the beginning of the block.
    """

    __slots__ = ("_block", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds_of(seconds, "deadline")
        self._block: context.Block | None = None

    def __enter__(self) -> None:
        at = background().loop.time() + self._seconds
        before = context.due_at()
        self._block = context.Block(at=at if before is None else min(at, before))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._block is not None
        self._block.end(kind)
