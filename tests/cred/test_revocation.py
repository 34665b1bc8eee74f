"""Revocation: what is taken away ends at once, and whoever must know is told."""

from __future__ import annotations

import asyncio
import gc

import pytest

import cred
from cred import Credential, Key, NotPermitted
from cred.revocation import Subscribers

from .alice import ALICE, UID, attached
from .helpers import run


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda alice: alice.disable(), "disabled"),
        (lambda alice: alice.set_password("other"), "password"),
        (lambda alice: alice.set_password(None), "password"),
        (lambda alice: alice.remove_credential(UID), "credential"),
        (lambda alice: alice.authorizer.remove_identity("alice"), "removed"),
    ],
)
def test_what_makes_a_login_void_cuts_everything_at_once(change, reason):
    """Before the call returns that took it away; and the old login attaches nothing more."""

    async def main():
        _, told, alice, attachments = await attached()
        await change(alice)
        assert [False, False] == [one.is_live for one in attachments]
        assert [1, 1] == [one.perspective.gone for one in attachments]
        with pytest.raises(NotPermitted):
            await alice.attach("shop")
        (one,) = told
        return one.name, one.key, one.reason, list(one.attachments) == attachments

    assert ("alice", None, reason, True) == run(main())


def test_a_key_that_is_removed_cuts_what_is_attached_with_it():
    """And nothing else: the login stays."""

    async def main():
        _, told, alice, attachments = await attached()
        await alice.remove_key("shop", "alice")
        with pytest.raises(NotPermitted):
            await alice.attach("shop", "alice")
        again = await alice.attach("chat")
        return [one.is_live for one in attachments], again.is_live, [(one.key, one.reason) for one in told]

    assert ([False, True], True, [(Key("shop", "alice"), "key")]) == run(main())


def test_whoever_is_kicked_may_come_back():
    """Nothing was taken away; they should just be gone."""

    async def main():
        authorizer, told, alice, attachments = await attached()
        authorizer.kick("alice")
        assert [False, False] == [one.is_live for one in attachments]
        await alice.attach("shop")
        return [(one.key, one.reason) for one in told]

    assert [(None, "kicked")] == run(main())


@pytest.mark.parametrize(
    "change",
    [
        lambda alice: alice.enable(),
        lambda alice: alice.add_key("shop", "al"),
        lambda alice: alice.add_credential(Credential.of_uid(2)),
    ],
)
def test_what_is_granted_cuts_nothing(change):
    """The epoch may not grow for it either."""

    async def main():
        authorizer, told, alice, attachments = await attached()
        await change(alice)
        await authorizer.recheck()
        await alice.attach("shop")
        return told, [one.is_live for one in attachments]

    assert ([], [True, True]) == run(main())


@pytest.mark.parametrize(
    ("error", "change"),
    [
        (cred.NoSuchKey, lambda alice: alice.remove_key("shop", "bob")),
        (cred.NoSuchCredential, lambda alice: alice.remove_credential(Credential.of_uid(9))),
        (cred.NoSuchIdentity, lambda alice: alice.authorizer.remove_identity("bob")),
        (cred.NoSuchIdentity, lambda alice: alice.authorizer.remove_identity("")),
    ],
)
def test_what_was_not_there_cuts_nothing(error, change):
    """A typing error of an administrator is nobody's logout."""

    async def main():
        _, told, alice, attachments = await attached()
        with pytest.raises(error):
            await change(alice)
        return told, [one.is_live for one in attachments]

    assert ([], [True, True]) == run(main())


def test_subscribers_are_told_before_it_ends():
    """They revoke what was handed out first; end() finds nothing left to do, or does it."""

    async def main():
        authorizer, _, alice, attachments = await attached()
        seen = []

        def cut(revocation):
            seen.append([one.is_live for one in revocation.attachments])
            revocation.attachments[0].end()

        authorizer.subscribe(cut)
        await alice.disable()
        return seen, [one.perspective.gone for one in attachments]

    assert ([[True, True]], [1, 1]) == run(main())


def test_a_subscriber_that_fails_harms_no_other(caplog):
    """Each for itself; and the failure is in the log."""
    subscribers, told = Subscribers(), []
    subscribers.add(lambda revocation: 1 / 0)
    subscribers.add(told.append)
    subscribers.tell("revocation")

    assert ["revocation"] == told
    assert "ZeroDivisionError" in caplog.text


def test_a_subscription_ends():
    """Each by itself, also of one function twice; ending it again does no harm."""
    subscribers, told = Subscribers(), []
    remove = subscribers.add(told.append)
    subscribers.add(told.append)
    remove()
    remove()
    subscribers.tell("once")

    assert (["once"], 1) == (told, len(subscribers))


def test_a_subscriber_may_end_its_subscription_while_it_is_told():
    """A connection that closes itself."""
    subscribers, told = Subscribers(), []
    removes = [subscribers.add(lambda revocation: removes[0]()), subscribers.add(told.append)]
    subscribers.tell("first")
    subscribers.tell("second")

    assert (["first", "second"], 1) == (told, len(subscribers))


def test_a_change_whose_asker_is_cancelled_is_told_all_the_same():
    """The administrator's connection was lost, the right is gone in the store."""

    class Slow(cred.MemoryStore):
        async def set_disabled(self, name, disabled):
            await super().set_disabled(name, disabled)
            written.set()
            await asyncio.sleep(0)

    written = asyncio.Event()

    async def main():
        store = Slow()
        await store.add(ALICE)
        _, told, alice, attachments = await attached(store)
        disabling = asyncio.ensure_future(alice.disable())
        await written.wait()
        disabling.cancel()
        await asyncio.wait([disabling])
        for _ in range(5):
            await asyncio.sleep(0)
        return disabling.cancelled(), [one.reason for one in told], [one.is_live for one in attachments]

    assert (True, ["disabled"], [False, False]) == run(main())


def test_a_change_whose_outcome_is_unknown_cuts():
    """It may have been written, and only the answer is missing. Who is cut in vain logs in again."""

    class Lost(cred.MemoryStore):
        async def set_disabled(self, name, disabled):
            await super().set_disabled(name, disabled)
            raise cred.StoreError("connection lost")

    async def main():
        store = Lost()
        await store.add(ALICE)
        _, told, alice, attachments = await attached(store)
        with pytest.raises(cred.StoreError):
            await alice.disable()
        return len(told), [one.is_live for one in attachments]

    assert (1, [False, False]) == run(main())


@pytest.mark.parametrize(
    ("change", "line", "service"),
    [
        (lambda alice: alice.disable(), "'alice' was cut: the identity was disabled", ""),
        (
            lambda alice: alice.authorizer.remove_identity("alice"),
            "'alice' was cut: the identity was removed",
            "",
        ),
        (lambda alice: alice.remove_credential(UID), "'alice' was cut: a credential was removed", ""),
        (
            lambda alice: alice.remove_key("shop", "alice"),
            "'alice' was cut from shop as 'alice': the key was taken off the keyring",
            "shop",
        ),
    ],
)
def test_who_is_cut_is_told_to_the_log(caplog, change, line, service):
    """Whoever runs the server sees that it worked, and why somebody is gone."""
    caplog.set_level("INFO", "cred")

    async def main():
        _, _, alice, _ = await attached()
        await change(alice)

    run(main())
    [record] = [each for each in caplog.records if each.pb_event == "identity.cut"]
    assert line == record.getMessage()
    assert ("alice", service) == (record.pb_identity, getattr(record, "pb_service", ""))


def test_where_nobody_is_there_nothing_is_cut(caplog):
    """What is taken from those who are away is no news of this process."""
    caplog.set_level("INFO", "cred")

    async def main():
        authorizer, _, alice, attachments = await attached()
        authorizer.kick("alice")
        del alice, attachments[:]
        gc.collect()
        authorizer.kick("alice")
        await authorizer.add_identity("bob")
        authorizer.kick("bob")
        await (await authorizer.get_identity("bob")).add_key("shop", "bob")
        await (await authorizer.get_identity("bob")).remove_key("shop", "bob")

    run(main())
    cut = [each.getMessage() for each in caplog.records if each.pb_event == "identity.cut"]
    assert ["'alice' was cut: it was kicked"] == cut
