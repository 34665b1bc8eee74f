"""Files and sockets as streams of bytes: `stream_file` sends one, `receive_file` takes one.

Whatever may block runs in a thread, in blocks larger than what is sent, so that a hop costs little.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import socket
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, BinaryIO, TypeVar

from jelly._article import a
from pb.errors import TooLarge

CHUNK_BYTES = 32 * 1024
_BLOCK_BYTES = 256 * 1024

T = TypeVar("T")
Progress = Callable[[int], object]


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Run something that blocks in a thread; being cancelled waits for its end, so that nothing runs on."""
    running = asyncio.ensure_future(asyncio.to_thread(function, *args))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


class FileStream:
    """An async iterator over the pieces of a file, which is opened for the first of them."""

    def __init__(self, source: Any, chunk_bytes: int, progress: Progress | None) -> None:
        self._source = source
        self._chunk_bytes = chunk_bytes
        self._progress = progress
        self._pieces: AsyncIterator[bytes] | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        if self._pieces is not None:
            raise RuntimeError("this file is being streamed already; call stream_file again")
        self._pieces = self._run()
        return self._pieces

    async def _run(self) -> AsyncGenerator[bytes, None]:
        sent = 0
        async with contextlib.aclosing(self._blocks()) as blocks:
            async for block in blocks:
                for start in range(0, len(block), self._chunk_bytes):
                    piece = block[start : start + self._chunk_bytes]
                    yield piece
                    sent += len(piece)
                    if self._progress is not None:
                        self._progress(sent)

    async def _blocks(self) -> AsyncGenerator[bytes, None]:
        source, size = self._source, max(_BLOCK_BYTES, self._chunk_bytes)
        if isinstance(source, asyncio.StreamReader):
            while block := await source.read(size):
                yield block
        elif isinstance(source, socket.socket):
            loop = asyncio.get_running_loop()
            while block := await loop.sock_recv(source, size):
                yield block
        elif hasattr(source, "read"):
            # One that gives what there is, where it can: a pipe must not keep what has come until it is full.
            read = getattr(source, "read1", source.read)
            while block := await in_thread(read, size):
                yield block
        else:
            file: Any = await in_thread(open, source, "rb", 0)
            try:
                while block := await in_thread(file.read, size):
                    yield block
            finally:
                await in_thread(file.close)


def check_source(source: Any, chunk_bytes: int) -> None:
    """Refuse where it was called what cannot be read.

    Raises:
        OSError: no such file, or it must not be read.
        TypeError: neither a path, nor something to read bytes from.
        ValueError: pieces of no size.
    """
    if chunk_bytes < 1:
        raise ValueError(f"chunk_bytes is {chunk_bytes}; at least 1 is expected")
    if not isinstance(source, str | os.PathLike | asyncio.StreamReader | socket.socket) and not hasattr(
        source, "read"
    ):
        raise TypeError(
            "a path, an open binary file, a StreamReader or a socket is expected, not "
            f"{a(type(source).__name__)}"
        )
    if isinstance(source, str | os.PathLike):
        _check_file(source)


def _check_file(path: str | os.PathLike[str]) -> None:
    # Opened again for the first piece: what is never sent must keep no file open. Only what is no file, a
    # pipe say, may block, or do something, when it is opened.
    kind = os.stat(path).st_mode
    if stat.S_ISREG(kind) or stat.S_ISDIR(kind):
        io.FileIO(path).close()


def stream_file(
    source: Any, *, chunk_bytes: int = CHUNK_BYTES, progress: Progress | None = None
) -> FileStream:
    """Return what is sent as the content of a file: the argument of a call, or the result of a method.

        def remote_download(self, name):
            return pb.stream_file(self.path_of(name))

    It is read as its consumer takes it, in a thread. At the other end it is a stream of bytes; `receive_file`
    puts it into a file.

    Args:
        source: the path of a file; a binary file that is open, which is left open; an asyncio.StreamReader;
            or a connected, non-blocking socket.
        chunk_bytes: how much is sent at a time. Large pieces keep calls waiting behind them.
        progress: called on the loop with the number of bytes that were sent so far.

    Raises:
        OSError: there is no such file, or it cannot be read: as `open` says it, here and at once. In a method
            that returns this it is the error of the call.
        TypeError: the source is none of these.
    """
    check_source(source, chunk_bytes)
    return FileStream(source, chunk_bytes, progress)


class Incoming:
    """A file that is being received. A path gets its name only when all is there.

    Its methods block.
    """

    def __init__(self, target: Any, max_bytes: int | None, progress: Progress | None) -> None:
        self._target = target
        self._max_bytes = max_bytes
        self._progress = progress
        self._path = None if hasattr(target, "write") else os.fspath(target)
        self._file: BinaryIO | None = None if self._path is not None else target
        self._part = None if self._path is None else f"{self._path}.{os.urandom(4).hex()}.part"
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self.received = 0

    def take(self, piece: object) -> bool:
        """Take a piece; tell whether it is time to write what there is.

        Raises:
            TypeError: it is no bytes.
            TooLarge: it is more than may come.
        """
        if not isinstance(piece, bytes):
            raise TypeError(f"the stream brought {a(type(piece).__name__)}; bytes are expected")
        self.received += len(piece)
        if self._max_bytes is not None and self.received > self._max_bytes:
            raise TooLarge(f"the stream brought more than {self._max_bytes} bytes, its max_bytes")
        self._waiting.append(piece)
        self._waiting_bytes += len(piece)
        if self._progress is not None:
            self._progress(self.received)
        return self._waiting_bytes >= _BLOCK_BYTES

    def write(self) -> None:
        """Write what has come."""
        if self._file is None:
            assert self._part is not None
            self._file = open(self._part, "xb")  # noqa: SIM115 - closed by finish or abandon
        waiting, self._waiting = self._waiting, []
        self._waiting_bytes = 0
        self._file.write(b"".join(waiting))

    def finish(self) -> int:
        """Write the rest, give the file its name, and return how many bytes it has."""
        self.write()
        assert self._file is not None
        if self._path is None:
            self._file.flush()
        else:
            assert self._part is not None
            self._file.close()
            os.replace(self._part, self._path)
            self._part = None
        return self.received

    def abandon(self) -> None:
        """Remove what was begun, unless it was finished."""
        if self._part is not None and self._file is not None:
            self._file.close()
            os.unlink(self._part)


async def receive_file(
    stream: Any, target: Any, *, max_bytes: int | None = None, progress: Progress | None = None
) -> int:
    """Put a stream of bytes into a file: `await pb.receive_file(ref.download("x"), "x")`.

    Args:
        stream: what a call brought, or the call itself.
        target: a path, which has the whole content or is left as it was; or a binary file that is open for
            writing, which is left open.
        max_bytes: at most so many; None for any number. Set it where you do not trust the peer.
        progress: called on the loop with the number of bytes that have come so far.

    Returns:
        How many bytes there were.

    Raises:
        TooLarge: there were more than max_bytes; the stream was given up.
        TypeError: the stream brought something that is no bytes.
        OSError: the file cannot be written.
    """
    incoming = Incoming(target, max_bytes, progress)
    pieces = stream.__aiter__()
    try:
        async for piece in pieces:
            if incoming.take(piece):
                await in_thread(incoming.write)
        return await in_thread(incoming.finish)
    finally:
        await pieces.aclose()
        await in_thread(incoming.abandon)
