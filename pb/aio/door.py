"""The door of a listener that bounds strangers: who stands in it is one, before anything is done for it.

A handshake of TLS takes as long as the peer likes, up to a limit, and costs this side more than the peer. So
connections are counted from accept on, and not from where they could say HELLO.
Spec: spec/9-login.md, PB-A41.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

from pb.errors import Forbidden
from pb.logfields import fields

from . import logged
from .listening import Listening, bind
from .places import Knock, Leave
from .sparing import Sparing

log = logging.getLogger("pb")

_RETRY_S: Final = 1.0  # when there are too many open files


def let_in(knock: Knock, where: tuple[Any, ...] | None, sparing: Sparing) -> Leave | None:
    """Count in who has connected over TCP, from a host and a port; None where it is not wanted.

    Or where it has hung up before it was looked at: uvloop does not know from where it came then.
    """
    if where is None:
        return None
    try:
        return knock(where[0])
    except Forbidden as error:
        logged.not_wanted(f"{where[0]}:{where[1]}", error, sparing)
        return None


class Door:
    """A listener with TLS whose connections are counted before they shake hands.

    Args:
        make: makes the protocol of a connection; it gets what counts the connection out as `entered`, and has
            to call that.
        tls: what `create_server` would be told of TLS.
        knock: counts a connection in.
    """

    def __init__(self, make: Callable[[], Any], tls: Mapping[str, Any], knock: Knock) -> None:
        self._make = make
        self._tls = tls
        self._knock = knock
        self._accepting: list[asyncio.Task[None]] = []
        self._arrived: set[socket.socket] = set()  # those that no transport has been made for
        self._sparing = Sparing(asyncio.get_running_loop().time)
        self._shaking: set[asyncio.Task[None]] = set()
        self.sockets: list[socket.socket] = []

    async def listen(self, host: str, port: int) -> None:
        """Begin. Raises OSError: cannot listen there."""
        loop = asyncio.get_running_loop()
        self.sockets += await bind(host, port)
        for listening in self.sockets:
            task = loop.create_task(self._accept(listening))
            task.add_done_callback(functools.partial(_close, listening))
            self._accepting.append(task)

    def close(self) -> None:
        """Accept no more, and hang up on those who are shaking hands."""
        for task in (*self._accepting, *self._shaking):
            task.cancel()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, where = await loop.sock_accept(listening)
            except ConnectionError:
                continue  # it was gone before it was looked at
            except OSError as error:
                log.error(
                    "cannot accept connections for now: %s",
                    error,
                    extra=fields("server.failed", error=error),
                )
                await asyncio.sleep(_RETRY_S)
                continue
            leave = let_in(self._knock, where, self._sparing)
            if leave is None:
                accepted.close()
            else:
                self._arrived.add(accepted)
                task = loop.create_task(self._shake_hands(accepted, where, leave))
                self._shaking.add(task)
                task.add_done_callback(functools.partial(self._shaken, accepted, leave))
            await asyncio.sleep(0)  # where the next is there already, accepting it would not wait

    async def _shake_hands(self, accepted: socket.socket, where: tuple[Any, ...], leave: Leave) -> None:
        protocol = self._make()
        protocol.entered = leave
        self._arrived.discard(accepted)
        try:
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol, accepted, **self._tls
            )
        except OSError as error:  # ssl.SSLError, ConnectionError and TimeoutError are such
            logged.no_handshake(f"{where[0]}:{where[1]}", "TLS", error, self._sparing)
            leave()
        except BaseException:
            leave()
            raise
        else:
            # Refused after all: it is closing, or another only drops what comes (lingering.py).
            if transport.is_closing() or transport.get_protocol() is not protocol:
                leave()

    def _shaken(self, accepted: socket.socket, leave: Leave, task: asyncio.Task[None]) -> None:
        self._shaking.discard(task)
        if accepted in self._arrived:  # a task that is cancelled before its first step does nothing
            self._arrived.discard(accepted)
            accepted.close()
            leave()


def _close(listening: socket.socket, task: asyncio.Task[None]) -> None:
    listening.close()


async def create_server(
    host: str, port: int, make: Callable[[], Any], tls: Mapping[str, Any], knock: Knock | None
) -> Any:
    """Listen over TCP, by a `Door` where there is TLS and somebody counts; return what has `sockets`.

    Without TLS, what `make` makes has to count itself.
    """
    if knock is None or not tls:
        return await Listening(make).tcp(host, port, tls)
    door = Door(make, tls, knock)
    await door.listen(host, port)
    return door
