"""Attaching: who is let in to what, what attached() may do, and detached() once for each."""

from __future__ import annotations

import asyncio
import logging

import pytest

import cred
from cred import AttachRefused, NotPermitted, Perspective, Service

from .helpers import application, run


class Noting(Perspective):
    """Keeps a list of what happens."""

    def __init__(self, name, service):
        super().__init__(name, service)
        self.notes = []

    def attached(self, client, identity):
        self.notes.append(("attached", client, identity.name))
        return super().attached(client, identity)

    def detached(self, client, identity):
        self.notes.append(("detached", client, self.attach_count))


class Shop(Service):
    """A service of Noting perspectives, made on demand for some names."""

    perspective_class = Noting

    def get_perspective_named(self, name):
        if name == "nobody":
            raise cred.NoSuchPerspective(name)
        return self.perspective_class(name, self)


async def with_alice(perspective_class=Noting, keys=(("shop", "alice"), ("shop", "al"), ("shop", "nobody"))):
    """Return an authorizer with a shop, and alice."""
    authorizer = application()
    Shop("shop", authorizer).perspective_class = perspective_class
    return authorizer, await authorizer.add_identity("alice", keys=keys)


def test_it_is_attached_and_detached_once():
    """However often end() is called; and detached() sees who is left."""

    async def main():
        _, alice = await with_alice()
        attachment = await alice.attach("shop", "alice", "client")
        assert attachment.is_live
        assert 1 == attachment.perspective.attach_count
        for _ in range(3):
            attachment.end()
        assert not attachment.is_live
        return attachment.perspective.notes, repr(attachment)

    expected = [("attached", "client", "alice"), ("detached", "client", 0)]
    assert (expected, "<Attachment of 'alice' ended>") == run(main())


def test_two_clients_at_one_perspective_are_two_attachments():
    """They see each other, and each goes by itself."""

    async def main():
        _, alice = await with_alice()
        one, two = await asyncio.gather(alice.attach("shop", "al", 1), alice.attach("shop", "al", 2))
        assert one.perspective is two.perspective
        assert 2 == one.perspective.attach_count
        one.end()
        assert two.is_live
        two.end()
        return one.perspective.notes[2:]

    assert [("detached", 1, 1), ("detached", 2, 0)] == run(main())


def test_ones_own_name_is_attached_where_none_is_named():
    """alice, although al is first."""

    async def main():
        _, alice = await with_alice()
        return (await alice.attach("shop")).key

    assert ("shop", "alice") == run(main())


@pytest.mark.parametrize(
    ("service", "perspective", "reason"),
    [
        ("shop", "bob", "no such key"),
        ("chat", "alice", "no such key"),
        ("chat", None, "no such key"),
        ("gone", "alice", "service that is not here"),
        ("shop", "nobody", "perspective that is not there"),
        (None, None, "no string"),
        ("shop", 5, "no string"),
        ("shop", ["alice"], "no string"),
        (b"shop", "alice", "no string"),
        ("shop", "\0" * 10_000, "no such key"),
    ],
)
def test_what_is_not_ones_own_looks_like_what_is_not_there(service, perspective, reason):
    """One type and one text, whatever the reason: else names could be tried out."""

    async def main():
        _, alice = await with_alice(keys=[("shop", "alice"), ("gone", "alice"), ("shop", "nobody")])
        with pytest.raises(NotPermitted, match=r"^no such perspective, or no key for it$") as refused:
            await alice.attach(service, perspective)
        assert (NotPermitted.TEXT,) == refused.value.args
        return refused.value.reason

    assert reason in run(main())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda authorizer: authorizer.set_disabled("alice", True), "disabled"),
        (lambda authorizer: authorizer.remove_identity("alice"), "removed"),
    ],
)
def test_an_identity_that_is_void_attaches_nothing(change, reason):
    """The handle is still in somebody's hand."""

    async def main():
        authorizer, alice = await with_alice()
        await change(authorizer)
        with pytest.raises(NotPermitted) as refused:
            await alice.attach("shop")
        return refused.value.reason

    assert reason in run(main())


def test_attached_may_choose_another_perspective():
    """That one is given to the client, and is told when it goes."""

    class Moderated(Noting):
        def attached(self, client, identity):
            super().attached(client, identity)
            return other

    other = Noting("moderator", Service("elsewhere"))

    async def main():
        _, alice = await with_alice(Moderated)
        attachment = await alice.attach("shop", "alice", 1)
        attachment.end()
        return attachment.perspective

    assert other is run(main())
    assert [("detached", 1, 0)] == other.notes


@pytest.mark.parametrize("result", [None, "itself"])
def test_attached_may_be_async_and_forget_its_return(result):
    """None is itself."""

    class Async(Noting):
        async def attached(self, client, identity):
            await asyncio.sleep(0)
            self.notes.append("attached")
            return result and self

    async def main():
        _, alice = await with_alice(Async)
        return (await alice.attach("shop")).perspective.notes

    assert ["attached"] == run(main())


@pytest.mark.parametrize(
    ("error", "expected"),
    [(AttachRefused("that side is taken"), AttachRefused), (ValueError("bug"), ValueError)],
)
def test_attached_may_refuse(error, expected):
    """Its error reaches who attaches; detached() is not called, and nothing is left."""
    made = []

    class Refusing(Noting):
        def attached(self, client, identity):
            made.append(self)
            raise error

    async def main():
        authorizer, alice = await with_alice(Refusing)
        with pytest.raises(expected, match=str(error)):
            await alice.attach("shop")
        return authorizer._live.attachments("alice"), authorizer.services["shop"].attach_count("alice")

    assert ((), 0) == run(main())
    assert [] == made[0].notes


def test_attached_that_is_cancelled_leaves_nothing():
    """The connection was lost meanwhile."""
    made, entered = [], asyncio.Event()

    class Stuck(Noting):
        async def attached(self, client, identity):
            made.append(self)
            entered.set()
            await asyncio.Event().wait()

    async def main():
        authorizer, alice = await with_alice(Stuck)
        attaching = asyncio.ensure_future(alice.attach("shop"))
        await entered.wait()
        attaching.cancel()
        await asyncio.wait([attaching])
        return authorizer.services["shop"].attach_count("alice"), authorizer._live._openings

    assert (0, {}) == run(main())
    assert [] == made[0].notes


def test_attached_must_return_a_perspective():
    """A bug of the service, told to its author."""

    class Wrong(Noting):
        def attached(self, client, identity):
            return "alice"

    async def main():
        _, alice = await with_alice(Wrong)
        with pytest.raises(TypeError, match="returned a str"):
            await alice.attach("shop")

    run(main())


def test_what_detached_raises_is_logged_and_harms_nobody(caplog):
    """Whoever lost the connection could do nothing about it."""

    class Failing(Noting):
        def detached(self, client, identity):
            raise ZeroDivisionError

    async def main():
        authorizer, alice = await with_alice(Failing)
        (await alice.attach("shop")).end()
        return authorizer._live.attachments("alice")

    assert () == run(main())
    assert [("cred", logging.ERROR)] == [(record.name, record.levelno) for record in caplog.records]


def test_a_perspective_that_is_not_there_is_in_the_log(caplog):
    """The key is right, so somebody should look at the service."""
    caplog.set_level(logging.INFO, "cred")

    async def main():
        _, alice = await with_alice()
        with pytest.raises(NotPermitted):
            await alice.attach("shop", "nobody")

    run(main())
    assert "service 'shop' has no perspective for a key of 'alice'" in caplog.text


def test_several_services_over_one_identity():
    """One login, and as many services as there are keys."""

    async def main():
        authorizer = application()
        for name in ("shop", "chat"):
            Shop(name, authorizer)
        alice = await authorizer.add_identity("alice", keys=[("shop", "alice"), ("chat", "mod")])
        return [(await alice.attach(name)).perspective.perspective_name for name in ("shop", "chat")]

    assert ["alice", "mod"] == run(main())


def test_a_client_can_be_tied_to_its_perspective_before_it_attaches():
    """What `prepare` returns is what attached() and detached() get."""

    async def main():
        authorizer, alice = await with_alice()
        attachment = await authorizer.attach(
            alice, "shop", client="raw", prepare=lambda perspective: perspective.perspective_name
        )
        attachment.end()
        return attachment.client, attachment.perspective.notes

    assert ("alice", [("attached", "alice", "alice"), ("detached", "alice", 0)]) == run(main())


def test_a_client_that_cannot_be_tied_is_not_attached():
    """Nothing is left, as with an attached() that raises."""

    async def main():
        authorizer, alice = await with_alice()
        with pytest.raises(ZeroDivisionError):
            await authorizer.attach(alice, "shop", prepare=lambda perspective: 1 / 0)
        return authorizer.services["shop"].attach_count("alice")

    assert 0 == run(main())
