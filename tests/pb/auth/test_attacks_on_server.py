"""A client that lies to our server, message by message. threats E4 to E6, E10 to E14, E17."""

from __future__ import annotations

import msgpack
import pytest

import cred
import pb
from cred.passwords import encode64
from pb.auth.root import AuthRoot

from .doors import (
    CANCEL,
    HERE,
    PASSWORD,
    Knock,
    Told,
    alice,
    authorizer,
    bound,
    hash_of,
    number,
)

REFUSED = ("pb.LoginFailed", "login failed")


def refused(act):
    """Return type and text of what a peer is told."""
    with pytest.raises(Told) as told:
        act()
    return told.value.args


def answer(knock, step, data):
    return knock.call(number(step["next"]), "respond", data)


def test_the_password_logs_in():
    """All refusals below are refusals of a door that opens."""
    knock = Knock(AuthRoot(authorizer()))

    identity = knock.log_in(knock.scram())
    assert [["chat", "alice"], ["chat", "ops"]] == knock.call(identity, "keys")


def test_a_recorded_proof_is_refused_on_another_connection():
    """Who listened, or owns the server that one logged in to, has nothing to use."""
    auth = AuthRoot(authorizer())
    knock, thief = Knock(auth), Knock(auth)
    prover = knock.scram()
    first = prover.start()
    step = knock.call(0, "login", prover.mechanism, first)
    proof = prover.respond(step["data"])

    stolen = thief.call(0, "login", prover.mechanism, first)
    assert REFUSED == refused(lambda: answer(thief, stolen, proof))
    assert "identity" in answer(knock, step, proof)


def test_a_proof_is_taken_once():
    """The second answer to one challenge is refused, and so is the next one to another."""
    knock = Knock(AuthRoot(authorizer()))
    prover = knock.scram()
    step = knock.challenge(prover)
    proof = prover.respond(step["data"])

    assert "identity" in answer(knock, step, proof)
    assert REFUSED == refused(lambda: answer(knock, step, proof))
    again = knock.challenge(knock.scram())
    assert REFUSED == refused(lambda: answer(knock, again, proof))


def test_after_a_wrong_answer_the_right_one_is_too_late():
    """One challenge is one guess."""
    knock = Knock(AuthRoot(authorizer()))
    prover = knock.scram()
    step = knock.challenge(prover)

    assert REFUSED == refused(lambda: answer(knock, step, b"c=biws,r=x,p=x"))
    assert REFUSED == refused(lambda: answer(knock, step, prover.respond(step["data"])))


def test_a_newer_login_voids_the_older_challenge():
    """Two logins on one connection would be two tries at the price of one."""
    knock = Knock(AuthRoot(authorizer()))
    older, newer = knock.scram(), knock.scram()
    first, second = knock.challenge(older), knock.challenge(newer)

    assert REFUSED == refused(lambda: answer(knock, first, older.respond(first["data"])))
    assert "identity" in answer(knock, second, newer.respond(second["data"]))


def test_of_two_answers_at_the_same_time_one_is_refused():
    """While one is looked at, another does not slip in; here, that costs the login as well."""
    auth = AuthRoot(authorizer())
    for _ in range(4):
        auth.throttle.failed("elsewhere", "alice")
    knock = Knock(auth, is_patient=True)
    prover = knock.scram()
    step = knock.challenge(prover)
    proof = prover.respond(step["data"])
    ids = [knock.begin(number(step["next"]), "respond", proof) for _ in range(2)]
    while knock.host.held_back:
        knock.host.let_go()
    knock.listen()

    assert [REFUSED, REFUSED] == [refused(lambda id=id: knock.told(id)) for id in ids]


@pytest.mark.parametrize("echo", ["challenge", "first", "empty", "proof of the server"])
def test_what_was_said_before_is_no_proof(echo):
    """Reflection: neither the server's own words, nor the client's first ones, prove anything."""
    auth = AuthRoot(authorizer())
    knock = Knock(auth)
    prover = knock.scram()
    step = knock.challenge(prover)
    said = {"challenge": step["data"], "first": prover.start(), "empty": b""}
    if echo == "proof of the server":
        helper = Knock(auth)
        honest = helper.scram()
        other = helper.challenge(honest)
        last = answer(helper, other, honest.respond(other["data"]))["data"]
        nonce = step["data"].split(b",")[0]
        said[echo] = b"c=biws," + nonce + b",p=" + last[2:]

    assert REFUSED == refused(lambda: answer(knock, step, said[echo]))


@pytest.mark.parametrize(
    "change",
    [b"n,,", b"y,,", b"p=tls-exporter,,", b"p=tls-unique,,", b"p=tls-server-end-point,a=bob,", b"p=,,", b""],
)
def test_a_binding_of_another_type_is_refused(change):
    """With -PLUS there is one type that this connection has, and no identity to act as."""
    knock = Knock(AuthRoot(authorizer()), bound())
    prover = knock.scram(binding=cred.Binding("tls-server-end-point", b"b" * 32), plus=True)
    first = prover.start().replace(b"p=tls-server-end-point,,", change)

    assert REFUSED == refused(lambda: knock.call(0, "login", "SCRAM-SHA-256-PLUS", first))


def test_who_could_bind_and_was_told_otherwise_is_refused():
    """gs2 `y` where the server offers binding: somebody changed its HELLO."""
    knock = Knock(AuthRoot(authorizer()), bound())
    prover = knock.scram(binding=cred.Binding("tls-server-end-point", b"b" * 32), plus=False)

    assert prover.start().startswith(b"y,,")
    assert REFUSED == refused(lambda: knock.challenge(prover))


@pytest.mark.parametrize("data", [b"x" * 32, b"b" * 31 + b"c"])
def test_another_binding_is_refused(data):
    """The proof of a password that was bound to another connection."""
    knock = Knock(AuthRoot(authorizer()), bound())
    prover = knock.scram(binding=cred.Binding("tls-server-end-point", data), plus=True)
    step = knock.challenge(prover)

    assert REFUSED == refused(lambda: answer(knock, step, prover.respond(step["data"])))


def test_the_exporter_of_another_type_with_the_same_data_is_refused():
    """Type and data are both covered: one is not taken for the other."""
    facts = bound(type="tls-exporter")
    knock = Knock(AuthRoot(authorizer()), facts)
    prover = knock.scram(binding=cred.Binding("tls-server-end-point", b"b" * 32), plus=True)

    assert REFUSED == refused(lambda: knock.challenge(prover))


def forged(knock, step, prover, *, nonce=lambda nonce: nonce, binding="biws"):
    """Return a proof that is right for what it says, and says something else than was asked."""
    fields = dict(part.split("=", 1) for part in step["data"].decode().split(","))
    keys = cred.KeyCache().derive(PASSWORD, b"salt of the test", 4096)
    without_proof = f"c={binding},r={nonce(fields['r'])}"
    bare = prover.start().decode().split(",", 2)[2]
    covered = f"{bare},{step['data'].decode()},{without_proof}".encode()
    from cred.scram import make_proof

    return f"{without_proof},p={encode64(make_proof(keys.client_key, covered))}".encode()


def test_the_forger_of_the_tests_below_forges_well():
    """Unchanged, what it makes is taken."""
    knock = Knock(AuthRoot(authorizer()))
    prover = knock.scram()
    step = knock.challenge(prover)

    assert "identity" in answer(knock, step, forged(knock, step, prover))


@pytest.mark.parametrize(
    "nonce", [lambda nonce: nonce + "x", lambda nonce: nonce[:24], lambda nonce: nonce[24:], str.swapcase]
)
def test_a_proof_over_another_nonce_is_refused(nonce):
    """It must be the nonce of this challenge, to the last character."""
    knock = Knock(AuthRoot(authorizer()))
    prover = knock.scram()
    step = knock.challenge(prover)

    assert REFUSED == refused(lambda: answer(knock, step, forged(knock, step, prover, nonce=nonce)))


@pytest.mark.parametrize("binding", ["eSws", "biwsYg==", "biw="])
def test_a_proof_over_another_gs2_header_is_refused(binding):
    """`c=` repeats what was said first, in one form."""
    knock = Knock(AuthRoot(authorizer()))
    prover = knock.scram()
    step = knock.challenge(prover)

    assert REFUSED == refused(lambda: answer(knock, step, forged(knock, step, prover, binding=binding)))


def test_an_ed25519_signature_does_not_answer_a_scram_challenge_nor_the_reverse():
    """A mechanism is chosen once."""
    key = cred.PrivateKey("alice", _key())
    auth = AuthRoot(authorizer(cred.IdentityRecord.new("key", credentials=[key.credential])))
    knock = Knock(auth, bound())
    channel = cred.Channel(knock.hello_hash, (cred.Binding("tls-server-end-point", b"b" * 32),))
    signer = key.begin(knock.offered, channel)
    prover = knock.scram(binding=channel.bindings[0], plus=True)
    asked = knock.challenge(prover)
    assert REFUSED == refused(lambda: answer(knock, asked, signer.respond(_nonce())))
    asked = knock.call(0, "login", "ED25519", signer.start())
    assert REFUSED == refused(lambda: answer(knock, asked, prover.respond(b"r=" + _scram_first(prover))))
    assert REFUSED == refused(lambda: knock.call(0, "login", "SCRAM-SHA-256", signer.start()))


def _key():
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def _nonce():
    return msgpack.packb({"nonce": b"n" * 32})


def _scram_first(prover):
    nonce = prover.start().split(b"r=")[1]
    hello = encode64(prover._hello_hash).encode()
    return nonce + b"x" * 24 + b",s=" + encode64(b"salt" * 4).encode() + b",i=4096,h=" + hello


@pytest.mark.parametrize("security", [HERE, bound()], ids=["local", "TLS"])
@pytest.mark.parametrize(
    "mechanism",
    [
        "ANONYMOUS",
        "EXTERNAL",
        "PLAIN",
        "SCRAM-SHA-1",
        "scram-sha-256",
        "",
        "x" * 3000,
        None,
        1,
        b"ED25519",
        [],
    ],
)
def test_a_mechanism_that_is_not_offered_is_refused(mechanism, security):
    """Anonymous where it is not enabled, EXTERNAL where nothing is vouched for, and what is no name."""
    knock = Knock(AuthRoot(authorizer()), security)

    assert REFUSED == refused(lambda: knock.call(0, "login", mechanism, b""))
    assert knock.bye is None


def test_a_mechanism_that_needs_binding_is_not_begun_without():
    """ED25519 over plain TCP: a relay could use the signature. And -PLUS without anything to bind to."""
    knock = Knock(AuthRoot(authorizer()), pb.auth.channel.Security(address="192.0.2.7", is_allowed=True))

    assert ["SCRAM-SHA-256"] == knock.offered
    assert REFUSED == refused(lambda: knock.call(0, "login", "ED25519", b""))
    assert REFUSED == refused(lambda: knock.call(0, "login", "SCRAM-SHA-256-PLUS", b"p=tls-exporter,,n=a,r="))


@pytest.mark.parametrize("where", ["login", "respond"])
@pytest.mark.parametrize("data", [None, "text", 1, [b""], {}, True, b"\xff" * 40, b"x" * 3500, b"\0", b",,,"])
def test_what_is_no_message_is_refused_like_a_wrong_password(where, data):
    """No type of argument leads to another error, and none to an incident."""
    knock = Knock(AuthRoot(authorizer()))
    if where == "login":
        assert REFUSED == refused(lambda: knock.call(0, "login", "SCRAM-SHA-256", data))
    else:
        step = knock.challenge(knock.scram())
        assert REFUSED == refused(lambda: answer(knock, step, data))
    assert 0 == knock.host.incidents


@pytest.mark.parametrize("user", ["nobody", "off", "guest", "\u0430lice", "n" * 255, "Alice", "x,y=z"])
def test_names_without_this_password_look_like_a_wrong_password(user):
    """Unknown, disabled, without a password, look-alike: the same steps, frames and sizes."""
    there = "k" * len(cred.Password(user, "x").user.encode())
    shapes = []
    for name in (user, there):
        known = cred.IdentityRecord.new(there, hash_of(PASSWORD))
        knock = Knock(AuthRoot(authorizer(known)))
        prover = knock.scram(name, "wrong")
        step = knock.challenge(prover)
        with pytest.raises(Told) as told:
            answer(knock, step, prover.respond(step["data"]))
        room = len(step["data"]) + len(knock.wire)
        shapes.append((room, told.value.args, told.value.size, knock.host.slept))
    assert shapes[0] == shapes[1]


def test_an_unknown_name_has_one_salt_for_ever():
    """A salt that changes, or differs between two doors of one store, tells who is not there."""
    store = cred.MemoryStore()
    first, second = AuthRoot(authorizer(store=store)), AuthRoot(cred.Authorizer(store, iterations=4096))
    salts = set()
    for auth in (first, second, second):
        knock = Knock(auth)
        salts.add(knock.challenge(knock.scram("nobody"))["data"].split(b",")[1:3].__repr__())

    assert 1 == len(salts)


def test_three_wrong_answers_end_the_connection_and_keep_the_source_away():
    """Whatever is guessed; and who knows a good password guesses no better at others (PB-L11)."""
    auth = AuthRoot(authorizer(), throttle=cred.Throttle(clock=lambda: 0.0))
    knock = Knock(auth, bound())
    for left in (2, 1, 0):
        assert REFUSED == refused(lambda: knock.call(0, "login", "nothing", b""))
        assert (None if left else 8) == knock.bye
    with pytest.raises(pb.Forbidden, match="refused for 5 s"):
        Knock(auth, bound())


def test_names_are_answered_later_and_later_and_never_locked():
    """The right password is held back as long as a wrong one: else one could give up early."""
    auth = AuthRoot(authorizer(), throttle=cred.Throttle(clock=lambda: 0.0))
    for _ in range(5):
        auth.throttle.failed("elsewhere", "alice")
    knock = Knock(auth)
    knock.log_in(knock.scram())

    assert 0.5 in knock.host.slept
    assert 0 == auth.throttle.delay_s("alice")


def test_of_guesses_that_are_made_at_once_no_more_than_three_are_looked_at():
    """A refusal takes 50 ms to be told. Who does not wait for it must not guess on meanwhile."""
    knock = Knock(AuthRoot(authorizer(), anonymous="guest"), is_patient=True)
    knock.log_in(cred.Anonymous())
    for guess in range(3):
        prover = knock.scram(password=f"wrong {guess}")
        step = knock.challenge(prover)
        knock.begin(number(step["next"]), "respond", prover.respond(step["data"]))
    try:
        knock.log_in(knock.scram())
    except (Told, LookupError):
        return
    raise AssertionError("the fourth guess was looked at, and logged in")


def test_who_cancels_a_refusal_is_sent_away_all_the_same():
    """CANCEL ends the call, and with it what was to come after it in the same coroutine."""
    knock = Knock(AuthRoot(authorizer()), is_patient=True)
    for _ in range(3):
        knock.say([CANCEL, knock.begin(0, "login", "nothing", b"")])
    while knock.host.held_back:
        knock.host.let_go()
    knock.listen()

    assert 8 == knock.bye


def test_a_guest_who_cancels_refusals_does_not_guess_for_ever():
    """With a login of one's own the profile of strangers is lifted: the three tries are all that is left."""
    knock = Knock(AuthRoot(authorizer(), anonymous="guest"), is_patient=True)
    knock.log_in(cred.Anonymous())
    for guess in range(20):
        prover = knock.scram(user=f"user {guess}", password="spring2026")
        try:
            step = knock.challenge(prover)
        except (Told, LookupError):
            break
        knock.say([CANCEL, knock.begin(number(step["next"]), "respond", prover.respond(step["data"]))])
        while knock.host.held_back:
            knock.host.let_go()
        knock.listen()
    assert guess <= 3


def test_alice_logs_in_by_what_she_logs_in_with():
    """The helper of other tests is honest."""
    assert "<Password of 'alice'>" == repr(alice())
