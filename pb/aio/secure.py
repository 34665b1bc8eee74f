"""What an asyncio transport says about itself to a login. Knows no login. Spec: spec/9-login.md."""

from __future__ import annotations

import functools
import ipaddress
import socket
import struct
from typing import Any

from pb.security import Security

_PEERCRED = struct.Struct("3i")  # pid, uid, gid
_EXPORTER_LABEL = b"EXPORTER-Channel-Binding"  # RFC 9266


class HungUp(ConnectionAbortedError):
    """Who connected has gone before anybody looked: uvloop does not know from where it came then."""


def security_of(transport: Any, is_server: bool, certificate: bytes | None, is_allowed: bool) -> Security:
    """Return the facts about a transport.

    Args:
        certificate: the server's own, at a server; DER.

    Raises:
        HungUp: there is nobody at the other end.
        UndefinedBinding: at a client, the server's certificate gives no channel binding.
    """
    tls = transport.get_extra_info("ssl_object")
    found = transport.get_extra_info("socket")
    is_tcp = found is not None and found.family in (socket.AF_INET, socket.AF_INET6)
    peer = transport.get_extra_info("peername")
    if is_tcp and peer is None:
        raise HungUp("it hung up before it was looked at")
    address = str(peer[0]) if is_tcp else ""
    shown = tls.getpeercert(binary_form=True) if tls is not None else None
    return Security(
        address=address,
        is_local=not is_tcp,
        is_loopback=is_tcp and is_loopback(address),
        is_encrypted=tls is not None,
        is_allowed=is_allowed,
        bindings=() if tls is None else _bindings(tls, certificate if is_server else shown),
        uid=_uid_of(found) if is_server and found is not None and not is_tcp else None,
        certificate=shown if is_server else None,
    )


@functools.lru_cache(maxsize=256)  # asked for each connection; reading an address takes 4 us
def is_loopback(host: str) -> bool:
    """Tell whether an address stays within this machine."""
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost"
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.is_loopback


def _bindings(tls: Any, certificate: bytes | None) -> tuple[tuple[str, bytes], ...]:
    # Best first. A client binds to the first one that the server's HELLO says it can check.
    bindings = []
    export = getattr(tls, "export_keying_material", None)
    # Before TLS 1.3 it binds only with the extended master secret, of which Python does not tell.
    if export is not None and tls.version() == "TLSv1.3":
        bindings.append(("tls-exporter", bytes(export(_EXPORTER_LABEL, 32))))
    if certificate is not None:
        from . import tls as pb_tls

        bindings.append(("tls-server-end-point", pb_tls.server_end_point(certificate)))
    return tuple(bindings)


def _uid_of(found: Any) -> int | None:
    """Return the uid of the process at the other end of a Unix socket, where the system tells."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None or found.family != getattr(socket, "AF_UNIX", None):
        return None
    uid: int = _PEERCRED.unpack(found.getsockopt(socket.SOL_SOCKET, option, _PEERCRED.size))[1]
    return uid
