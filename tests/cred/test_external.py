"""EXTERNAL: what the transport proved, and the table that says whose it is."""

from __future__ import annotations

import pytest

import cred
from cred import Channel, Credential, External, ExternalVerifier, IdentityRecord
from cred.testing import Trial, check_credential

from .helpers import HELLO, LOCAL, application, log_in, run

UID = Credential.of_uid(1000)
CERTIFICATE = Credential.of_tls_key(bytes(32))
UNIX = Channel(HELLO, unbound_ok=True, vouched=(UID,))


@pytest.mark.parametrize("user", ["", "alice"])
def test_it_is_a_credential_as_they_should_be(user):
    """There is nothing to replay: the transport has proven everything."""
    trial = Trial(
        ExternalVerifier(),
        good=External(user),
        bad=External("bob"),
        unknown=External("nobody"),
        record=IdentityRecord.new("alice", credentials=[UID]),
        channel=UNIX,
        is_replayable=True,
        others=[IdentityRecord.new("bob", credentials=[CERTIFICATE])],
    )

    run(check_credential(trial))


def failing(credentials, channel, *records):
    """Return why a login is refused."""

    async def main():
        authorizer = application()
        for record in records:
            await authorizer.store.add(record)
        with pytest.raises(cred.LoginFailed) as refused:
            await log_in(authorizer, credentials, channel)
        return refused.value.reason

    return run(main())


def test_a_name_is_never_guessed_from_what_the_transport_says():
    """Whoever names accounts or signs certificates does not decide who gets in here (PB-A33)."""
    subject = Channel(HELLO, vouched=(Credential.of_tls_subject("CN=alice"),))

    assert "0 identities" in failing(External("alice"), subject, IdentityRecord.new("alice"))
    assert "0 identities" in failing(External("1000"), UNIX, IdentityRecord.new("1000"))


def test_where_two_list_one_credential_the_name_decides():
    """And without a name nobody is chosen."""
    two = [IdentityRecord.new(name, credentials=[UID]) for name in ("alice", "bob")]

    async def main():
        authorizer = application()
        for record in two:
            await authorizer.store.add(record)
        return (await log_in(authorizer, External("bob"), UNIX)).name

    assert "bob" == run(main())
    assert "2 identities" in failing(External(), UNIX, *two)


def test_any_of_what_is_vouched_for_will_do():
    """A certificate has a key and a subject; either may be listed."""
    channel = Channel(HELLO, vouched=(Credential.of_tls_subject("CN=x"), CERTIFICATE))

    async def main():
        authorizer = application()
        await authorizer.add_identity("alice", credentials=[CERTIFICATE])
        return (await log_in(authorizer, External(), channel)).name

    assert "alice" == run(main())


def test_a_transport_cannot_vouch_for_a_signature():
    """An Ed25519 key has to sign."""
    key = Credential("ed25519", "00" * 32)
    alice = IdentityRecord.new("alice", credentials=[key])

    assert () == ExternalVerifier().offered(Channel(HELLO, vouched=(key,)))
    assert "0 identities" in failing(External(), Channel(HELLO, vouched=(key, UID)), alice)


@pytest.mark.parametrize("data", [b"\xff", b"a\0", b"x" * 256])
def test_a_name_that_is_none_is_refused(data):
    """Before the store is asked."""

    async def main():
        with pytest.raises(cred.LoginFailed) as refused:
            await application().begin_login("EXTERNAL", UNIX).receive(data)
        return refused.value.reason

    assert "cannot be one" in run(main())


def test_it_is_not_offered_where_nothing_is_vouched_for():
    """And the client sees it before it sends anything."""
    assert "EXTERNAL" not in application().mechanisms(LOCAL)
    with pytest.raises(cred.UntrustedServer, match="does not offer"):
        External().begin(application().mechanisms(LOCAL), LOCAL)


@pytest.mark.parametrize("use", [lambda: External().respond(b""), lambda: External().finish(b"x")])
def test_a_server_that_asks_for_more_is_not_trusted(use):
    """There is nothing to answer."""
    with pytest.raises(cred.UntrustedServer, match="EXTERNAL"):
        use()


def test_an_identity_that_goes_away_meanwhile_does_not_get_in():
    """Between the two questions to the store."""

    class Fickle(cred.MemoryStore):
        async def names_with(self, credential):
            names = await super().names_with(credential)
            await self.remove("alice")
            return names

    async def main():
        authorizer = application(store=Fickle())
        await authorizer.add_identity("alice", credentials=[UID])
        with pytest.raises(cred.LoginFailed) as refused:
            await log_in(authorizer, External(), UNIX)
        return refused.value.reason

    assert "removed" in run(main())
