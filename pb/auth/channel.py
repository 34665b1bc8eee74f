"""From what a transport says to what cred wants to know of a connection. Spec: spec/9-login.md."""

from __future__ import annotations

import cred
from pb.security import Security


def channel_of(security: Security, hello_hash: bytes | None) -> cred.Channel:
    """Return the Channel of a login over a connection.

    Args:
        hello_hash: None only to ask which mechanisms would be offered.
    """
    vouched: list[cred.Credential] = []
    if security.uid is not None:
        vouched.append(cred.Credential.of_uid(security.uid))
    if security.certificate is not None:
        vouched += cred.credentials_of_certificate(security.certificate)
    return cred.Channel(
        hello_hash,
        tuple(cred.Binding(type, data) for type, data in security.bindings),
        unbound_ok=security.is_local or (security.is_loopback and security.is_allowed),
        vouched=tuple(vouched),
    )
