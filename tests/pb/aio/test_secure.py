"""What a transport says of itself to a login: over each transport, at both ends."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import sys

import pytest

import pb
from pb.aio import secure, tls
from pb.aio.url import Address
from pb.auth.channel import channel_of
from pb.security import Security

from .loops import Place, run

LINUX = pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="the system does not tell")


def facts_of(place, loop, **options):
    """Return what client and server say of one connection."""
    seen = {}

    class Root(pb.Root):
        def remote_look(self):
            seen["server"] = pb.current_call().connection._link.security()

    async def main():
        insecure = options.get("insecure", False)
        async with (
            place.serve(Root(), **options) as server,
            pb.open_connection(server.url, insecure=insecure) as connection,
        ):
            await connection.root.look()
            seen["client"] = connection._link.security()

    run(main(), loop)
    return seen["client"], seen["server"]


def test_memory_and_unix_are_local(loop, tmp_path):
    """Nobody is in between, and nobody has an address."""
    for scheme in ("memory", "pb+unix") if sys.platform != "win32" else ("memory",):
        for facts in facts_of(Place(scheme, tmp_path), loop):
            assert (True, False, False, "") == (
                facts.is_local,
                facts.is_loopback,
                facts.is_encrypted,
                facts.address,
            )
            assert () == facts.bindings


@LINUX
def test_a_unix_socket_tells_the_server_who_is_there(loop, tmp_path):
    """And not the client: whose socket it is says the file."""
    client, server = facts_of(Place("pb+unix", tmp_path), loop)

    assert (None, os.getuid()) == (client.uid, server.uid)


@pytest.mark.parametrize("insecure", [False, True])
def test_tcp_within_this_machine_is_loopback(loop, tmp_path, insecure):
    """Without a binding; and `insecure` is what was spelled out, at each end for itself."""
    for facts in facts_of(Place("pb", tmp_path), loop, insecure=insecure):
        assert Security("127.0.0.1", is_loopback=True, is_allowed=insecure) == facts


def test_both_ends_of_tls_know_the_same_binding(loop, tmp_path):
    """That of the server's certificate: RFC 5929."""
    place = Place("pbs", tmp_path)
    client, server = facts_of(place, loop)
    pem = (tmp_path / "server.pem").read_text()
    der = ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERT") :])

    assert client.bindings == server.bindings
    assert ("tls-server-end-point", hashlib.sha256(der).digest()) == client.bindings[-1]
    assert (True, True) == (client.is_encrypted, server.is_encrypted)
    assert (None, None) == (client.certificate, server.certificate)
    assert not client.is_local


@pytest.mark.parametrize(
    "host, is_loopback",
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("::1%lo", True),
        ("192.0.2.1", False),
        ("::ffff:192.0.2.1", False),
        ("fe80::1%eth0", False),
        ("0.0.0.0", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("", False),
    ],
)
def test_loopback_is_an_address_and_one_name(host, is_loopback):
    """A name that only looks like it is somebody else's."""
    assert is_loopback == secure.is_loopback(host)


class Transport:
    """A transport that says what the test says."""

    def __init__(self, **extra):
        self.extra = extra

    def get_extra_info(self, name):
        return self.extra.get(name)


class Tls:
    """A TLS object with a certificate, and an exporter if it has one."""

    def __init__(self, der, exported=None, version="TLSv1.3"):
        self.der = der
        self.version = lambda: version
        if exported is not None:
            self.export_keying_material = lambda label, size: (label + exported)[:size].ljust(size, b".")

    def getpeercert(self, binary_form):
        assert binary_form
        return self.der


def certificate(tmp_path, name="key.pem"):
    tls.create(tmp_path / name)
    pem = (tmp_path / name).read_text()
    return ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERT") :])


@pytest.mark.parametrize("is_server", [False, True])
def test_the_exporter_comes_before_what_every_peer_has(tmp_path, is_server):
    """RFC 9266, where the transport gives it: it binds to the connection, not to the certificate alone."""
    der = certificate(tmp_path)
    facts = secure.security_of(Transport(ssl_object=Tls(der, b"x")), is_server, der, False)

    assert ["tls-exporter", "tls-server-end-point"] == [type for type, _ in facts.bindings]
    assert b"EXPORTER-Channel-Binding" == facts.bindings[0][1][:24]
    assert 32 == len(facts.bindings[0][1])


def test_the_exporter_of_older_tls_is_not_used(tmp_path):
    """Without the extended master secret two connections can be made to have the same one."""
    tls_1_2 = Tls(certificate(tmp_path), b"x", "TLSv1.2")
    facts = secure.security_of(Transport(ssl_object=tls_1_2), False, None, False)

    assert ["tls-server-end-point"] == [type for type, _ in facts.bindings]


@pytest.mark.parametrize(
    ("checked", "type"),
    [
        (("tls-exporter", "tls-server-end-point"), "tls-exporter"),
        (("tls-server-end-point",), "tls-server-end-point"),
    ],
    ids=["both can", "the server cannot"],
)
def test_a_client_binds_to_the_best_that_the_server_can_check(tmp_path, checked, type):
    """PB-A19; the first of the channel is what SCRAM and ED25519 use."""
    facts = secure.security_of(Transport(ssl_object=Tls(certificate(tmp_path), b"x")), False, None, False)

    assert type == channel_of(facts, bytes(32), checked).bindings[0].type


def test_the_server_binds_to_its_own_certificate_and_vouches_for_the_client_s(tmp_path):
    """At the server, what TLS shows is the client's."""
    own, shown = certificate(tmp_path), certificate(tmp_path, "client.pem")
    facts = secure.security_of(Transport(ssl_object=Tls(shown)), True, own, False)

    assert (("tls-server-end-point", hashlib.sha256(own).digest()),) == facts.bindings
    assert shown == facts.certificate


def test_a_server_that_does_not_know_its_certificate_has_no_binding(tmp_path):
    """A context of the program's own does not tell which one it uses."""
    facts = secure.security_of(Transport(ssl_object=Tls(None)), True, None, False)

    assert ((), None) == (facts.bindings, facts.certificate)


def test_an_ed25519_certificate_fails_closed(tmp_path):
    """RFC 5929 defines no binding for it: going on without one is CVE-2026-54291."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.x509.oid import NameOID

    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=9999))
        .sign(key, None)
    )
    der = made.public_bytes(serialization.Encoding.DER)
    for is_server, own in ((True, der), (False, None)):
        with pytest.raises(tls.UndefinedBinding):
            secure.security_of(Transport(ssl_object=Tls(der)), is_server, own, False)


def test_where_the_system_does_not_tell_who_is_there_nobody_is_vouched_for(monkeypatch):
    """No uid is not uid 0."""
    monkeypatch.delattr(socket, "SO_PEERCRED", raising=False)
    left, right = socket.socketpair()
    with left, right:
        facts = secure.security_of(Transport(socket=left), True, None, False)
    assert (None, True) == (facts.uid, facts.is_local)


def test_only_unix_sockets_know_a_uid():
    """An address family that is neither TCP nor that."""

    class Other:
        family = 12345

    assert secure.security_of(Transport(socket=Other()), True, None, False).uid is None


def test_the_address_is_that_of_the_peer_without_its_port(loop, tmp_path):
    """Penalties are for addresses."""
    _, server = facts_of(Place("pb", tmp_path), loop)

    assert "127.0.0.1" == server.address
    assert Address.parse("pb://127.0.0.1:1").host == server.address
