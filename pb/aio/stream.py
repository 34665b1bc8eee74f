"""Streams as asyncio programs see them: `async for row in reference.rows():`.

Spec: spec/10-streams.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from jelly._article import a
from pb.stream import RemoteStream


class Stream(RemoteStream):
    """A stream of the peer's: an async iterator over items that it makes as they are taken.

    A call whose method is an async generator (or returns any iterator) gives one, and a method that is called
    with one finds it among its arguments. The peer makes at most `Limits.window` items ahead of who takes
    them. `async for` that ends early, by `break` or an error, gives the stream up: the generator at the
    other end is closed, and its `finally` runs. So does dropping the last reference to it, and `aclose()`.

    Who is cancelled while waiting for an item of a stream that was awaited may go on with it; a loop over the
    call itself, `async for row in ref.rows()`, ends it.

    It has one consumer. It may be sent on, over any connection of the same thread, as the result or an
    argument of a call: then its items go there, with credit from end to end.
    """

    __slots__ = ()

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Any:
        """Return the next item.

        Raises:
            StopAsyncIteration: there are no more.
            RemoteError, or what the registry makes of it: its producer raised it.
            ConnectionLost: the connection has ended before it did.
            DeadlineExceeded: the time of the call, or of `pb.deadline` here, is over.
        """
        row = self._pb_row
        if row.is_passed_on:
            raise RuntimeError("this stream was sent on, and its items go there; a stream has one consumer")
        if row.items:
            return row.take()
        try:
            return await row.next()
        except BaseException:
            del self  # a traceback keeps this frame, and must not keep the stream
            raise

    async def aclose(self) -> None:
        """Give the stream up: its producer is told to stop, and is not waited for."""
        row = self._pb_row
        row.streams.face.check_thread()
        row.streams.stop(row)


class Rows:
    """What `async for` goes through that is given a call itself: it waits for the stream first."""

    __slots__ = ("_promise", "_stream")

    def __init__(self, promise: asyncio.Future[Any]) -> None:
        self._promise: asyncio.Future[Any] | None = promise
        self._stream: Any = None

    def __aiter__(self) -> Rows:
        return self

    async def __anext__(self) -> Any:
        if self._promise is not None:
            found = await self._promise
            if not isinstance(found, RemoteStream):
                raise TypeError(
                    f"{self._promise!r} brought {a(type(found).__name__)}, which is no stream; await the call"
                )
            self._stream, self._promise = found, None  # which would keep the stream
        if self._stream is None:
            raise StopAsyncIteration  # given up
        try:
            return await self._stream.__anext__()
        except asyncio.CancelledError:
            await self.aclose()  # nobody else can go on with it
            raise

    async def aclose(self) -> None:
        """Give the stream up; a call that has brought none yet is cancelled."""
        promise, self._promise = self._promise, None
        if (
            promise is not None
            and not promise.cancel()
            and not promise.cancelled()
            and not promise.exception()
        ):
            self._stream = promise.result()
        if isinstance(self._stream, Stream):
            await self._stream.aclose()


class Plain:
    """An async iterator over a plain one, which must not block."""

    __slots__ = ("_iterator",)

    def __init__(self, iterator: Iterator[Any], id: int) -> None:
        self._iterator = iterator

    async def __anext__(self) -> Any:
        try:
            return next(self._iterator)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        """Close a generator."""
        close = getattr(self._iterator, "close", None)
        if close is not None:
            close()
