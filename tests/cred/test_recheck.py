"""Looking for what other processes took away; and that nobody is looked after who is gone."""

from __future__ import annotations

import asyncio

import pytest

import cred
from cred import Key, Password

from .alice import ALICE, HASH, UID, Shop, attached
from .helpers import application, log_in, run


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
        await authorizer.store.add_key("alice", Key("shop", "al"))
        await authorizer.recheck()
        assert attachment.is_live
        await authorizer.store.remove_key("alice", Key("shop", "alice"))
        await authorizer.recheck()
        assert not attachment.is_live
        again = await (await authorizer.get_identity("alice")).attach("shop", "al")
        await authorizer.store.set_disabled("alice", True)
        await authorizer.recheck()
        return again.is_live

    assert False is run(main())


def test_looking_costs_one_question_where_nothing_changed():
    """It is asked every second; ten thousand who are logged in must not be ten thousand questions."""

    class Counting(cred.MemoryStore):
        asked = ()

        async def get(self, name):
            self.asked = (*self.asked, "get")
            return await super().get(name)

        async def epochs(self, names):
            self.asked = (*self.asked, "epochs")
            return await super().epochs(names)

    async def main():
        store = Counting()
        await store.add(ALICE)
        authorizer, _, alice, _ = await attached(store)
        found = []
        for change in (
            None,
            store.add_key("alice", Key("shop", "x")),
            store.remove_key("alice", Key("shop", "x")),
            None,
        ):
            if change is not None:
                await change
            store.asked = ()
            await authorizer.recheck()
            found.append(store.asked)
        assert "alice" == alice.name
        return found

    assert [("epochs",), ("epochs",), ("epochs", "get"), ("epochs",)] == run(main())
