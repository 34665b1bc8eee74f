"""Which transport an address means: one row per scheme for connecting and one for listening.

A new transport is a module with `connect` and `listen`, and a row here.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import stat
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from pb.limits import Limits

from . import memory
from .door import create_server
from .listening import Listening
from .places import Knock
from .url import Address, BadURL
from .web import Web

Factory = Callable[[], asyncio.BaseProtocol]
_TLS_HANDSHAKE_S: Final = 10
_WITH_TLS: Final = frozenset({"pbs", "wss"})
_JOIN_BYTES = 64 * 1024
_GRACE_S = 10  # for the BYE of this side, which says why
# tcpi_bytes_acked of Linux. Other systems have a shorter TCP_INFO, or none.
_ACKNOWLEDGED: Final = struct.Struct("=120xQ")


class Listener(Protocol):
    """What listening gives: something to close, after which no connection is accepted."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a listener is asked for.

    Args:
        factory: makes the protocol of each connection.
        tls: a context, or the path of the server's key.
        limits: for what is not a connection of ours yet.
        knock: counts in who has connected over TCP and is no connection of ours yet; None: nobody counts.
    """

    address: Address
    factory: Factory
    tls: ssl.SSLContext | str | os.PathLike[str] | None
    web: Web | None
    limits: Limits
    knock: Knock | None = None


async def _connect_tcp(address: Address, factory: Factory, tls: ssl.SSLContext | None) -> None:
    await asyncio.get_running_loop().create_connection(factory, address.host, address.port)


async def _connect_tls(address: Address, factory: Factory, tls: ssl.SSLContext | None) -> None:
    options = _client_tls(address, tls)
    await asyncio.get_running_loop().create_connection(factory, address.host, address.port, **options)


def _client_tls(address: Address, tls: ssl.SSLContext | None) -> dict[str, Any]:
    from . import tls as pb_tls

    context = tls or pb_tls.client_context(address.fingerprint)
    return {
        "ssl": context,
        "server_hostname": address.host if context.check_hostname else "",
        "ssl_handshake_timeout": _TLS_HANDSHAKE_S,
    }


async def _connect_web(address: Address, factory: Factory, tls: ssl.SSLContext | None) -> None:
    _check_web()
    from . import websocket_client

    options = _client_tls(address, tls) if address.scheme == "wss" else {}
    await websocket_client.connect(address, factory, options, pin_check(address))


def _check_web() -> None:
    try:
        import websockets  # noqa: F401
    except ImportError:
        raise BadURL(
            "ws:// and wss:// need the library websockets: pip install 'perspective-broker[web]'"
        ) from None


async def _connect_unix(address: Address, factory: Factory, tls: ssl.SSLContext | None) -> None:
    try:
        await asyncio.get_running_loop().create_unix_connection(factory, address.path)
    except OSError as error:  # which does not say where
        raise type(error)(error.errno, f"{error.strerror}: nobody answers at {address}") from None


async def _connect_memory(address: Address, factory: Factory, tls: ssl.SSLContext | None) -> None:
    memory.connect(address.host, factory, asyncio.get_running_loop())


async def _listen_tcp(wanted: Wanted) -> tuple[Listener, Address]:
    address = wanted.address
    server = await Listening(wanted.factory).tcp(address.host, address.port, {})
    port = server.sockets[0].getsockname()[1]
    return server, Address(address.scheme, address.host, port)


async def _listen_tls(wanted: Wanted) -> tuple[Listener, Address]:
    address = wanted.address
    options, pin = _server_tls(wanted)
    server = await create_server(address.host, address.port, wanted.factory, options, wanted.knock)
    port = server.sockets[0].getsockname()[1]
    return server, Address(address.scheme, address.host, port, fingerprint=pin)


def _server_tls(wanted: Wanted) -> tuple[dict[str, Any], str | None]:
    """Return what `create_server` is told, and the fingerprint of the key where it is known."""
    tls, pin = wanted.tls, wanted.address.fingerprint
    if tls is None:
        scheme = wanted.address.scheme
        raise BadURL(f"{scheme}:// needs a key: tls='server.pem', made by `pb keygen -o server.pem`")
    if not isinstance(tls, ssl.SSLContext):
        tls, pin = _load_key(tls)
    return {"ssl": tls, "ssl_handshake_timeout": _TLS_HANDSHAKE_S}, pin


async def _listen_web(wanted: Wanted) -> tuple[Listener, Address]:
    _check_web()
    from . import websocket_server

    address = wanted.address
    options, pin = _server_tls(wanted) if address.scheme == "wss" else ({}, None)
    web = wanted.web or Web()
    listener = await websocket_server.listen(
        address, wanted.factory, options, web, wanted.limits, wanted.knock
    )
    return listener, Address(address.scheme, address.host, listener.port, fingerprint=pin)


def _load_key(path: str | os.PathLike[str]) -> tuple[ssl.SSLContext, str]:
    from . import tls as pb_tls

    return pb_tls.server_context(path), pb_tls.fingerprint(Path(path).read_bytes())


def certificate_of(tls: Any) -> bytes | None:
    """Return the certificate of a key file, DER; None for a context, which does not tell."""
    if tls is None or isinstance(tls, ssl.SSLContext):
        return None
    pem = Path(tls).read_text()
    start = pem.index("-----BEGIN CERTIFICATE-----")
    return ssl.PEM_cert_to_DER_cert(pem[start : pem.index("-----END CERTIFICATE-----", start) + 25])


async def _listen_unix(wanted: Wanted) -> tuple[Listener, Address]:
    address = wanted.address
    _remove_stale_socket(address.path)
    # Between bind and chmod the umask decides; a directory that others cannot enter closes that gap.
    server = await Listening(wanted.factory).unix(address.path)
    os.chmod(address.path, 0o600)
    return server, address


async def _listen_memory(wanted: Wanted) -> tuple[Listener, Address]:
    address = wanted.address
    return memory.listen(address.host, wanted.factory, asyncio.get_running_loop()), address


def _remove_stale_socket(path: str) -> None:
    """Remove a socket file that nobody listens on any longer; leave anything else alone.

    Raises:
        OSError: somebody listens there. The loop itself would take the place of a live server unasked.
    """
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise OSError(errno.EADDRINUSE, f"somebody listens on {path}; stop that server or choose another path")


_CONNECT: Final[dict[str, Callable[[Address, Factory, ssl.SSLContext | None], Awaitable[None]]]] = {
    "pb": _connect_tcp,
    "pbs": _connect_tls,
    "pb+unix": _connect_unix,
    "memory": _connect_memory,
    "ws": _connect_web,
    "wss": _connect_web,
}
_LISTEN: Final[dict[str, Callable[[Wanted], Awaitable[tuple[Listener, Address]]]]] = {
    "pb": _listen_tcp,
    "pbs": _listen_tls,
    "pb+unix": _listen_unix,
    "memory": _listen_memory,
    "ws": _listen_web,
    "wss": _listen_web,
}


async def connect(address: Address, factory: Factory, tls: ssl.SSLContext | None) -> None:
    """Connect a protocol made by `factory` to `address`. Raises OSError where nobody answers."""
    _check_tls(address, tls)
    await _CONNECT[address.scheme](address, factory, tls)


async def listen(wanted: Wanted) -> tuple[Listener, Address]:
    """Listen; return what closes it and the address with the real port and the key's fingerprint."""
    _check_tls(wanted.address, wanted.tls)
    if wanted.web is not None and wanted.address.scheme not in ("ws", "wss"):
        raise BadURL(f"web= is for ws:// and wss:// only, not for {wanted.address.scheme}://")
    return await _LISTEN[wanted.address.scheme](wanted)


def _check_tls(address: Address, tls: object) -> None:
    if tls is not None and address.scheme not in _WITH_TLS:
        raise BadURL(f"tls= is for pbs:// and wss:// only, not for {address.scheme}://")


def pin_check(address: Address) -> Callable[[asyncio.BaseTransport], None] | None:
    """Return what compares the server's key with the one in the URL, before the first byte is sent."""
    pin = address.fingerprint
    if pin is None:
        return None

    def check(transport: asyncio.BaseTransport) -> None:
        from . import tls as pb_tls

        pb_tls.check_pin(transport.get_extra_info("ssl_object"), pin)

    return check


def give_up_after(transport: asyncio.BaseTransport, limits: Limits) -> None:
    """Let the system end a TCP connection over which nothing that is written arrives, where it can.

    It notices what the keepalive cannot before its next look, and does so for a process that is held up too.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    found = transport.get_extra_info("socket")
    if option is None or found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
        return
    if limits.idle_s:
        seconds = max(limits.idle_s, limits.write_stall_s) + _GRACE_S
        found.setsockopt(socket.IPPROTO_TCP, option, min(int(1000 * seconds), 2**31 - 1))


def acknowledged_bytes(transport: asyncio.BaseTransport) -> int:
    """Return how much of what was written the peer's system has taken so far; 0 where nothing tells."""
    option = getattr(socket, "TCP_INFO", None)
    found = transport.get_extra_info("socket")
    if option is None or found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
        return 0
    try:
        told = found.getsockopt(socket.IPPROTO_TCP, option, _ACKNOWLEDGED.size)
    except OSError:  # it has gone, or this system has another TCP_INFO
        return 0
    return int(_ACKNOWLEDGED.unpack(told)[0]) if len(told) == _ACKNOWLEDGED.size else 0


def write_buffers(transport: asyncio.WriteTransport, buffers: list[bytes]) -> None:
    """Write several buffers, joined where copying them is cheaper than a second write."""
    if sum(map(len, buffers)) <= _JOIN_BYTES:
        transport.write(b"".join(buffers))
    elif _gathers(type(transport)):
        transport.writelines(buffers)  # in one system call, and so in fewer packets
    else:
        for buffer in buffers:
            transport.write(buffer)


def _gathers(kind: type[asyncio.WriteTransport]) -> bool:
    """Whether `writelines` does better than `write`, as that of uvloop does.

    What asyncio gives those that have none of their own joins the buffers. That of its sockets, in 3.12.1 and
    3.13.0 for example, never tells its protocol to pause: a peer that does not read would fill the memory.
    """
    is_own = kind.writelines is not asyncio.WriteTransport.writelines
    return is_own and not kind.__module__.startswith("asyncio.")


def peer_name(transport: asyncio.BaseTransport) -> str:
    """Return who is at the other end, for log lines."""
    name = transport.get_extra_info("peername")
    if isinstance(name, tuple) and len(name) >= 2:
        host = f"[{name[0]}]" if ":" in name[0] else name[0]  # as in a URL: where the address ends is plain
        return f"{host}:{name[1]}"
    return str(name) if name else "a local peer"
