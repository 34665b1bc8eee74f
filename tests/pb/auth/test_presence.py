"""Who is there: hooks are told of each login and attachment once, and of its end once; the audit log too."""

from __future__ import annotations

import collections
import gc

import pytest

import pb
from pb.aio.lasting import call_now
from pb.testing import run

from .doors import PASSWORD
from .rooms import House, settle

URL = "memory://presence"


class Log(pb.Hooks):
    """Writes down what it is told, and who is there."""

    def __init__(self):
        self.told = []
        self.online = collections.Counter()

    def logged_in(self, login):
        self.told.append(("in", login.identity, login.reason))
        self.online[login.identity] += 1

    def logged_out(self, login):
        self.told.append(("out", login.identity, login.reason))
        self.online[login.identity] -= 1

    def attached(self, attachment):
        self.told.append(("attached", attachment.identity, attachment.service, attachment.perspective))
        self.online[attachment.perspective + "'s"] += 1

    def attach_refused(self, attachment):
        self.told.append(("refused", attachment.identity, attachment.service, attachment.perspective))

    def detached(self, attachment):
        self.told.append(("detached", attachment.identity, attachment.service, attachment.perspective))
        self.online[attachment.perspective + "'s"] -= 1


def play(act, hooks):
    """Run `act(house, connection)` with hooks at a server."""

    async def main():
        house = House()
        await house.fill()
        async with (
            pb.serve(house.application.root, URL, hooks=hooks) as server,
            pb.open_connection(URL) as connection,
        ):
            await act(house, connection)
            await connection.close()
            await settle(lambda: not server.connections)

    run(main())


async def log_out(house, connection, identity):
    await identity.logout()


async def disable(house, connection, identity):
    await (await house.authorizer.get_identity("alice")).disable()


async def lose(house, connection, identity):
    connection.abort()
    await settle(lambda: not house.application.faces)


@pytest.mark.parametrize(
    ("end", "reason"), [(log_out, "logged out"), (disable, "cut"), (lose, "lost")], ids=["out", "cut", "lost"]
)
def test_each_login_and_attachment_has_one_end(end, reason):
    """However it ends; the attachments first."""
    log = Log()

    async def act(house, connection):
        identity = await connection.login("alice", PASSWORD)
        alice = await identity.attach("chat")
        ops = await identity.attach("chat", "ops")
        await identity.detach(ops)
        assert {"alice": 1, "alice's": 1, "ops's": 0} == log.online
        await end(house, connection, identity)
        assert set(log.online.values()) == {0}
        assert [
            ("in", "alice", ""),
            ("attached", "alice", "chat", "alice"),
            ("attached", "alice", "chat", "ops"),
            ("detached", "alice", "chat", "ops"),
            ("detached", "alice", "chat", "alice"),
            ("out", "alice", reason),
        ] == log.told
        del alice

    play(act, log)
    assert 6 == len(log.told)


def test_a_login_that_its_client_drops_has_an_end_too():
    """Of two of the same identity, of which one is held for names: the other is nobody's any longer."""
    log = Log()

    async def act(house, connection):
        first = await connection.login("alice", PASSWORD)
        second = await connection.login("alice", PASSWORD)
        assert 2 == log.online["alice"]
        del first

        def is_gone():
            gc.collect()
            return 1 == log.online["alice"]

        await settle(is_gone)
        assert ("out", "alice", "released") == log.told[-1]
        assert [["chat", "alice"], ["chat", "ops"]] == [list(key) for key in await second.keys()]

    play(act, log)
    assert ("out", "alice", "lost") == log.told[-1]
    assert 0 == log.online["alice"]


def test_an_attachment_that_is_refused_is_told_as_it_was_asked_for():
    """Also where it could be none: names of a peer's are no longer than they may be."""
    log = Log()

    async def act(house, connection):
        identity = await connection.login("bob", PASSWORD)
        for service, perspective in (("billing", None), ("chat", "ops"), (7, "x" * 1000)):
            with pytest.raises((pb.Forbidden, pb.BadArguments)):
                await identity.attach(service, perspective)
        assert [
            ("in", "bob", ""),
            ("refused", "bob", "billing", ""),
            ("refused", "bob", "chat", "ops"),
            ("refused", "bob", "", "x" * 128),
        ] == log.told

    play(act, log)


def test_the_audit_log_has_who_was_there_and_no_false_alarm():
    """A client that comes back asks for what servers of strangers do not have: that is nobody's doing."""
    events = []

    async def act(house, connection):
        for name in ("pb:idempotent", "pb:describe"):
            with pytest.raises(pb.NoSuchMethod):
                await call_now(connection.root, name)
        with pytest.raises(pb.LoginFailed):
            await connection.login("alice", "wrong")
        identity = await connection.login("alice", PASSWORD)
        await pb.call_remote(identity._reference, "supersede", b"s" * 16)
        with pytest.raises(pb.Forbidden):
            await identity.attach("billing")
        alice = await identity.attach("chat")
        await alice.who()
        await call_now(alice, "pb:idempotent")
        await identity.logout()

    play(act, pb.AuditLog(events.append))
    keys = ("event", "identity", "service", "perspective", "method", "outcome", "reason")
    assert [
        ("login refused", "alice", "refused"),
        ("login", "alice", "answered"),
        ("attach refused", "alice", "billing", "refused"),
        ("attach", "alice", "chat", "alice", "answered"),
        ("call", "alice", "chat", "alice", "who", "answered"),
        ("detach", "alice", "chat", "alice", "answered"),
        ("logout", "alice", "answered", "logged out"),
    ] == [tuple(event[key] for key in keys if event.get(key)) for event in events]


def test_the_audit_log_has_all_that_was_called_where_that_is_wanted():
    """To look for faults of the library, or of a client of one's own."""
    events = []

    async def act(house, connection):
        identity = await connection.login("alice", PASSWORD)
        await identity.attach("chat")

    play(act, pb.AuditLog(events.append, protocol=True))
    assert ["login", "respond", "attach"] == [event["method"] for event in events if "method" in event]


def test_an_attach_that_fails_is_in_the_audit_log_as_a_call():
    """With the incident, by which the log of the server has more."""
    events = []

    async def act(house, connection):
        house.chat.on_attach = lambda user, client: 1 / 0
        identity = await connection.login("alice", PASSWORD)
        with pytest.raises(pb.RemoteError):
            await identity.attach("chat")

    play(act, pb.AuditLog(events.append))
    assert [("attach", "failed", True)] == [
        (event["method"], event["outcome"], bool(event["incident"])) for event in events if "method" in event
    ]
