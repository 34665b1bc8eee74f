"""From what a transport says to what cred wants to know of a connection. Spec: spec/9-login.md."""

from __future__ import annotations

from collections.abc import Sequence

import cred
from pb.security import Security


def channel_of(
    security: Security, hello_hash: bytes | None, checked: Sequence[str] = (), *, peer: str = ""
) -> cred.Channel:
    """Return the Channel of a login over a connection.

    Args:
        hello_hash: None only to ask which mechanisms would be offered.
        checked: types of binding that the peer says it can check; they come first. The others stay, so that
            a list that somebody has shortened is noticed.
        peer: who is at the other end, for the log.
    """
    bindings = sorted(security.bindings, key=lambda binding: binding[0] not in checked)
    vouched: list[cred.Credential] = []
    if security.uid is not None:
        vouched.append(cred.Credential.of_uid(security.uid))
    if security.certificate is not None:
        vouched += cred.credentials_of_certificate(security.certificate)
    return cred.Channel(
        hello_hash,
        tuple(cred.Binding(type, data) for type, data in bindings),
        unbound_ok=security.is_local or (security.is_loopback and security.is_allowed),
        vouched=tuple(vouched),
        peer=peer,
    )
