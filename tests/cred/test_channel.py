"""Channel: that empty bindings and wrong hashes are refused where they are made."""

from __future__ import annotations

import hashlib

import pytest

import cred


def test_the_hello_hash_covers_both_hellos_in_order():
    """The side that swaps them has another connection in mind."""
    assert hashlib.sha256(b"ab").digest() == cred.hello_hash(b"a", b"b")
    assert cred.hello_hash(b"a", b"b") != cred.hello_hash(b"b", b"a")


@pytest.mark.parametrize("data", [b"", bytes(31)], ids=["empty", "short"])
def test_a_binding_that_binds_nothing_is_refused(data):
    """An Ed25519 certificate has no tls-server-end-point; going on was a vulnerability elsewhere (PB-A18)."""
    with pytest.raises(ValueError, match="at least 32"):
        cred.Binding("tls-server-end-point", data)
    assert 32 == len(cred.Binding("tls-server-end-point", bytes(32)).data)


@pytest.mark.parametrize("type", ["tls-unique", "", "TLS-EXPORTER"])
def test_a_binding_of_another_type_is_refused(type):
    """tls-unique is undefined under TLS 1.3."""
    with pytest.raises(ValueError, match="unknown type"):
        cred.Binding(type, bytes(32))


def test_a_hello_hash_of_the_wrong_length_is_refused():
    """Somebody passed the HELLO itself."""
    with pytest.raises(ValueError, match="expected 32"):
        cred.Channel(b"hello")


def test_a_channel_gets_its_hello_hash_when_the_hellos_have_crossed():
    """All else about it was known before, and stays."""
    made = {"bindings": (cred.Binding("tls-exporter", bytes(32)),), "unbound_ok": True}
    vouched = (cred.Credential.of_uid(7),)

    assert cred.Channel(bytes(32), **made, vouched=vouched) == cred.Channel(
        None, **made, vouched=vouched
    ).greeted(bytes(32))
    with pytest.raises(ValueError, match="expected 32"):
        cred.Channel(None).greeted(b"hello")


def test_a_binding_is_found_by_its_type():
    """The client names the type, the server has the data."""
    one, two = cred.Binding("tls-exporter", bytes(32)), cred.Binding("tls-server-end-point", bytes(48))
    channel = cred.Channel(None, (one, two))

    assert (two, one) == (channel.binding("tls-server-end-point"), channel.binding("tls-exporter"))
    assert None is channel.binding("tls-unique")
