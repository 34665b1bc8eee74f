"""ED25519: the vectors, keys of OpenSSH, and every way in which a signature must not fit."""

from __future__ import annotations

import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

import cred
from cred import Channel, IdentityRecord, PrivateKey
from cred._msgpack import pack
from cred.ed25519 import UNBOUND, Ed25519Verifier, message_to_sign, public_credential
from cred.testing import Trial, check_credential

from .helpers import BINDING, HELLO, LOCAL, TLS, Chance, application, log_in, run

# RFC 8032 section 7.1: secret key, public key, message, signature.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
]
KEY = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(RFC_8032[0][0]))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(RFC_8032[1][0]))
ALICE = IdentityRecord.new("alice", credentials=[public_credential(KEY.public_key())])


@pytest.mark.parametrize(("secret", "public", "message", "signature"), RFC_8032)
def test_the_signatures_are_those_of_rfc_8032(secret, public, message, signature):
    """They are the library's, and everything here rests on them."""
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))

    assert bytes.fromhex(public) == key.public_key().public_bytes_raw()
    assert bytes.fromhex(signature) == key.sign(bytes.fromhex(message))


def test_the_shape_of_the_message_is_that_of_the_draft():
    """Its vector had shorter nonces and no hello_hash; header by header it is the same form."""
    message = pack(["PB/1 ED25519", "user", bytes(range(16)), bytes(range(16, 32)), "none", b""])

    assert (
        "96ac50422f312045443235353139a475736572c410000102030405060708090a0b0c0d0e0f"
        "c410101112131415161718191a1b1c1d1e1fa46e6f6e65c400"
    ) == message.hex()
    assert (
        "b1794b88c5c3d4499c2352df076d25e37acffb22466f7e06b919b44f00a4d30f"
        "4df3c7b7ea58af165e742972dda0a044d7ca8ee00bdf73766222bb774835340c"
    ) == KEY.sign(message).hex()


@pytest.mark.parametrize(
    ("binding", "middle", "signature"),
    [
        (
            UNBOUND,
            "a46e6f6e65c400",
            "a68d1bcc42db99558c862a350d182ef37c0f506eb0b12915e9f24fd4869df2a4"
            "44dc4bd6e9ce6e08ade11cb902928e473fc2dce5d026bc34ce7098516d0bd60e",
        ),
        (
            (BINDING.type, BINDING.data),
            "b4746c732d7365727665722d656e642d706f696e74c420"
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "524a2df3b0025e8ce8f9508719f7c20ea5597960d5e3aa5dd35995aa76b3a6fb"
            "b43887177fd2fe1b94eeb3d9f4d766795bd04fb1741abcac765c20ace1b8c703",
        ),
    ],
    ids=["none", "tls-server-end-point"],
)
def test_the_vector_of_a_login(binding, middle, signature):
    """For other implementations: nonces 00..1f and 20..3f, HELLOs b"client hello" and b"server hello"."""
    message = message_to_sign("user", bytes(range(32)), bytes(range(32, 64)), binding, HELLO)

    assert (
        "97ac50422f312045443235353139a475736572"
        "c420000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
        "c420202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f" + middle + "c420" + HELLO.hex()
    ) == message.hex()
    assert signature == KEY.sign(message).hex()


@pytest.mark.parametrize(
    ("channel", "other"),
    [
        (TLS, Channel(HELLO, (cred.Binding(BINDING.type, bytes(32)),))),
        (TLS, Channel(bytes(32), (BINDING,))),
        (LOCAL, Channel(bytes(32), unbound_ok=True)),
        (LOCAL, TLS),
    ],
    ids=["another certificate", "other HELLOs over TLS", "other HELLOs", "from a local channel to TLS"],
)
def test_it_is_a_credential_as_they_should_be(channel, other):
    """Accepts, refuses, takes no replay, is not to be relayed, and tells nothing."""
    run(
        check_credential(
            Trial(
                Ed25519Verifier(),
                good=PrivateKey("alice", KEY),
                bad=PrivateKey("alice", OTHER_KEY),
                unknown=PrivateKey("nobody", KEY),
                record=ALICE,
                channel=channel,
                other_channel=other,
                others=[IdentityRecord.new("bob", credentials=[PrivateKey("bob", OTHER_KEY).credential])],
            )
        )
    )


def test_any_binding_of_the_server_will_do():
    """One end may know the exporter where the other knows the certificate only."""
    server = Channel(HELLO, (cred.Binding("tls-exporter", bytes(32)), BINDING))

    async def main():
        authorizer = application()
        await authorizer.store.add(ALICE)
        prover = PrivateKey("alice", KEY).begin(["ED25519"], TLS)
        login = authorizer.begin_login("ED25519", server)
        step = await login.receive(prover.start())
        return (await login.receive(prover.respond(step.data))).identity.name

    assert "alice" == run(main())


def test_it_is_offered_where_it_can_be_bound():
    """Elsewhere whoever is in between could use the signature."""
    verifier = Ed25519Verifier()

    assert [("ED25519",), ("ED25519",), ()] == [
        verifier.offered(channel) for channel in (TLS, LOCAL, Channel(HELLO))
    ]


@pytest.mark.parametrize(
    ("offered", "channel", "text"),
    [(["SCRAM-SHA-256"], TLS, "does not offer"), (["ED25519"], Channel(HELLO), "cannot be bound")],
)
def test_a_client_does_not_sign_for_whoever_is_there(offered, channel, text):
    """The server may say what it likes."""
    with pytest.raises(cred.UntrustedServer, match=text):
        PrivateKey("alice", KEY).begin(offered, channel)


def test_neither_side_begins_without_hello_hash():
    """It is this side that forgot it."""
    with pytest.raises(ValueError, match="hello_hash"):
        PrivateKey("alice", KEY).begin(["ED25519"], Channel(None, unbound_ok=True))
    with pytest.raises(ValueError, match="hello_hash"):
        Ed25519Verifier().begin("ED25519", Channel(None, unbound_ok=True), None)


OWN_NONCE = Chance()(32)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", pack({"nonce": bytes(31)}), pack({"nonce": "x" * 32}), pack({"nonce": OWN_NONCE}),
     pack({"nonce": bytes(32)}) + b"\0", pack({"nonce": bytes(32), "x": ""}), bytes(100_000)],
    ids=["empty", "garbage", "short", "text", "ours", "more", "another key", "long"],
)  # fmt: skip
def test_a_challenge_that_is_none_is_not_signed(data):
    """Above all not with our own nonce, sent back."""
    prover = PrivateKey("alice", KEY, random=Chance()).begin(["ED25519"], TLS)

    with pytest.raises(cred.UntrustedServer, match=r"challenge|nonce"):
        prover.respond(data)


def test_one_exchange_signs_once():
    """A second signature would be somebody else's."""
    prover = PrivateKey("alice", KEY).begin(["ED25519"], TLS)
    prover.respond(pack({"nonce": bytes(32)}))

    with pytest.raises(cred.UntrustedServer, match="second"):
        prover.respond(pack({"nonce": bytes(32)}))


def test_a_server_that_is_done_at_once_is_not_used():
    """Nor one that says more than there is to say."""
    prover = PrivateKey("alice", KEY).begin(["ED25519"], TLS)
    with pytest.raises(cred.UntrustedServer, match="out of turn"):
        prover.finish(b"")
    prover.respond(pack({"nonce": bytes(32)}))
    with pytest.raises(cred.UntrustedServer, match="out of turn"):
        prover.finish(b"more")


GOOD = {"key": KEY.public_key().public_bytes_raw(), "nonce": bytes(32), "user": "alice"}


@pytest.mark.parametrize(
    "change",
    [{"key": bytes(31)}, {"key": "x" * 32}, {"nonce": bytes(31)}, {"nonce": "x" * 32}, {"user": b"alice"},
     {"user": ""}, {"user": "a\0"}, {"user": "I\u00adX"}, {"more": ""}],
    ids=["short key", "key as text", "short nonce", "nonce as text", "user as bytes", "no user", "NUL",
         "not prepared", "more"],
)  # fmt: skip
def test_a_first_message_that_is_none_is_refused(change):
    """A name in another form too: what is looked up must be what was signed."""

    async def main():
        login = application().begin_login("ED25519", LOCAL)
        with pytest.raises(cred.LoginFailed, match=r"^login failed$") as refused:
            await login.receive(pack({**GOOD, **change}))
        assert "alice" not in refused.value.reason

    run(main())


def test_a_key_of_somebody_else_opens_nothing():
    """The signature fits, the key is just not alice's."""

    async def main():
        authorizer = application()
        await authorizer.store.add(ALICE)
        with pytest.raises(cred.LoginFailed) as refused:
            await log_in(authorizer, PrivateKey("alice", OTHER_KEY))
        return refused.value.reason

    assert "not a key of this identity" in run(main())


def test_of_a_name_whose_key_was_not_proven_nothing_is_read():
    """A key of one's own signs for every name: how long a keyring is would show who is there."""
    read = []

    class Noting(cred.MemoryStore):
        async def get(self, name):
            read.append(name)
            return await super().get(name)

    async def main():
        authorizer = application(store=Noting())
        await authorizer.store.add(ALICE)
        for name in ("alice", "nobody"):
            with pytest.raises(cred.LoginFailed):
                await log_in(authorizer, PrivateKey(name, OTHER_KEY))
        assert [] == read
        await log_in(authorizer, PrivateKey("alice", KEY))

    run(main())
    assert {"alice"} == set(read)


@pytest.mark.parametrize(
    "change",
    [
        lambda alice: alice.disable(),
        lambda alice: alice.set_password("other"),
        lambda alice: alice.remove_credential(PrivateKey("alice", KEY).credential),
    ],
    ids=["disabled", "password", "credential"],
)
def test_what_changes_between_challenge_and_signature_counts(change):
    """PB-A49: a login on its way then fails."""

    async def main():
        authorizer = application()
        await authorizer.store.add(ALICE)
        prover = PrivateKey("alice", KEY).begin(["ED25519"], LOCAL)
        login = authorizer.begin_login("ED25519", LOCAL)
        step = await login.receive(prover.start())
        await change(await authorizer.get_identity("alice"))
        with pytest.raises(cred.LoginFailed):
            await login.receive(prover.respond(step.data))

    run(main())


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A key as ssh-keygen makes it."""
    path = tmp_path_factory.mktemp("ssh") / "id_ed25519"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "alice at home", "-f", str(path)], check=True
    )
    return path.read_bytes(), path.with_suffix(".pub").read_text()


def test_a_key_of_openssh_logs_in(files):
    """Both of its files are read; the comment becomes the label."""
    private, public = files

    async def main():
        authorizer = application()
        await authorizer.add_identity("alice", credentials=[public_credential(public)])
        return (await log_in(authorizer, PrivateKey.from_openssh("alice", private))).name

    assert "alice" == run(main())
    assert "alice at home" == public_credential(public).label
    assert "desk" == public_credential(public, "desk").label
    assert PrivateKey.from_openssh("alice", private).credential == public_credential(public)


def test_a_public_key_is_taken_in_each_of_its_forms():
    """Object, bytes and line: one credential."""
    key = KEY.public_key()
    line = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()

    assert 1 == len({public_credential(form) for form in (key, key.public_bytes_raw(), line)})
    assert "" == public_credential(line).label
    assert isinstance(key, Ed25519PublicKey)


@pytest.mark.parametrize("key", ["", "ssh-ed25519 AAAA", "nonsense", bytes(31), 5])
def test_what_is_no_public_key_is_refused(key):
    """As one type of error, whatever the library has for it."""
    with pytest.raises(ValueError):
        public_credential(key)


def test_a_key_of_another_kind_is_refused():
    """Both halves of it, with what to do."""
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()

    with pytest.raises(ValueError, match="ssh-keygen -t ed25519"):
        PrivateKey.from_openssh("alice", private)
    with pytest.raises(ValueError, match="ssh-keygen -t ed25519"):
        public_credential(public)


@pytest.mark.parametrize("passphrase", [None, b"wrong"])
def test_a_private_key_that_cannot_be_read_is_refused(files, passphrase):
    """Cut short; and a passphrase for a key that has none."""
    private, _ = files
    data = private if passphrase else private[:200]

    with pytest.raises(ValueError, match="no usable OpenSSH key"):
        PrivateKey.from_openssh("alice", data, passphrase)


def test_nothing_secret_is_shown():
    """Reprs end up in tracebacks."""
    assert "<PrivateKey of 'alice'>" == repr(PrivateKey("alice", KEY))


def test_a_name_newer_than_unicode_3_2_gets_a_challenge():
    """It can be nobody's, and looks like anybody's."""

    async def main():
        prover = PrivateKey("a\u0221", KEY).begin(["ED25519"], LOCAL)
        login = application().begin_login("ED25519", LOCAL)
        step = await login.receive(prover.start())
        with pytest.raises(cred.LoginFailed) as refused:
            await login.receive(prover.respond(step.data))
        return refused.value.reason

    assert "unknown" in run(main())
