"""A connection of a blocking program that comes back logs in and attaches again."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

import cred
import pb
from pb import sync

from .spots import HOLD_S, lose, quick, settle


class House:
    """An application, served on a loop of its own, whose connections can be cut."""

    def __init__(self) -> None:
        self.application = pb.Application("demo")
        self.seen: list[str] = []
        house = self

        class Echoer(pb.Perspective):
            def perspective_echo(self, text):
                return text

            async def perspective_ask(self):
                return await self.client.hear()

            def attached(self, client, identity):
                house.seen.append("attached")
                self.client = client
                return self

            def detached(self, client, identity):
                house.seen.append("detached")

        class Service(pb.Service):
            def get_perspective_named(self, name):
                return Echoer(name, self)

        service = Service("echo", self.application)
        service.get_perspective_named("guest").make_identity(cred.PasswordHash.of("secret", iterations=4096))
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        async with pb.serve(self.application.root, "pb://127.0.0.1:0") as self.server:
            self._is_up.set()
            await self._ended.wait()

    def __enter__(self) -> House:
        self._thread.start()
        assert self._is_up.wait(HOLD_S)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(HOLD_S)


class Listener(pb.Referenceable):
    """The client object of a perspective."""

    def remote_hear(self):
        return threading.current_thread().name


def test_it_logs_in_and_attaches_again_once_each_time():
    """The same identity, perspective and client object; detached before attached."""
    with House() as house, sync.open_connection(house.server.url, reconnect=quick()) as connection:
        identity = connection.login("guest", "secret")
        perspective = identity.attach("echo", client=Listener())
        for number in range(5):
            lose(connection)
            assert number == perspective.echo(number)
            assert threading.current_thread().name == perspective.ask()
        assert [("echo", "guest")] == identity.keys()
        assert ["attached", *["detached", "attached"] * 5] == house.seen
        identity.detach(perspective)
        identity.logout()
        lose(connection)
        assert pb.ConnectionState.CONNECTED is connection.status.wait_for("connected")
        with pytest.raises(pb.Gone):
            perspective.echo("gone for good")


def test_connect_takes_the_same_option():
    """One line, and the perspective works for as long as it is held."""
    with House() as house:
        perspective = sync.connect(
            house.server.url, "guest", "secret", "echo", client=Listener(), reconnect=quick()
        )
        connection = sync.connection_of(perspective)
        for _ in range(3):
            lose(connection)
            assert "hi" == perspective.echo("hi")
        del perspective
        gc.collect()
        connection.wait_closed()
        settle(lambda: ["attached", "detached"] * 4 == house.seen)
