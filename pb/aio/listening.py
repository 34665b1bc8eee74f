"""A server of asyncio, which forgets nobody who is accepted in the very turn in which it closes.

The loops that come with Python accept in one turn, and make the transport in the next. If the server was
closed in between they cannot, and what they have made of it by then holds the socket open until garbage is
collected: whoever has connected waits for HELLO meanwhile. Where not even a protocol is made, nothing else
holds the socket, and it closes at once.

And where there are no files left to accept anybody with, they say so as often as they listen for connections:
a hundred lines a second, as long as whoever has opened all these connections likes.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

_BACKLOG: Final = 100
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_NOT_HERE: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


class ListeningSocket(socket.socket):
    """Says once, and not a hundred times, that there are no files left; the loop tries again in a second."""

    __slots__ = ("_was_exhausted",)

    def __init__(self, fileno: int) -> None:
        super().__init__(fileno=fileno)
        self._was_exhausted = False

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection, as every socket does. Right after it could not, there is none."""
        if self._was_exhausted:
            self._was_exhausted = False
            raise BlockingIOError
        try:
            return super().accept()
        except OSError as error:
            self._was_exhausted = error.errno in _EXHAUSTED
            raise


async def bind(host: str, port: int) -> list[ListeningSocket]:
    """Return what listens at each address of a host, but for those of a family that this machine has not got.

    Raises:
        OSError: cannot listen there.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    made: list[ListeningSocket] = []
    missing: OSError | None = None
    try:
        for family, where in dict.fromkeys((each[0], each[4]) for each in found):
            try:
                bound = socket.create_server(where, family=family, backlog=_BACKLOG)
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing = error
            else:
                bound.setblocking(False)
                made.append(ListeningSocket(bound.detach()))
        if not made and missing is not None:
            raise missing
    except OSError:
        for each in made:
            each.close()
        raise
    return made


class Listening:
    """A listener over TCP or a unix socket, once it has begun by one of these.

    Args:
        make: makes the protocol of each connection.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._is_closed = False
        self._servers: list[Any] = []

    async def tcp(self, host: str, port: int, tls: Mapping[str, Any]) -> Listening:
        """Listen at a port. Raises OSError: cannot listen there."""
        loop = asyncio.get_running_loop()
        for each in await bind(host, port):
            self._servers.append(
                await loop.create_server(self._make_open, sock=each, backlog=_BACKLOG, **tls)
            )
        return self

    async def unix(self, path: str) -> Listening:
        """Listen at a path. Raises OSError: cannot listen there."""
        self._servers.append(await asyncio.get_running_loop().create_unix_server(self._make_open, path))
        return self

    @property
    def sockets(self) -> Sequence[Any]:
        """Those that listen."""
        return [each for server in self._servers for each in server.sockets]

    def close(self) -> None:
        """Accept no more, at once; who is there is left alone."""
        self._is_closed = True
        for server in self._servers:
            server.close()

    def _make_open(self) -> Any:
        if self._is_closed:
            raise ConnectionAbortedError("accepted when the server closed; the socket is closed as well")
        return self._make()
