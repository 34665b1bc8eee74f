"""SCRAM-SHA-256: the vector of RFC 7677, both sides against each other, and what the client refuses."""

from __future__ import annotations

import hashlib
import hmac

import pytest

import cred
from cred import KeyCache, ScramClient
from cred.passwords import derive_keys, encode64

from .helpers import BINDING, HELLO
from .rfc7677 import (
    CLIENT_FINAL,
    CLIENT_FIRST,
    HELLO_ONLY,
    NONCE,
    PENCIL,
    SALT,
    SERVER_FINAL,
    SERVER_FIRST,
    challenge,
    client_of,
    server_of,
)


def test_the_client_says_what_the_rfc_says():
    """RFC 7677 section 3, byte by byte."""
    client = client_of()

    assert CLIENT_FIRST == client.start()
    assert CLIENT_FINAL == client.respond(SERVER_FIRST)
    client.finish(SERVER_FINAL)


def test_the_server_says_what_the_rfc_says():
    """RFC 7677 section 3, byte by byte."""
    server = server_of()

    assert "user" == server.receive_first(CLIENT_FIRST)
    assert SERVER_FIRST == server.challenge(PENCIL)
    assert SERVER_FINAL == server.receive_final(CLIENT_FINAL)


def test_plus_gives_the_values_that_were_computed_elsewhere():
    """With tls-server-end-point 00..1f; an independent implementation gave the same three messages."""
    client = client_of(cred.Channel(None, (BINDING,)), plus=True)
    server = server_of(cred.Channel(None, (BINDING,)), plus=True)
    final = client.respond(challenge(server, client))
    proof = server.receive_final(final)
    client.finish(proof)

    assert final.endswith(b",p=nY1Wus9a+gM2DrbQ1msXFgyhW6KM5ktOxWiU+/P/EGY=")
    assert b"v=RwppMGddhz/J0lFYaRReBjXcQeNUFP5Qc76Lo5Exrig=" == proof


@pytest.mark.parametrize("type", ["tls-exporter", "tls-server-end-point"])
def test_a_pb_login_carries_h_and_both_proofs_cover_it(type):
    """The attribute stands where RFC 5802 has room for it."""
    channel = cred.Channel(HELLO, (cred.Binding(type, bytes(32)),))
    client, server = client_of(channel, plus=True), server_of(channel, plus=True)
    first = challenge(server, client)
    client.finish(server.receive_final(client.respond(first)))

    assert first.endswith(b",h=" + encode64(HELLO).encode())


def test_the_vector_with_h():
    """For other implementations: the RFC's example with h= of b"client hello" and b"server hello"."""
    client, server = client_of(HELLO_ONLY), server_of(HELLO_ONLY)
    final = client.respond(challenge(server, client))

    covered = b",".join(
        [CLIENT_FIRST[3:], SERVER_FIRST + b",h=" + encode64(HELLO).encode(), CLIENT_FINAL.rpartition(b",")[0]]
    )
    keys = derive_keys("pencil", SALT, 4_096)
    signature = hmac.digest(hashlib.sha256(keys.client_key).digest(), covered, "sha256")
    proof = bytes(a ^ b for a, b in zip(keys.client_key, signature, strict=True))
    assert CLIENT_FINAL.rpartition(b"p=")[0] + b"p=" + encode64(proof).encode() == final
    assert b"v=" + encode64(hmac.digest(keys.server_key, covered, "sha256")).encode() == server.receive_final(
        final
    )


def test_a_name_with_commas_and_equal_signs_arrives():
    """It is escaped on the way, or it could add attributes."""
    client = ScramClient("a,b=c", "x", hello_hash=None, make_nonce=lambda: NONCE)

    assert b"n,,n=a=2Cb=3Dc,r=" + NONCE.encode() == client.start()
    assert "a,b=c" == server_of().receive_first(client.start())


def test_a_name_is_prepared_at_both_ends():
    """A client that does not prepare it is understood all the same."""
    assert (
        b"n,,n=IX,r=" + NONCE.encode()
        == ScramClient("I\u00adX", "x", hello_hash=None, make_nonce=lambda: NONCE).start()
    )
    assert "IX" == server_of().receive_first("n,,n=I\u00adX,r=rOprNGfwEbeRWgbNEkqO".encode())


@pytest.mark.parametrize("iterations", [4_096, 5_000])
def test_iterations_within_bounds_are_done(iterations):
    """4 096 is what RFC 7677 asks for at least."""
    keys = KeyCache()
    client = client_of(cache=keys)
    client.respond(SERVER_FIRST.replace(b"i=4096", b"i=%d" % iterations))

    assert "<KeyCache of 1>" == repr(keys)


@pytest.mark.parametrize("iterations", [b"1", b"4095", b"10000001", b"2147483648", b"9999999999"])
def test_iterations_out_of_bounds_are_refused_without_work(iterations):
    """Few make the proof easy to search, many freeze the client."""
    keys = KeyCache()
    with pytest.raises(cred.UntrustedServer, match="iterations"):
        client_of(cache=keys).respond(SERVER_FIRST.replace(b"4096", iterations))

    assert "<KeyCache of 0>" == repr(keys)


@pytest.mark.parametrize("iterations", [b"04096", b"-1", b"4096x", b"", b"4096.0"])
def test_iterations_that_are_no_number_are_refused(iterations):
    """int() would take some of them."""
    with pytest.raises(cred.UntrustedServer, match="challenge"):
        client_of().respond(SERVER_FIRST.replace(b"4096", iterations))


@pytest.mark.parametrize(
    "nonce",
    [NONCE, NONCE + "x" * 17, "x" + NONCE + "x" * 20, "X" * 60, NONCE[:-1] + "x" * 30],
    ids=["ours", "17 more", "not at the beginning", "another", "one less of ours"],
)
def test_a_nonce_that_does_not_extend_ours_is_refused(nonce):
    """It would be the challenge of another exchange, or one that can be foreseen."""
    with pytest.raises(cred.UntrustedServer, match="nonce"):
        client_of().respond(f"r={nonce},s=AAEC,i=4096".encode())


def test_a_nonce_with_just_enough_of_the_servers_own_is_taken():
    """18 characters are 108 bits."""
    nonce = NONCE + "x" * 18

    assert f"r={nonce},".encode() in client_of().respond(f"r={nonce},s=AAEC,i=4096".encode())


@pytest.mark.parametrize("iterations", [4_096, 10_000_000])
def test_the_bounds_themselves_are_done(iterations):
    """By a cache that does not really do them: the upper one takes four seconds."""
    asked = []

    class Quick(KeyCache):
        def derive(self, password, salt, iterations):
            asked.append(iterations)
            return super().derive(password, salt, 1)

    client_of(cache=Quick()).respond(f"r={NONCE}{'x' * 18},s=AAEC,i={iterations}".encode())
    assert [iterations] == asked


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"r=\0", b"r=" + b"x" * 5_000, SERVER_FIRST[:-7]])
def test_a_challenge_that_is_none_is_refused(data):
    """Whoever answers on that port is no PB server."""
    with pytest.raises(cred.UntrustedServer, match="challenge"):
        client_of().respond(data)


def test_a_challenge_without_h_is_a_downgrade():
    """Whoever strips h= could strip mechanisms too."""
    with pytest.raises(cred.DowngradeDetected, match="no h="):
        client_of(HELLO_ONLY).respond(SERVER_FIRST)


def test_a_challenge_for_other_hellos_is_a_downgrade():
    """The server was shown another HELLO than the one that was sent."""
    with pytest.raises(cred.DowngradeDetected, match="h= differs"):
        client_of(HELLO_ONLY).respond(SERVER_FIRST + b",h=" + encode64(bytes(32)).encode())


def test_a_forged_h_fails_at_the_server():
    """Somebody in between who rewrites h= for the client breaks the proof."""
    client, server = client_of(HELLO_ONLY), server_of(cred.Channel(bytes(32)))
    first = challenge(server, client)
    forged = first.rpartition(b"h=")[0] + b"h=" + encode64(HELLO).encode()

    with pytest.raises(cred.LoginFailed):
        server.receive_final(client.respond(forged))


@pytest.mark.parametrize(
    "final",
    [
        b"",
        b"e=invalid-proof",
        b"v=" + encode64(bytes(32)).encode(),
        SERVER_FINAL[:-4],
        CLIENT_FINAL,
        b"v=AAAA",
    ],
    ids=["empty", "error", "wrong", "cut", "echoed", "short"],
)
def test_a_server_that_does_not_prove_itself_is_not_used(final):
    """It would get calls and secrets without having known the password."""
    client = client_of()
    client.respond(SERVER_FIRST)

    with pytest.raises(cred.UntrustedServer, match="proof"):
        client.finish(final)


def test_a_server_that_is_done_at_once_is_not_used():
    """The easiest way to seem to know the password is not to ask for it."""
    client = client_of()

    with pytest.raises(cred.UntrustedServer, match="before it gave a challenge"):
        client.finish(SERVER_FINAL)


def test_a_proof_counts_once_at_the_client():
    """What was checked is used up."""
    client = client_of()
    client.respond(SERVER_FIRST)
    client.finish(SERVER_FINAL)

    with pytest.raises(cred.UntrustedServer):
        client.finish(SERVER_FINAL)


def test_fresh_nonces_are_long_and_differ():
    """24 characters of base64 at each side."""
    first = {ScramClient("user", "x", hello_hash=None).start() for _ in range(50)}

    assert 50 == len(first)
    assert {len(b"n,,n=user,r=") + 24} == {len(one) for one in first}


def test_keys_are_derived_once_for_a_salt():
    """0.24 s at the first login of a day, nothing at a reconnect."""
    derived = []

    class Counting(KeyCache):
        def derive(self, password, salt, iterations):
            before = repr(self)
            keys = super().derive(password, salt, iterations)
            derived.append(before != repr(self))
            return keys

    cache = Counting()
    first, second = client_of(cache=cache), client_of(cache=cache)

    assert first.respond(SERVER_FIRST) == second.respond(SERVER_FIRST) == CLIENT_FINAL
    assert [True, False] == derived


def test_a_server_cannot_fill_the_cache():
    """It could send another salt each time."""
    cache = KeyCache()
    for number in range(9):
        cache.derive("x", bytes([number]), 1)

    assert "<KeyCache of 4>" == repr(cache)


def test_nothing_secret_is_shown():
    """Clients stand in tracebacks."""
    assert "<ScramClient SCRAM-SHA-256>" == repr(client_of())
