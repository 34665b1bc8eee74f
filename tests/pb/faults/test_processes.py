"""Servers that are killed, told to stop, and stopped, with calls in flight."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

import pb
from pb.testing import Network

from ..aio.loops import run
from ..cli.processes import ENVIRONMENT, HARD_END_S, ROOT, Running, running

SERVED = Path(__file__).with_name("served.py")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@contextmanager
def serving():
    """Run a program that serves a root without `pb run`."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tests.pb.faults.served"],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Running(process, 1)
    finally:
        process.kill()
        process.communicate(timeout=HARD_END_S)


@asynccontextmanager
async def logged_in(url, **options):
    """Open a connection; give it and the perspective."""
    connection = await pb.open_connection(url, **options)
    try:
        yield connection, await (await connection.login("guest", "guest")).attach("main")
    finally:
        await connection.close()


@asynccontextmanager
async def rooted(url, **options):
    """Open a connection; give it and the root."""
    async with pb.open_connection(url, **options) as connection:
        yield connection, connection.root


SERVERS = pytest.mark.parametrize(
    ("start", "reach"),
    [(lambda: running(SERVED), logged_in), (serving, rooted)],
    ids=["pb run", "pb.serve"],
)


async def line_of(server):
    return await asyncio.to_thread(server.stdout.readline)


def in_loop(play):
    run(play(), limit_s=HARD_END_S)


@SERVERS
def test_a_killed_server_settles_every_call_with_what_is_known(start, reach):
    """As soon as its end is read: by then nobody waits any longer."""
    with start() as server:

        async def play():
            async with reach(server.url) as (connection, ref):
                calls = [ref.wait(number, 100) for number in range(100)]
                assert "held\n" == await line_of(server)
                assert not any(call.done() for call in calls)
                server.process.kill()
                calls += [ref.echo(number) for number in range(20)]
                await connection.wait_closed()
                assert all(call.done() for call in calls)
                errors = await asyncio.gather(*calls, return_exceptions=True)
                assert {pb.OutcomeUnknown} == set(map(type, errors[:100]))
                assert set(map(type, errors)) <= {pb.OutcomeUnknown, pb.NotExecuted}
                with pytest.raises(pb.NotExecuted):
                    await ref.echo("too late")

        in_loop(play)


@SERVERS
def test_a_server_told_to_stop_answers_a_thousand_calls(start, reach):
    """None is lost, the others are told that they did not run, and it ends with status 0."""
    with start() as server:

        async def play():
            async with reach(server.url) as (connection, ref):
                calls = [ref.wait(number, 1_000) for number in range(1_000)]
                assert "held\n" == await line_of(server)
                server.process.send_signal(signal.SIGTERM)
                while connection.is_open:  # noqa: ASYNC110 - until its BYE has come
                    await asyncio.sleep(0)
                with pytest.raises(pb.NotExecuted):
                    await ref.echo("too late")
                assert not any(call.done() for call in calls)
                server.stdin.write("go on\n")
                server.stdin.flush()
                assert list(range(1_000)) == await asyncio.gather(*calls)
                await connection.wait_closed()

        in_loop(play)
        server.process.wait(HARD_END_S)

    assert 0 == server.process.returncode


def test_a_server_that_is_stopped_for_a_moment_is_not_missed():
    """A call takes longer, and that is all."""
    with running(SERVED) as server:

        async def play():
            async with logged_in(server.url) as (_, ref):
                server.process.send_signal(signal.SIGSTOP)
                call = ref.echo("late")
                await asyncio.sleep(0.1)
                assert not call.done()
                server.process.send_signal(signal.SIGCONT)
                assert "late" == await call

        in_loop(play)


def test_a_server_that_is_stopped_is_found_silent_and_notices_when_it_goes_on():
    """Both sides are rid of the connection: the client by its own clock, the server once it has one again."""
    with running(SERVED) as server:

        async def play():
            limits = pb.Limits(idle_s=0.6, ping_after_s=0.2)
            async with logged_in(server.url, limits=limits) as (connection, ref):
                call = ref.wait(1, 1)
                assert "held\n" == await line_of(server)
                server.process.send_signal(signal.SIGSTOP)
                with pytest.raises(pb.OutcomeUnknown, match="silent"):
                    await call
                await connection.wait_closed()
                server.process.send_signal(signal.SIGCONT)
                assert "detached\n" == await line_of(server)
            async with logged_in(server.url) as (_, ref):
                assert "again" == await ref.echo("again")

        in_loop(play)


def test_a_client_that_is_half_open_is_found_out_by_its_server():
    """The server has a clock of its own, and runs detached()."""
    with running(SERVED) as server:

        async def play():
            async with Network(server.url) as network, logged_in(network.url) as (connection, ref):
                call = ref.wait(1, 1)
                assert "held\n" == await line_of(server)
                network.half_open()
                assert "detached\n" == await line_of(server)
                assert not call.done()
                connection.abort()
                with pytest.raises(pb.OutcomeUnknown):
                    await call

        in_loop(play)


def test_segments_of_one_byte_say_the_same_to_a_server_elsewhere():
    """A login and calls over TCP that arrive byte by byte, in both directions."""
    with running(SERVED) as server:

        async def play():
            async with Network(server.url) as network:
                network.segment(1)
                async with logged_in(network.url) as (_, ref):
                    values = [{"n": number, "text": "ü" * number} for number in range(20)]
                    assert values == await asyncio.gather(*map(ref.echo, values))

        in_loop(play)
