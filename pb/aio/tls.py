"""TLS for pbs://: certificates, pins, contexts and the channel binding that a login needs.

The only module of pb that imports cryptography; others import it when a pbs:// URL is used, so that ``import
pb`` stays free of ssl and cryptography. Knows no broker and no login. Spec: spec/, "Transport" (TLS) and
"Login" (-PLUS).

What TLS costs here. An idle TLS connection of stock asyncio takes 279 KiB, nearly all of it one 256 KiB
receive buffer, whose size is a class attribute of asyncio's private SSLProtocol. Changing that attribute
would change it for the whole process, so it is left alone; a server of thousands of clients passes its
factory through small_buffers(), which gives the same class a 16 KiB buffer for that listener only (39 KiB a
connection).
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import base64
import datetime
import functools
import hashlib
import hmac
import ipaddress
import os
import secrets
import ssl
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pb.aio.url import canonical_fingerprint, canonical_host

__all__ = [
    "PinMismatch",
    "UndefinedBinding",
    "check_pin",
    "client_context",
    "create",
    "fingerprint",
    "server_context",
    "server_end_point",
    "small_buffers",
]

ALPN: Final = "pb/1"
VALID_DAYS: Final = 3652
HANDSHAKE_TIMEOUT_S: Final = 10
# A TLS record holds at most 16 KiB of data, so a smaller buffer would only add reads.
SMALL_BUFFER_BYTES: Final = 16 * 1024

# RFC 5929, section 4.1: the hash of the certificate's signature, but SHA-256 for the two that are broken.
BINDING_HASHES: Final = {
    "md5": "sha256",
    "sha1": "sha256",
    "sha224": "sha224",
    "sha256": "sha256",
    "sha384": "sha384",
    "sha512": "sha512",
}


class PinMismatch(ssl.SSLCertVerificationError):
    """Tell that the server's key is not the pinned one: not the server that was meant, or one with a new key.

    It is an SSLError because asyncio fails a handshake in good order only for those. That makes it an OSError
    too: what tries again after an OSError must not do so after this one.

    Attributes:
        expected: the fingerprint that was pinned.
        found: the fingerprint of the key the server has, or why there is none.
    """

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(
            ssl.SSL_ERROR_SSL,
            f"the server's key has fingerprint {found}, expected {expected}; if its owner confirms that it"
            " has a new key, use the new pbs:// URL, else somebody stands between",
        )
        self.expected = expected
        self.found = found


class UndefinedBinding(ValueError):
    """Tell that a certificate gives no channel binding; a login that asked for one must fail."""


def create(
    path: str | os.PathLike[str],
    names: Sequence[str] = ("localhost", "127.0.0.1"),
    *,
    force: bool = False,
) -> str:
    """Write a new key and its self-signed certificate into one PEM file that only its owner may read.

    The file appears whole or not at all. The certificate is ECDSA P-256 with SHA-256, valid for ten years.

    Args:
        names: host names and IP addresses the certificate is for. Clients with a pin do not look at them.
        force: replace the file if it is there. Every pin of the old key is then void.

    Returns:
        The fingerprint of the new key.

    Raises:
        FileExistsError: there is such a file; nothing was touched.
        ValueError: names is empty, or one of them is no host.
    """
    if isinstance(names, str) or not names:
        raise ValueError("names must be a sequence of at least one host name or IP address")
    target = Path(path)
    if not force and os.path.lexists(target):
        raise _exists(target)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target.parent} is no directory; make it first")
    # Not Ed25519: RFC 5929 defines no tls-server-end-point for signatures without a hash, so logins could not
    # bind themselves to the channel (CVE-2026-54291 is a client that then silently went on without).
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _self_signed(key, names)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    _write_secret(target, pem, force)
    return _fingerprint_of(certificate)


def fingerprint(certificate: bytes | str) -> str:
    """Return base32(SHA-256(SubjectPublicKeyInfo)) of a certificate, 52 characters in lower case.

    Args:
        certificate: DER, or PEM text; in a PEM file with a key too, its first certificate.

    Raises:
        ValueError: it is no X.509 certificate, or its key is of an unknown kind.
    """
    raw = certificate.encode() if isinstance(certificate, str) else certificate
    try:
        is_pem = b"-----BEGIN " in raw
        return _fingerprint_of(
            x509.load_pem_x509_certificate(raw) if is_pem else x509.load_der_x509_certificate(raw)
        )
    except UnsupportedAlgorithm as error:
        raise ValueError(f"certificate with a key of an unknown kind: {error}") from error


def server_context(path: str | os.PathLike[str]) -> ssl.SSLContext:
    """Return the context of a server whose key and certificates are in one PEM file, as create() writes it.

    Raises:
        FileNotFoundError: there is no such file; the text says how to make one.
        PermissionError: others than the owner may read or write it; the text has the remedy.
        ssl.SSLError: it does not hold a key and its certificate.
    """
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"no key file {os.fspath(path)}; `pb keygen -o {os.fspath(path)}` makes one"
        ) from None
    if os.name == "posix" and mode & 0o077:
        raise PermissionError(
            f"key file {os.fspath(path)} has mode {mode:04o}, others than its owner may use it;"
            f" chmod 600 {os.fspath(path)}, and make a new key if somebody may have read it"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    context.num_tickets = 0  # no resumption, hence no 0-RTT data and no ticket key to protect
    context.load_cert_chain(path)
    return context


def client_context(pin: str | None, cafile: str | os.PathLike[str] | None = None) -> ssl.SSLContext:
    """Return the context of a client.

    With a pin, neither authorities nor host names are asked: the handshake fails with PinMismatch unless the
    server has the pinned key. The context itself sees to that, at the end of every handshake, so that
    forgetting check_pin() opens nothing. Handshakes that OpenSSL does implicitly (a socket wrapped with
    ``do_handshake_on_connect=False`` and never told to) are not covered.

    Args:
        pin: fingerprint of the server's key, in any case; None for the usual check of authority and host
            name.
        cafile: authorities to trust instead of the system's; not together with a pin.

    Raises:
        BadURL: the pin is no fingerprint.
        ValueError: both a pin and a cafile.
    """
    if pin is None:
        context = ssl.create_default_context(cafile=None if cafile is None else os.fspath(cafile))
        _harden(context)
        return context
    if cafile is not None:
        raise ValueError("give a pin or a cafile: a pinned key is not looked up with any authority")
    pin = canonical_fingerprint(pin)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.sslobject_class, context.sslsocket_class = _pinned_classes(pin)
    return context


def check_pin(ssl_object: ssl.SSLObject | ssl.SSLSocket | None, pin: str) -> None:
    """Compare the key of a connection's server with a pin, before any byte of ours is sent.

    Call it in connection_made with ``transport.get_extra_info("ssl_object")``, and abort the transport if it
    raises.

    Raises:
        PinMismatch: it is another key, or the server showed none that can be read.
    """
    pin = pin.lower()
    if ssl_object is None:
        raise PinMismatch(pin, "none (no TLS)")
    der = ssl_object.getpeercert(binary_form=True)
    if der is None:
        raise PinMismatch(pin, "none (no certificate)")
    try:
        found = fingerprint(der)
    except ValueError as error:
        raise PinMismatch(pin, "none (its certificate cannot be read)") from error
    if not hmac.compare_digest(found.encode(), pin.encode()):
        raise PinMismatch(pin, found)


def server_end_point(der: bytes) -> bytes:
    """Return the channel binding data tls-server-end-point (RFC 5929) of a server's certificate.

    Raises:
        UndefinedBinding: the certificate's signature has no hash (Ed25519, Ed448) or an unknown one. Fail the
            login; never go on with empty binding data.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        algorithm = certificate.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UndefinedBinding(
            f"no tls-server-end-point: unreadable certificate or signature: {error}"
        ) from error
    name = BINDING_HASHES.get(algorithm.name) if algorithm else None
    if name is None:
        oid = certificate.signature_algorithm_oid.dotted_string
        raise UndefinedBinding(
            f"no tls-server-end-point: the certificate's signature ({oid}) has no hash that RFC 5929 knows;"
            " the server needs ECDSA P-256 with SHA-256, as `pb keygen` makes it"
        )
    return hashlib.new(name, der).digest()


def small_buffers(
    protocol_factory: Callable[[], asyncio.BaseProtocol], context: ssl.SSLContext
) -> Callable[[], asyncio.BaseProtocol]:
    """Wrap a server's factory so that each of its TLS connections has a buffer of 16 KiB, not of 256 KiB.

    Pass the result to ``loop.create_server`` without ``ssl=``. It uses asyncio's own TLS protocol, under
    uvloop too, where that is slower than uvloop's; the argument order of its constructor is not documented,
    and a test watches it. It touches nothing outside the listener it is given to.
    """

    def connection() -> asyncio.BaseProtocol:
        return _SmallSSLProtocol(
            asyncio.get_running_loop(),
            protocol_factory(),
            context,
            # Nobody waits for a server's handshake; asyncio passes None here as well.
            None,  # type: ignore[arg-type]
            server_side=True,
            ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
        )

    return connection


class _SmallSSLProtocol(asyncio.sslproto.SSLProtocol):
    max_size = SMALL_BUFFER_BYTES


@functools.lru_cache(maxsize=64)  # a class takes 50 us to make, and leaves rings
def _pinned_classes(pin: str) -> tuple[type[ssl.SSLObject], type[ssl.SSLSocket]]:
    class PinnedObject(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            check_pin(self, pin)

    class PinnedSocket(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            check_pin(self, pin)

    return PinnedObject, PinnedSocket


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([ALPN])


def _fingerprint_of(certificate: x509.Certificate) -> str:
    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b32encode(hashlib.sha256(spki).digest()).decode().rstrip("=").lower()


def _self_signed(key: ec.EllipticCurvePrivateKey, names: Sequence[str]) -> x509.Certificate:
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "perspective-broker")])
    now = datetime.datetime.now(datetime.UTC)
    public_key = key.public_key()
    subject_key_id = x509.SubjectKeyIdentifier.from_public_key(public_key)
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    # The last five extensions are for those who give this certificate to a client as cafile: OpenSSL's strict
    # mode, Python's default since 3.13, wants them.
    return (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # for clients whose clock is slow
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, **usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(subject_key_id, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject_key_id), critical=False
        )
        .sign(key, hashes.SHA256())
    )


def _general_name(name: str) -> x509.GeneralName:
    host = canonical_host(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write_secret(target: Path, content: bytes, force: bool) -> None:
    # Written beside the target and then moved, so that a crash leaves no half file. link() and not rename()
    # where the target must be new: rename() replaces what is there, and a check before it would be a race.
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if force:
            os.replace(temporary, target)
            return
        try:
            os.link(temporary, target)
        except FileExistsError:
            raise _exists(target) from None
    finally:
        temporary.unlink(missing_ok=True)


def _exists(target: Path) -> FileExistsError:
    return FileExistsError(
        f"{target} exists and is left as it is; choose another name, or replace it by force (`pb keygen"
        " --force`), which voids every pbs:// URL with the fingerprint of its key"
    )
