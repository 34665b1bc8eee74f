"""What a program has run when its application starts and stops: the order, and what becomes of errors."""

from __future__ import annotations

import asyncio
import socket

import pytest

import cred
import pb
from pb.testing import run


def house(said, *, fails=()):
    """Return an application that notes what is called, and fails where it is told to."""

    def note(what):
        said.append(what)
        if what in fails:
            raise KeyError(what)

    class Noting(pb.Service):
        async def starting(self):
            note(f"{self.name} starts")

        async def stopping(self):
            await asyncio.sleep(0)
            note(f"{self.name} stops")

    application = pb.Application("house", cred.Authorizer(iterations=4096))
    Noting("first", application)
    application.add_service(cred.Service("of cred"))  # which has none of these
    Noting("second", application)

    @application.on_start
    async def begin():
        note("begin")

    @application.on_stop
    async def end():
        note("end")

    assert "end" == end.__name__, "a decorator gives back what it was given"
    application.on_stop(lambda: note("end first"))
    application.listen("memory://phases")
    return application


STARTED = ["first starts", "second starts", "begin"]
STOPPED = ["end first", "end", "second stops", "first stops"]


def test_they_are_called_in_order_and_in_the_reverse():
    """What is built on something else is begun after it, and ended before it."""
    said = []

    async def main():
        application = house(said)
        async with application.running():
            assert STARTED == said
        assert STARTED + STOPPED == said
        await application.start()
        await application.stop()
        await application.stop()
        assert (STARTED + STOPPED) * 2 == said

    run(main())


def test_one_that_fails_keeps_the_application_from_starting():
    """Those before it are stopped again, and nobody listens."""
    said = []

    async def main():
        application = house(said, fails=["second starts"])
        with pytest.raises(KeyError, match="second starts"):
            await application.start()
        assert ["first starts", "second starts", "first stops"] == said
        assert not application.is_running
        with pytest.raises(OSError):
            await pb.open_connection("memory://phases")

    run(main())


def test_what_does_not_end_after_a_start_that_failed_is_cancelled(caplog):
    """As at any other stop."""

    class Hanging(pb.Service):
        async def stopping(self):
            await asyncio.Event().wait()

    async def main():
        application = pb.Application("house", cred.Authorizer(iterations=4096), limits=pb.Limits(drain_s=2))
        Hanging("hanging", application)
        application.on_start(lambda: {}["missing"])
        with pytest.raises(KeyError, match="missing"):
            await application.start()
        assert "what house has to stop has not ended in 2 s, and was cancelled" in caplog.text

    run(main())


def test_what_has_started_is_stopped_where_it_cannot_listen():
    """A port that is taken is found out after the tasks were begun."""
    said = []

    async def main():
        async with pb.serve(pb.Root(), "memory://phases"):
            with pytest.raises(OSError):
                await house(said).start()
        assert STARTED + STOPPED == said

    run(main())


def test_one_that_fails_at_the_stop_is_logged_and_the_others_are_called(caplog):
    """Else the task of one service would keep those of the others alive."""
    said = []

    async def main():
        application = house(said, fails=["end", "second stops"])
        async with application.running():
            pass
        assert STARTED + STOPPED == said
        assert not application.is_running

    run(main())
    failed = [record for record in caplog.records if getattr(record, "pb_event", "") == "application.failed"]
    assert ["'end'", "'second stops'"] == [str(record.exc_info[1]) for record in failed]


def test_one_that_does_not_end_is_cancelled(caplog):
    """A stop has an end."""
    ends = []

    async def main():
        application = house([])

        @application.on_stop
        async def hang():
            try:
                await asyncio.Event().wait()
            finally:
                ends.append(asyncio.get_running_loop().time() - began)

        async with application.running(drain_s=7.0):
            began = asyncio.get_running_loop().time()
        assert [pytest.approx(7.0)] == ends

    run(main())
    assert "what house has to stop has not ended in 7 s, and was cancelled" in caplog.text


def test_a_stop_that_is_cancelled_ends_at_once():
    """The second Ctrl-C finds it in the function of the program."""

    async def main():
        application = house([])
        asked = asyncio.Event()

        @application.on_stop
        async def hang():
            asked.set()
            await asyncio.Event().wait()

        await application.start()
        connection = await pb.open_connection("memory://phases")
        stopping = asyncio.create_task(application.stop())
        await asked.wait()
        assert connection.is_open, "clients can call still"
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        await connection.wait_closed()
        assert not application.is_running

    run(main())


def test_long_polls_end_before_they_are_waited_for():
    """By what the program does when it is told, or by what the call says of its connection."""

    class Poll(pb.Perspective):
        async def perspective_poll(self):
            await self.service.is_over.wait()
            return pb.current_call().is_stopping

        async def perspective_look(self):
            call = pb.current_call()
            while not call.is_stopping:  # noqa: ASYNC110 - that it can be looked at is what is tested
                await asyncio.sleep(1.0)
            return "stops"

    class Polls(pb.Service):
        perspective_class = Poll

        async def starting(self):
            self.is_over = asyncio.Event()

        async def stopping(self):
            self.is_over.set()

    async def main():
        application = pb.Application("polls", cred.Authorizer(iterations=4096))
        Polls("polls", application).create_perspective("guest").make_identity("guest")
        application.listen("memory://polls")
        servers = await application.start()
        async with pb.connect(servers[0].url, "guest", "guest", service="polls") as user:
            polled, looked = user.poll(), user.look()
            await asyncio.sleep(0.5)
            began = asyncio.get_running_loop().time()
            stopping = asyncio.create_task(application.stop())
            assert "stops" == await looked
            assert (await polled) in (True, False)
            await stopping
            assert asyncio.get_running_loop().time() - began < 2.0

    run(main())


def test_systemd_is_told_in_a_program_of_ones_own(tmp_path, monkeypatch, caplog):
    """As `pb run` does, unless the application is not all that the process is."""
    caplog.set_level("INFO")
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path)
        systemd.setblocking(False)

        async def main():
            application = house([])
            async with application.running(notifies=False):
                pass
            with pytest.raises(BlockingIOError):
                systemd.recv(100)
            async with application.running():
                assert b"READY=1" == systemd.recv(100)
            assert b"STOPPING=1" == systemd.recv(100)

        run(main())
    assert 2 == caplog.text.count("house stops: what runs is finished first")
    assert 2 == caplog.text.count("house has stopped")
