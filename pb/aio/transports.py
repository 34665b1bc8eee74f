"""Which transport an address means: one row per scheme for connecting and one for listening.

A new transport is a module with `connect` and `listen`, and a row here.
"""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Protocol

from . import memory
from .url import Address, BadURL

Factory = Callable[[], asyncio.BaseProtocol]
_TLS_HANDSHAKE_S = 10
_JOIN_BYTES = 64 * 1024


class Listener(Protocol):
    """What listening gives: something to close, after which no connection is accepted."""

    def close(self) -> None: ...


async def _connect_tcp(address: Address, factory: Factory, tls: ssl.SSLContext | None) -> None:
    await asyncio.get_running_loop().create_connection(factory, address.host, address.port)


async def _connect_tls(address: Address, factory: Factory, tls: ssl.SSLContext | None) -> None:
    from . import tls as pb_tls

    context = tls or pb_tls.client_context(address.fingerprint)
    await asyncio.get_running_loop().create_connection(
        factory,
        address.host,
        address.port,
        ssl=context,
        server_hostname=address.host if context.check_hostname else "",
        ssl_handshake_timeout=_TLS_HANDSHAKE_S,
    )


async def _connect_unix(address: Address, factory: Factory, tls: ssl.SSLContext | None) -> None:
    try:
        await asyncio.get_running_loop().create_unix_connection(factory, address.path)
    except OSError as error:  # which does not say where
        raise type(error)(error.errno, f"{error.strerror}: nobody answers at {address}") from None


async def _connect_memory(address: Address, factory: Factory, tls: ssl.SSLContext | None) -> None:
    memory.connect(address.host, factory, asyncio.get_running_loop())


async def _listen_tcp(address: Address, factory: Factory, tls: Any) -> tuple[Listener, Address]:
    server = await asyncio.get_running_loop().create_server(factory, address.host, address.port)
    port = server.sockets[0].getsockname()[1]
    return server, Address(address.scheme, address.host, port)


async def _listen_tls(address: Address, factory: Factory, tls: Any) -> tuple[Listener, Address]:
    if tls is None:
        raise BadURL("pbs:// needs a key: tls='server.pem', made by `pb keygen -o server.pem`")
    pin = address.fingerprint
    if not isinstance(tls, ssl.SSLContext):
        tls, pin = _load_key(tls)
    server = await asyncio.get_running_loop().create_server(
        factory, address.host, address.port, ssl=tls, ssl_handshake_timeout=_TLS_HANDSHAKE_S
    )
    port = server.sockets[0].getsockname()[1]
    return server, Address(address.scheme, address.host, port, fingerprint=pin)


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


async def _listen_unix(address: Address, factory: Factory, tls: Any) -> tuple[Listener, Address]:
    _remove_stale_socket(address.path)
    # Between bind and chmod the umask decides; a directory that others cannot enter closes that gap.
    server = await asyncio.get_running_loop().create_unix_server(factory, address.path)
    os.chmod(address.path, 0o600)
    return server, address


async def _listen_memory(address: Address, factory: Factory, tls: Any) -> tuple[Listener, Address]:
    return memory.listen(address.host, factory, asyncio.get_running_loop()), address


def _remove_stale_socket(path: str) -> None:
    """Remove a socket file that nobody listens on any longer; leave anything else alone.

    Raises:
        OSError: somebody listens there. The loop itself would take the place of a live server unasked.
    """
    import socket

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
}
_LISTEN: Final[dict[str, Callable[[Address, Factory, Any], Awaitable[tuple[Listener, Address]]]]] = {
    "pb": _listen_tcp,
    "pbs": _listen_tls,
    "pb+unix": _listen_unix,
    "memory": _listen_memory,
}


async def connect(address: Address, factory: Factory, tls: ssl.SSLContext | None) -> None:
    """Connect a protocol made by `factory` to `address`. Raises OSError where nobody answers."""
    if tls is not None and address.scheme != "pbs":
        raise BadURL(f"tls= is for pbs:// only, not for {address.scheme}://")
    await _CONNECT[address.scheme](address, factory, tls)


async def listen(address: Address, factory: Factory, tls: Any) -> tuple[Listener, Address]:
    """Listen; return what closes it and the address with the real port and the key's fingerprint."""
    if tls is not None and address.scheme != "pbs":
        raise BadURL(f"tls= is for pbs:// only, not for {address.scheme}://")
    return await _LISTEN[address.scheme](address, factory, tls)


def pin_check(address: Address) -> Callable[[asyncio.BaseTransport], None] | None:
    """Return what compares the server's key with the one in the URL, before the first byte is sent."""
    pin = address.fingerprint
    if pin is None:
        return None

    def check(transport: asyncio.BaseTransport) -> None:
        from . import tls as pb_tls

        pb_tls.check_pin(transport.get_extra_info("ssl_object"), pin)

    return check


def write_buffers(transport: asyncio.WriteTransport, buffers: list[bytes]) -> None:
    """Write several buffers, joined where copying them is cheaper than a second write."""
    if sum(map(len, buffers)) <= _JOIN_BYTES:
        transport.write(b"".join(buffers))
    else:
        for buffer in buffers:
            transport.write(buffer)


def peer_name(transport: asyncio.BaseTransport) -> str:
    """Return who is at the other end, for log lines."""
    name = transport.get_extra_info("peername")
    if isinstance(name, tuple) and len(name) >= 2:
        return f"{name[0]}:{name[1]}"
    return str(name) if name else "a local peer"
