"""Authorizer: its options, and that several of them are apart."""

from __future__ import annotations

import pytest

import cred
from cred import AnonymousVerifier, Authorizer, Password, Service

from .helpers import LOCAL, TLS, application, log_in, run


def test_the_ways_to_log_in_are_announced_best_first():
    """Clients that take the first they know take the best."""
    assert ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "ED25519"] == Authorizer().mechanisms(TLS)
    assert ["SCRAM-SHA-256", "ED25519", "ANONYMOUS"] == Authorizer(anonymous="guest").mechanisms(LOCAL)


def test_the_verifiers_can_be_chosen():
    """A server for guests only."""
    authorizer = Authorizer(verifiers=[AnonymousVerifier("guest")])

    assert ["ANONYMOUS"] == authorizer.mechanisms(TLS)


def test_anonymous_is_not_forgotten_among_chosen_verifiers():
    """It would be ignored silently."""
    with pytest.raises(ValueError, match="AnonymousVerifier"):
        Authorizer(verifiers=[], anonymous="guest")


def test_new_passwords_cost_what_they_should():
    """600 000 unless told; the option reaches the hash."""

    async def main(authorizer):
        return (await (await authorizer.add_identity("alice", "x")).record()).password_hash.iterations

    assert 600_000 == run(main(Authorizer()))
    assert 5_000 == run(main(Authorizer(iterations=5_000)))


def test_two_authorizers_are_apart():
    """Two ports of one process, two sets of people."""

    async def main():
        one, other = application(), application()
        await one.add_identity("alice", "secret")
        with pytest.raises(cred.LoginFailed):
            await log_in(other, Password("alice", "secret"))
        return one.authorizer is one

    assert run(main())


def test_closing_ends_every_attachment_and_closes_the_store():
    """detached() is called for all who are there."""
    gone = []

    class Noting(cred.Perspective):
        def detached(self, client, identity):
            gone.append(client)

    class Closing(cred.MemoryStore):
        async def close(self):
            gone.append("store")

    async def main():
        authorizer = application(store=Closing())
        service = Service("shop", authorizer)
        service.add_perspective(Noting("alice", service)).make_identity()
        alice = await authorizer.get_identity("alice")
        for client in (1, 2):
            await alice.attach("shop", client=client)
        await authorizer.close()

    run(main())
    assert [1, 2, "store"] == gone


def test_the_services_are_shown_and_not_handed_out():
    """add_service() checks; a dict would not."""
    with pytest.raises(TypeError):
        application().services["shop"] = Service("shop")


def test_a_verifier_added_later_comes_last():
    """An application lets guests in without naming all the other ways."""
    authorizer = application()
    authorizer.add_verifier(AnonymousVerifier("guest"))

    assert ["SCRAM-SHA-256", "ED25519", "ANONYMOUS"] == authorizer.mechanisms(LOCAL)


def test_a_verifier_that_read_the_identity_too_early_lets_nobody_in():
    """Mechanisms of others may look first and wait for the proof then: what counts is how it is now."""

    async def main():
        authorizer = application()
        alice = await authorizer.add_identity("alice", "secret")
        early = await alice.record()
        assert "alice" == (await authorizer.admit_login(early)).name
        await alice.disable()
        with pytest.raises(cred.LoginFailed) as refused:
            await authorizer.admit_login(early)
        return refused.value.reason

    assert "changed while" in run(main())


@pytest.mark.parametrize("change", ["password", "credential"])
def test_a_verifier_that_read_the_identity_too_early_does_not_know_what_changed_since(change):
    """Whoever is locked out by a new password must not get in by what was proven of the old one (PB-A9)."""

    async def main():
        authorizer = application()
        alice = await authorizer.add_identity("alice", "secret")
        await alice.add_credential(cred.Credential.of_uid(7))
        early = await alice.record()
        if change == "password":
            await alice.set_password("another secret")
        else:
            await alice.remove_credential(cred.Credential.of_uid(7))
        with pytest.raises(cred.LoginFailed):
            await authorizer.admit_login(early)
        assert "alice" == (await authorizer.admit_login(await alice.record())).name

    run(main())


def test_the_very_snapshot_that_was_proven_is_refused_where_it_is_disabled():
    """That it has not changed since does not help: an exchange may prove what nobody may log in as."""

    async def main():
        store = cred.MemoryStore()
        await store.add(cred.IdentityRecord.new("alice", disabled=True))
        authorizer = Authorizer(store)
        with pytest.raises(cred.LoginFailed):
            await authorizer.admit_login(await store.get("alice"))
        await store.set_disabled("alice", False)
        assert "alice" == (await authorizer.admit_login(await store.get("alice"))).name

    run(main())
