"""What a TLS client certificate proves, once TLS has verified it. The only use of X.509 in this package."""

from __future__ import annotations

import hashlib

from .credential import Credential


def credentials_of_certificate(der: bytes) -> tuple[Credential, ...]:
    """Return the credentials of a verified client certificate: its key, and its subject if it has one.

    Args:
        der: the certificate. Nothing is verified here: whoever owns the connection has done that.

    Raises:
        ValueError: it is no certificate.
    """
    # Here, so that those who never see a certificate do not load X.509.
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    certificate = x509.load_der_x509_certificate(der)
    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    key = Credential.of_tls_key(hashlib.sha256(spki).digest())
    subject = certificate.subject.rfc4514_string()
    return (key, Credential.of_tls_subject(subject)) if subject else (key,)
