"""The identities of an authorizer: adding, declaring, finding, changing and removing them."""

from __future__ import annotations

import asyncio
import logging

import pytest

import cred
from cred import Credential, IdentityRecord, Key, Password, PasswordHash

from .helpers import ITERATIONS, application, log_in, run

HASH = PasswordHash.of("secret", iterations=ITERATIONS)


def test_an_identity_is_added_with_all_it_has():
    """In one write: nobody sees it half."""

    async def main():
        alice = await application().add_identity(
            "alice", HASH, keys=[("shop", "alice")], credentials=[Credential.of_uid(1)]
        )
        return await alice.record()

    record = run(main())
    assert (HASH, False, {Credential.of_uid(1)}) == (
        record.password_hash,
        record.disabled,
        record.credentials,
    )
    assert [Key("shop", "alice")] == sorted(record.keys)


def test_a_name_that_is_taken_stays_whose_it_is():
    """Signing up as alice must not give alice's things, nor take them."""

    async def main():
        authorizer = application()
        await authorizer.add_identity("alice", "first")
        with pytest.raises(cred.IdentityExists):
            await authorizer.add_identity("al\u00adice", "second")
        return (await log_in(authorizer, Password("alice", "first"))).name

    assert "alice" == run(main())


@pytest.mark.parametrize(
    ("name", "password", "keys", "error"),
    [
        ("", "x", [], cred.BadName),
        ("a\u0221", "x", [], cred.BadName),
        ("alice", "", [], cred.BadPassword),
        ("alice", "\u0221", [], cred.BadPassword),
        ("alice", "x", [("", "")], cred.BadName),
    ],
)
@pytest.mark.parametrize("how", ["add", "declare"])
def test_what_cannot_be_kept_is_refused_at_once(how, name, password, keys, error):
    """A declaration too: later it would be everybody's error."""

    async def main():
        authorizer = application()
        with pytest.raises(error):
            if how == "add":
                await authorizer.add_identity(name, password, keys=keys)
            else:
                authorizer.declare_identity(name, password, keys=keys)
        return await authorizer.names()

    assert [] == run(main())


def test_a_declared_identity_is_written_before_the_store_is_asked():
    """Whatever is asked first."""

    async def main(ask):
        authorizer = application()
        authorizer.declare_identity("alice", "secret", keys=[("shop", "alice")])
        await ask(authorizer)
        return await authorizer.store.names()

    for ask in (
        lambda authorizer: authorizer.names(),
        lambda authorizer: authorizer.get_identity("alice"),
        lambda authorizer: authorizer.add_key("alice", Key("shop", "al")),
        lambda authorizer: authorizer.remove_key("alice", Key("shop", "alice")),
        lambda authorizer: authorizer.add_credential("alice", Credential.of_uid(1)),
        lambda authorizer: authorizer.set_disabled("alice", True),
        lambda authorizer: authorizer.set_disabled("alice", False),
        lambda authorizer: authorizer.set_password("alice", "x"),
        lambda authorizer: log_in(authorizer, Password("alice", "secret")),
    ):
        assert ["alice"] == run(main(ask))


def test_a_declaration_changes_nothing_that_is_in_the_store(caplog):
    """The program is started again; the guest has changed the password and lost a key since."""
    caplog.set_level(logging.DEBUG, "cred")

    async def main():
        store = cred.MemoryStore()
        for password in ("first", "second"):
            authorizer = application(store=store)
            authorizer.declare_identity("guest", password, keys=[("shop", password)])
            await authorizer.settle()
        return await (await log_in(authorizer, Password("guest", "first"))).keys()

    assert [Key("shop", "first")] == run(main())
    assert "its declaration changes nothing" in caplog.text


def test_two_declarations_of_one_name_are_refused():
    """One of them would be ignored, and nobody could say which."""
    authorizer = application()
    authorizer.declare_identity("guest")

    with pytest.raises(cred.IdentityExists, match="declared twice"):
        authorizer.declare_identity("guest")


def test_what_was_declared_and_removed_may_be_declared_again():
    """By a program that makes and removes its guests."""

    async def main():
        authorizer = application()
        for _ in range(2):
            authorizer.declare_identity("guest")
            await authorizer.remove_identity("guest")
        return await authorizer.names()

    assert [] == run(main())


def test_two_processes_may_declare_the_same_at_the_same_time():
    """Both were started from one file."""

    class Late(cred.MemoryStore):
        async def get(self, name):
            found = await super().get(name)
            await asyncio.sleep(0)
            return found

    async def main():
        store = Late()
        authorizers = [application(store=store) for _ in range(2)]
        for authorizer in authorizers:
            authorizer.declare_identity("guest", HASH)
        return await asyncio.gather(*(authorizer.names() for authorizer in authorizers))

    assert [["guest"], ["guest"]] == run(main())


def test_a_declaration_is_written_once_however_many_ask():
    """The hash takes 0.24 s; the second who asks waits for the first."""
    hashed = []

    async def in_thread(work):
        hashed.append(1)
        await asyncio.sleep(0)
        return work()

    async def main():
        authorizer = application(in_thread=in_thread)
        authorizer.declare_identity("alice", "x")
        authorizer.declare_identity("bob", "x")
        await asyncio.gather(*(authorizer.settle() for _ in range(4)))
        return await authorizer.names(), len(hashed)

    assert (["alice", "bob"], 2) == run(main())


def test_a_declaration_waits_for_a_store_that_is_out_of_reach():
    """The next who asks writes it."""

    class Broken(cred.MemoryStore):
        is_broken = True

        async def add(self, record):
            if self.is_broken:
                raise cred.StoreError("no disk")
            await super().add(record)

    async def main():
        authorizer = application(store=Broken())
        authorizer.declare_identity("alice")
        with pytest.raises(cred.StoreError):
            await authorizer.names()
        authorizer.store.is_broken = False
        return await authorizer.names()

    assert ["alice"] == run(main())


@pytest.mark.parametrize("name", ["bob", "", "x" * 300, "a\0", "\ud800"])
@pytest.mark.parametrize(
    "use",
    [
        lambda authorizer, name: authorizer.get_identity(name),
        lambda authorizer, name: authorizer.get_record(name),
        lambda authorizer, name: authorizer.remove_identity(name),
        lambda authorizer, name: authorizer.set_disabled(name, False),
        lambda authorizer, name: authorizer.set_disabled(name, True),
        lambda authorizer, name: authorizer.set_password(name, None),
        lambda authorizer, name: authorizer.add_key(name, Key("a", "b")),
        lambda authorizer, name: authorizer.add_credential(name, Credential.of_uid(1)),
    ],
)
def test_who_is_not_there_is_one_error(use, name):
    """Also where it could not be anybody's name."""
    with pytest.raises(cred.NoSuchIdentity):
        run(use(application(), name))


def test_a_name_is_found_in_every_spelling():
    """What was written prepared is asked for prepared."""

    async def main():
        authorizer = application()
        await authorizer.add_identity("\u00e9va")
        return (await authorizer.get_identity("e\u0301va")).name

    assert "\u00e9va" == run(main())


def test_a_handle_does_everything_by_asking_the_store():
    """Two handles on one identity agree."""

    async def main():
        authorizer = application()
        alice = await authorizer.add_identity("alice")
        other = await authorizer.get_identity("alice")
        await alice.add_key("shop", "b")
        await alice.add_key("shop", "a")
        assert [Key("shop", "a"), Key("shop", "b")] == await other.keys()
        await other.remove_key("shop", "b")
        assert [Key("shop", "a")] == await alice.keys()
        await alice.add_credential(Credential.of_uid(1))
        await other.remove_credential(Credential.of_uid(1))
        await alice.disable()
        assert (await other.record()).disabled
        await alice.enable()
        await alice.set_password("secret")
        return await other.record()

    record = run(main())
    assert (False, frozenset(), ITERATIONS) == (
        record.disabled,
        record.credentials,
        record.password_hash.iterations,
    )


def test_a_password_that_is_none_is_refused_before_it_is_hashed():
    """And nobody is logged out for it."""

    async def main():
        authorizer = application()
        alice = await authorizer.add_identity("alice", HASH)
        told = []
        authorizer.subscribe(told.append)
        with pytest.raises(cred.BadPassword):
            await alice.set_password("")
        return told, (await alice.record()).password_hash

    assert ([], HASH) == run(main())


@pytest.mark.parametrize(
    ("later", "continues"),
    [
        ({}, True),
        ({"keys": cred.Keyring()}, True),
        ({"epoch": 99}, True),
        ({"credentials": frozenset([Credential.of_uid(1), Credential.of_uid(2)])}, True),
        ({"credentials": frozenset()}, False),
        ({"password_hash": None}, False),
        ({"disabled": True}, False),
    ],
)
def test_what_makes_a_login_void(later, continues):
    """Granting does not, nor does a key: that cuts what is attached with it."""
    parts = {"password_hash": HASH, "credentials": frozenset([Credential.of_uid(1)])}
    earlier = IdentityRecord("alice", keys=cred.Keyring([Key("shop", "alice")]), **parts)

    assert continues is IdentityRecord("alice", **{**parts, **later}).continues(earlier)


def test_a_declared_name_is_taken():
    """Nobody can sign up as the guest before the guest was written."""

    async def main():
        authorizer = application()
        authorizer.declare_identity("guest", HASH)
        with pytest.raises(cred.IdentityExists):
            await authorizer.add_identity("guest", "mine")

    run(main())
