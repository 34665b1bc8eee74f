"""Calls that must be over by a certain time: `async with pb.deadline(5.0):`."""

from __future__ import annotations

import asyncio
from types import TracebackType

from pb import context
from pb.calling.deadlines import seconds_of

from .opening import OnlyAsync


class deadline(OnlyAsync):
    """Give everything that is called in a block, here and at whoever is called, so much time in all.

        async with pb.deadline(5.0):
            room = await connection.root.room("lobby")
            print(await room.look())

    A call whose time is over fails with DeadlineExceeded, a TimeoutError, and its callee is stopped; callees
    pass on what is left. Within another deadline the earlier one counts. It is about remote calls: for other
    waiting use asyncio.timeout().

    Args:
        seconds: from the beginning of the block.
    """

    __slots__ = ("_block", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds_of(seconds, "deadline")
        self._block: context.Block | None = None

    def _names(self) -> tuple[str, str]:
        return "pb.deadline(...)", "pb.sync.deadline(...)"

    async def __aenter__(self) -> None:
        at = asyncio.get_running_loop().time() + self._seconds
        before = context.due_at()
        self._block = context.Block(at=at if before is None else min(at, before))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._block is not None
        self._block.end(kind)
