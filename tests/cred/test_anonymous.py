"""ANONYMOUS: only where it is allowed, and as the identity that the server named."""

from __future__ import annotations

import pytest

import cred
from cred import Anonymous, AnonymousVerifier, IdentityRecord
from cred.testing import Trial, check_credential

from .helpers import LOCAL, TLS, application, log_in, run


def test_it_is_a_credential_as_they_should_be():
    """There is nothing to replay: the client says nothing."""
    trial = Trial(
        AnonymousVerifier("guest"),
        good=Anonymous(),
        bad=None,
        unknown=None,
        record=IdentityRecord.new("guest"),
        channel=LOCAL,
        is_replayable=True,
    )

    run(check_credential(trial))


@pytest.mark.parametrize("channel", [LOCAL, TLS])
def test_it_is_not_offered_unless_it_is_asked_for(channel):
    """A server is closed to strangers by default."""
    assert "ANONYMOUS" not in application().mechanisms(channel)
    assert "ANONYMOUS" == application(anonymous="guest").mechanisms(channel)[-1]


def test_asking_for_it_all_the_same_is_refused():
    """The list is what is checked, not what the client believes."""
    with pytest.raises(cred.LoginFailed) as refused:
        application().begin_login("ANONYMOUS", LOCAL)

    assert "not offered" in refused.value.reason


def test_a_client_is_told_that_it_is_not_offered():
    """Before anything is sent."""

    async def main():
        with pytest.raises(cred.UntrustedServer, match="does not offer"):
            await log_in(application(), Anonymous())

    run(main())


def test_without_the_identity_nobody_gets_in():
    """It was allowed, and then removed from the store."""

    async def main():
        with pytest.raises(cred.LoginFailed) as refused:
            await log_in(application(anonymous="guest"), Anonymous())
        return refused.value.reason

    assert "missing" in run(main())


def test_a_guest_has_the_keys_of_the_guest():
    """And no others."""

    async def main():
        authorizer = application(anonymous="guest")
        await authorizer.add_identity("guest", keys=[("news", "reader")])
        await authorizer.add_identity("alice", keys=[("shop", "alice")])
        return await (await log_in(authorizer, Anonymous())).keys()

    assert [("news", "reader")] == run(main())


@pytest.mark.parametrize("use", [lambda: Anonymous().respond(b""), lambda: Anonymous().finish(b"x")])
def test_a_server_that_asks_for_more_is_not_trusted(use):
    """There is nothing to answer."""
    with pytest.raises(cred.UntrustedServer, match="ANONYMOUS"):
        use()
