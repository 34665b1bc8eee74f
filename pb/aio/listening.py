"""A server of asyncio, which forgets nobody who is accepted in the very turn in which it closes.

The loops that come with Python accept in one turn, and make the transport in the next. If the server was
closed in between they cannot, and what they have made of it by then holds the socket open until garbage is
collected: whoever has connected waits for HELLO meanwhile. Where not even a protocol is made, nothing else
holds the socket, and it closes at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any


class Listening:
    """A listener over TCP or a unix socket, once it has begun by one of these.

    Args:
        make: makes the protocol of each connection.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._is_closed = False
        self._server: Any = None

    async def tcp(self, host: str, port: int, tls: Mapping[str, Any]) -> Listening:
        """Listen at a port. Raises OSError: cannot listen there."""
        self._server = await asyncio.get_running_loop().create_server(self._make_open, host, port, **tls)
        return self

    async def unix(self, path: str) -> Listening:
        """Listen at a path. Raises OSError: cannot listen there."""
        self._server = await asyncio.get_running_loop().create_unix_server(self._make_open, path)
        return self

    @property
    def sockets(self) -> Sequence[Any]:
        """Those that listen."""
        found: Sequence[Any] = self._server.sockets
        return found

    def close(self) -> None:
        """Accept no more, at once; who is there is left alone."""
        self._is_closed = True
        self._server.close()

    def _make_open(self) -> Any:
        if self._is_closed:
            raise ConnectionAbortedError("accepted when the server closed; the socket is closed as well")
        return self._make()
