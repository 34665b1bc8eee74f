"""Channel: what a login may know about the connection it runs over. Filled in by whoever owns the connection.

Knows no sockets and no TLS. Spec: login (channel binding, `h=`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from .credential import Credential

TLS_SERVER_END_POINT: Final = "tls-server-end-point"
TLS_EXPORTER: Final = "tls-exporter"
# Never tls-unique: it is undefined under TLS 1.3, where CPython offers it all the same.
BINDING_TYPES: Final = (TLS_EXPORTER, TLS_SERVER_END_POINT)
MIN_BINDING_BYTES: Final = 32


def hello_hash(client_hello: bytes, server_hello: bytes) -> bytes:
    """Return the hash that ties a login to what both sides announced: 32 bytes.

    Args:
        client_hello: the raw body of the client's HELLO, without its length.
        server_hello: the same of the server's.
    """
    return hashlib.sha256(client_hello + server_hello).digest()


@dataclass(frozen=True, slots=True)
class Binding:
    """Channel binding: data that both ends of one TLS connection know and a relay cannot choose.

    Raises:
        ValueError: an unknown type, or data shorter than a hash: an empty binding would bind nothing, which
            is what certificates without a hash (Ed25519) lead to. Fail the login.
    """

    type: str
    data: bytes

    def __post_init__(self) -> None:
        if self.type not in BINDING_TYPES:
            raise ValueError(f"unknown type of channel binding, expected one of {', '.join(BINDING_TYPES)}")
        if len(self.data) < MIN_BINDING_BYTES:
            raise ValueError(
                f"channel binding of {len(self.data)} bytes, expected at least {MIN_BINDING_BYTES}: is the"
                " certificate's signature one without a hash?"
            )


@dataclass(frozen=True, slots=True)
class Channel:
    """One connection as a login sees it.

    Args:
        hello_hash: what `hello_hash()` returns. None only to ask which mechanisms would be offered before
            the HELLOs have crossed; no login is possible with it.
        bindings: what this end can bind to, best first; empty without TLS.
        unbound_ok: whether a signature without binding is taken: True only on Unix and memory transports, or
            on loopback where insecure connections were asked for. Elsewhere a relay would be accepted.
        vouched: what the transport itself proved about the peer: a uid, a client certificate.
        peer: who is at the other end, as the transport tells it; for the log, and for nothing else.
    """

    hello_hash: bytes | None
    bindings: tuple[Binding, ...] = ()
    unbound_ok: bool = False
    vouched: tuple[Credential, ...] = ()
    peer: str = ""

    def __post_init__(self) -> None:
        if self.hello_hash is not None and len(self.hello_hash) != 32:
            raise ValueError(f"hello_hash of {len(self.hello_hash)} bytes, expected 32: use hello_hash()")

    def greeted(self, hello_hash: bytes) -> Channel:
        """Return this channel once the HELLOs have crossed. Raises ValueError where it is no hash of them."""
        return Channel(hello_hash, self.bindings, self.unbound_ok, self.vouched, self.peer)

    def binding(self, type: str) -> Binding | None:
        """Return the binding of a type, or None where this channel has none."""
        return next((binding for binding in self.bindings if binding.type == type), None)
