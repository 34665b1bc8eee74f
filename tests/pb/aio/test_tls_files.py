"""TLS: key files, fingerprints and channel binding, without a connection."""

from __future__ import annotations

import base64
import datetime
import hashlib
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from pb.aio import tls


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """A fresh key file."""
    path = tmp_path / "server.pem"
    tls.create(path)
    return path


def certificate_of(pem: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.read_bytes())


def self_signed(key: Any, algorithm: Any) -> bytes:
    """DER of a certificate with any kind of signature."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start.replace(year=2060))
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)


def test_created_file_is_for_its_owner_only(pem: Path) -> None:
    """It holds the key."""
    assert 0o600 == stat.S_IMODE(pem.stat().st_mode)


def test_created_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    """A lax umask must not widen it."""
    before = os.umask(0)
    try:
        tls.create(tmp_path / "server.pem")
    finally:
        os.umask(before)

    assert 0o600 == stat.S_IMODE((tmp_path / "server.pem").stat().st_mode)


def test_created_certificate_is_ecdsa_p256_with_sha256_for_ten_years(tmp_path: Path) -> None:
    """Not Ed25519, which gives no channel binding."""
    tls.create(tmp_path / "x.pem", ("example.org", "::1", "10.0.0.1"))
    certificate = certificate_of(tmp_path / "x.pem")

    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert "secp256r1" == key.curve.name
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ["example.org"] == names.get_values_for_type(x509.DNSName)
    assert ["::1", "10.0.0.1"] == [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    valid = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert 10 == round(valid.days / 365.25, 1)


@pytest.mark.parametrize("names", [(), "localhost", ("a b",), ("*",), ("",), ("bücher",)])
def test_create_refuses_names_that_are_no_hosts_and_writes_nothing(tmp_path: Path, names: Any) -> None:
    """A certificate for nobody would be found out by the clients only."""
    with pytest.raises(ValueError):
        tls.create(tmp_path / "x.pem", names)

    assert [] == list(tmp_path.iterdir())


def test_create_leaves_an_existing_file_alone(pem: Path) -> None:
    """A new key voids the URLs of every client."""
    before = pem.read_bytes()

    with pytest.raises(FileExistsError, match=r"server\.pem exists.*--force"):
        tls.create(pem)

    assert before == pem.read_bytes()
    assert [pem] == list(pem.parent.iterdir())


def test_create_does_not_write_through_a_dangling_link(tmp_path: Path) -> None:
    """Somebody else could have put it there to learn where the key goes."""
    (tmp_path / "x.pem").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(FileExistsError):
        tls.create(tmp_path / "x.pem")

    assert not (tmp_path / "elsewhere").exists()


def test_create_that_loses_a_race_leaves_the_winner_alone(tmp_path: Path) -> None:
    """Looking first is not enough: the file may appear in between."""
    (tmp_path / "x.pem").write_bytes(b"winner")

    with pytest.raises(FileExistsError):
        tls._write_secret(tmp_path / "x.pem", b"loser", force=False)

    assert b"winner" == (tmp_path / "x.pem").read_bytes()
    assert ["x.pem"] == [path.name for path in tmp_path.iterdir()]


def test_create_by_force_replaces_the_key_and_keeps_it_private(pem: Path) -> None:
    """Force is for a key that leaked, also through its mode."""
    before = tls.fingerprint(pem.read_bytes())
    pem.chmod(0o644)

    after = tls.create(pem, force=True)

    assert before != after == tls.fingerprint(pem.read_bytes())
    assert 0o600 == stat.S_IMODE(pem.stat().st_mode)


def test_create_in_a_missing_directory_names_the_directory(tmp_path: Path) -> None:
    """Not the temporary file, which the user never heard of."""
    with pytest.raises(FileNotFoundError, match="nowhere is no directory"):
        tls.create(tmp_path / "nowhere" / "x.pem")


def test_fingerprint_is_base32_of_the_hash_of_the_key(pem: Path) -> None:
    """Computed here from its definition; the certificate around the key does not count."""
    spki = (
        certificate_of(pem)
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    expected = base64.b32encode(hashlib.sha256(spki).digest()).decode().rstrip("=").lower()

    assert 52 == len(expected)
    assert expected == tls.fingerprint(pem.read_bytes())
    assert expected == tls.fingerprint(pem.read_text())
    assert expected == tls.fingerprint(certificate_of(pem).public_bytes(serialization.Encoding.DER))


@pytest.mark.parametrize("junk", [b"", b"junk", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"])
def test_fingerprint_of_junk_is_a_value_error(junk: bytes | str) -> None:
    """The parsers below raise several kinds of error."""
    with pytest.raises(ValueError):
        tls.fingerprint(junk)


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        (hashes.SHA256(), hashlib.sha256),
        (hashes.SHA384(), hashlib.sha384),
        (hashes.SHA512(), hashlib.sha512),
    ],
    ids=["sha256", "sha384", "sha512"],
)
def test_end_point_is_hashed_as_the_certificate_is_signed(algorithm: Any, expected: Any) -> None:
    """RFC 5929, section 4.1."""
    der = self_signed(ec.generate_private_key(ec.SECP256R1()), algorithm)

    assert expected(der).digest() == tls.server_end_point(der)


def test_end_point_of_a_broken_hash_is_sha256() -> None:
    """RFC 5929 replaces SHA-1; the certificate is patched, because no library signs with it today."""
    der = self_signed(rsa.generate_private_key(65537, 2048), hashes.SHA256())
    sha1 = der.replace(bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105"))

    assert isinstance(x509.load_der_x509_certificate(sha1).signature_hash_algorithm, hashes.SHA1)
    assert hashlib.sha256(sha1).digest() == tls.server_end_point(sha1)


def test_end_point_of_ed25519_is_refused() -> None:
    """It has no hash; a client that went on with empty binding data was CVE-2026-54291."""
    der = self_signed(ed25519.Ed25519PrivateKey.generate(), None)

    with pytest.raises(tls.UndefinedBinding, match=r"1\.3\.101\.112.*ECDSA P-256"):
        tls.server_end_point(der)


def test_end_point_of_an_unknown_signature_or_junk_is_refused() -> None:
    """Whatever is not known has no binding."""
    der = self_signed(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    unknown = der.replace(bytes.fromhex("2a8648ce3d040302"), bytes.fromhex("2a8648ce3d04037f"))

    for bad in (unknown, b"", b"junk"):
        with pytest.raises(tls.UndefinedBinding):
            tls.server_end_point(bad)
