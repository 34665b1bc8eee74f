"""Credentials over real connections: what an eavesdropper, a guesser and each kind of user gets."""

from __future__ import annotations

import asyncio
import os
import socket

import msgpack
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import cred
import pb
from pb.aio.url import Address

from ..aio.loops import Place, run
from .doors import ANSWER, CALL, ERROR, PASSWORD, Knock, Told, authorizer, bodies, bound, hash_of, number

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


class Tap:
    """Somebody who listens: passes all on, and keeps what the client says."""

    def __init__(self, server_url):
        self.target = Address.parse(server_url)
        self.said = b""
        self.heard = b""

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.pass_on, "127.0.0.1", 0)
        self.url = f"pb://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc):
        self.server.close()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def pass_on(self, reader, writer):
        there = await asyncio.open_connection(self.target.host, self.target.port)
        self.tasks = [
            asyncio.create_task(self.copy(reader, there[1], "said")),
            asyncio.create_task(self.copy(there[0], writer, "heard")),
        ]

    async def copy(self, reader, writer, name):
        while data := await reader.read(65536):
            setattr(self, name, getattr(self, name) + data)
            writer.write(data)
        writer.close()


def test_credentials_that_were_listened_to_are_of_no_use():
    """No secret in the bytes of a whole session over TCP, and the bytes sent again log nobody in."""

    async def main():
        users = authorizer()
        async with (
            pb.serve(pb.AuthRoot(users), "pb://127.0.0.1:0") as server,
            Tap(server.url) as tap,
        ):
            async with pb.connect(tap.url, "alice", PASSWORD, "chat") as perspective:
                assert "alice" == await perspective.name_of_mine()
            hash = hash_of(PASSWORD)
            keys = cred.passwords.derive_keys(PASSWORD, hash.salt, hash.iterations)
            for secret in (PASSWORD.encode(), keys.client_key, keys.server_key, hash.stored_key):
                for form in (secret, secret.hex().encode(), cred.passwords.encode64(secret).encode()):
                    assert form not in tap.said + tap.heard

            address = Address.parse(server.url)
            reader, writer = await asyncio.open_connection(address.host, address.port)
            answers = []
            hello, login, respond = [frame for frame in bodies(tap.said) if frame[1] in (0, CALL)][:3]
            assert (b"login" in login, b"respond" in respond) == (True, True)
            for said in (hello, login, respond):
                writer.write(len(said).to_bytes(4, "big") + said)
                size = int.from_bytes(await reader.readexactly(4), "big")
                answers.append(msgpack.unpackb(await reader.readexactly(size), ext_hook=msgpack.ExtType))
            writer.close()
        assert [0, ANSWER, ERROR] == [answer[0] for answer in answers]
        assert "pb.LoginFailed" == msgpack.unpackb(answers[2][2])["type"]

    run(main())


def test_credentials_that_were_guessed_at_five_times_are_answered_late():
    """Also by somebody else, from elsewhere, and with the right one: a delay, never a lock."""
    root = pb.AuthRoot(authorizer(), throttle=cred.Throttle(clock=lambda: 0.0))
    waited = []
    for tries in range(6):
        knock = Knock(root, bound(bytes([tries]) * 32))
        prover = cred.ScramClient(
            "alice",
            "wrong" if tries < 5 else PASSWORD,
            hello_hash=knock.hello_hash,
            binding=cred.Binding("tls-server-end-point", bytes([tries]) * 32),
            plus=True,
        )
        root.throttle._sources._marks.clear()  # each from another address
        step = knock.challenge(prover)
        try:
            knock.call(number(step["next"]), "respond", prover.respond(step["data"]))
        except Told:
            assert tries < 5
        waited.append(max(knock.host.slept))

    assert [0.05, 0.05, 0.05, 0.05, 0.25, 0.5] == waited


@pytest.mark.parametrize("user", ["nobody", "off", "guest"])
def test_credentials_of_nobody_are_refused_like_wrong_ones(user):
    """Unknown, disabled, without a password: as many frames, of the same sizes, with the same text."""
    seen = []
    for name in (user, "alice"):
        knock = Knock(pb.AuthRoot(authorizer()))
        prover = knock.scram(name, "wrong")
        step = knock.challenge(prover)
        with pytest.raises(Told) as told:
            knock.call(number(step["next"]), "respond", prover.respond(step["data"]))
        seen.append(([len(body) for body in bodies(knock.wire)], told.value.args, knock.host.slept))

    assert seen[0] == seen[1]


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="the system does not tell who connects")
@pytest.mark.parametrize(
    ("kind", "scheme"),
    [("password", "pb"), ("password", "pbs"), ("key", "pbs"), ("uid", "pb+unix"), ("nobody", "pb")],
)
def test_credentials_of_each_kind_log_in(tmp_path, kind, scheme):
    """As the identity that has them, by the strongest mechanism there is for them."""
    expected = {
        ("password", "pb"): "SCRAM-SHA-256",
        ("password", "pbs"): "SCRAM-SHA-256-PLUS",
        ("key", "pbs"): "ED25519",
        ("uid", "pb+unix"): "EXTERNAL",
        ("nobody", "pb"): "ANONYMOUS",
    }[kind, scheme]
    credentials = {
        "password": cred.Password("alice", PASSWORD),
        "key": cred.PrivateKey("key", KEY),
        "uid": cred.External(),
        "nobody": cred.Anonymous(),
    }[kind]

    async def main():
        users = authorizer(
            cred.IdentityRecord.new("key", credentials=[cred.public_credential(KEY.public_key())]),
            cred.IdentityRecord.new("me", credentials=[cred.Credential.of_uid(os.geteuid())]),
        )
        root = pb.AuthRoot(users, anonymous="guest")
        async with (
            Place(scheme, tmp_path).serve(root) as server,
            pb.open_connection(server.url) as connection,
        ):
            identity = await connection.login(credentials=credentials)
            return identity.name, identity.mechanism

    name = {"password": "alice", "key": "key", "uid": "me", "nobody": "guest"}[kind]
    assert (name, expected) == run(main())
