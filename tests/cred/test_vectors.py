"""The vectors of spec/vectors/login.json, run against cred: what is said in a login, and what is refused."""

from __future__ import annotations

from collections import Counter

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import cred
from cred.ed25519 import message_to_sign, public_credential
from cred.passwords import derive_keys, mock_hash, prepare_password
from cred.saslprep import saslprep

from ..test_spec import SPEC, VECTORS, load
from .helpers import run

LOGIN = load(VECTORS / "login.json")
# The exchange with h= that the single messages belong to, and the HELLOs of a connection over TLS.
BASE = LOGIN["scram"][1]
TLS_HELLO = bytes.fromhex(LOGIN["hello_hash"][1]["hash"])
BINDING = cred.Binding("tls-server-end-point", bytes(range(32)))


def each(heading):
    return pytest.mark.parametrize("row", LOGIN[heading], ids=lambda row: row["name"])


def channel_of(row):
    """Return the channel of an exchange as both sides see it."""
    found = row["binding"]
    bindings = (cred.Binding(found["type"], bytes.fromhex(found["data"])),) if found else ()
    return cred.Channel(row["hello_hash"] and bytes.fromhex(row["hello_hash"]), bindings)


def client_of(row):
    """Return the client of an exchange of SCRAM."""
    channel = channel_of(row)
    return cred.ScramClient(
        row["user"],
        row["password"],
        hello_hash=channel.hello_hash,
        binding=channel.bindings[0] if channel.bindings else None,
        plus=row["plus"],
        make_nonce=lambda: row["client_nonce"],
    )


def hash_of(row):
    salt = bytes.fromhex(row["salt"])
    return cred.PasswordHash.of(row["password"], iterations=row["iterations"], random=lambda size: salt)


def server_of(row):
    """Return the server of an exchange of SCRAM; it can bind only where -PLUS was chosen."""
    channel = channel_of(row)
    if not row["plus"]:
        channel = cred.Channel(channel.hello_hash)
    return cred.ScramServer(plus=row["plus"], channel=channel, make_nonce=lambda: row["server_nonce"])


@pytest.mark.parametrize("heading", [name for name, rows in LOGIN.items() if isinstance(rows, list)])
def test_rows_have_names_of_their_own(heading):
    """A failure is reported by name."""
    counts = Counter(row["name"] for row in LOGIN[heading])

    assert [] == [name for name, count in counts.items() if count > 1]


@each("hello_hash")
def test_the_hash_of_the_hellos(row):
    """It is over the bytes, client first."""
    found = cred.hello_hash(bytes.fromhex(row["client"]), bytes.fromhex(row["server"]))

    assert row["hash"] == found.hex()


@each("scram")
def test_what_both_sides_of_scram_say(row):
    """Byte by byte, as an implementation of another language says it."""
    client, server = client_of(row), server_of(row)
    hash = hash_of(row)

    assert row["stored_key"] == hash.stored_key.hex()
    assert row["server_key"] == hash.server_key.hex()
    assert row["client_first"] == client.start().decode()
    assert saslprep(row["user"], stored=False) == server.receive_first(row["client_first"].encode())
    assert row["server_first"] == server.challenge(hash).decode()
    assert row["client_final"] == client.respond(row["server_first"].encode()).decode()
    assert row["server_final"] == server.receive_final(row["client_final"].encode()).decode()
    client.finish(row["server_final"].encode())


@each("ed25519")
def test_what_both_sides_of_a_login_with_a_key_say(row):
    """The signed bytes are what two languages must agree on."""
    field = {
        key: bytes.fromhex(value)
        for key, value in row.items()
        if key not in ("name", "rule", "user", "binding")
    }
    binding = (row["binding"]["type"], bytes.fromhex(row["binding"]["data"]))
    key = Ed25519PrivateKey.from_private_bytes(field["seed"])
    bindings = (cred.Binding(*binding),) if binding[1] else ()
    channel = cred.Channel(field["hello_hash"], bindings, unbound_ok=not bindings)
    prover = cred.PrivateKey(row["user"], key, random=lambda size: field["client_nonce"]).begin(
        ["ED25519"], channel
    )

    async def main():
        verifier = cred.Ed25519Verifier(random=lambda size: field["server_nonce"])
        authorizer = cred.Authorizer(verifiers=[verifier])
        await authorizer.add_identity(row["user"], credentials=[public_credential(key.public_key())])
        login = authorizer.begin_login("ED25519", channel)
        assert field["challenge"] == (await login.receive(field["initial"])).data
        step = await login.receive(field["signature"])
        assert row["user"] == step.identity.name
        prover.finish(step.data)

    assert field["message"] == message_to_sign(
        row["user"], field["client_nonce"], field["server_nonce"], binding, field["hello_hash"]
    )
    assert field["initial"] == prover.start()
    assert field["signature"] == prover.respond(field["challenge"])
    run(main())


def prepared(text, stored):
    try:
        return saslprep(text, stored=stored)
    except ValueError:
        return None


def test_the_numbers_of_the_page_are_those_of_the_vectors():
    """An example with a wrong byte costs more than none."""
    page = (SPEC / "9-login.md").read_text()
    keys = derive_keys(BASE["password"], bytes.fromhex(BASE["salt"]), BASE["iterations"])
    signed = next(row for row in LOGIN["ed25519"] if row["binding"]["type"] == BINDING.type)
    shown = [BASE["hello_hash"], keys.client_key.hex(), BASE["stored_key"], BASE["server_key"]]
    shown += [signed[name] for name in ("initial", "challenge", "message", "signature")]
    frames = load(VECTORS / "conversations" / "10-login-scram.json")["frames"]
    shown += [f"{frame['dir']} {frame['hex']}" for frame in frames]

    assert [] == [each for each in shown if f"{each}\n" not in page and f"`{each}`" not in page]


@each("saslprep")
def test_names_and_passwords_are_prepared(row):
    """What one side lets through and the other changes is a password that never fits."""
    assert row["prepared"] == prepared(row["text"], stored=False)
    assert row["stored"] == prepared(row["text"], stored=True)
    if row["prepared"] is None:
        with pytest.raises(cred.BadName):
            cred.identity_name(row["text"], stored=False)
        with pytest.raises(cred.BadPassword):
            prepare_password(row["text"], stored=False)


@each("mock")
def test_what_stands_in_for_a_password_that_is_not_there(row):
    """Servers of several kinds that share a store must say the same of a name that nobody has."""
    hash = mock_hash(bytes.fromhex(row["secret"]), row["user"], dict(row["stored"]))

    assert row["salt"] == hash.salt.hex()
    assert row["iterations"] == hash.iterations


@each("client_first")
def test_what_a_server_says_to_a_first_message(row):
    """A refusal before any look-up, or a challenge whoever it is."""
    data = bytes.fromhex(row["hex"]) if "hex" in row else row["text"].encode()
    channel = cred.Channel(TLS_HELLO, (BINDING,) if row["bound"] else ())

    async def main():
        authorizer = cred.Authorizer(anonymous="guest")
        await authorizer.add_identity("guest")
        try:
            step = await authorizer.begin_login(row["mechanism"], channel).receive(data)
        except cred.LoginFailed:
            return "refuse"
        return "accept" if step.identity is None else "done"

    assert row["expect"] == run(main())


@each("client_final")
def test_what_a_server_says_to_a_proof(row):
    """All of it was computed with the right password, except where the row says so."""
    server = server_of(BASE)
    server.receive_first(BASE["client_first"].encode())
    assert BASE["server_first"] == server.challenge(hash_of(BASE)).decode()
    if row["expect"] == "accept":
        assert server.receive_final(row["text"].encode()).startswith(b"v=")
    else:
        with pytest.raises(cred.LoginFailed):
            server.receive_final(row["text"].encode())


@each("server_first")
def test_what_a_client_says_to_a_challenge(row):
    """Nothing is computed from the password for a challenge that is refused."""
    client = client_of(BASE)
    assert BASE["client_first"] == client.start().decode()
    if row["expect"] == "accept":
        assert row["answer"] == client.respond(row["text"].encode()).decode()
    else:
        with pytest.raises(cred.UntrustedServer):
            client.respond(row["text"].encode())


@each("server_final")
def test_what_a_client_makes_of_the_proof_of_the_server(row):
    """The server must know the password too."""
    client = client_of(BASE)
    client.start()
    client.respond(BASE["server_first"].encode())
    if row["expect"] == "accept":
        client.finish(row["text"].encode())
    else:
        with pytest.raises(cred.UntrustedServer):
            client.finish(row["text"].encode())
