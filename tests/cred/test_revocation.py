"""Revocation: what is taken away ends at once, also what is just being attached, and elsewhere."""

from __future__ import annotations

import asyncio

import pytest

import cred
from cred import Credential, IdentityRecord, Key, NotPermitted, Password, PasswordHash, Perspective, Service
from cred.revocation import Subscribers

from .helpers import ITERATIONS, application, log_in, run

UID = Credential.of_uid(1)
HASH = PasswordHash.of("secret", iterations=ITERATIONS)
ALICE = IdentityRecord.new("alice", HASH, keys=[("shop", "alice"), ("chat", "alice")], credentials=[UID])


class Noting(Perspective):
    """Counts what it loses."""

    gone = 0

    def detached(self, client, identity):
        self.gone += 1


class Shop(Service):
    """Perspectives on demand."""

    perspective_class = Noting

    def get_perspective_named(self, name):
        return self.perspective_class(name, self)


async def attached(store=None):
    """Return an authorizer, what it told, alice logged in, and her two attachments."""
    authorizer = application(store=store)
    if store is None:
        await authorizer.store.add(ALICE)
    told = []
    authorizer.subscribe(told.append)
    for name in ("shop", "chat"):
        Shop(name, authorizer)
    alice = await log_in(authorizer, Password("alice", "secret"))
    attachments = [await alice.attach(name) for name in ("shop", "chat")]
    return authorizer, told, alice, attachments


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


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        (lambda authorizer: authorizer.set_disabled("alice", True), False),
        (lambda authorizer: authorizer.set_password("alice", None), False),
        (lambda authorizer: authorizer.remove_key("alice", Key("shop", "alice")), False),
        (lambda authorizer: authorizer.remove_identity("alice"), False),
        (lambda authorizer: authorizer.remove_key("alice", Key("chat", "alice")), True),
    ],
    ids=["disabled", "password", "its key", "removed", "another key"],
)
def test_what_is_just_being_attached_is_cut_too(change, allowed):
    """The store said yes, attached() takes its time, and the right is gone when it is done."""

    async def main():
        authorizer, _, alice, attachments = await attached()
        entered, leave = asyncio.Event(), asyncio.Event()

        class Slow(Noting):
            async def attached(self, client, identity):
                entered.set()
                await leave.wait()

        for one in attachments:
            one.end()
        authorizer.services["shop"].perspective_class = Slow
        attaching = asyncio.ensure_future(alice.attach("shop"))
        await entered.wait()
        await change(authorizer)
        leave.set()
        try:
            attachment = await attaching
        except NotPermitted:
            return False, authorizer.services["shop"].attach_count("alice")
        return attachment.is_live, authorizer.services["shop"].attach_count("alice")

    assert (allowed, int(allowed)) == run(main())


def test_who_is_kicked_while_attaching_is_not_attached():
    """The store knows nothing of it."""

    async def main():
        authorizer, _, alice, attachments = await attached()
        perspectives = []

        class Kicking(Noting):
            def attached(self, client, identity):
                perspectives.append(self)
                authorizer.kick("alice")

        for one in attachments:
            one.end()
        authorizer.services["shop"].perspective_class = Kicking
        with pytest.raises(NotPermitted):
            await alice.attach("shop")
        return perspectives[0].gone

    assert 1 == run(main())


def test_a_revocation_during_the_second_look_is_seen_too():
    """attached() disturbs itself, and the store is slow: the answer to the second question is late."""

    class Slow(cred.MemoryStore):
        answered = None

        async def get(self, name):
            record = await super().get(name)
            if self.answered is not None:
                self.answered()
            return record

    async def main():
        store = Slow()
        await store.add(ALICE)
        authorizer, _, alice, attachments = await attached(store)

        def while_looking_again():
            store.answered = None
            authorizer.kick("alice")

        class Disturbing(Noting):
            async def attached(self, client, identity):
                await authorizer.remove_key("alice", Key("chat", "alice"))
                store.answered = while_looking_again

        authorizer.services["shop"].perspective_class = Disturbing
        for one in attachments:
            one.end()
        with pytest.raises(NotPermitted):
            await alice.attach("shop")
        return authorizer.services["shop"].attach_count("alice")

    assert 0 == run(main())


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
    ("change", "reasons", "live"),
    [
        (lambda store: store.set_disabled("alice", True), [(None, "disabled")], [False, False]),
        (lambda store: store.set_password_hash("alice", None), [(None, "password")], [False, False]),
        (lambda store: store.remove_credential("alice", UID), [(None, "password")], [False, False]),
        (lambda store: store.remove("alice"), [(None, "removed")], [False, False]),
        (
            lambda store: store.remove_key("alice", Key("shop", "alice")),
            [(Key("shop", "alice"), "key")],
            [False, True],
        ),
        (lambda store: store.add_key("alice", Key("shop", "al")), [], [True, True]),
    ],
)
def test_what_another_process_took_away_is_found_by_looking(change, reasons, live):
    """By the epoch, and each thing once."""

    async def main():
        authorizer, told, _, attachments = await attached()
        await change(authorizer.store)
        await authorizer.recheck()
        await authorizer.recheck()
        return [(one.key, one.reason) for one in told], [one.is_live for one in attachments]

    assert (reasons, live) == run(main())


def test_a_login_without_attachments_is_looked_after_too():
    """It could attach at any moment; pb drops what it was given."""

    async def main():
        authorizer = application()
        await authorizer.store.add(ALICE)
        told = []
        authorizer.subscribe(told.append)
        alice = await log_in(authorizer, Password("alice", "secret"))
        await authorizer.store.set_password_hash("alice", None)
        await authorizer.recheck()
        del alice
        return [one.reason for one in told]

    assert ["password"] == run(main())


def test_who_logged_in_again_stays_when_the_old_logins_are_cut_elsewhere():
    """The new login was made under the new record."""

    async def main():
        authorizer, told, _, _ = await attached()
        await authorizer.set_password("alice", HASH)
        alice = await log_in(authorizer, Password("alice", "secret"))
        attachment = await alice.attach("shop")
        await authorizer.recheck()
        return len(told), attachment.is_live

    assert (1, True) == run(main())


def test_nobody_is_looked_after_who_is_gone():
    """The tables do not grow with the number of those who were ever there."""

    async def main():
        authorizer, _, alice, attachments = await attached()
        for one in attachments:
            one.end()
        del alice, attachments, one
        await asyncio.sleep(0)
        await authorizer.recheck()
        live = authorizer._live
        return live._logins, live._attachments, live._openings, live._epochs

    assert ({}, {}, {}, {}) == run(main())


def test_attachments_of_a_handle_that_did_not_log_in_are_looked_after():
    """A program attaches for alice itself."""

    async def main():
        authorizer = application()
        await authorizer.store.add(ALICE)
        Shop("shop", authorizer)
        attachment = await (await authorizer.get_identity("alice")).attach("shop")
        await authorizer.store.set_password_hash("alice", None)
        await authorizer.recheck()
        assert attachment.is_live
        await authorizer.store.remove_key("alice", Key("shop", "alice"))
        await authorizer.recheck()
        return attachment.is_live

    assert False is run(main())
