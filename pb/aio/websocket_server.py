"""Accepting WebSocket connections, and serving the page that makes them. Spec: spec/2-frames.md.

A browser lets any page connect anywhere and tells only, in `Origin`, where the page came from. So that is
looked at before anything else (PB-F1); programs that are no browser send none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from websockets.datastructures import Headers, MultipleValuesError
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from pb.limits import Limits
from pb.logfields import fields

from . import logged
from .door import create_server, let_in
from .places import Knock, Leave
from .secure import is_loopback
from .sparing import Sparing
from .transports import peer_name
from .url import Address
from .web import Web
from .websocket import SUBPROTOCOL, WebSocket

log = logging.getLogger("pb")


class WebListener:
    """What closes a listener, and whatever has not become a connection yet."""

    def __init__(self, server: Any, sockets: set[ServerSocket]) -> None:
        self._server = server
        self._sockets = sockets

    @property
    def port(self) -> int:
        """The real port."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        """Accept no more."""
        self._server.close()
        for socket in list(self._sockets):
            socket.network.abort()


async def listen(
    address: Address,
    make_link: Callable[[], Any],
    tls: dict[str, Any],
    web: Web,
    limits: Limits,
    knock: Knock | None = None,
) -> WebListener:
    """Listen for WebSocket connections, and for requests of files.

    Args:
        tls: what `create_server` is told of TLS.
        knock: counts in who has connected, until it is a link or asks for a file; None: nobody counts.
    """
    sockets: set[ServerSocket] = set()
    sparing = Sparing(asyncio.get_running_loop().time)

    def factory() -> ServerSocket:
        return ServerSocket(make_link, web, address.scheme == "wss", limits, sockets, knock, sparing)

    server = await create_server(address.host, address.port, factory, tls, knock)
    return WebListener(server, sockets)


class ServerSocket(WebSocket):
    """The end that was connected to.

    Args:
        make_link: makes what a connection is for.
        web: which pages may connect, and what is served to them.
        is_secure: whether it is `wss://`.
        limits: for one message, and for the handshake.
        sockets: where it is listed until its link is: those that are not open yet, and answers of HTTP.
        knock: counts it in, where that was not done before.
        sparing: says whether one more failed handshake, or refused request, is logged.

    Attributes:
        entered: what counts it out.
    """

    protocol: ServerProtocol

    def __init__(
        self,
        make_link: Callable[[], Any],
        web: Web,
        is_secure: bool,
        limits: Limits,
        sockets: set[ServerSocket],
        knock: Knock | None,
        sparing: Sparing,
    ) -> None:
        super().__init__(
            ServerProtocol(subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=limits.max_frame),
            limits,
        )
        self._make_link = make_link
        self._web = web
        self._is_secure = is_secure
        self._sockets = sockets
        self._knock = knock
        self._sparing = sparing
        self._is_asked = False  # a whole request has come
        self.entered: Leave | None = None
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request, if it may wait here."""
        super().connection_made(transport)
        self._sockets.add(self)
        if self._knock is not None and self.entered is None:
            self.entered = let_in(self._knock, transport.get_extra_info("peername"), self._sparing)
            if self.entered is None:
                self.network.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop what is being answered."""
        self._sockets.discard(self)
        self._leave()
        failed = TimeoutError("no request in time") if self.is_late else self.protocol.handshake_exc
        if failed is not None and not self._is_asked:
            logged.no_handshake(peer_name(self.network), "WebSocket", failed, self._sparing)
        if self._answering is not None:
            self._answering.cancel()
        super().connection_lost(exc)

    def receive_handshake(self, event: Any) -> None:
        """Accept a connection, send a file, or refuse."""
        request: Request = event
        self._is_asked = True
        try:
            asked = request.headers.get("Upgrade")
            host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
        except MultipleValuesError as error:
            self._respond(self.protocol.reject(HTTPStatus.BAD_REQUEST, f"more than one header {error}.\n"))
            return
        if asked is None and self._web.files is not None:
            self._leave()
            self._answering = asyncio.get_running_loop().create_task(self._send_file(request.path))
            return
        if origin is not None and not is_allowed(origin, host, self._is_secure, self._web.origins):
            # The peer's own words are not repeated to it, and shown to us cut short.
            peer, code = peer_name(self.network), int(HTTPStatus.FORBIDDEN)
            if self._sparing.may_log():
                log.warning(
                    "refused a page from %s at %s; Web(origins=[...]) allows pages from elsewhere%s",
                    ascii(origin[:100]),
                    peer,
                    self._sparing.omitted(),
                    extra=fields("request.refused", peer=peer, code=code),
                )
            text = "pages from there may not connect here.\n"
            self._respond(self.protocol.reject(HTTPStatus.FORBIDDEN, text))
            return
        response = self.protocol.accept(request)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            if self._sparing.may_log():
                log.info(
                    "refused a request of %s: HTTP %d%s",
                    peer_name(self.network),
                    response.status_code,
                    self._sparing.omitted(),
                    extra=fields("request.refused", peer=peer_name(self.network), code=response.status_code),
                )
            self._respond(response)
            return
        self.protocol.send_response(response)
        self._sockets.discard(self)
        link = self._make_link()
        link.entered = self.entered
        self.open(link)

    def _leave(self) -> None:
        if self.entered is not None:
            self.entered()

    async def _send_file(self, path: str) -> None:
        # Reading blocks; the loop has others to serve.
        found = await asyncio.get_running_loop().run_in_executor(None, self._web.read, path)
        if found is None:
            self._respond(self.protocol.reject(HTTPStatus.NOT_FOUND, "there is no such file.\n"))
            return
        headers = Headers({**found.headers, "Connection": "close"})
        self._respond(Response(HTTPStatus.OK, "OK", headers, found.content))

    def _respond(self, response: Response) -> None:
        self.protocol.send_response(response)
        self.flush()


def is_allowed(origin: str, host: str, is_secure: bool, origins: tuple[str, ...] | None) -> bool:
    """Tell whether a page from `origin` may connect to us, whom it knows as `host`.

    Args:
        host: the header `Host`.
        origins: those that are allowed, or None: the page must have come from here. That is believed only
            under an address or `localhost`: any other name may be one that somebody else has pointed here.
    """
    if origins is not None:
        return origin in origins
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    is_address = name.replace(".", "").isdigit() or ":" in name
    scheme = "https" if is_secure else "http"
    return origin.lower() == f"{scheme}://{host.lower()}" and (is_address or is_loopback(name))
