"""The public checks: that they find what is wrong, one wrong store and one wrong mechanism at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from zope.interface import implementer_only

import cred
from cred import IdentityRecord, Keyring, LoginFailed, Password, PasswordHash, ScramVerifier
from cred.password import ScramExchange
from cred.testing import Trial, check_credential, check_identity_store

from .helpers import ITERATIONS, LOCAL, run


class ForgetsEverything(cred.MemoryStore):
    async def add(self, record):
        pass


class ForgetsLabel(cred.MemoryStore):
    async def add_credential(self, name, credential):
        record = self._record(name)
        self._records[name] = replace(record, credentials=record.credentials | {credential})


class ForgetsToGrow(cred.MemoryStore):
    async def remove_key(self, name, key):
        record = self._record(name)
        await super().remove_key(name, key)
        self._records[name] = replace(self._records[name], epoch=record.epoch)


class GrowsWithoutReason(cred.MemoryStore):
    async def add_key(self, name, key):
        await super().add_key(name, key)
        self._records[name] = replace(self._records[name], epoch=self._next_epoch())


class BeginsEpochsAnew(cred.MemoryStore):
    async def add(self, record):
        await super().add(record)
        self._records[record.name] = replace(self._records[record.name], epoch=1)


class Overwrites(cred.MemoryStore):
    async def add(self, record):
        self._records.pop(record.name, None)
        await super().add(record)


class IgnoresWhatIsMissing(cred.MemoryStore):
    async def remove_key(self, name, key):
        try:
            await super().remove_key(name, key)
        except cred.NoSuchKey:
            pass


class LosesKeys(cred.MemoryStore):
    async def add_key(self, name, key):
        self._records[name] = replace(self._record(name), keys=Keyring([key]))


class KeepsKeysOfTheDead(cred.MemoryStore):
    def __init__(self):
        super().__init__()
        self.buried = {}

    async def remove(self, name):
        self.buried[name] = self._record(name).keys
        await super().remove(name)

    async def add(self, record):
        await super().add(replace(record, keys=Keyring(record.keys | self.buried.get(record.name, set()))))


class FindsByIdAlone(cred.MemoryStore):
    async def names_with(self, credential):
        return sorted(
            name for name, r in self._records.items() if credential.id in {one.id for one in r.credentials}
        )


class ChangesItsSecret(cred.MemoryStore):
    async def secret(self):
        return cred.MemoryStore()._secret


class CountsIdentities(cred.MemoryStore):
    async def iteration_counts(self):
        return {4_096: len(self._records)}


class SortsByLength(cred.MemoryStore):
    async def names(self):
        return sorted(self._records, key=len)


class KnowsEverybody(cred.MemoryStore):
    async def epochs(self, names):
        return dict.fromkeys(names, 1)


class Undeclared:
    """Has the methods and does not say which contract they keep."""

    def __init__(self):
        self._store = cred.MemoryStore()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._store, name)


WRONG = [
    ForgetsEverything,
    ForgetsLabel,
    ForgetsToGrow,
    GrowsWithoutReason,
    BeginsEpochsAnew,
    Overwrites,
    IgnoresWhatIsMissing,
    LosesKeys,
    KeepsKeysOfTheDead,
    FindsByIdAlone,
    ChangesItsSecret,
    CountsIdentities,
    SortsByLength,
    KnowsEverybody,
    Undeclared,
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.__name__)
def test_a_wrong_store_is_found(wrong):
    """Each breaks one line of the contract."""

    async def make_store():
        return wrong()

    with pytest.raises(AssertionError, match=r"expected|is not in the store"):
        run(check_identity_store(make_store))


def test_stores_that_do_not_share_are_found():
    """Two processes with a dict each."""

    async def make_store():
        return cred.MemoryStore()

    async def reopen(store):
        return cred.MemoryStore()

    with pytest.raises((AssertionError, cred.NoSuchIdentity)):
        run(check_identity_store(make_store, reopen))


TRIAL = Trial(
    ScramVerifier(),
    good=Password("alice", "secret"),
    bad=Password("alice", "wrong"),
    unknown=Password("nobody", "secret"),
    record=IdentityRecord.new("alice", PasswordHash.of("secret", iterations=ITERATIONS)),
    channel=LOCAL,
    other_channel=cred.Channel(bytes(32), unbound_ok=True),
)


class Wrong(ScramVerifier):
    """Makes exchanges of another class."""

    def __init__(self, exchange):
        super().__init__()
        self._exchange = exchange

    def begin(self, mechanism, channel, directory):
        self.channel = channel
        right = super().begin(mechanism, self.tied(channel), directory)
        return self._exchange(right._server, directory)

    def tied(self, channel):
        return channel


class TellsWhoExists(ScramExchange):
    async def receive(self, data):
        answer = await super().receive(data)
        if not self._began.epoch:
            raise LoginFailed("unknown")
        return answer


class TakesAnyProof(ScramExchange):
    async def receive(self, data):
        try:
            return await super().receive(data)
        except LoginFailed:
            record = await self._directory.record(self.user or "")
            if record is None:
                raise
            return b"v=" + b"A" * 43 + b"=", record


class Explains(ScramExchange):
    async def receive(self, data):
        try:
            return await super().receive(data)
        except LoginFailed as failed:
            failed.args = (failed.reason,)
            raise


class Stumbles(ScramExchange):
    async def receive(self, data):
        data.decode("ascii")
        return await super().receive(data)


class Untied(Wrong):
    """Does not look at what the HELLOs were."""

    def tied(self, channel):
        return cred.Channel(None, unbound_ok=True)


@pytest.mark.parametrize(
    "verifier",
    [*(Wrong(exchange) for exchange in (TellsWhoExists, TakesAnyProof, Explains, Stumbles))],
    ids=lambda verifier: verifier._exchange.__name__,
)
def test_a_wrong_mechanism_is_found(verifier):
    """Each breaks one promise."""
    assert None is run(check_credential(TRIAL))

    with pytest.raises((AssertionError, UnicodeDecodeError, cred.LoginFailed)):
        run(check_credential(replace(TRIAL, verifier=verifier)))


def test_a_login_that_is_not_tied_to_its_connection_is_found():
    """By a relay that passes every message on."""

    class Trusting(Password):
        def begin(self, offered, channel):
            return super().begin(offered, cred.Channel(None, unbound_ok=True))

    untied = replace(
        TRIAL, verifier=Untied(ScramExchange), good=Trusting("alice", "secret"), bad=None, unknown=None
    )
    with pytest.raises(AssertionError, match="relay"):
        run(check_credential(untied))


def test_a_fixed_nonce_is_found():
    """What was sent once logs in again."""
    fixed = ScramVerifier(make_nonce=lambda: "always the same".replace(" ", "-") + "!!!!")

    with pytest.raises(AssertionError, match="a replay"):
        run(check_credential(replace(TRIAL, verifier=fixed, other_channel=None)))


class ForgetsNames(cred.MemoryStore):
    async def remove_sturdy(self, hash):
        return True


@implementer_only(cred.IIdentityStore)
class KeepsNoNames(cred.MemoryStore):
    """One that never said it would."""


def test_names_are_checked_where_a_store_says_that_it_keeps_them():
    """It is a contract of its own: an identity store may leave it out."""

    async def forgets():
        return ForgetsNames()

    async def keeps_none():
        return KeepsNoNames()

    with pytest.raises(AssertionError, match="remove_sturdy"):
        run(check_identity_store(forgets))
    run(check_identity_store(keeps_none))
    with pytest.raises(cred.StoreError, match="a KeepsNoNames keeps no names"):
        cred.SturdyNames(KeepsNoNames(), "shop")
