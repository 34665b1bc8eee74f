"""Connecting to a WebSocket server. Spec: spec/2-frames.md, "Transports"."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from .url import Address
from .websocket import SUBPROTOCOL, WebSocket


async def connect(
    address: Address,
    make_link: Callable[[], Any],
    tls: dict[str, Any],
    check: Callable[[asyncio.BaseTransport], None] | None,
) -> None:
    """Connect a link to `address`. Raises OSError where nobody answers or WebSocket is refused.

    Args:
        tls: what `create_connection` is told of TLS.
        check: see `ClientSocket`.
    """
    link = make_link()
    socket = ClientSocket(address, link, check)
    try:
        await asyncio.get_running_loop().create_connection(lambda: socket, address.host, address.port, **tls)
        await socket.opened
    except BaseException:
        if socket.network is not None:
            socket.network.abort()
        if socket.opened.done() and not socket.opened.cancelled():
            socket.opened.exception()  # seen: it is what is raised, or nobody waits any longer
        raise


class ClientSocket(WebSocket):
    """The end that has connected.

    Args:
        address: where to.
        link: what the connection is for.
        check: called with the transport before the first byte; raises to refuse the server.

    Attributes:
        opened: done when the link has the connection, or with the reason why it has not.
    """

    protocol: ClientProtocol

    def __init__(
        self,
        address: Address,
        link: Any,
        check: Callable[[asyncio.BaseTransport], None] | None,
    ) -> None:
        limits = link.broker.limits
        # The name of a published object is not in it: it is a secret, and asked for later.
        uri = WebSocketURI(address.scheme == "wss", address.host, address.port, "/", "")
        super().__init__(
            ClientProtocol(uri, subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=limits.max_frame),
            limits,
        )
        self._link = link
        self._check = check
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for WebSocket, unless the server is not who it should be."""
        super().connection_made(transport)
        try:
            if self._check is not None:
                self._check(transport)
        except Exception as error:
            self._fail(error)
            self.network.abort()
            return
        self.protocol.send_request(self.protocol.connect())
        self.flush()

    def receive_handshake(self, event: Any) -> None:
        """Begin, if the server has agreed and speaks our protocol."""
        if self.protocol.handshake_exc is not None:
            return
        if self.protocol.subprotocol != SUBPROTOCOL:
            self._fail(ConnectionRefusedError(f"the server has not agreed to the subprotocol {SUBPROTOCOL}"))
            self.network.abort()
            return
        self.open(self._link)
        if not self.opened.done():
            self.opened.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits for the handshake too."""
        self._fail(exc or self._why_refused())
        super().connection_lost(exc)

    def _why_refused(self) -> Exception:
        error = self.protocol.handshake_exc
        if isinstance(error, InvalidStatus):
            response = error.response
            told = bytes(response.body)[:200].decode("ascii", "replace").strip()
            return ConnectionRefusedError(f"the server refused WebSocket with {response.status_code}: {told}")
        return ConnectionRefusedError(f"what answers there does not speak WebSocket ({error})")

    def _fail(self, error: Exception) -> None:
        if not self.opened.done():
            self.opened.set_exception(error)
