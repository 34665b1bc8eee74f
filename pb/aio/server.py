"""Listening: `serve`."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import ssl
from functools import partial
from types import TracebackType
from typing import Any

import jelly
from pb import messages
from pb.holding.published import Published
from pb.interfaces import IRootFactory
from pb.limits import Limits
from pb.logfields import fields

from . import transports
from .connection import Connection
from .leaving import end_soon
from .link import Link
from .opening import Opening
from .options import check_hooks, check_limits, check_privacy, check_registry, check_root, listener_address
from .places import Places
from .unreachable import cannot_listen
from .url import Address
from .web import Web

log = logging.getLogger("pb")


class Server:
    """Something that listens. Made by `serve`; `async with` closes it.

    Where the block is left by an exception, Ctrl-C or a cancellation, the calls of clients are finished as
    ever, for at most `Limits.drain_s`, and answers of clients are awaited no longer than that takes.

    Attributes:
        url: where it listens, with the real port, and the fingerprint of its key for `pbs://`.
    """

    def __init__(
        self, listener: transports.Listener, address: Address, places: Places, published: Published
    ) -> None:
        self.url = str(address)
        self._address = address
        self._listener = listener
        self._places = places
        self._published = published
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def is_left_open(self) -> bool:
        """Whether somebody is still there; after `close()` whoever's call has closed it."""
        return bool(self._places)

    @property
    def connections(self) -> list[Connection]:
        """The connections that are open now."""
        return [link.connection for link in self._places if link.broker.calls.is_open]

    def publish(self, name: str, value: object) -> None:
        """Give an object a name, by which clients can have it: `connection.get_object(name)`, `URL/name`.

        Whoever can connect can have it; where the root asks for logins, whoever is logged in, at each
        listener of that root (see `Application.publish`).

        Raises:
            ValueError: it can be no name, or is taken.
            TypeError: the value is nothing that can have a name.
        """
        self._published.publish(name, value)

    def unpublish(self, name: str) -> None:
        """Take a published name back. Who has the object keeps it, until `pb.revoke`. Raises KeyError."""
        self._published.unpublish(name)

    def __repr__(self) -> str:
        state = "closed" if self._closed.done() else f"{len(self._places)} connections"
        if not self._closed.done() and self._closed.get_loop().is_closed():
            state = "left open, and its event loop is closed"
        return f"<Server at {self.url}, {state}>"

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is GeneratorExit:
            end_soon(self._closed.get_loop(), self._drop)
        else:
            await self._end(gives_up=kind is not None)

    async def serve_forever(self) -> None:
        """Wait until the server is closed."""
        await asyncio.shield(self._closed)

    async def close(self) -> None:
        """Listen no more, and end every connection in good order: what is under way is finished.

        Takes at most `Limits.drain_s`. Closing twice does nothing; cancelled, it ends them at once. In a
        method that serves a call of one of them it does not wait for that one, because that call is under
        way; `serve_forever` does.
        """
        await self._end(gives_up=False)

    def _drop(self) -> None:
        """Listen no more, and end every connection at once."""
        self._listener.close()
        for link in self._places.close():
            link.abort()

    async def _end(self, gives_up: bool) -> None:
        """Close.

        Args:
            gives_up: what this side has called is awaited no longer than clients are served: their handlers
                may be what called it.
        """
        self._listener.close()
        links = self._places.close()  # who arrived just now, and is none of them, is sent away
        for link in links:
            link.broker.gives_up = gives_up
        try:
            await asyncio.gather(*(link.close(messages.BYE_GOING_AWAY) for link in links))
        except asyncio.CancelledError:
            for link in links:  # those as well whose closing had not begun
                link.abort()
            raise
        left = [link for link in links if link.transport is not None]  # this is within a call of theirs
        for link in left:
            link.watch(partial(self._one_ended, left))
        if not left:
            self._finish()

    def _one_ended(self, left: list[Link]) -> None:
        if all(link.transport is None for link in left):
            self._finish()

    def _finish(self) -> None:
        """All have gone."""
        if self._closed.done():
            return
        self._places.source_bound.close()
        self._closed.set_result(None)
        if self._address.scheme == "pb+unix":
            try:
                os.unlink(self._address.path)
            except FileNotFoundError:
                pass  # the loop removes it itself from Python 3.13 on


def published_of(root: Any) -> Published:
    """Return where the names of a server are: at its root, if that has its own rules for them."""
    names = getattr(root, "names", None) if IRootFactory.providedBy(root) else None
    return Published() if names is None else names.published


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
) -> Opening[Server]:
    """Publish `root` at `url`: `async with serve(root, url) as server`, or await it.

    Args:
        root: what a peer may call first: an object, or a callable that gets each new `Connection` and
            returns one. Whoever can connect can call it.
        url: `pb://host:port` (port 0 takes a free one), `pbs://host:port`, `pb+unix:///path` (only its
            owner may connect), `ws://host:port`, `wss://host:port` or `memory://name`.
        registry: the classes that may cross, in both directions; None for none but the builtin ones.
        limits: what this side accepts, for each connection; and how many of them (`max_connections`).
        tls: for `pbs://` and `wss://`: the file made by `pb keygen`, or a context; with a context logins
            cannot be bound to the channel, because Python does not tell which certificate it uses.
        web: for `ws://` and `wss://`: which pages may connect, and which files are served at the same port.
        insecure: let logins run over `pb://` or `ws://` with other machines, where somebody may listen.
        debug: tell peers text and traceback of internal errors; logged loudly. Not for production.
        proxy: let references of other connections be passed on to peers of this server.
        hooks: a `pb.Hooks`, or several in a list: told of connections, calls, references and logins.

    Raises (when awaited or entered):
        BadURL: the URL cannot be understood, or asks for logins where somebody may listen.
        TypeError: the root or the registry is none.
        OSError: cannot listen there.
    """
    address = listener_address(url)
    check_limits(limits)
    limits = limits or Limits()
    check_registry(registry)
    check_hooks(hooks)
    check_root(root)

    if getattr(root, "needs_privacy", False) and not insecure:
        check_privacy(address)

    published = published_of(root)

    async def start() -> Server:
        knock = root.knock if IRootFactory.providedBy(root) else None
        places = Places(limits, asyncio.get_running_loop().time, knock)
        certificate: bytes | None = None

        def factory() -> Link:
            link = Link(
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
            # In a context of its own: see client.py.
            wanted = transports.Wanted(address, factory, tls, web, limits, places.knock)
            listening = transports.listen(wanted)
            loop = asyncio.get_running_loop()
            listener, real = await loop.create_task(listening, context=contextvars.Context())
        except OSError as error:
            told = cannot_listen(error, address)
            if told is error:
                raise
            raise told from None
        certificate = transports.certificate_of(tls)  # before the first connection: nothing was awaited since
        if debug:
            log.warning(
                "%s tells its peers text and tracebacks of internal errors (debug=True)",
                real,
                extra=fields("server.debug", url=real),
            )
        return Server(listener, real, places, published)

    return Opening(start, "pb.serve(...)")
