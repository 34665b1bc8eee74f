"""SCRAM-SHA-256 at the server: what is refused, and that one challenge is good for one answer."""

from __future__ import annotations

import pytest

import cred
from cred import ScramClient, ScramServer
from cred.passwords import derive_keys, encode64

from .helpers import BINDING, HELLO, TLS
from .rfc7677 import (
    CLIENT_FINAL,
    CLIENT_FIRST,
    HELLO_ONLY,
    NONCE,
    PENCIL,
    PLAIN,
    SALT,
    SERVER_FINAL,
    SERVER_NONCE,
    challenge,
    client_of,
    server_of,
)


def test_plus_needs_a_binding():
    """A program that asks for the impossible is told at once."""
    with pytest.raises(ValueError, match="needs a binding"):
        ScramClient("user", "x", hello_hash=None, plus=True)


def test_a_client_that_could_bind_is_refused_by_a_server_that_can():
    """Both can, and the client was told that the server cannot: somebody removed -PLUS."""
    client = client_of(TLS, plus=False)

    assert client.start().startswith(b"y,,")
    with pytest.raises(cred.LoginFailed) as refused:
        server_of(TLS).receive_first(client.start())
    assert "downgrade" in refused.value.reason


def test_a_client_that_could_bind_is_taken_by_a_server_that_cannot():
    """Behind something that ends TLS for the server; the client has decided that it may."""
    client, server = client_of(TLS, plus=False), server_of(HELLO_ONLY)

    client.finish(server.receive_final(client.respond(challenge(server, client))))


@pytest.mark.parametrize(
    ("flag", "plus", "reason"),
    [
        (b"n", True, "does not fit"),
        (b"y", True, "does not fit"),
        (b"p=tls-server-end-point", False, "does not fit"),
        (b"p=tls-exporter", True, "binding type"),
        (b"p=tls-unique", True, "binding type"),
    ],
)
def test_a_flag_that_does_not_fit_is_refused(flag, plus, reason):
    """The name of the mechanism and the flag must say the same."""
    with pytest.raises(cred.LoginFailed) as refused:
        server_of(TLS, plus).receive_first(flag + CLIENT_FIRST[1:])

    assert reason in refused.value.reason


def test_a_relay_is_found_out_by_the_binding():
    """The client sees the certificate of whoever is in between, the server its own."""
    client = client_of(cred.Channel(HELLO, (cred.Binding(BINDING.type, bytes(32)),)), plus=True)
    server = server_of(TLS, plus=True)

    with pytest.raises(cred.LoginFailed) as refused:
        server.receive_final(client.respond(challenge(server, client)))
    assert "binding" in refused.value.reason


def test_a_wrong_password_is_refused():
    """With the reason for the log, and the one text for all others."""
    client, server = client_of(password="pencils"), server_of()

    with pytest.raises(cred.LoginFailed, match=r"^login failed$") as refused:
        server.receive_final(client.respond(challenge(server, client)))
    assert "wrong password" == refused.value.reason


def test_a_right_password_is_refused_where_the_hash_is_nobodys():
    """However it came about that it fits."""
    client, server = client_of(), server_of()

    with pytest.raises(cred.LoginFailed) as refused:
        server.receive_final(client.respond(challenge(server, client, genuine=False)))
    assert "unknown" in refused.value.reason


def test_a_nonce_of_another_exchange_is_refused():
    """A recorded proof fits its own challenge only."""
    server = ScramServer(plus=False, channel=PLAIN, make_nonce=lambda: SERVER_NONCE[::-1])
    challenge(server, client_of())

    with pytest.raises(cred.LoginFailed) as refused:
        server.receive_final(CLIENT_FINAL)
    assert "nonce differs" == refused.value.reason


def prove(client_final_without_proof, server_first):
    """Return a message with a right proof, whatever it says."""
    keys = derive_keys("pencil", SALT, 4_096)
    covered = b",".join([CLIENT_FIRST[3:], server_first, client_final_without_proof])
    return (
        client_final_without_proof
        + b",p="
        + encode64(cred.scram.make_proof(keys.client_key, covered)).encode()
    )


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"x", b"x", None),
        (b"r=rOpr", b"r=ROpr", "nonce differs"),
        (b"k0", b"k0k0", "nonce differs"),
        (b"c=biws", b"c=eSws", "channel binding differs"),
        (b"c=biws", b"c=biwsAA==", "channel binding differs"),
    ],
    ids=["right", "nonce", "longer nonce", "y for n", "binding data"],
)
def test_a_right_proof_over_wrong_parts_is_refused(old, new, reason):
    """Who knows the password still may not say another nonce or binding than the server's."""
    server = server_of()
    first = challenge(server, client_of())
    final = prove(CLIENT_FINAL.rpartition(b",")[0].replace(old, new), first)

    if reason is None:
        assert SERVER_FINAL == server.receive_final(final)
    else:
        with pytest.raises(cred.LoginFailed) as refused:
            server.receive_final(final)
        assert refused.value.reason.startswith(reason)


def test_a_name_newer_than_unicode_3_2_gets_a_challenge():
    """It can be nobody's, and looks like anybody's."""
    client = ScramClient("a\u0221", "x", hello_hash=None, make_nonce=lambda: NONCE)

    assert "a\u0221" == server_of().receive_first(client.start())


def test_one_challenge_takes_one_proof():
    """2002's could be answered for ever."""
    server = server_of()
    challenge(server, client_of())
    server.receive_final(CLIENT_FINAL)

    with pytest.raises(cred.LoginFailed) as refused:
        server.receive_final(CLIENT_FINAL)
    assert "not in turn" in refused.value.reason


def test_one_first_message_gets_one_challenge():
    """Nor can a second be asked for with the nonce of the first."""
    server = server_of()
    challenge(server, client_of())

    with pytest.raises(cred.LoginFailed) as refused:
        server.challenge(PENCIL)
    assert "not in turn" in refused.value.reason


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"n,,n=\0,r=" + NONCE.encode(), b"n,,n=\xc2\xad,r=" + NONCE.encode()]
)
def test_a_first_message_that_is_none_is_refused(data):
    """The last one is a name that is empty once it is prepared."""
    with pytest.raises(cred.LoginFailed, match=r"^login failed$"):
        server_of().receive_first(data)


@pytest.mark.parametrize("data", [b"", b"\xff", CLIENT_FINAL[:-1], CLIENT_FINAL + b",x=y", SERVER_FINAL])
def test_a_final_message_that_is_none_is_refused(data):
    """The server's own proof among them, sent back to it."""
    server = server_of()
    challenge(server, client_of())

    with pytest.raises(cred.LoginFailed, match=r"^login failed$"):
        server.receive_final(data)
