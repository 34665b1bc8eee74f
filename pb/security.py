"""What a transport says about itself to a login: who may listen, who may stand between, who is there.

Filled in by the face; read by `pb.login`. Spec: spec/9-login.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Security:
    """The facts about one connection that a login depends on.

    Attributes:
        address: of the peer, without port; "" for one on this machine.
        is_local: a Unix socket or memory: nobody is in between.
        is_loopback: TCP within this machine.
        is_encrypted: TLS.
        is_allowed: `insecure=True` was spelled out.
        bindings: (type, data) of channel bindings that both ends know; best first.
        uid: of the process at the other end of a Unix socket.
        certificate: of the peer, DER, if TLS verified one.
    """

    address: str = ""
    is_local: bool = False
    is_loopback: bool = False
    is_encrypted: bool = False
    is_allowed: bool = False
    bindings: tuple[tuple[str, bytes], ...] = ()
    uid: int | None = None
    certificate: bytes | None = None

    @property
    def is_private(self) -> bool:
        """Whether a login may run over it: nobody listens, or somebody has said that this does not matter."""
        return self.is_local or self.is_loopback or self.is_encrypted or self.is_allowed
