"""What a login is told of a connection: who may stand between, and what is vouched for."""

from __future__ import annotations

import ssl

import pytest

import cred
from pb.aio import tls
from pb.auth.channel import channel_of
from pb.security import Security

HASH = bytes(32)


@pytest.mark.parametrize("is_local", [False, True])
@pytest.mark.parametrize("is_loopback", [False, True])
@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize("is_allowed", [False, True])
def test_a_signature_without_binding_is_taken_where_nobody_is_in_between(
    is_local, is_loopback, is_encrypted, is_allowed
):
    """On this machine without a network, or on its loopback where somebody spelled it out; nowhere else."""
    facts = Security("", is_local, is_loopback, is_encrypted, is_allowed)

    assert (is_local or (is_loopback and is_allowed)) == channel_of(facts, HASH).unbound_ok
    assert (is_local or is_loopback or is_encrypted or is_allowed) == facts.is_private


def test_nothing_is_vouched_for_by_itself():
    """EXTERNAL is not offered."""
    channel = channel_of(Security(), HASH)

    assert ((), (), HASH) == (channel.vouched, channel.bindings, channel.hello_hash)
    assert () == cred.ExternalVerifier().offered(channel)


@pytest.mark.parametrize("uid", [0, 1000])
def test_a_uid_is_vouched_for(uid):
    """Also that of root, which is 0 and not none."""
    assert (cred.Credential.of_uid(uid),) == channel_of(Security(uid=uid), None).vouched


def test_a_certificate_is_vouched_for(tmp_path):
    """By its key and by its subject."""
    tls.create(tmp_path / "key.pem")
    pem = (tmp_path / "key.pem").read_text()
    der = ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERTIFICATE") :])

    assert cred.credentials_of_certificate(der) == channel_of(Security(certificate=der), HASH).vouched
    assert ["tls-key", "tls-subject"] == [one.kind for one in cred.credentials_of_certificate(der)]


def test_bindings_keep_their_order():
    """Best first."""
    given = (("tls-exporter", b"e" * 32), ("tls-server-end-point", b"s" * 32))

    assert [cred.Binding(*one) for one in given] == list(channel_of(Security(bindings=given), HASH).bindings)


@pytest.mark.parametrize("checked", [(), ("tls-server-end-point",), ("nothing",)])
def test_what_the_peer_can_check_comes_first_and_nothing_is_left_out(checked):
    """Who shortens its list on the way must not make a connection look like one without TLS."""
    given = (("tls-exporter", b"e" * 32), ("tls-server-end-point", b"s" * 32))
    found = [binding.type for binding in channel_of(Security(bindings=given), HASH, checked).bindings]

    assert {"tls-exporter", "tls-server-end-point"} == set(found)
    assert (checked[0] if checked[:1] == ("tls-server-end-point",) else "tls-exporter") == found[0]


@pytest.mark.parametrize("data", [b"", b"s" * 31])
def test_a_binding_that_binds_nothing_fails(data):
    """Fail closed: never go on as if there were none."""
    with pytest.raises(ValueError, match="expected at least 32"):
        channel_of(Security(bindings=(("tls-server-end-point", data),)), HASH)


def test_tls_unique_is_no_binding():
    """It is undefined for TLS 1.3."""
    with pytest.raises(ValueError, match="unknown type"):
        channel_of(Security(bindings=(("tls-unique", b"s" * 32),)), HASH)
