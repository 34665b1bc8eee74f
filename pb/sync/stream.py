"""Streams as blocking programs see them: `for row in reference.rows():`."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pb.aio.files import CHUNK_BYTES, Incoming, check_source
from pb.stream import RemoteStream

if TYPE_CHECKING:
    from .link import SyncLink


class Stream(RemoteStream):
    """A stream of the peer's: an iterator over items that it makes as they are taken.

    A call whose method is a generator (or returns any iterator) gives one, and a method that is called with
    one finds it among its arguments. The peer makes at most `Limits.window` items ahead of who takes them.
    Dropping the stream, which is what leaving the `for` does, gives it up: the generator at the other end is
    closed, and its `finally` runs. So does `close()`. It has one consumer, in one thread at a time.

    While it waits for an item, the thread runs what the peer calls here, as it does in a call.
    """

    __slots__ = ("_taken", "_used")

    def __init__(self) -> None:
        self._taken: deque[Any] = deque()
        self._used = 0

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> Any:
        """Return the next item.

        Raises:
            StopIteration: there are no more.
            RemoteError, or what the registry makes of it: its producer raised it.
            ConnectionLost: the connection has ended before it did.
            DeadlineExceeded: the time is over.
        """
        if not self._taken:
            row = self._pb_row
            if row.is_passed_on:
                raise RuntimeError("this stream was sent on, and its items go there; it has one consumer")
            link: SyncLink = row.streams.face
            used, self._used = self._used, 0
            try:
                # All that has come at once: a hop between threads costs more than an item.
                self._taken.extend(link.background.run(lambda: row.more(used), link.desk))
            except StopAsyncIteration:
                raise StopIteration from None
        self._used += 1
        return self._taken.popleft()

    def close(self) -> None:
        """Give the stream up: its producer is told to stop, and is not waited for."""
        row = self._pb_row
        link: SyncLink = row.streams.face
        self._taken.clear()
        link.background.call(row.streams.stop, row)


def stream_file(
    source: Any, *, chunk_bytes: int = CHUNK_BYTES, progress: Callable[[int], object] | None = None
) -> Iterator[bytes]:
    """Return what is sent as the content of a file: the argument of a call, or the result of a method.

    It is read as its consumer takes it, in a thread that may block.

    Args:
        source: the path of a file, or a binary file that is open, which is left open.
        chunk_bytes: how much is sent at a time. Large pieces keep calls waiting behind them.
        progress: called with the number of bytes that were sent so far.

    Raises:
        OSError: there is no such file, or it cannot be read; it is looked at here and at once.
        TypeError: the source is neither.
    """
    check_source(source, chunk_bytes)
    return _pieces(source, chunk_bytes, progress)


def _pieces(source: Any, chunk_bytes: int, progress: Callable[[int], object] | None) -> Iterator[bytes]:
    file = open(source, "rb", 0) if isinstance(source, str | os.PathLike) else source  # noqa: SIM115
    sent = 0
    try:
        while piece := file.read(chunk_bytes):
            yield piece
            sent += len(piece)
            if progress is not None:
                progress(sent)
    finally:
        if file is not source:
            file.close()


def receive_file(
    stream: Any,
    target: Any,
    *,
    max_bytes: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> int:
    """Put a stream of bytes into a file: `sync.receive_file(ref.download("x"), "x")`.

    Arguments, result and errors as for `pb.receive_file`.
    """
    incoming = Incoming(target, max_bytes, progress)
    try:
        for piece in stream:
            if incoming.take(piece):
                incoming.write()
        return incoming.finish()
    finally:
        stream.close()
        incoming.abandon()
