"""Credential: what makes two of them one, and what no store could keep."""

from __future__ import annotations

import pytest

import cred
from cred import Credential


def test_the_label_is_a_comment():
    """Renaming "laptop" to "old laptop" takes nothing away from anyone."""
    assert Credential("ed25519", "00", "laptop") == Credential("ed25519", "00", "old laptop")
    assert 1 == len({Credential("ed25519", "00", "laptop"), Credential("ed25519", "00", "old laptop")})


def test_kind_and_id_make_it():
    """A uid is no certificate, whatever the digits."""
    assert 3 == len({Credential("a", "1"), Credential("b", "1"), Credential("a", "2")})


def test_the_kinds_of_a_transport_are_spelled_once():
    """Who grants and who checks must write the same."""
    assert Credential("unix-uid", "1000") == Credential.of_uid(1000)
    assert Credential("tls-key", "00ff") == Credential.of_tls_key(b"\x00\xff")
    assert Credential("tls-subject", "CN=alice") == Credential.of_tls_subject("CN=alice", "work")


@pytest.mark.parametrize(
    "parts",
    [
        ("", "1"),
        ("a", ""),
        ("a" * 65, "1"),
        ("a", "1" * 1025),
        ("a", "1", "x" * 256),
        ("a", "\0"),
        ("\ud800", "1"),
    ],
)
def test_what_no_store_can_keep_is_refused(parts):
    """Here, with a reason, and not by one database and not by the other."""
    with pytest.raises(cred.BadName, match="of a credential"):
        Credential(*parts)
