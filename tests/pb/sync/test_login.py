"""Logging in, for programs that block."""

from __future__ import annotations

import asyncio
import threading

import pytest

import cred
import pb
from pb import sync

HOLD_S = 20


def test_a_login_blocks_too(tmp_path):
    """Identity, keyring, attach, detach and logout; and all of it in one."""
    application = pb.Application("demo")

    class Echoer(pb.Perspective):
        def perspective_echo(self, text):
            return text

        async def perspective_ask(self):
            return await self.client.hear()

        def attached(self, client, identity):
            self.client = client
            return self

    class Service(pb.Service):
        def get_perspective_named(self, name):
            return Echoer(name, self)

    service = Service("echo", application)
    service.get_perspective_named("guest").make_identity(cred.PasswordHash.of("secret", iterations=4096))

    class Client(pb.Referenceable):
        def remote_hear(self):
            return threading.current_thread().name

    started: list = []
    is_up = threading.Event()

    async def serve():
        ended = asyncio.Event()
        async with pb.serve(application.root, "pb://127.0.0.1:0") as server:
            started.extend([server.url, asyncio.get_running_loop(), ended])
            is_up.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert is_up.wait(HOLD_S)
        url = started[0]
        with pytest.raises(TimeoutError, match="no perspective"):
            sync.connect(url, "guest", "secret", "echo", timeout=0)
        with sync.open_connection(url) as connection:
            with pytest.raises(pb.LoginFailed):
                connection.login("guest", "wrong")
            identity = connection.login("guest", "secret")
            assert "guest" == identity.name
            assert "<RemoteIdentity 'guest'>" == repr(identity)
            assert [("echo", "guest")] == identity.keys()
            perspective = identity.attach("echo", client=Client())
            assert "hi" == perspective.echo("hi")
            assert threading.current_thread().name == perspective.ask()
            with pytest.raises(pb.Forbidden, match="cannot attach"):
                identity.attach("nothing")
            identity.detach(perspective)
            with pytest.raises(pb.Gone):
                perspective.echo("hi")
            identity.logout()
            with pytest.raises(pb.Gone):
                identity.keys()
        perspective = sync.connect(url, "guest", "secret", "echo", client=Client())
        assert "hi" == perspective.echo("hi")
        sync.connection_of(perspective).close()
        with pytest.raises(pb.LoginFailed):
            sync.connect(url, "guest", "wrong", "echo")
    finally:
        started[1].call_soon_threadsafe(started[2].set)
        thread.join(HOLD_S)
