"""The example of RFC 7677, and both sides of it."""

from __future__ import annotations

import cred
from cred import ScramClient, ScramServer
from cred.passwords import decode64

from .helpers import HELLO

SALT = decode64("W22ZaJ0SNY7soEsUEjb6gQ==")
PENCIL = cred.PasswordHash.of("pencil", iterations=4_096, random=lambda size: SALT)
PLAIN = cred.Channel(None)
HELLO_ONLY = cred.Channel(HELLO)
NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def client_of(channel=PLAIN, password="pencil", **options):
    """Return the client of the RFC's example."""
    binding = channel.bindings[0] if channel.bindings else None
    options = {"hello_hash": channel.hello_hash, "binding": binding, "make_nonce": lambda: NONCE, **options}
    return ScramClient("user", password, **options)


def server_of(channel=PLAIN, plus=False):
    """Return the server of the RFC's example."""
    return ScramServer(plus=plus, channel=channel, make_nonce=lambda: SERVER_NONCE)


def challenge(server, client, hash=PENCIL, **options):
    """Run the first half."""
    server.receive_first(client.start())
    return server.challenge(hash, **options)
