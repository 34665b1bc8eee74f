"""A server with objects that have names, on a clock that is told."""

from __future__ import annotations

import asyncio

import pytest

import cred
import pb
from pb.testing.loop import run
from tests.pb.auth.applications import Service

PASSWORD = cred.PasswordHash.of("guest", iterations=4096)
WRONG = "~" + "a" * 32


class Document(pb.Referenceable):
    def __init__(self, key="lobby"):
        self.key = key

    def remote_read(self, blank=""):
        return self.key + blank

    def remote_part(self):
        return Document(f"{self.key}/part")


class User(pb.Referenceable):
    def perspective_who(self):
        return "holder"


class Library:
    """An application, its documents, and its server."""

    def __init__(self, name):
        self.application = pb.Application("library")
        Service("main", self.application).create_perspective("guest").make_identity(PASSWORD)
        self.application.listen(f"memory://{name}")
        self.documents = {key: Document(key) for key in ("17", "18")}
        self.asked = []
        self.application.sturdy("document", self.load)
        self.application.sturdy("user", lambda key: pb.current_call().attach(User()))
        self.application.sturdy("odd", lambda key: {"copy": "a text", "bug": 1 / int(key != "bug")}[key])

    async def load(self, key):
        self.asked.append(key)
        await asyncio.sleep(0)
        return self.documents[key]


def play(name, act):
    """Run `act(library, server)` with the application running."""

    async def main():
        library = Library(name)
        async with library.application.running() as (server,):
            await act(library, server)

    run(main())


async def refused(asking, waited=True):
    """Expect the one error there is, when that of a login comes: the clock of these tests is told."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(pb.NoSuchObject) as raised:
        await asking
    assert "no object of that name, or not for you" == str(raised.value)
    assert pytest.approx(0.05 if waited else 0.0) == loop.time() - began
