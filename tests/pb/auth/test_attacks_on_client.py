"""A server that lies to our client. Nothing of such a connection is used. threats E6, E9, E10, E14."""

from __future__ import annotations

import hashlib
import hmac

import msgpack
import pytest

import cred
import pb
from cred.passwords import encode64

from .doors import HERE, PASSWORD, Impostor, alice, bound, hash_of, ref

SCRAM = "SCRAM-SHA-256"


def first_of(args):
    """Return the nonce of a client's first message."""
    return args[1].decode().split(",r=")[1]


class Script:
    """A server that knows the password, and lies where the test says.

    Args:
        challenge: gets the fields of the honest challenge and returns those that are sent.
        last: gets the honest last answer and returns what is sent.
    """

    def __init__(self, challenge=lambda fields: fields, last=lambda step: step):
        self.change, self.last = challenge, last
        self.impostor = None

    def __call__(self, method, args):
        if method == "login":
            self.bare = args[1].decode().split(",", 2)[2]
            fields = {
                "r": first_of(args) + "server nonce of 24 chars"[:24].replace(" ", "-"),
                "s": encode64(b"salt of the test"),
                "i": "4096",
                "h": encode64(self.impostor.hello_hash),
            }
            changed = self.change(fields)
            self.first = ",".join(f"{key[0]}={value}" for key, value in changed.items())
            return {"data": self.first.encode(), "next": ref(1)}
        without = args[0].decode().rpartition(",")[0]
        covered = f"{self.bare},{self.first},{without}".encode()
        signature = hmac.digest(hash_of(PASSWORD).server_key, covered, "sha256")
        proof = b"v=" + encode64(signature).encode()
        return self.last({"data": proof, "identity": ref(2), "user": "alice"})


def visit(script, credentials=None, *, security=HERE, auth=(SCRAM,), cb=()):
    impostor = Impostor(script, security=security, auth=auth, cb=cb)
    if isinstance(script, Script):
        script.impostor = impostor
    return impostor.login(credentials or alice()), impostor


def test_a_server_that_knows_the_password_is_believed():
    """All refusals below are refusals of a client that logs in."""
    identity, impostor = visit(Script())

    assert "alice" == identity.name
    assert ["login", "respond"] == [name for name, _ in impostor.calls]


CHALLENGES = {
    "no h=": lambda fields: {key: fields[key] for key in "rsi"},
    "h= of other HELLOs": lambda fields: {**fields, "h": encode64(bytes(32))},
    "h= cut short": lambda fields: {**fields, "h": fields["h"][:4]},
    "h= twice": lambda fields: {**fields, "hh": fields["h"]},
    "nonce that is not ours": lambda fields: {**fields, "r": "x" * 60},
    "nonce that is only ours": lambda fields: {**fields, "r": fields["r"][:24]},
    "nonce that adds little": lambda fields: {**fields, "r": fields["r"][:41]},
    "nonce before ours": lambda fields: {**fields, "r": "x" * 24 + fields["r"][:24]},
    "nonce not printable": lambda fields: {**fields, "r": fields["r"][:-1] + "\x7f"},
    "nonce of 64 KB": lambda fields: {**fields, "r": fields["r"] + "x" * 65_536},
    "1 iteration": lambda fields: {**fields, "i": "1"},
    "4095 iterations": lambda fields: {**fields, "i": "4095"},
    "10 million and one": lambda fields: {**fields, "i": "10000001"},
    "2^31 iterations": lambda fields: {**fields, "i": str(2**31)},
    "iterations from 0": lambda fields: {**fields, "i": "04096"},
    "iterations below 0": lambda fields: {**fields, "i": "-4096"},
    "iterations with a tail": lambda fields: {**fields, "i": "4096x"},
    "no salt": lambda fields: {**fields, "s": ""},
    "salt of 1 kB": lambda fields: {**fields, "s": encode64(bytes(1024))},
    "mandatory extension": lambda fields: {"m": "x", **fields},
}


@pytest.mark.parametrize("change", CHALLENGES)
def test_a_challenge_that_was_tampered_with_gets_no_proof(change):
    """A proof over a weak or foreign challenge could be searched, or used elsewhere."""
    script = Script(CHALLENGES[change])
    with pytest.raises(cred.UntrustedServer):
        visit(script)
    assert ["login"] == [name for name, _ in script.impostor.calls]


LASTS = {
    "wrong v=": lambda step: {**step, "data": b"v=" + encode64(bytes(32)).encode()},
    "v= of 31 bytes": lambda step: {**step, "data": step["data"][:-4]},
    "no v=": lambda step: {**step, "data": b""},
    "e=": lambda step: {**step, "data": b"e=invalid-proof"},
    "our proof": lambda step: {**step, "data": b"p=" + step["data"][2:]},
}


@pytest.mark.parametrize("change", LASTS)
def test_a_server_that_does_not_prove_itself_is_not_believed(change):
    """It would be a server that knows no password at all."""
    script = Script(last=LASTS[change])
    with pytest.raises(cred.UntrustedServer):
        visit(script)


@pytest.mark.parametrize(
    "step",
    [
        {"data": b"", "identity": ref(1), "user": "alice"},
        {"data": b"v=" + encode64(bytes(32)).encode(), "identity": ref(1)},
        {"data": b"", "identity": ref(1), "next": ref(2)},
    ],
    ids=["without proof", "with a made up one", "and a challenge"],
)
def test_an_identity_at_once_is_not_believed(step):
    """The server was asked to prove itself and does not (PB-A10)."""
    with pytest.raises(cred.UntrustedServer):
        visit(lambda method, args: step)


@pytest.mark.parametrize(
    "step",
    [
        None,
        "welcome",
        [],
        {},
        {"data": b""},
        {"next": ref(1)},
        {"data": "text", "next": ref(1)},
        {"data": b"r=x", "next": 1},
        {"data": b"r=x", "next": msgpack.ExtType(2, b"\x00")},
        {"identity": ref(1)},
        {"data": None, "identity": ref(1)},
        {"data": b"", "identity": "alice"},
        {"data": b"", "identity": {}},
    ],
    ids=repr,
)
def test_an_answer_that_is_none_is_a_protocol_error(step):
    """Of a server that speaks another dialect: no KeyError, and no endless conversation."""
    with pytest.raises((pb.ProtocolError, pb.errors.RemoteError, pb.NoSuchObject)):
        visit(lambda method, args: step)


@pytest.mark.parametrize("user", [None, 7, b"alice", ["alice"]])
def test_a_name_that_is_no_text_is_no_name(user):
    """It is for people only."""
    identity, _ = visit(Script(last=lambda step: {**step, "user": user}))
    assert "" == identity.name


def test_a_server_that_echoes_what_the_client_says_is_not_believed():
    """Reflection: our own first message is no challenge, our own proof no signature."""
    with pytest.raises(cred.UntrustedServer):
        visit(lambda method, args: {"data": args[-1], "next": ref(1)})

    def last(step, script):
        return {**step, "data": script.impostor.calls[-1][1][0]}

    script = Script()
    script.last = lambda step: last(step, script)
    with pytest.raises(cred.UntrustedServer):
        visit(script)


@pytest.mark.parametrize("second", ["challenge again", "another challenge"])
def test_a_second_challenge_gets_no_second_proof(second):
    """One proof a login: else it is asked for until one fits."""
    script = Script()

    def answer(method, args):
        if method == "login" or second == "another challenge":
            return script("login", impostor.calls[0][1])
        return {"data": script.first.encode(), "next": ref(2)}

    impostor = Impostor(answer, auth=(SCRAM,))
    script.impostor = impostor
    with pytest.raises(cred.UntrustedServer):
        impostor.login(alice())
    assert ["login", "respond"] == [name for name, _ in impostor.calls]


def test_where_plus_was_stripped_the_client_does_not_begin():
    """TLS gives a binding here, and the server is said to know none: somebody is in between."""
    with pytest.raises(cred.DowngradeDetected):
        visit(Script(), security=bound())


def test_where_plus_was_stripped_and_binding_is_not_required_h_finds_out():
    """Who spells out that binding may be missing is still told when HELLO was changed on the way."""
    script = Script(lambda fields: {**fields, "h": encode64(hashlib.sha256(b"the real HELLOs").digest())})
    with pytest.raises(cred.DowngradeDetected):
        visit(script, alice(require_binding=False), security=bound())
    assert script.impostor.calls[0][1][1].startswith(b"y,,")


@pytest.mark.parametrize(
    "auth", [(), ("PLAIN",), ("SCRAM-SHA-1",), ("ANONYMOUS", "EXTERNAL"), ("scram-sha-256",)]
)
def test_where_all_good_mechanisms_were_stripped_nothing_is_said(auth):
    """There is nothing weaker that the client would fall back to."""
    impostor = Impostor(Script(), auth=auth)
    with pytest.raises(cred.UntrustedServer):
        impostor.login(alice())
    assert [] == impostor.calls


def key():
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return cred.PrivateKey("alice", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def test_a_key_is_not_used_where_anybody_may_stand_between():
    """Plain TCP: the signature would be as good for who passes it on."""
    impostor = Impostor(Script(), security=pb.auth.channel.Security(is_allowed=True), auth=("ED25519",))
    with pytest.raises(cred.UntrustedServer):
        impostor.login(key())
    assert [] == impostor.calls


@pytest.mark.parametrize(
    "data",
    [
        b"",
        msgpack.packb({"nonce": b"short"}),
        msgpack.packb({"nonce": "n" * 32}),
        msgpack.packb({"nonce": b"n" * 32, "more": 1}),
        msgpack.packb(["nonce"]),
    ],
)
def test_a_key_signs_no_challenge_that_is_none(data):
    """A signature is made over 32 bytes of the server's, in one form."""
    impostor = Impostor(lambda method, args: {"data": data, "next": ref(1)}, auth=("ED25519",))
    with pytest.raises(cred.UntrustedServer):
        impostor.login(key())
    assert ["login"] == [name for name, _ in impostor.calls]


@pytest.mark.parametrize("data", [b"", b"more"])
def test_a_server_that_asks_for_no_signature_is_not_believed(data):
    """Who needs no proof of us is not who we meant."""
    with pytest.raises(cred.UntrustedServer):
        visit(lambda method, args: {"data": data, "identity": ref(1)}, key(), auth=("ED25519",))


def test_mechanism_confusion_at_the_client():
    """A SCRAM challenge for a key, the challenge of a key for a password."""
    scram, nonce = Script(), msgpack.packb({"nonce": b"n" * 32})
    with pytest.raises(cred.UntrustedServer):
        visit(lambda method, args: {"data": b"r=x,s=eA==,i=4096", "next": ref(1)}, key(), auth=("ED25519",))
    with pytest.raises(cred.UntrustedServer):
        visit(lambda method, args: {"data": nonce, "next": ref(1)}, alice())
    assert scram.impostor is None


@pytest.mark.parametrize(
    "credentials", [cred.Anonymous(), cred.External("alice")], ids=["anonymous", "external"]
)
def test_who_proves_nothing_answers_nothing_and_wants_no_proof(credentials):
    """One step is one step."""
    auth = ("ANONYMOUS", "EXTERNAL")
    for step in (
        {"data": b"?", "next": ref(1)},
        {"data": b"v=", "identity": ref(1)},
    ):
        with pytest.raises(cred.UntrustedServer):
            visit(lambda method, args, step=step: step, credentials, auth=auth)
    assert visit(lambda method, args: {"data": b"", "identity": ref(1)}, credentials, auth=auth)[0]
