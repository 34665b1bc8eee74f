"""Logging in with a password: the choice of the mechanism, and that who exists is not told."""

from __future__ import annotations

import pytest

import cred
from cred import Channel, IdentityRecord, Password, PasswordHash, ScramVerifier
from cred.testing import Trial, check_credential

from .helpers import BINDING, HELLO, ITERATIONS, LOCAL, TLS, application, log_in, run

HASH = PasswordHash.of("secret", iterations=ITERATIONS)
ALICE = IdentityRecord.new("alice", HASH)


@pytest.mark.parametrize(
    ("channel", "other"),
    [
        (TLS, Channel(HELLO, (cred.Binding(BINDING.type, bytes(32)),))),
        (LOCAL, Channel(bytes(32), unbound_ok=True)),
    ],
    ids=["bound", "by the HELLOs"],
)
def test_it_is_a_credential_as_they_should_be(channel, other):
    """Accepts, refuses, takes no replay, is not to be relayed, and tells nothing."""
    run(
        check_credential(
            Trial(
                ScramVerifier(),
                good=Password("alice", "secret"),
                bad=Password("alice", "wrong"),
                unknown=Password("nobody", "secret"),
                record=ALICE,
                channel=channel,
                other_channel=other,
            )
        )
    )


@pytest.mark.parametrize(
    ("channel", "require", "expected"),
    [
        (LOCAL, False, ("SCRAM-SHA-256",)),
        (LOCAL, True, ("SCRAM-SHA-256",)),
        (TLS, False, ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")),
        (TLS, True, ("SCRAM-SHA-256-PLUS",)),
    ],
)
def test_plus_is_offered_where_it_can_be(channel, require, expected):
    """And alone where the server insists; a local channel has nothing to bind to."""
    assert expected == ScramVerifier(require_binding=require).offered(channel)


@pytest.mark.parametrize(
    ("offered", "channel", "expected"),
    [
        (["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"], TLS, "SCRAM-SHA-256-PLUS"),
        (["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"], LOCAL, "SCRAM-SHA-256"),
    ],
)
def test_the_best_that_the_channel_allows_is_taken(offered, channel, expected):
    """In whatever order the server lists them."""
    assert expected == Password("alice", "x").begin(offered, channel).mechanism


def test_a_server_that_dropped_plus_is_refused():
    """Even where it was not the server that dropped it."""
    with pytest.raises(cred.DowngradeDetected, match="SCRAM-SHA-256-PLUS"):
        Password("alice", "x").begin(["SCRAM-SHA-256"], TLS)


def test_a_server_that_cannot_bind_is_taken_where_the_user_says_so():
    """And is told that this end could: if it can after all, it refuses."""
    prover = Password("alice", "x", require_binding=False).begin(["SCRAM-SHA-256"], TLS)

    assert ("SCRAM-SHA-256", b"y,,") == (prover.mechanism, prover.start()[:3])


@pytest.mark.parametrize("offered", [[], ["PLAIN", "ANONYMOUS"], ["SCRAM-SHA-256-PLUS"]])
def test_a_server_without_passwords_is_refused(offered):
    """Nothing weaker is tried, and -PLUS not without a binding."""
    with pytest.raises(cred.UntrustedServer, match="does not offer"):
        Password("alice", "x").begin(offered, LOCAL)


def test_a_name_that_is_none_is_refused_where_it_is_typed():
    """Not at the server, 0.24 s later and without a reason."""
    with pytest.raises(cred.BadName):
        Password("", "x")


def test_a_second_login_is_without_the_slow_part(monkeypatch):
    """A thousand clients reconnect at once when a server comes back."""
    derived = []
    derive = cred.scram.derive_keys
    monkeypatch.setattr(cred.scram, "derive_keys", lambda *args: derived.append(1) or derive(*args))

    async def main():
        authorizer = application()
        await authorizer.add_identity("alice", "secret")
        password = Password("alice", "secret")
        for _ in range(3):
            await log_in(authorizer, password)

    run(main())
    assert [1] == derived


def first_answers(authorizer, name, times=2):
    """Return what the server answers to a name, without its nonce."""

    async def one():
        login = authorizer.begin_login("SCRAM-SHA-256", LOCAL)
        step = await login.receive(f"n,,n={name},r={'c' * 24}".encode())
        return step.data.partition(b",")[2]

    async def many():
        return [await one() for _ in range(times)]

    return many()


def test_whoever_is_asked_for_the_challenge_looks_real_and_stays_the_same():
    """Known, disabled, with a key only, unknown: salts of one length, and the same salt each time."""

    async def main():
        authorizer = application()
        await authorizer.store.add(ALICE)
        await authorizer.store.add(IdentityRecord.new("off", HASH, disabled=True))
        await authorizer.store.add(IdentityRecord.new("key only"))
        answers = {}
        for name in ("alice", "off", "key only", "nobody", "nobody else"):
            one, other = await first_answers(authorizer, name)
            assert one == other
            answers[name] = one
        # Another authorizer over the same store: a restart, or the server beside this one.
        assert [answers["nobody"]] == await first_answers(application(store=authorizer.store), "nobody", 1)
        return answers

    answers = run(main())
    assert answers["alice"] == answers["off"]
    assert 1 == len({len(answer) for answer in answers.values()})
    assert 4 == len(set(answers.values()))
    assert {b"i=4096"} == {answer.split(b",")[1] for answer in answers.values()}


def test_disabling_an_identity_does_not_show():
    """Its salt stays the one it had."""

    async def main():
        authorizer = application()
        await authorizer.store.add(ALICE)
        before = await first_answers(authorizer, "alice", 1)
        await authorizer.set_disabled("alice", True)
        return before == await first_answers(authorizer, "alice", 1)

    assert True is run(main())


def test_nothing_secret_is_shown():
    """Reprs end up in tracebacks."""
    assert "<Password of 'alice'>" == repr(Password("alice", "secret"))


def test_the_keyring_is_not_read_before_the_password_is_proven():
    """Its length shows in the time: 200 keys took 0.4 ms, which told strangers that the name exists."""
    read = []

    class Noting(cred.MemoryStore):
        async def get(self, name):
            read.append(name)
            return await super().get(name)

    async def main():
        authorizer = application(store=Noting())
        await authorizer.store.add(ALICE)
        for name, password in (("alice", "wrong"), ("nobody", "wrong")):
            with pytest.raises(cred.LoginFailed):
                await log_in(authorizer, Password(name, password))
        assert [] == read
        await log_in(authorizer, Password("alice", "secret"))

    run(main())
    assert {"alice"} == set(read)
