"""The root that strangers meet: which ways there are, how many tries, and that nobody waits for another."""

from __future__ import annotations

import gc

import msgpack
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import cred
import pb
from pb.auth.root import AuthRoot
from pb.security import Security

from ..pump import Gate
from .doors import CALL, CANCEL, HERE, PASSWORD, Knock, Meeting, Told, alice, authorizer, bound, done, number

KEY = cred.PrivateKey("key", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def keyed(**options):
    record = cred.IdentityRecord.new(
        "key",
        credentials=[KEY.credential, cred.Credential.of_uid(1000), cred.Credential("tls-key", "ab" * 32)],
        keys=[("chat", "key")],
    )
    return authorizer(record, **options)


@pytest.mark.parametrize("make", ["application", "authorizer"])
def test_an_application_or_an_authorizer_is_served(make):
    """The application is no more than a name for it here."""
    known = authorizer()
    auth = AuthRoot(known if make == "authorizer" else pb.Application("x", known))

    assert known is auth.authorizer
    assert auth.needs_privacy
    assert "alice" == Meeting(auth).login(alice()).name


@pytest.mark.parametrize(
    "facts, offered",
    [
        (HERE, ["SCRAM-SHA-256", "ED25519"]),
        (Security(is_local=True, uid=1000), ["SCRAM-SHA-256", "ED25519", "EXTERNAL"]),
        (Security("127.0.0.1", is_loopback=True), ["SCRAM-SHA-256"]),
        (Security("127.0.0.1", is_loopback=True, is_allowed=True), ["SCRAM-SHA-256", "ED25519"]),
        (Security("192.0.2.1", is_allowed=True), ["SCRAM-SHA-256"]),
        (bound(), ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "ED25519"]),
        (Security("192.0.2.1", is_encrypted=True), ["SCRAM-SHA-256"]),
    ],
    ids=["memory", "unix", "loopback", "loopback, insecure", "far, insecure", "TLS", "TLS without binding"],
)
def test_what_is_offered_depends_on_the_connection(facts, offered):
    """A key signs nothing that a relay could use; nobody vouches for what no transport has proven."""
    assert offered == Knock(AuthRoot(authorizer()), facts).offered


@pytest.mark.parametrize(
    "facts", [HERE, Security("127.0.0.1", is_loopback=True, is_allowed=True), bound()], ids=str
)
def test_a_key_logs_in(facts):
    """With binding, or where nobody is in between."""
    meeting = Meeting(AuthRoot(keyed()), server=facts)

    assert "key" == meeting.login(KEY).name


class Strict:
    """An authorizer around another, whose logins ask for more than those in it do."""

    def __init__(self, inner):
        self._inner = inner
        self.authorizer = self

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def begin_login(self, *args):
        return Stricter(self._inner.begin_login(*args))


class Stricter:
    """Refuses who has passed the login in it, and hands on to that whatever else it is asked."""

    def __init__(self, login):
        self._login = login

    def __getattr__(self, name):
        return getattr(self._login, name)

    async def receive(self, data):
        step = await self._login.receive(data)
        if step.identity is not None:
            raise cred.LoginFailed("one proof is not enough")
        return step


def test_what_is_put_around_a_login_is_not_gone_round():
    """That the login in it could be done at once is no reason to leave out what the other one asks."""
    with pytest.raises(pb.LoginFailed):
        Meeting(AuthRoot(Strict(authorizer()))).login(alice())


def test_a_key_of_somebody_else_does_not_log_in():
    """A key proves the identity that lists it."""
    stolen = cred.PrivateKey("alice", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    with pytest.raises(pb.LoginFailed):
        Meeting(AuthRoot(keyed())).login(stolen)


@pytest.mark.parametrize("user", ["", "key"])
def test_a_uid_logs_in_as_who_lists_it(user):
    """The operating system has proven it."""
    meeting = Meeting(AuthRoot(keyed()), server=Security(is_local=True, uid=1000), client=HERE)

    assert "key" == meeting.login(cred.External(user)).name


@pytest.mark.parametrize("uid, user", [(1001, ""), (1000, "alice"), (0, ""), (1000, "nobody")])
def test_a_uid_does_not_log_in_as_who_does_not_list_it(uid, user):
    """Not even root: a uid is never turned into a name."""
    meeting = Meeting(AuthRoot(keyed()), server=Security(is_local=True, uid=uid), client=HERE)

    with pytest.raises(pb.LoginFailed):
        meeting.login(cred.External(user))


def test_nobody_is_somebody_only_where_that_was_said():
    """And then it is the identity that was named, with its keys and no others."""
    with pytest.raises(cred.UntrustedServer):
        Meeting(AuthRoot(authorizer())).login(cred.Anonymous())
    identity = (meeting := Meeting(AuthRoot(authorizer(), anonymous="guest"))).login(cred.Anonymous())

    assert "guest" == identity.name
    assert [("chat", "guest")] == meeting.do(identity.keys())


@pytest.mark.parametrize("name", ["off", "nobody"])
def test_the_identity_for_nobody_must_be_there(name):
    """Disabled, or never made."""
    with pytest.raises(pb.LoginFailed):
        Meeting(AuthRoot(authorizer(), anonymous=name)).login(cred.Anonymous())


def test_a_root_that_lets_nobody_in_unnamed_is_not_changed_by_another_that_does():
    """One door for guests on this machine, one to the world that says None: nobody does."""
    known = authorizer()
    world, local = AuthRoot(known), AuthRoot(known, anonymous="guest")

    assert "ANONYMOUS" in Knock(local).offered
    assert "ANONYMOUS" not in Knock(world, bound()).offered


def test_several_identities_share_a_connection():
    """Each with its own keys, and the same one twice."""
    meeting = Meeting(AuthRoot(authorizer()))
    first, second = meeting.login(alice()), meeting.login(cred.Password("bob", "the one of bob"))
    third = meeting.login(alice())

    assert ["alice", "bob", "alice"] == [first.name, second.name, third.name]
    meeting.do(first.logout())
    assert [("chat", "bob")] == meeting.do(second.keys())
    assert 2 == len(meeting.do(third.keys()))
    with pytest.raises(pb.Gone):
        meeting.do(first.keys())


@pytest.mark.parametrize("what", ["disabled", "removed", "password"])
def test_who_is_changed_between_challenge_and_answer_is_not_let_in(what):
    """The right may be gone by then."""
    known = authorizer()
    peer = Knock(AuthRoot(known))
    prover = peer.scram()
    step = peer.challenge(prover)
    done(
        {
            "disabled": lambda: known.store.set_disabled("alice", True),
            "removed": lambda: known.store.remove("alice"),
            "password": lambda: known.store.set_password_hash("alice", None),
        }[what]()
    )
    with pytest.raises(Told) as told:
        peer.call(number(step["next"]), "respond", prover.respond(step["data"]))
    assert ("pb.LoginFailed", "login failed") == told.value.args


def test_a_challenge_is_good_for_30_seconds():
    """Then it has to be asked for again."""
    now = [0.0]
    peer = Knock(AuthRoot(authorizer(clock=lambda: now[0])))
    prover = peer.scram()
    step = peer.challenge(prover)
    now[0] = 30.0
    assert "identity" in peer.call(number(step["next"]), "respond", prover.respond(step["data"]))
    prover = peer.scram()
    step = peer.challenge(prover)
    now[0] = 60.1
    with pytest.raises(Told):
        peer.call(number(step["next"]), "respond", prover.respond(step["data"]))
    assert peer.log_in(peer.scram())


def test_what_is_no_message_of_a_login_is_logged(caplog):
    """Also what is refused before anybody looks at it: an answer that comes twice, and what is no bytes."""
    caplog.set_level("INFO", "pb")
    peer = Knock(AuthRoot(authorizer()))
    prover = peer.scram()
    step = peer.challenge(prover)
    answer = prover.respond(step["data"])
    assert "identity" in peer.call(number(step["next"]), "respond", answer)
    with pytest.raises(Told):
        peer.call(number(step["next"]), "respond", answer)
    with pytest.raises(Told):
        peer.call(0, "login", 5, 6)
    told = [record for record in caplog.records if record.name == "pb"]
    assert ["login.accepted", "login.refused", "login.refused"] == [record.pb_event for record in told]
    assert "answered already" in told[1].getMessage()
    assert "no str" in told[2].getMessage()


def test_every_refusal_takes_its_time_and_every_login_takes_none():
    """50 ms hide what it took to find the reason."""
    peer = Knock(AuthRoot(authorizer()))
    with pytest.raises(Told):
        peer.call(0, "login", "nothing", b"")
    assert [0.05] == [slept for slept in peer.host.slept if slept]
    peer = Knock(AuthRoot(authorizer()))
    peer.log_in(peer.scram())
    assert [] == [slept for slept in peer.host.slept if slept]


def test_a_guess_that_is_cancelled_in_the_same_breath_was_one():
    """What it found out is known when CANCEL is read: were it not counted, guesses would be free."""
    root = AuthRoot(authorizer())
    knock = Knock(root)
    for _ in range(3):
        prover = knock.scram(password="wrong")
        step = knock.challenge(prover)
        knock.id += 1
        answer = msgpack.packb([[prover.respond(step["data"])], {}])
        knock.say([CALL, knock.id, number(step["next"]), "respond", answer], [CANCEL, knock.id])

    assert 8 == knock.bye


def test_penalties_grow_and_end():
    """5 s after the third failure, 10 after the fourth; then the door is open again."""
    now = [0.0]
    auth = AuthRoot(authorizer(), throttle=cred.Throttle(clock=lambda: now[0]))
    for _ in range(4):
        auth.throttle.failed("192.0.2.7", None)
    now[0] = 9.9
    with pytest.raises(pb.Forbidden):
        Knock(auth, bound())
    other = Security("192.0.2.8", is_encrypted=True)
    assert Knock(auth, other).offered
    now[0] = 10.1
    assert Knock(auth, bound()).offered
    assert 2 == len(auth.strangers)


def test_a_source_of_ipv6_is_its_network():
    """A customer has 2^64 addresses to fail from."""
    auth = AuthRoot(authorizer())
    for _ in range(3):
        auth.throttle.failed("2001:db8::/64", None)
    with pytest.raises(pb.Forbidden):
        Knock(auth, Security("2001:db8::7", is_encrypted=True))
    assert Knock(auth, Security("2001:db8:0:1::7", is_encrypted=True)).offered


def test_sixteen_of_one_source_may_wait_at_the_door():
    """Those who have logged in, and those who have gone, are not counted."""
    auth = AuthRoot(authorizer())
    peers = [Knock(auth, bound()) for _ in range(16)]
    with pytest.raises(pb.Forbidden):
        Knock(auth, bound())
    peers[0].log_in(peers[0].scram(binding=cred.Binding("tls-server-end-point", b"b" * 32), plus=True))
    peers[1].host.lose()
    assert 14 == len(auth.strangers)
    peers[0].host.lose()
    assert 14 == len(auth.strangers)


class Slow(cred.MemoryStore):
    """A store that is far away: what is asked of `slow` waits until the test lets it."""

    def __init__(self):
        super().__init__()
        self.gate = Gate()
        self.is_broken = False

    async def get_password(self, name):
        if self.is_broken:
            raise cred.StoreError("the database is out of reach at db.internal:5432")
        if name == "alice":
            await self.gate
        return await super().get_password(name)


def test_a_login_that_waits_for_the_store_delays_no_other():
    """Two connections, one of which asks for somebody who is slow to be found."""
    store = Slow()
    auth = AuthRoot(authorizer(store=store))
    slow, quick = Knock(auth), Knock(auth)
    prover = slow.scram()
    asked = slow.begin(0, "login", prover.mechanism, prover.start())
    assert quick.log_in(quick.scram("bob", "the one of bob"))
    with pytest.raises(LookupError):
        slow.told(asked)
    store.gate.open()
    slow.listen()
    step = slow.told(asked)
    assert "identity" in slow.call(number(step["next"]), "respond", prover.respond(step["data"]))


def test_of_two_logins_at_once_on_a_connection_the_newer_one_counts():
    """Also where the older one still waits for the store."""
    store = Slow()
    peer = Knock(AuthRoot(authorizer(store=store)))
    older = peer.scram()
    asked = peer.begin(0, "login", older.mechanism, older.start())
    peer.log_in(peer.scram("bob", "the one of bob"))
    store.gate.open()
    peer.listen()
    with pytest.raises(Told) as told:
        peer.told(asked)
    assert "pb.LoginFailed" == told.value.type


def test_a_store_that_fails_is_an_incident_and_tells_nothing():
    """No try is counted, and where the database is remains our affair."""
    store = Slow()
    auth = AuthRoot(authorizer(store=store))
    peer = Knock(auth)
    store.is_broken = True
    with pytest.raises(Told) as told:
        peer.challenge(peer.scram("bob"))
    assert ("pb.Internal", "internal error") == told.value.args
    assert b"5432" not in peer.wire
    store.is_broken = False
    assert peer.log_in(peer.scram("bob", "the one of bob"))
    assert 0 == auth.throttle.penalty_s("")


def test_a_connection_that_is_lost_in_the_middle_leaves_nothing():
    """Before the challenge, after it, after the login: what was counted is given back."""
    auth = AuthRoot(authorizer())
    for steps in range(4):
        peer = Knock(auth)
        prover = peer.scram()
        if steps:
            step = peer.challenge(prover)
        if steps > 1:
            peer.call(number(step["next"]), "respond", prover.respond(step["data"]))
        peer.host.lose()
        gc.collect()  # identities are known as long as somebody holds them
        assert (0, {}, 0) == (len(auth.strangers), auth.attachments, len(auth._logged_in))
    del peer, prover, step
    gc.collect()
    assert [] == auth.authorizer._live.names()


def test_logging_in_and_out_again_and_again_leaves_nothing():
    """A connection lives for months."""
    peer = Knock(AuthRoot(authorizer(), anonymous="guest"))
    for _ in range(100):
        peer.call(peer.log_in(cred.Anonymous()), "logout")
    assert len(peer.host.watchers) < 10


def test_a_plain_password_never_crosses():
    """Nor what is as good as one."""
    meeting = Meeting(AuthRoot(authorizer()))
    meeting.login(alice())
    keys = cred.passwords.derive_keys(PASSWORD, b"salt of the test", 4096)
    wire = b"".join(meeting.recorded)

    assert PASSWORD.encode() not in wire
    assert keys.client_key not in wire
    assert msgpack.unpackb(wire[: len(meeting.recorded[0])])[1] == "PB"
