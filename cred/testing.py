"""What an identity store and a way to log in must do, as functions to call from tests.

Each raises AssertionError with what was expected, and needs no test library. They are coroutine functions:
`asyncio.run(check_identity_store(make_store))`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ._types import Credentials, IdentityStore, Prover, Verifier
from .authorizer import Authorizer
from .channel import Channel
from .credential import Credential
from .errors import (
    CredError,
    IdentityExists,
    LoginFailed,
    NoSuchCredential,
    NoSuchIdentity,
    NoSuchKey,
    UntrustedServer,
)
from .identity import IdentityRecord, PasswordRecord
from .interfaces import IIdentityStore, INameStore
from .keyring import Key
from .passwords import PasswordHash
from .stores.memory import MemoryStore
from .sturdy import SturdyRecord

MakeStore = Callable[[], Awaitable[IdentityStore]]
Change = Callable[[], Awaitable[None]]
Reopen = Callable[[IdentityStore], Awaitable[IdentityStore]]

HASH = PasswordHash(4_096, b"salt of a hash..", bytes(32), bytes(range(32)))
OTHER_HASH = PasswordHash(15_000, b"another salt....", bytes(32), bytes(32))
LAPTOP = Credential("ed25519", "00" * 32, "laptop")
UID = Credential.of_uid(1000)
# Not ASCII, not in the order a collation would give, and with what SQL and patterns treat specially.
NAMES = ["Zoe", "a%b_c", "alice", "bob'; --", "éa", "юля"]


async def check_identity_store(make_store: MakeStore, reopen: Reopen | None = None) -> None:
    """Check that a store keeps the contract of IIdentityStore, and that of INameStore if it provides it.

    Args:
        make_store: a coroutine function that returns a new, empty store each time.
        reopen: one that returns another store object over the same data, as another process would have. None
            for a store whose data live in the object.
    """
    for check in (_keeps, _refuses, _takes_away, _finds, _counts, _keeps_names):
        store = await make_store()
        _expect(True, IIdentityStore.providedBy(store), "the class says @implementer(IIdentityStore)")
        try:
            await check(store)
        finally:
            await store.close()
            await store.close()
    for concurrent in (_loses_nothing, _adds_once):
        store = await make_store()
        stores = [store] if reopen is None else [store, await reopen(store)]
        try:
            await concurrent(stores)
        finally:
            for one in stores:
                await one.close()


async def _keeps(store: IdentityStore) -> None:
    """What is written is what is read."""
    _expect(None, await store.get("alice"), "get() of nobody")
    _expect(PasswordRecord(), await store.get_password("alice"), "get_password() of nobody")
    record = IdentityRecord.new(
        "alice", HASH, keys=[("shop", "alice"), ("é", "☃")], credentials=[LAPTOP, UID]
    )
    await store.add(record)
    found = await _record(store, "alice")
    _expect(record, replace(found, epoch=0), "get() after add()")
    _expect({"laptop", ""}, {one.label for one in found.credentials}, "the labels of credentials")
    await store.add(IdentityRecord.new("off", disabled=True))
    _expect(True, (await _record(store, "off")).disabled, "disabled of one added so")
    for name in NAMES:
        if name != "alice":
            await store.add(IdentityRecord.new(name))
    _expect(sorted([*NAMES, "off"]), await store.names(), "names(), sorted by code point")
    await store.set_password_hash("alice", OTHER_HASH)
    _expect(OTHER_HASH, (await _record(store, "alice")).password_hash, "the new hash")
    await store.set_password_hash("alice", None)
    _expect(None, (await _record(store, "alice")).password_hash, "a hash that was taken away")
    for disabled in (True, True, False):
        await store.set_disabled("alice", disabled)
        _expect(disabled, (await _record(store, "alice")).disabled, "disabled")
    for _ in range(2):
        await store.add_key("alice", Key("shop", "bob"))
        await store.add_credential("alice", Credential(LAPTOP.kind, LAPTOP.id, "desk"))
    found = await _record(store, "alice")
    _expect(record.keys | {Key("shop", "bob")}, found.keys, "keys after add_key() twice")
    _expect({"desk", ""}, {one.label for one in found.credentials}, "the new label of a credential")
    await store.remove("alice")
    _expect(None, await store.get("alice"), "get() after remove()")
    _expect(PasswordRecord(), await store.get_password("alice"), "get_password() after remove()")
    await store.add(IdentityRecord.new("alice"))
    _expect(
        IdentityRecord("alice"), replace(await _record(store, "alice"), epoch=0), "made anew: it has nothing"
    )


async def _refuses(store: IdentityStore) -> None:
    """What cannot be done says so, and changes nothing."""
    await store.add(IdentityRecord.new("alice", HASH, keys=[("shop", "alice")], credentials=[UID]))
    before = await store.get("alice")
    refusals: list[tuple[type[CredError], Change]] = [
        (IdentityExists, lambda: store.add(IdentityRecord.new("alice", keys=[("shop", "mallory")]))),
        (NoSuchKey, lambda: store.remove_key("alice", Key("shop", "bob"))),
        (NoSuchCredential, lambda: store.remove_credential("alice", LAPTOP)),
        (NoSuchIdentity, lambda: store.remove("bob")),
        (NoSuchIdentity, lambda: store.set_password_hash("bob", HASH)),
        (NoSuchIdentity, lambda: store.set_disabled("bob", True)),
        (NoSuchIdentity, lambda: store.set_disabled("bob", False)),
        (NoSuchIdentity, lambda: store.add_key("bob", Key("shop", "bob"))),
        (NoSuchIdentity, lambda: store.remove_key("bob", Key("shop", "bob"))),
        (NoSuchIdentity, lambda: store.add_credential("bob", UID)),
        (NoSuchIdentity, lambda: store.remove_credential("bob", UID)),
    ]
    for error, refused in refusals:
        await _expect_error(error, refused())
    _expect(before, await store.get("alice"), "alice, after everything was refused")
    _expect(["alice"], await store.names(), "names(), after everything was refused")


async def _takes_away(store: IdentityStore) -> None:
    """The epoch grows when a right is taken away, and only then."""
    await store.add(
        IdentityRecord.new("alice", HASH, keys=[("shop", "alice"), ("chat", "al")], credentials=[UID])
    )
    await store.add(IdentityRecord.new("bob"))
    epochs = await store.epochs(["alice", "bob", "nobody"])
    _expect({"alice", "bob"}, set(epochs), "epochs() of two who are there")
    epoch = epochs["alice"]
    changes: list[tuple[bool, Change]] = [
        (True, lambda: store.remove_key("alice", Key("chat", "al"))),
        (False, lambda: store.add_key("alice", Key("chat", "al"))),
        (True, lambda: store.set_password_hash("alice", OTHER_HASH)),
        (True, lambda: store.remove_credential("alice", UID)),
        (False, lambda: store.add_credential("alice", UID)),
        (True, lambda: store.set_disabled("alice", True)),
        (False, lambda: store.set_disabled("alice", False)),
    ]
    for growing, change in changes:
        await change()
        now = (await _record(store, "alice")).epoch
        _expect(growing, now > epoch, "whether the epoch grew")
        epoch = now
    _expect({"bob": epochs["bob"]}, await store.epochs(["bob"]), "the epoch of somebody else")
    await store.remove("alice")
    await store.add(IdentityRecord.new("alice", HASH))
    _expect(
        True, (await _record(store, "alice")).epoch > epoch, "whether an identity made anew has a new epoch"
    )
    many = [f"user-{number}" for number in range(1_100)]
    _expect({}, await store.epochs(many), "epochs() of many who are not there")


async def _finds(store: IdentityStore) -> None:
    """A credential leads to those who list it, by kind and id."""
    await store.add(IdentityRecord.new("bob", credentials=[UID]))
    await store.add(IdentityRecord.new("alice", credentials=[Credential(UID.kind, UID.id, "work"), LAPTOP]))
    _expect(["alice", "bob"], await store.names_with(UID), "names_with() of a credential of two")
    _expect([], await store.names_with(Credential("other", UID.id)), "names_with() of another kind")
    _expect([], await store.names_with(Credential(UID.kind, "100")), "names_with() of a part of an id")


async def _counts(store: IdentityStore) -> None:
    """The secret stays, and the hashes are counted by their iterations."""
    secret = await store.secret()
    _expect(32, len(secret), "bytes of the secret")
    _expect(secret, await store.secret(), "the secret, asked for again")
    _expect({}, dict(await store.iteration_counts()), "iteration_counts() of an empty store")
    for name, hash in (("a", HASH), ("b", HASH), ("c", OTHER_HASH), ("d", None)):
        await store.add(IdentityRecord.new(name, hash))
    _expect({4_096: 2, 15_000: 1}, dict(await store.iteration_counts()), "iteration_counts()")


async def _keeps_names(store: IdentityStore) -> None:
    """Hashes of names are kept, listed and forgotten, and do not pile up once they have expired."""
    names: Any = store
    if not INameStore.providedBy(store):
        return
    old = SturdyRecord("0f" * 32, "shop", "order", "bob'; --", 100, 200)
    last = SturdyRecord("a0" * 32, "shop", "order", "юля", 300)
    await names.add_sturdy(last, 0)
    await names.add_sturdy(old, 0)
    _expect([old, last], await names.list_sturdy(), "list_sturdy(), oldest first")
    _expect(old, await names.get_sturdy(old.hash), "get_sturdy()")
    _expect(None, await names.get_sturdy(old.hash.upper()), "get_sturdy() of another hash")
    more = SturdyRecord("b0" * 32, "forum", "", "", 400, 500)
    await names.add_sturdy(more, 200)
    _expect(old, await names.get_sturdy(old.hash), "one that expired just then")
    await names.add_sturdy(SturdyRecord("c0" * 32, "shop", "order", "4", 400), 201)
    _expect(None, await names.get_sturdy(old.hash), "one that expired before")
    several = [f"{number:064x}" for number in range(1000)]
    _expect(set(), await names.kept_sturdy([]), "kept_sturdy() of nothing")
    kept = await names.kept_sturdy([*several, old.hash, last.hash, more.hash])
    _expect({last.hash, more.hash}, kept, "kept_sturdy()")
    _expect(True, await names.remove_sturdy(last.hash), "remove_sturdy()")
    _expect(False, await names.remove_sturdy(last.hash), "remove_sturdy() once more")
    left = [one.hash for one in await names.list_sturdy()]
    _expect([more.hash, "c0" * 32], left, "list_sturdy() of what is left")


async def _loses_nothing(stores: Sequence[IdentityStore]) -> None:
    """Keys granted at the same time are all there, whoever granted them."""
    await stores[0].add(IdentityRecord.new("alice", keys=[("old", str(number)) for number in range(10)]))
    await asyncio.gather(
        *(
            store.add_key("alice", Key(f"service {at}", str(number)))
            for at, store in enumerate(stores)
            for number in range(10)
        ),
        *(stores[-1].remove_key("alice", Key("old", str(number))) for number in range(10)),
    )
    expected = {Key(f"service {at}", str(number)) for at in range(len(stores)) for number in range(10)}
    for store in stores:
        _expect(expected, set((await _record(store, "alice")).keys), "keys granted and removed at once")
    secrets = {await store.secret() for store in stores}
    _expect(1, len(secrets), "secrets of one store")


async def _adds_once(stores: Sequence[IdentityStore]) -> None:
    """A name belongs to the first who asked for it."""
    adding = [
        store.add(IdentityRecord.new("alice", keys=[("shop", str(number))]))
        for number, store in enumerate([*stores, *stores])
    ]
    outcomes = await asyncio.gather(*adding, return_exceptions=True)
    _expect(1, outcomes.count(None), "successful ones of several add() at once")
    refused = {type(outcome) for outcome in outcomes if outcome is not None}
    _expect({IdentityExists}, refused, "what the others got")
    _expect(1, len((await _record(stores[0], "alice")).keys), "keys of the one that was added")


@dataclass(frozen=True)
class Trial:
    """What `check_credential` tries a way to log in with.

    Args:
        verifier: the server's side.
        good: credentials that prove `record`.
        bad: credentials that claim the same name, or none, and prove nothing.
        unknown: credentials that claim a name that is not in the store. None where no name is claimed.
        record: the identity that `good` proves, not disabled.
        channel: what both ends see; `other_channel` is another connection, which a relay would join to it.
            None where nothing ties a login to its connection.
        is_replayable: True where the client says nothing secret and the transport has proven everything.
        others: further identities for the store.
    """

    verifier: Verifier
    good: Credentials
    bad: Credentials | None
    unknown: Credentials | None
    record: IdentityRecord
    channel: Channel
    other_channel: Channel | None = None
    is_replayable: bool = False
    others: Iterable[IdentityRecord] = field(default_factory=tuple)


async def check_credential(trial: Trial) -> None:
    """Check that a way to log in accepts, refuses, takes no replay and tells nothing about who exists."""
    sizes, sent = await _log_in(trial, trial.good)
    disabled = replace(trial, record=replace(trial.record, disabled=True))
    for what, claims, under in (
        ("wrong credentials", trial.bad, trial),
        ("an unknown name", trial.unknown, trial),
        ("a disabled identity", trial.good, disabled),
    ):
        if claims is not None:
            refused = await _is_refused(under, claims, what)
            # All but the last answer, which the good one alone gets.
            _expect([len(sizes) - 1, sizes[:-1]], [len(refused), refused], f"steps and bytes for {what}")
    await _is_refused_in_pieces(trial, sent)
    if not trial.is_replayable:
        await _is_refused_again(trial, trial.channel, sent, "a replay")
    if trial.other_channel is not None:
        await _is_relayed_in_vain(trial, trial.other_channel)


async def _authorizer(trial: Trial) -> Authorizer:
    store = MemoryStore()
    for record in (trial.record, *trial.others):
        await store.add(record)
    return Authorizer(store, verifiers=[trial.verifier])


async def _log_in(trial: Trial, credentials: Credentials) -> tuple[list[int], list[bytes]]:
    """Log in, and return the sizes of what the server sent and what the client sent."""
    authorizer = await _authorizer(trial)
    prover = credentials.begin(authorizer.mechanisms(trial.channel), trial.channel)
    login = authorizer.begin_login(prover.mechanism, trial.channel)
    sent, sizes = [prover.start()], []
    step = await login.receive(sent[-1])
    while step.identity is None:
        sizes.append(len(step.data))
        sent.append(prover.respond(step.data))
        step = await login.receive(sent[-1])
    sizes.append(len(step.data))
    prover.finish(step.data)
    _expect(trial.record.name, step.identity.name, "who it is")
    await _expect_error(LoginFailed, login.receive(sent[-1]))
    return sizes, sent


async def _is_refused(trial: Trial, credentials: Credentials, what: str) -> list[int]:
    """Fail to log in, and return the sizes of what the server sent."""
    authorizer = await _authorizer(trial)
    prover = credentials.begin(authorizer.mechanisms(trial.channel), trial.channel)
    login = authorizer.begin_login(prover.mechanism, trial.channel)
    sizes: list[int] = []
    try:
        step = await login.receive(prover.start())
        while step.identity is None:
            sizes.append(len(step.data))
            step = await login.receive(prover.respond(step.data))
    except LoginFailed as failed:
        _expect(LoginFailed.TEXT, str(failed), f"the text for {what}")
        _expect((LoginFailed.TEXT,), failed.args, f"the arguments of the error for {what}")
        return sizes
    raise AssertionError(f"{what} logged in")


async def _is_refused_in_pieces(trial: Trial, sent: Sequence[bytes]) -> None:
    """Whatever a stranger sends is a LoginFailed: never another error, and never a login."""
    authorizer = await _authorizer(trial)
    mechanism = trial.good.begin(authorizer.mechanisms(trial.channel), trial.channel).mechanism
    garbage = [b"\0", b"\xff" * 9, b"=" * 40, b",,,,", b"x" * 100_000, b"n,,n=\xc3\x28,r=" + b"x" * 24]
    for message in [*garbage, *(first[:size] for first in sent[:1] for size in range(len(first)))]:
        login = authorizer.begin_login(mechanism, trial.channel)
        try:
            step = await login.receive(message)
            if step.identity is None:
                await login.receive(b"\0" + message)
        except LoginFailed:
            continue
        _expect(True, trial.is_replayable, f"refusal of {len(message)} bytes of garbage")


async def _is_refused_again(trial: Trial, channel: Channel, sent: Sequence[bytes], what: str) -> None:
    """What was sent once does not log in a second time."""
    authorizer = await _authorizer(trial)
    mechanism = trial.good.begin(authorizer.mechanisms(trial.channel), trial.channel).mechanism
    login = authorizer.begin_login(mechanism, channel)
    for message in sent[:-1]:
        await login.receive(message)
    await _expect_error(LoginFailed, login.receive(sent[-1]), what)


async def _is_relayed_in_vain(trial: Trial, other: Channel) -> None:
    """Somebody in between passes every message on: either side notices, and the server lets nobody in."""
    authorizer = await _authorizer(trial)
    prover: Prover = trial.good.begin(authorizer.mechanisms(trial.channel), trial.channel)
    login = authorizer.begin_login(prover.mechanism, other)
    try:
        step = await login.receive(prover.start())
        while step.identity is None:
            step = await login.receive(prover.respond(step.data))
    except (LoginFailed, UntrustedServer):
        return
    raise AssertionError("a relay between two connections logged in")


async def _record(store: IdentityStore, name: str) -> IdentityRecord:
    record = await store.get(name)
    if record is None:
        raise AssertionError(f"{name!r} is not in the store")
    brief = PasswordRecord(record.password_hash, record.disabled, record.epoch)
    _expect(brief, await store.get_password(name), "get_password(), beside get()")
    return record


async def _expect_error(error: type[CredError], awaitable: Awaitable[object], what: str = "the call") -> None:
    try:
        await awaitable
    except error:
        return
    raise AssertionError(f"{what}: expected {error.__name__}, nothing was raised")


def _expect(expected: object, actual: object, what: str) -> None:
    if expected != actual:
        raise AssertionError(f"{what}: expected {expected!r}, found {actual!r}")
