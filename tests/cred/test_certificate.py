"""What a client certificate proves: its key always, its subject if it has one."""

from __future__ import annotations

import datetime
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from cred import Credential
from cred.certificate import credentials_of_certificate

KEY = ec.generate_private_key(ec.SECP256R1())
SPKI = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def certificate(*names):
    """Return a self-signed certificate with these names as its subject."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])
    begin = datetime.datetime(2026, 1, 1)
    builder = x509.CertificateBuilder(
        subject, subject, KEY.public_key(), 1, begin, begin + datetime.timedelta(days=1)
    )
    return builder.sign(KEY, SHA256()).public_bytes(Encoding.DER)


def test_a_certificate_proves_its_key_and_its_subject():
    """The key as the pins of URLs are made, the subject as RFC 4514 writes it."""
    key = Credential.of_tls_key(hashlib.sha256(SPKI).digest())

    assert (key, Credential.of_tls_subject("CN=alice\\, in person")) == credentials_of_certificate(
        certificate("alice, in person")
    )


def test_an_empty_subject_proves_nothing():
    """An identity that listed "" would be everybody's."""
    assert ["tls-key"] == [one.kind for one in credentials_of_certificate(certificate())]


@pytest.mark.parametrize("der", [b"", b"\x30\x03\x02\x01\x00", certificate("alice")[:-9]])
def test_what_is_no_certificate_is_refused(der):
    """As a ValueError; TLS would not have let it through."""
    with pytest.raises(ValueError):
        credentials_of_certificate(der)
