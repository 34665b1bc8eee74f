"""SCRAM against scramp, an independent implementation, in both directions."""

from __future__ import annotations

import pytest
import scramp
from hypothesis import given, settings
from hypothesis import strategies as st

import cred
from cred import PasswordHash, ScramClient, ScramServer
from cred.passwords import decode64, prepare_password

from .helpers import BINDING

CHANNELS = pytest.mark.parametrize(
    "channel", [cred.Channel(None), cred.Channel(None, (BINDING,))], ids=["", "plus"]
)
PASSWORDS = ["pencil", "pass,word=", "I\u00adX", "\u00e9\u2168 \u00a0x", "x" * 1_000]


def theirs(channel):
    """Return their word for our binding."""
    return (BINDING.type, BINDING.data) if channel.bindings else None


def mechanism(channel):
    """Return the name of the mechanism for a channel."""
    return "SCRAM-SHA-256-PLUS" if channel.bindings else "SCRAM-SHA-256"


def their_server(password, channel):
    """Return a server of theirs that knows one password, hashed by us."""
    hash = PasswordHash.of(password, iterations=4_096)
    known = (hash.salt, hash.stored_key, hash.server_key, hash.iterations)
    return scramp.ScramMechanism(mechanism(channel)).make_server(
        lambda user: known, channel_binding=theirs(channel)
    )


@CHANNELS
@pytest.mark.parametrize("password", PASSWORDS)
def test_our_client_logs_in_at_their_server(channel, password):
    """And believes its proof."""
    server = their_server(password, channel)
    plus = bool(channel.bindings)
    client = ScramClient("us,er=", password, hello_hash=None, binding=BINDING if plus else None, plus=plus)

    server.set_client_first(client.start().decode())
    server.set_client_final(client.respond(server.get_server_first().encode()).decode())
    client.finish(server.get_server_final().encode())


@CHANNELS
@pytest.mark.parametrize("password", PASSWORDS)
def test_their_client_logs_in_at_our_server(channel, password):
    """And believes our proof."""
    server = ScramServer(plus=bool(channel.bindings), channel=channel)
    client = scramp.ScramClient([mechanism(channel)], "us,er=", password, channel_binding=theirs(channel))

    assert "us,er=" == server.receive_first(client.get_client_first().encode())
    client.set_server_first(server.challenge(PasswordHash.of(password, iterations=4_096)).decode())
    client.set_server_final(server.receive_final(client.get_client_final().encode()).decode())


@CHANNELS
def test_a_wrong_password_is_refused_in_both_directions(channel):
    """The agreement above is worth nothing if both take everything."""
    plus = bool(channel.bindings)
    ours = ScramClient("user", "wrong", hello_hash=None, binding=BINDING if plus else None, plus=plus)
    server = their_server("right", channel)
    server.set_client_first(ours.start().decode())
    final = ours.respond(server.get_server_first().encode()).decode()
    with pytest.raises(scramp.ScramException):
        server.set_client_final(final)

    our_server = ScramServer(plus=plus, channel=channel)
    client = scramp.ScramClient([mechanism(channel)], "user", "wrong", channel_binding=theirs(channel))
    our_server.receive_first(client.get_client_first().encode())
    client.set_server_first(our_server.challenge(PasswordHash.of("right", iterations=4_096)).decode())
    with pytest.raises(cred.LoginFailed):
        our_server.receive_final(client.get_client_final().encode())


@settings(max_examples=25, deadline=None)
@given(st.text(min_size=1, max_size=9))
def test_both_derive_the_same_from_any_password(password):
    """Where we take it; they take what Unicode 3.2 does not know as little as we do."""
    try:
        prepare_password(password, stored=True)
    except cred.BadPassword:
        return
    hash = PasswordHash.of(password, iterations=4_096)
    info = scramp.ScramMechanism("SCRAM-SHA-256").make_auth_info(
        password, iteration_count=4_096, salt=hash.salt
    )

    assert (hash.stored_key, hash.server_key) == tuple(
        part if isinstance(part, bytes) else decode64(part) for part in info[1:3]
    )
