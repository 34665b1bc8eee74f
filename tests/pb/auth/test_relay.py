"""Somebody between an honest client and an honest server, who may read, keep, drop and change all of it.

threats E7 and E9. Without TLS, it hears and changes; with TLS, it has a certificate of its own.
"""

from __future__ import annotations

import msgpack
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import cred
import pb
from pb.auth.root import AuthRoot

from .doors import ANSWER, CALL, HERE, Knock, Meeting, Told, alice, authorizer, bound, number

MINE, THEIRS = bound(b"m" * 32), bound(b"t" * 32)
KEY = cred.PrivateKey("key", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def auth(**options):
    record = cred.IdentityRecord.new("key", credentials=[KEY.credential], keys=[("chat", "key")])
    return AuthRoot(authorizer(record), **options)


def rewrite(change):
    """Return what passes frames on after `change(message)` has had them."""

    def passed_on(body):
        message = change(msgpack.unpackb(body, timestamp=0))
        return [] if message is None else [msgpack.packb(message)]

    return passed_on


def hello(change):
    """Change HELLO; pass all else on byte for byte."""
    return lambda body: [msgpack.packb(change(msgpack.unpackb(body)))] if body[1] == 0 else [body]


def without(message, key, *names):
    """Return a HELLO that offers less."""
    info = dict(message[3])
    info[key] = [name for name in info[key] if name not in names]
    return [*message[:3], info]


@pytest.mark.parametrize("credentials", [alice, lambda: KEY], ids=["password", "key"])
@pytest.mark.parametrize("facts", [HERE, MINE], ids=["local", "TLS"])
def test_without_anybody_in_between_it_works(credentials, facts):
    """What the relays below are measured against; and one who only listens harms nobody."""
    meeting = Meeting(auth(), server=facts, up=lambda body: [body], down=lambda body: [body])

    identity = meeting.login(credentials())
    assert meeting.do(identity.keys())


@pytest.mark.parametrize("credentials", [alice, lambda: KEY], ids=["password", "key"])
def test_a_relay_with_a_certificate_of_its_own_logs_nobody_in(credentials):
    """The server refuses: the proof was made for the certificate that the client saw."""
    meeting = Meeting(auth(), server=THEIRS, client=MINE)

    with pytest.raises(pb.LoginFailed, match=r"^login failed$"):
        meeting.login(credentials())
    assert 0 == len(meeting.host.broker.tables.exports[0].object._auth._logged_in)


@pytest.mark.parametrize("credentials", [alice, lambda: KEY], ids=["password", "key"])
def test_a_relay_from_tls_to_where_no_binding_is_known_logs_nobody_in(credentials):
    """It ends TLS, and goes on in the clear: the client refuses, or the server, which has other HELLOs."""
    meeting = Meeting(auth(), server=HERE, client=MINE)

    with pytest.raises((cred.DowngradeDetected, pb.LoginFailed)):
        meeting.login(credentials())


def test_a_relay_from_the_clear_to_tls_logs_no_key_in():
    """The client speaks pb:// on this machine; who took the port has TLS to the server.

    A password would log in: SCRAM without -PLUS is for clients that cannot see a certificate.
    """
    meeting = Meeting(auth(), server=THEIRS, client=HERE)

    with pytest.raises(pb.LoginFailed):
        meeting.login(KEY)


def test_a_server_that_insists_on_binding_takes_no_relay_from_the_clear():
    """Where all clients can bind, ScramVerifier(require_binding=True) closes that gap."""
    known = authorizer(verifiers=[cred.ScramVerifier(require_binding=True)])
    meeting = Meeting(AuthRoot(known), server=THEIRS, client=HERE)

    with pytest.raises(cred.UntrustedServer):
        meeting.login(alice())


def test_the_client_does_not_begin_where_plus_was_stripped():
    """It sees TLS, and a HELLO that knows no binding."""
    meeting = Meeting(auth(), server=MINE, down=hello(lambda m: without(m, "auth", "SCRAM-SHA-256-PLUS")))

    with pytest.raises(cred.DowngradeDetected):
        meeting.login(alice())
    assert 1 == len(meeting.recorded)


def test_the_client_that_does_not_insist_is_refused_where_plus_was_stripped():
    """The server sees gs2 `y`: the client was not told."""
    meeting = Meeting(auth(), server=MINE, down=hello(lambda m: without(m, "auth", "SCRAM-SHA-256-PLUS")))

    with pytest.raises(pb.LoginFailed):
        meeting.login(alice(require_binding=False))


def agent(message):
    return [*message[:3], {**message[3], "agent": "somebody else"}]


def frames(message):
    return [*message[:3], {**message[3], "max_frame": 4096}]


STRIPS = {
    "the key": lambda m: without(m, "auth", "ED25519"),
    "a feature": lambda m: without(m, "features", "cache"),
    "the agent": agent,
    "a limit": frames,
    "nothing but a byte of the encoding": None,
}


@pytest.mark.parametrize("side", ["up", "down"])
@pytest.mark.parametrize("strip", STRIPS)
def test_a_hello_that_was_changed_in_any_byte_is_found_out_by_the_client(side, strip):
    """h= differs. What it would have been used for later does not matter."""

    def changed(body):
        if body[1] != 0:
            return [body]
        message = msgpack.unpackb(body)
        if STRIPS[strip] is not None:
            if side == "up" and strip == "the key":
                message = agent(message)
            return [msgpack.packb(STRIPS[strip](message) if side == "down" else agent(message))]
        return [body[:2] + b"\xd9\x02" + body[3:]]  # "PB" as str8

    meeting = Meeting(auth(), server=MINE, **{side: changed})

    with pytest.raises(cred.DowngradeDetected):
        meeting.login(alice())
    assert 2 == len(meeting.recorded), "HELLO and the first message: no proof was given away"


@pytest.mark.parametrize("side", ["up", "down"])
def test_a_hello_that_was_changed_is_found_out_by_the_server(side):
    """A key has no h= to compare: there, its signature does not fit."""
    meeting = Meeting(auth(), server=MINE, **{side: hello(agent)})

    with pytest.raises(pb.LoginFailed):
        meeting.login(KEY)


def challenge(change):
    """Change the data of the first ANSWER."""

    def changed(message):
        if message[0] == ANSWER and message[1] == 1:
            step = msgpack.unpackb(message[2])
            message[2] = msgpack.packb({**step, "data": change(step["data"])})
        return message

    return rewrite(changed)


def test_a_challenge_without_h_is_refused():
    """Else who changes HELLO drops h= too."""
    meeting = Meeting(auth(), server=MINE, down=challenge(lambda data: data.rpartition(b",h=")[0]))

    with pytest.raises(cred.DowngradeDetected):
        meeting.login(alice())


def test_a_challenge_with_fewer_iterations_is_of_no_use():
    """4,096 is legal; but the keys then are others, and the server takes no such proof."""
    meeting = Meeting(auth(), server=MINE, down=challenge(lambda data: data.replace(b"i=4096", b"i=4097")))

    with pytest.raises(pb.LoginFailed):
        meeting.login(alice())


def args(change):
    """Change the arguments of calls of one method."""

    def changed(message):
        if message[0] == CALL:
            given, options = msgpack.unpackb(message[4], timestamp=0)
            message[4] = msgpack.packb([change(message[3], given), options])
        return message

    return rewrite(changed)


@pytest.mark.parametrize(
    "change",
    [
        lambda name, given: ["SCRAM-SHA-256", given[1]] if name == "login" else given,
        lambda name, given: (
            ["SCRAM-SHA-256", given[1].replace(b"p=tls-server-end-point", b"n")] if name == "login" else given
        ),
        lambda name, given: (
            ["SCRAM-SHA-256", given[1].replace(b"p=tls-server-end-point", b"y")] if name == "login" else given
        ),
        lambda name, given: (
            [given[0], given[1].replace(b"tls-server-end-point", b"tls-exporter")]
            if name == "login"
            else given
        ),
        lambda name, given: [given[0], given[1].replace(b"alice", b"bob")] if name == "login" else given,
        lambda name, given: [given[0].replace(b"c=", b"c=A")] if name == "respond" else given,
    ],
    ids=["mechanism", "mechanism and n", "mechanism and y", "type", "name", "binding"],
)
def test_what_the_client_says_cannot_be_changed(change):
    """The proof covers all of it."""
    meeting = Meeting(auth(), server=MINE, up=args(change))

    with pytest.raises(pb.LoginFailed):
        meeting.login(alice())


def test_what_the_server_proves_cannot_be_changed():
    """The client looks before it uses anything."""

    def changed(message):
        if message[0] == ANSWER and message[1] == 2:
            step = msgpack.unpackb(message[2])
            message[2] = msgpack.packb({**step, "data": step["data"][:-3] + b"AA="})
        return message

    meeting = Meeting(auth(), server=MINE, down=rewrite(changed))
    with pytest.raises(cred.UntrustedServer):
        meeting.login(alice())


def test_all_that_was_recorded_is_of_no_use_later():
    """The same bytes to the same server, in order: a replay of the whole conversation."""
    root = auth()
    meeting = Meeting(root, server=MINE)
    meeting.login(alice())
    peer = Knock(root, MINE)
    first, proof = (msgpack.unpackb(body)[4] for body in meeting.recorded[1:3])
    step = peer.call(0, "login", *msgpack.unpackb(first)[0])
    with pytest.raises(Told) as told:
        peer.call(number(step["next"]), "respond", *msgpack.unpackb(proof)[0])
    assert ("pb.LoginFailed", "login failed") == told.value.args
    assert peer.bye is None


def test_who_drops_the_proof_has_nothing_either():
    """Somebody lets the client answer, and uses the answer on its own connection."""
    root = auth()
    kept = []

    def steal(message):
        if message[0] == CALL and message[3] == "respond":
            kept.append(msgpack.unpackb(message[4])[0][0])
            return None
        return message

    meeting = Meeting(root, server=MINE, up=rewrite(steal))
    with pytest.raises(AssertionError, match="never ends"):
        meeting.login(alice())
    peer = Knock(root, MINE)
    step = peer.challenge(peer.scram(binding=cred.Binding("tls-server-end-point", b"m" * 32), plus=True))
    with pytest.raises(Told):
        peer.call(number(step["next"]), "respond", kept[0])


def test_two_servers_that_dial_each_other_prove_nothing_to_each_other():
    """The answers of the one are the questions of the other: roles are part of what is proven."""
    root = auth()
    left, right = Knock(root), Knock(root)
    prover = left.scram(password="not known to who stands between")
    asked = left.challenge(prover)
    with pytest.raises(Told):
        right.call(0, "login", "SCRAM-SHA-256", asked["data"])
    with pytest.raises(Told):
        left.call(number(asked["next"]), "respond", asked["data"])
