"""Byte streams to the implementation under test: frames over TCP, or messages over WebSocket, one at a time.

Blocking, with a time limit on every wait. Knows nothing of what a frame means.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

_READ_BYTES: Final = 65_536
_LONGEST: Final = 2**28


class Silence(Exception):
    """Nothing came in time."""


class Closed(Exception):
    """The other side has closed; the text says how, as far as it is known."""


class FrameStream(Protocol):
    """What carries frames.

    Attributes:
        has_lengths: whether frames have lengths of their own: over WebSocket they have none.
    """

    has_lengths: bool

    def send(self, data: bytes) -> None:
        """Send bytes that hold frames with their lengths, or what is none."""

    def receive(self, timeout_s: float) -> bytes:
        """Return the next frame body.

        Raises:
            Silence: none came in time.
            Closed: there is none.
        """

    def close(self) -> None:
        """Close."""


class TcpStream:
    """Frames over a connected socket."""

    has_lengths = True

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._data = bytearray()
        _without_delay(connected)

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        try:
            self._socket.settimeout(10)
            self._socket.sendall(data)
        except OSError as error:
            raise Closed(str(error)) from None

    def receive(self, timeout_s: float) -> bytes:
        """Return the next frame body."""
        deadline = time.monotonic() + timeout_s
        while True:
            if len(self._data) >= 4:
                length = int.from_bytes(self._data[:4], "big")
                if not 1 <= length < _LONGEST:
                    raise Closed(f"a frame of {length} bytes, which none may be")
                if len(self._data) >= 4 + length:
                    body = bytes(self._data[4 : 4 + length])
                    del self._data[: 4 + length]
                    return body
            self._data += self._read(deadline)

    def _read(self, deadline: float) -> bytes:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise Silence("nothing came in time")
        self._socket.settimeout(left_s)
        try:
            data = self._socket.recv(_READ_BYTES)
        except TimeoutError:
            raise Silence("nothing came in time") from None
        except OSError as error:
            raise Closed(str(error)) from None
        if not data:
            raise Closed("the stream has ended")
        return data

    def close(self) -> None:
        """Close."""
        self._socket.close()


class WebStream:
    """Frames over WebSocket, on a connected socket, at either end of it."""

    has_lengths = False

    def __init__(self, connected: socket.socket, protocol: Any) -> None:
        self._socket = connected
        _without_delay(connected)
        self._protocol = protocol
        self._bodies: list[bytes] = []
        self._part = b""

    @classmethod
    def connect(cls, connected: socket.socket, url: str) -> WebStream:
        """Do the handshake of a client."""
        from websockets.client import ClientProtocol
        from websockets.typing import Subprotocol
        from websockets.uri import parse_uri

        protocol = ClientProtocol(parse_uri(url), subprotocols=[Subprotocol("pb.1")], max_size=_LONGEST)
        stream = cls(connected, protocol)
        protocol.send_request(protocol.connect())
        stream._handshake(10)
        if protocol.subprotocol != "pb.1":
            raise Closed(f"no WebSocket with the subprotocol pb.1 ({protocol.handshake_exc})")
        return stream

    @classmethod
    def accept(cls, connected: socket.socket) -> WebStream:
        """Do the handshake of a server."""
        from websockets.server import ServerProtocol
        from websockets.typing import Subprotocol

        protocol = ServerProtocol(subprotocols=[Subprotocol("pb.1")], max_size=_LONGEST)
        stream = cls(connected, protocol)
        request = stream._handshake(10)
        protocol.send_response(protocol.accept(request))
        stream._flush()
        return stream

    def send(self, data: bytes) -> None:
        """Send each frame as a message; what is no frame goes as a message too, as it is."""
        while data:
            length = int.from_bytes(data[:4], "big")
            body, data = (
                (data[4 : 4 + length], data[4 + length :]) if len(data) >= 4 + length else (data, b"")
            )
            try:
                self._protocol.send_binary(body)
            except Exception as error:  # the closing handshake has begun
                raise Closed(str(error)) from None
        self._flush()

    def receive(self, timeout_s: float) -> bytes:
        """Return the next message."""
        deadline = time.monotonic() + timeout_s
        while not self._bodies:
            self._pump(deadline)
        return self._bodies.pop(0)

    def close(self) -> None:
        """Close without ceremony."""
        self._socket.close()

    def _handshake(self, timeout_s: float) -> Any:
        deadline = time.monotonic() + timeout_s
        self._flush()
        while True:
            for event in self._pump(deadline):
                return event

    def _pump(self, deadline: float) -> list[Any]:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise Silence("nothing came in time")
        self._socket.settimeout(left_s)
        try:
            data = self._socket.recv(_READ_BYTES)
        except TimeoutError:
            raise Silence("nothing came in time") from None
        except OSError as error:
            raise Closed(str(error)) from None
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        others = []
        for event in self._protocol.events_received():
            opcode = getattr(event, "opcode", None)
            if opcode is None:
                others.append(event)
            elif opcode in (0, 2):
                self._part += bytes(event.data)
                if event.fin:
                    self._bodies.append(self._part)
                    self._part = b""
        with contextlib.suppress(Closed):
            self._flush()
        closed = self._protocol.close_rcvd
        if not self._bodies and not others and (closed is not None or not data):
            raise Closed(f"closed with {closed.code}" if closed is not None else "the stream has ended")
        return others

    def _flush(self) -> None:
        try:
            for data in self._protocol.data_to_send():
                if data:
                    self._socket.sendall(data)
                else:  # the closing handshake is over
                    self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise Closed(str(error)) from None


def _without_delay(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):  # a unix socket has no such option
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def dial(url: str, timeout_s: float) -> FrameStream:
    """Connect to pb://host:port, pbs:// (its certificate is not checked), ws:// or pb+unix:///path.

    Raises:
        ValueError: another scheme.
        OSError, Closed: nobody answers.
    """
    parts = urlsplit(url)
    if parts.scheme == "pb+unix":
        connected = socket.socket(socket.AF_UNIX)
        connected.settimeout(timeout_s)
        try:
            connected.connect(parts.path)
        except OSError:
            connected.close()
            raise
        return TcpStream(connected)
    if parts.scheme not in ("pb", "pbs", "ws"):
        raise ValueError(f"{url!r}: expected pb://, pbs://, pb+unix:// or ws://")
    host, port = parts.hostname or "", parts.port or (80 if parts.scheme == "ws" else 8787)
    connected = socket.create_connection((host, port), timeout_s)
    if parts.scheme == "pbs":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["pb/1"])
        return TcpStream(context.wrap_socket(connected))
    if parts.scheme == "ws":
        return WebStream.connect(connected, f"ws://{host}:{port}/")
    return TcpStream(connected)


class Listener:
    """Where clients under test connect: pb://host:port or ws://host:port, port 0 for a free one."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("pb", "ws"):
            raise ValueError(f"{url!r}: clients under test are listened for at pb:// or ws://")
        self._is_web = parts.scheme == "ws"
        self._socket = socket.create_server((parts.hostname or "", parts.port or 0))
        self.url = f"{parts.scheme}://{parts.hostname}:{self._socket.getsockname()[1]}"

    def accept(self, timeout_s: float) -> FrameStream:
        """Wait for the next connection.

        Raises:
            Silence: nobody came in time.
        """
        self._socket.settimeout(timeout_s)
        try:
            connected, _ = self._socket.accept()
        except TimeoutError:
            raise Silence("no client has connected") from None
        connected.settimeout(10)
        return WebStream.accept(connected) if self._is_web else TcpStream(connected)

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()
