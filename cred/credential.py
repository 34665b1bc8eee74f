"""Credential: one row that says "who can prove this is that identity". Knows no identity and no proof."""

from __future__ import annotations

from dataclasses import dataclass, field

from .errors import BadName
from .names import MAX_NAME_BYTES

# The kinds that this package reads. A store keeps any kind; a mechanism of somebody else brings its own.
ED25519 = "ed25519"
UNIX_UID = "unix-uid"
TLS_KEY = "tls-key"
TLS_SUBJECT = "tls-subject"


@dataclass(frozen=True, slots=True)
class Credential:
    """Something an identity can prove, other than its password.

    Two are equal where kind and id are: the label is a comment.

    Args:
        kind: how it is proven: "ed25519", "unix-uid", "tls-key", "tls-subject" or a kind of your own.
        id: which one: the public key or its SHA-256 in lower-case hex, a decimal uid, an RFC 4514 subject.
        label: for people, such as "laptop".
    """

    kind: str
    id: str
    label: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        for what, text, most in (
            ("kind", self.kind, 64),
            # A subject may be long; it is compared whole, never cut.
            ("id", self.id, 1_024),
            ("label", self.label, MAX_NAME_BYTES),
        ):
            if not text and what != "label":
                raise BadName(f"the {what} of a credential is empty")
            try:
                size = len(text.encode("utf-8"))
            except UnicodeEncodeError:
                raise BadName(f"the {what} of a credential holds a surrogate") from None
            if size > most or "\0" in text:
                raise BadName(f"the {what} of a credential has {size} bytes, expected at most {most}, no NUL")

    @classmethod
    def of_uid(cls, uid: int, label: str = "") -> Credential:
        """Return the credential of whoever connects to a Unix socket as this user of the machine."""
        return cls(UNIX_UID, str(uid), label)

    @classmethod
    def of_tls_key(cls, spki_sha256: bytes, label: str = "") -> Credential:
        """Return the credential of a TLS client certificate, by the SHA-256 of its public key (SPKI)."""
        return cls(TLS_KEY, spki_sha256.hex(), label)

    @classmethod
    def of_tls_subject(cls, subject: str, label: str = "") -> Credential:
        """Return the credential of a TLS client certificate, by its subject as RFC 4514 writes it.

        Whoever gets a certificate of that subject from a CA that the server trusts is then this identity.
        """
        return cls(TLS_SUBJECT, subject, label)
