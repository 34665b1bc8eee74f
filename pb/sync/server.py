"""Listening, for blocking programs: `serve`."""

from __future__ import annotations

import asyncio
import os
import ssl
from types import TracebackType
from typing import Any

import jelly
from pb.aio import server as aio
from pb.aio import transports
from pb.aio.link import Link
from pb.aio.options import check_hooks, check_limits, check_registry, check_root, listener_address
from pb.aio.places import Places
from pb.aio.unreachable import cannot_listen
from pb.aio.web import Web
from pb.context import serving
from pb.holding.published import Published
from pb.interfaces import IRootFactory
from pb.limits import Limits

from ._background import Background, background
from .connection import Connection
from .link import SyncLink


class Server:
    """Something that listens. Made by `serve`; `with` closes it.

    Where the block is left by an exception, the calls of clients are finished as ever, for at most
    `Limits.drain_s`, and answers of clients are awaited no longer than that takes.

    Attributes:
        url: where it listens, with the real port, and the fingerprint of its key for `pbs://`.
    """

    def __init__(self, home: Background, server: aio.Server) -> None:
        self.url = server.url
        self._home = home
        self._server = server

    @property
    def connections(self) -> list[Connection]:
        """The connections that are open now."""
        found: list[Any] = self._home.call(lambda: self._server.connections)
        return found

    def _links(self) -> list[Link]:
        """Return all connections, those too that are being closed: calls are served there until the end."""
        found: list[Link] = self._home.call(lambda: list(self._server._places))
        return found

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(gives_up=kind is not None)

    def serve_forever(self) -> None:
        """Wait until the server is closed by another thread. Ctrl-C raises KeyboardInterrupt."""
        self._home.run(self._server.serve_forever)

    def close(self) -> None:
        """Listen no more, and end every connection in good order: what is under way is finished.

        Takes at most `Limits.drain_s`. Closing twice does nothing, and neither does closing it in a child
        process, where it is a copy: it stays the parent's. In a method that serves a call of one of
        them it does not wait for that one, because that call is under way; `serve_forever` does.
        """
        self._end(gives_up=False)

    def _end(self, gives_up: bool) -> None:
        if self._home.is_forked:
            return
        self._home.servers.discard(self._server)
        here = serving.get()

        async def end() -> None:
            serving.set(here)  # in a task of its own
            await self._server._end(gives_up)

        self._home.run(end)

    def publish(self, name: str, value: object) -> None:
        """Give an object a name, by which clients can have it. As `pb.Server.publish`."""
        self._home.call(self._server.publish, name, value)

    def unpublish(self, name: str) -> None:
        """Take a published name back. As `pb.Server.unpublish`."""
        self._home.call(self._server.unpublish, name)

    def __repr__(self) -> str:
        return repr(self._server)


def serve(
    root: Any,
    url: str,
    *,
    registry: jelly.Registry | None = None,
    limits: Limits | None = None,
    tls: ssl.SSLContext | str | os.PathLike[str] | None = None,
    web: Web | None = None,
    insecure: bool = False,
    debug: bool = False,
    proxy: bool = True,
    hooks: Any = None,
) -> Server:
    """Publish `root` at `url`, from now on: `with serve(root, url) as server`.

    Methods run in worker threads: those of one connection one after another, those of several at the same
    time, up to 32. Arguments and errors as for `pb.serve`.

    Raises:
        TypeError: the root is an application; those are served by `pb.serve` only.
    """
    address = listener_address(url)
    check_limits(limits)
    limits = limits or Limits()
    check_registry(registry)
    check_hooks(hooks)
    check_root(root)
    if IRootFactory.providedBy(root):
        raise TypeError("an application runs on a loop: serve it by pb.serve(...), or by `pb run`")
    home = background()
    published = Published()

    async def start() -> aio.Server:
        places = Places(limits, asyncio.get_running_loop().time, None)
        certificate: bytes | None = None

        def factory() -> Link:
            link = SyncLink(
                home,
                registry=registry,
                limits=limits,
                root=root,
                debug=debug,
                proxy=proxy,
                hooks=hooks,
                places=places,
                insecure=insecure,
                certificate=certificate,
            )
            # A root factory that has rules of its own replaces it.
            link.broker.serving.reserved.resolve = published.resolve
            return link

        try:
            wanted = transports.Wanted(address, factory, tls, web, limits, places.knock)
            listener, real = await transports.listen(wanted)
        except OSError as error:
            told = cannot_listen(error, address)
            if told is error:
                raise
            raise told from None
        certificate = transports.certificate_of(tls)
        server = aio.Server(listener, real, places, published)
        home.servers.add(server)
        return server

    return Server(home, home.run(start))
