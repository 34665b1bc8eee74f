"""Taking an object back from everybody, or from one user only, on both faces."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass

import pytest

import cred
import pb
from pb import sync

from .loops import run

PASSWORD = cred.PasswordHash.of("secret", iterations=4096)
REGISTRY = pb.Registry()


@REGISTRY.cacheable("library.Page")
@dataclass(eq=False)
class Page(pb.Tracked):
    text: str = ""


class Document(pb.Viewable):
    """Has a page that its readers follow."""

    def __init__(self):
        self.page = Page("a")
        self.readers = set()
        self.reading = asyncio.Event()

    def view_name(self, actor):
        return actor.perspective_name

    async def view_wait(self, actor):
        self.reading.set()
        await asyncio.Event().wait()


class Reader(pb.Perspective):
    def perspective_open(self):
        document = self.service.document
        return [document, document.page] if self.perspective_name in document.readers else []

    def perspective_unshare(self, name):
        """Take the document from one reader."""
        document, reader = self.service.document, self.service.get_perspective_named(name)
        document.readers.discard(name)
        return [pb.revoke(document, reader), pb.revoke(document.page, reader)]


class Readers(pb.Service):
    """Makes a perspective anew each time it is asked for one."""

    perspective_class = Reader

    def __init__(self, *args):
        super().__init__(*args)
        self.document = Document()
        self.document.readers = {"ann", "bob"}

    def get_perspective_named(self, name):
        return Reader(name, self)


class ByIdentity(Readers):
    """Gives each identity a perspective of its own, also where they hold the same key."""

    async def get_perspective(self, name, identity):
        made = self.mine[identity.name] = Reader(name, self)
        return made


def library(kind=Readers, keys=("ann", "bob")):
    application = pb.Application("library", registry=REGISTRY)
    service = kind("library", application)
    for name, key in zip(("ann", "bob"), keys, strict=True):
        application.authorizer.declare_identity(name, PASSWORD, keys=[("library", key)])
    return application, service


async def enter(connection, name):
    return await (await connection.login(name, "secret")).attach("library")


def play(act, kind=Readers, keys=("ann", "bob"), url="memory://revoking"):
    """Run `act(service, server, connection, ann, bob)`, with both over one connection."""

    async def main():
        application, service = library(kind, keys)
        service.mine = {}
        async with (
            pb.serve(application.root, url, registry=REGISTRY) as server,
            pb.open_connection(server.url, registry=REGISTRY) as connection,
        ):
            ann, bob = await enter(connection, "ann"), await enter(connection, "bob")
            await act(service, server, connection, ann, bob)

    run(main())


def test_it_is_taken_from_one_user_and_stays_with_the_other_over_the_same_connection():
    """Whoever unshares a document with bob has not meant ann."""

    async def act(service, server, connection, ann, bob):
        [of_ann, page_of_ann], [of_bob, page_of_bob] = await ann.open(), await bob.open()
        waits = of_bob.wait()
        await service.document.reading.wait()
        assert [1, 1] == await ann.unshare("bob")
        with pytest.raises(pb.Gone, match="revoked while the call ran"):
            await waits
        with pytest.raises(pb.Gone):
            await of_bob.name()
        assert ("ann", []) == (await of_ann.name(), await bob.open())
        service.document.page.text = "b"
        await of_ann.name()
        assert (("b", False), ("a", True)) == (
            (page_of_ann.text, pb.is_stale(page_of_ann)),
            (page_of_bob.text, pb.is_stale(page_of_bob)),
        )
        assert [0, 0] == await ann.unshare("bob")

    play(act)


def test_of_two_who_hold_one_key_only_the_one_is_meant_whose_object_it_is():
    """Where the service decides by identity, a name says less than the object."""

    async def act(service, server, connection, ann, bob):
        of_ann, of_bob = (await ann.open())[0], (await bob.open())[0]
        assert 1 == pb.revoke(service.document, service.mine["bob"])
        assert "ann" == await of_ann.name()
        with pytest.raises(pb.Gone):
            await of_bob.name()

    play(act, ByIdentity, ("ann", "ann"))


def test_it_is_taken_from_one_attachment_or_at_one_place_or_everywhere():
    """A place bounds where a user is looked for; an attachment is a place itself."""

    async def act(service, server, connection, ann, bob):
        await ann.open()
        keep = [await bob.open()]
        reader, document = service.get_perspective_named("bob"), service.document
        other = pb.Application("other")
        assert 0 == pb.revoke(document, other, reader)
        assert 1 == pb.revoke(document, server, reader)
        keep = [await ann.open(), await bob.open()]
        (attachment,) = [
            each
            for each in service.application.root.attachments.values()
            if each.perspective.perspective_name == "bob"
        ]
        assert 1 == pb.revoke(document, attachment)
        assert 0 == pb.revoke(document, attachment, reader, server)
        keep += [await bob.open()]
        assert 2 == pb.revoke(document, service.application)
        assert keep

    play(act)


def test_what_it_is_taken_from_is_named():
    """Nothing is done where it is not clear what was meant."""
    application, service = library()
    service.application = None
    with pytest.raises(TypeError, match="needs what to withdraw it from"):
        pb.revoke(object())
    for whom in ("bob", service.get_perspective_named("bob"), object()):
        with pytest.raises(TypeError, match="no perspective of an application; name the server too"):
            pb.revoke(object(), whom)
    with pytest.raises(TypeError, match="needs what to withdraw it from"):
        sync.revoke(object())
    assert 0 == pb.revoke(object(), application, object())


class Guest:
    """A perspective of no service."""

    def __init__(self, document):
        self.document = document

    def perspective_open(self):
        return self.document


class Sheet(pb.Viewable):
    def view_name(self, actor):
        return actor.name


class Desk(pb.Root):
    def __init__(self):
        self.sheet, self.guests, self.attachments = Sheet(), {}, {}

    @pb.in_thread
    def remote_wait(self):
        self.wait()

    def remote_enter(self, name):
        self.guests[name] = guest = Guest(self.sheet)
        guest.name = name
        self.attachments[name] = pb.current_call().attach(guest)
        return self.attachments[name]


def test_it_is_taken_from_one_user_in_blocking_programs():
    """The same, from any thread."""
    desk = Desk()
    with sync.serve(desk, "pb://127.0.0.1:0") as server, sync.open_connection(server.url) as connection:
        ann, bob = connection.root.enter("ann"), connection.root.enter("bob")
        of_ann, of_bob = ann.open(), bob.open()
        assert 1 == sync.revoke(desk.sheet, server, desk.guests["bob"])
        assert "ann" == of_ann.name()
        with pytest.raises(pb.Gone):
            of_bob.name()
        assert 1 == sync.revoke(desk.sheet, desk.attachments["ann"])
        with pytest.raises(pb.Gone):
            of_ann.name()
        held = [ann.open(), bob.open()]
        (served,) = server.connections
        assert 2 == sync.revoke(desk.sheet, served)
        assert 0 == sync.revoke(desk.sheet, server, Guest(desk.sheet))
        assert held


def test_blocking_programs_are_told_what_is_not_theirs():
    """The connections of an application belong to a loop, which another thread must not enter."""

    async def act(service, server, connection, ann, bob):
        await bob.open()
        for where in service.application, Reader("bob", service):
            with pytest.raises(TypeError, match="served by asyncio: call"):
                sync.revoke(service.document, where)

    play(act)


def test_who_is_being_closed_in_a_blocking_program_loses_it_too():
    """Its calls are served to the end."""
    desk = Desk()
    with sync.serve(desk, "pb://127.0.0.1:0") as server, sync.open_connection(server.url) as connection:
        ann = connection.root.enter("ann")
        held, entered, gate = ann.open(), threading.Event(), threading.Event()
        desk.wait = lambda: (entered.set(), gate.wait())
        waiting = threading.Thread(target=connection.root.wait)
        closing = threading.Thread(target=server.close)
        waiting.start()
        entered.wait()
        closing.start()
        while server.connections:
            time.sleep(0)
        assert 1 == sync.revoke(desk.sheet, server)
        gate.set()
        waiting.join()
        closing.join()
        assert held is not None
