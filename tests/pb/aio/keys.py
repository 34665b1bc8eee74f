"""A house whose alice also has a key, and the files that clients log in with."""

from __future__ import annotations

import datetime

import cred
import pb
from pb.auth.root import AuthRoot

from ..auth.rooms import House

KEY_SEED = bytes(range(32))


def openssh_key():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(KEY_SEED).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )


def key(user="alice"):
    return cred.PrivateKey.from_openssh(user, openssh_key())


async def filled(**options):
    house = House(**options)
    await house.fill()
    await house.authorizer.add_credential("alice", key().credential)
    return house


class Liar(AuthRoot):
    """Offers all that an honest server does, and lets everybody in without a proof."""

    def make_root(self, face):
        super().make_root(face)
        return Unproven()


class Unproven(pb.Root):
    def remote_login(self, mechanism, initial):
        return {"data": b"v=AAAA", "identity": Unproven(), "user": "alice"}


def client_files(tmp_path):
    """Make a CA of one: a client certificate that is its own authority; return what a server needs."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alice's laptop")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(7)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(secret, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    path = tmp_path / "client.pem"
    path.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + pem
    )
    return path, pem.decode(), made.public_bytes(serialization.Encoding.DER)
