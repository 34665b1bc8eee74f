"""Login: one try, in turn and in time; whatever goes wrong ends it and looks the same."""

from __future__ import annotations

import asyncio
import itertools
import logging

import pytest
from zope.interface import implementer

import cred
from cred import Channel, Password
from cred.login import LOGIN_S

from .helpers import HELLO, ITERATIONS, LOCAL, Clock, application, log_in, run


async def with_alice(**options):
    """Return an authorizer that knows alice."""
    authorizer = application(**options)
    await authorizer.add_identity("alice", "secret", keys=[("shop", "alice")])
    return authorizer


def begin(authorizer, password="secret", user="alice"):
    """Return both sides of a login."""
    prover = Password(user, password).begin(["SCRAM-SHA-256"], LOCAL)
    return prover, authorizer.begin_login("SCRAM-SHA-256", LOCAL)


def test_it_ends_with_an_identity_and_the_proof_of_the_server():
    """Until then there is none."""

    async def main():
        prover, login = begin(await with_alice())
        assert None is login.user
        step = await login.receive(prover.start())
        assert (None, "alice") == (step.identity, login.user)
        step = await login.receive(prover.respond(step.data))
        prover.finish(step.data)
        return step.identity

    identity = run(main())
    assert "alice" == identity.name
    assert "<Identity 'alice'>" == repr(identity)


def test_every_refusal_has_one_text_and_the_log_has_the_reason(caplog):
    """What a stranger learns is that it failed."""
    caplog.set_level(logging.INFO, "cred")

    async def main():
        authorizer = await with_alice()
        await authorizer.add_identity("off", "secret")
        await authorizer.set_disabled("off", True)
        texts = set()
        for user, password in (("alice", "wrong"), ("nobody", "secret"), ("off", "secret")):
            with pytest.raises(cred.LoginFailed) as refused:
                await log_in(authorizer, Password(user, password))
            texts.add((str(refused.value), repr(refused.value), refused.value.args))
        with pytest.raises(cred.LoginFailed) as refused:
            await authorizer.begin_login("SCRAM-SHA-256", LOCAL).receive(b"\xff")
        return texts | {(str(refused.value), repr(refused.value), refused.value.args)}

    assert {("login failed", "LoginFailed('login failed')", ("login failed",))} == run(main())
    lines = [record.getMessage() for record in caplog.records]
    assert "login refused: SCRAM-SHA-256 as 'alice': wrong password" in lines
    assert 2 == len([line for line in lines if line.endswith("unknown, disabled or without a password")])
    assert lines[-1].startswith("login refused: SCRAM-SHA-256 as nobody yet: ")


def test_a_name_cannot_forge_a_line_of_the_log(caplog):
    """It comes from a stranger; escapes and right-to-left marks would rewrite what is read."""
    caplog.set_level(logging.INFO, "cred")

    async def main():
        with pytest.raises(cred.LoginFailed):
            await log_in(await with_alice(), Password("\u05d0\u05d1", "x"))

    run(main())
    assert "as '\\u05d0\\u05d1':" in caplog.records[-1].getMessage()


def test_messages_in_any_other_order_lead_nowhere():
    """All orders of up to four of the right messages: one logs in."""

    async def outcome(authorizer, order):
        prover, login = begin(authorizer)
        first = prover.start()
        messages = {"first": lambda data: first, "final": prover.respond, "junk": lambda data: b"junk"}
        data, identity = b"", None
        for name in order:
            try:
                step = await login.receive(messages[name](data))
            except (cred.LoginFailed, cred.UntrustedServer):
                return identity is not None
            data, identity = step.data, step.identity
        return identity is not None

    async def main():
        authorizer = await with_alice()
        orders = [
            order
            for length in (1, 2, 3)
            for order in itertools.product(("first", "final", "junk"), repeat=length)
        ]
        return {order for order in orders if await outcome(authorizer, order)}

    found = run(main())
    assert ("first", "final") in found
    assert {("first", "final")} == {order[:2] for order in found}


def test_it_is_over_after_a_refusal():
    """The challenge was good for one answer."""

    async def main():
        prover, login = begin(await with_alice())
        step = await login.receive(prover.start())
        right = prover.respond(step.data)
        with pytest.raises(cred.LoginFailed):
            await login.receive(right[:-8] + b"AAAAAAA=")
        with pytest.raises(cred.LoginFailed) as refused:
            await login.receive(right)
        return refused.value.reason

    assert "out of turn" in run(main())


def test_two_messages_at_once_are_one_too_many():
    """The second would be read in a state that the first is about to leave."""

    class Slow(cred.MemoryStore):
        async def get_password(self, name):
            await asyncio.sleep(0)
            return await super().get_password(name)

    async def main():
        prover, login = begin(await with_alice(store=Slow()))
        outcomes = await asyncio.gather(
            login.receive(prover.start()), login.receive(prover.start()), return_exceptions=True
        )
        return [type(outcome) for outcome in outcomes]

    assert [cred.Step, cred.LoginFailed] == run(main())


@pytest.mark.parametrize(("waited_s", "succeeds"), [(LOGIN_S, True), (LOGIN_S + 0.1, False)])
def test_a_challenge_is_good_for_half_a_minute(waited_s, succeeds):
    """The clock is an argument."""

    async def main():
        clock = Clock()
        prover, login = begin(await with_alice(clock=clock))
        step = await login.receive(prover.start())
        clock.now += waited_s
        try:
            return (await login.receive(prover.respond(step.data))).identity is not None
        except cred.LoginFailed as failed:
            assert "30 s" in failed.reason
            return False

    assert succeeds is run(main())


@pytest.mark.parametrize(
    "change",
    [
        lambda alice: alice.disable(),
        lambda alice: alice.set_password("other"),
        lambda alice: alice.remove_credential(cred.Credential.of_uid(1)),
        lambda alice: alice.authorizer.remove_identity("alice"),
    ],
    ids=["disabled", "password", "credential", "removed"],
)
def test_what_changes_during_a_login_counts(change):
    """The challenge was made before, the right is gone now."""

    async def main():
        authorizer = await with_alice()
        alice = await authorizer.get_identity("alice")
        await alice.add_credential(cred.Credential.of_uid(1))
        prover, login = begin(authorizer)
        step = await login.receive(prover.start())
        await change(alice)
        with pytest.raises(cred.LoginFailed) as refused:
            await login.receive(prover.respond(step.data))
        return refused.value.reason

    assert "changed while" in run(main())


def test_a_store_out_of_reach_is_no_refusal():
    """Whoever logs in should try again later, not another password."""

    class Broken(cred.MemoryStore):
        async def get_password(self, name):
            raise cred.StoreError("no disk")

    async def main():
        prover, login = begin(application(store=Broken()))
        with pytest.raises(cred.StoreError):
            await login.receive(prover.start())

    run(main())


def test_a_channel_without_hello_hash_is_a_mistake_of_this_side():
    """Going on would let downgrades pass unseen."""
    with pytest.raises(ValueError, match="hello_hash"):
        application().begin_login("SCRAM-SHA-256", Channel(None))


@pytest.mark.parametrize(
    "mechanism", ["PLAIN", "", "scram-sha-256", "SCRAM-SHA-256-PLUS", "ED25519\0", "x" * 10_000]
)
def test_a_mechanism_that_is_not_offered_is_refused(mechanism, caplog):
    """-PLUS too, on a channel without binding. What was asked for is not in the log: it is a stranger's."""
    caplog.set_level(logging.INFO, "cred")
    with pytest.raises(cred.LoginFailed, match=r"^login failed$"):
        application().begin_login(mechanism, Channel(HELLO))

    assert ["login refused: a mechanism that is not offered here"] == [
        record.getMessage() for record in caplog.records
    ]


def test_where_nothing_waits_it_is_done_at_once():
    """A task for each step would cost a server as much as what is done in it."""

    async def main():
        return await with_alice()

    prover, login = begin(run(main()))
    assert login.never_waits
    step = login.receive_at_once(prover.start())
    step = login.receive_at_once(prover.respond(step.data))
    prover.finish(step.data)
    assert "alice" == step.identity.name
    with pytest.raises(cred.LoginFailed):
        login.receive_at_once(b"once more")


class Waits(cred.MemoryStore):
    """What is derived from a store that never waits may."""

    async def get_password(self, name):
        await asyncio.sleep(0)
        return await super().get_password(name)


def test_a_store_that_may_wait_is_not_taken_for_one_that_never_does():
    """Its coroutines may need the task they run in."""

    async def main():
        authorizer = await with_alice(store=Waits())
        _, login = begin(authorizer)
        assert not login.never_waits
        return (await log_in(authorizer, Password("alice", "secret"))).name

    assert "alice" == run(main())


class Wrapped:
    """Hands on to another whatever it does not do itself, and that it never waits is said by the other."""

    def __init__(self, other):
        self._other = other

    def __getattr__(self, name):
        return getattr(self._other, name)


@implementer(cred.IIdentityStore)
class WaitingStore(Wrapped):
    """Waits before it asks the store in it, as a cache or a counter may."""

    async def get_password(self, name):
        await asyncio.sleep(0)
        return await self._other.get_password(name)


@implementer(cred.IExchange)
class WaitingExchange(Wrapped):
    """Waits before it passes a message on."""

    async def receive(self, data):
        await asyncio.sleep(0)
        return await self._other.receive(data)


@implementer(cred.IVerifier)
class WaitingVerifier(Wrapped):
    """Begins such exchanges."""

    def begin(self, *args):
        return WaitingExchange(self._other.begin(*args))


class WaitingAuthorizer(cred.Authorizer):
    """Asks somebody else too whether who has proven to be there may come in."""

    async def admit_login(self, proven):
        await asyncio.sleep(0)
        return await super().admit_login(proven)


@pytest.mark.parametrize(
    "make",
    [
        lambda: application(store=WaitingStore(cred.MemoryStore())),
        lambda: application(verifiers=[WaitingVerifier(cred.ScramVerifier())]),
        lambda: WaitingAuthorizer(iterations=ITERATIONS),
    ],
    ids=["a store", "an exchange", "an authorizer"],
)
def test_what_does_more_around_something_that_never_waits_may_wait(make):
    """It has not said itself that it never does."""

    async def main():
        authorizer = make()
        await authorizer.add_identity("alice", "secret")
        _, login = begin(authorizer)
        assert not login.never_waits
        return (await log_in(authorizer, Password("alice", "secret"))).name

    assert "alice" == run(main())


def test_what_was_declared_is_waited_for():
    """It is hashed first, in a thread."""
    authorizer = application()
    authorizer.declare_identity("alice", "secret")
    _, login = begin(authorizer)
    assert not login.never_waits

    run(authorizer.settle())
    assert login.never_waits


def test_a_store_that_waits_and_said_that_it_never_does_ends_the_login():
    """It is a mistake of this side, and no reason to go on in the middle."""

    async def main():
        store = Waits()
        store.never_waits = True
        return await with_alice(store=store)

    prover, login = begin(run(main()))
    with pytest.raises(RuntimeError, match="never_waits"):
        login.receive_at_once(prover.start())
    with pytest.raises(cred.LoginFailed):
        login.receive_at_once(prover.start())
