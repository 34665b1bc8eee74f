"""The beginning of a connection: which HELLOs are kept, and how a stranger becomes none."""

from __future__ import annotations

import msgpack

import cred
from pb.auth.root import AuthRoot
from pb.wire.state import State
from pb.wire.stranger import Stranger

from ..auth.doors import Knock, Meeting, alice, authorizer, bodies, bound
from ..pump import Pump, Script


def test_both_hellos_are_kept_byte_for_byte_where_one_logs_in():
    """A login proves these bytes, not what they are read as."""
    peer = Knock(AuthRoot(authorizer()), info={"agent": "é", "unknown": [1, None]})
    greeting = peer.host.broker.greeting

    assert peer.hello == greeting.received
    assert peer.server_hello == greeting.sent


def test_the_client_keeps_what_a_server_with_logins_says():
    """It proves the same bytes."""
    meeting = Meeting(AuthRoot(authorizer()))
    ours, theirs = meeting.guest.side.broker.greeting, meeting.host.broker.greeting

    assert (ours.sent, ours.received) == (theirs.received, theirs.sent)
    assert ("SCRAM-SHA-256", "ED25519") == ours.hello.auth


def test_nothing_is_kept_where_nobody_logs_in():
    """An idle connection is smaller for it."""
    pump = Pump(object())
    for side in (pump.client, pump.server):
        greeting = side.broker.greeting
        assert (b"", b"", None) == (greeting.sent, greeting.received, greeting.hello)


def test_hello_offers_mechanisms_and_bindings():
    """In the order in which they are preferred."""
    peer = Knock(AuthRoot(authorizer()), bound())
    info = msgpack.unpackb(peer.server_hello)[3]

    assert ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "ED25519"] == info["auth"]
    assert ["tls-server-end-point"] == info["cb"]


def test_hello_says_nothing_of_logins_where_there_are_none():
    """A key without a meaning would be proven by nobody."""
    script = Script(object(), greet=False)
    info = msgpack.unpackb(bodies(script.side.output())[0])[3]

    assert not {"auth", "cb"} & info.keys()


def test_the_greeting_cut_into_single_bytes_is_the_same_greeting():
    """The frame is what counts, not what the network makes of it."""
    peer = Knock(AuthRoot(authorizer()))
    other = Knock.__new__(Knock)
    other.host, other.inbox, other.wire, other.sent = type(peer.host)(AuthRoot(authorizer())), [], b"", b""
    for byte in len(peer.hello).to_bytes(4, "big") + peer.hello:
        other.send(bytes([byte]))

    assert peer.hello == other.host.broker.greeting.received
    assert State.STRANGER is other.host.broker.state


def test_a_stranger_becomes_none_with_the_login_and_once():
    """The second login finds nothing left to lift."""
    meeting = Meeting(AuthRoot(authorizer()))
    broker = meeting.host.broker
    assert State.STRANGER is broker.state
    assert isinstance(broker.scope.decoder, Stranger)
    for _ in range(2):
        meeting.login(alice())
        assert State.OPEN is broker.state
        assert broker.greeting.stranger is None
        assert broker.codec.decoder(broker.limits, serves=True) is broker.scope.decoder
        assert broker.limits.max_frame == broker.reader.max_frame


def test_a_refused_login_lifts_nothing():
    """Whatever was done on the way to it."""
    peer = Knock(AuthRoot(authorizer()))
    prover = peer.scram(password="wrong")
    step = peer.challenge(prover)
    peer.begin(1, "respond", prover.respond(step["data"]))

    assert State.STRANGER is peer.host.broker.state
    assert 4096 == peer.host.broker.reader.max_frame


def test_the_hash_of_the_hellos_depends_on_their_order():
    """Who dials whom is part of it: two servers that dial each other do not prove the same."""
    assert cred.hello_hash(b"a", b"b") != cred.hello_hash(b"b", b"a")
