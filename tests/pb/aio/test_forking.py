"""A forked child and the connections of its parent, on asyncio."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pb.aio import tls

from ..sync.test_ends import ROOT, script

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

# What one program does: a server in a process of its own, so that all that it hears comes from the parent.
PROGRAM = """
import asyncio, gc, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # that threads exist when it forks: an executor's
url, scheme = sys.argv[1:]
class Callback(pb.Referenceable):
    def remote_hear(self, words): return words
def in_child(connection, root):
    for use in (lambda: root.echo(1), lambda: root.echo.send(1), lambda: pb.release(root),
                lambda: pb.from_thread(root.echo, 1), lambda: connection.abort()):
        try: use()
        except pb.ForkedConnection as error: print("refused")
        else: print("nothing raised")
    print("open", connection.is_open)
async def own():
    asyncio.get_running_loop().slow_callback_duration = 60
    async with pb.open_connection(url) as connection:
        print("its own", await connection.root.echo("works"))
async def main():
    asyncio.get_running_loop().slow_callback_duration = 60  # to fork takes a while
    async with pb.open_connection(url) as connection:
        root = connection.root
        callback = Callback()
        kept = await root.keep(callback)
        waiting = asyncio.ensure_future(root.wait())
        await root.echo(0)
        transport = connection._link.transport
        sys.stdout.flush()
        child = os.fork()
        if not child:
            in_child(connection, root)
            transport.abort()          # what the copy of the loop does at its end, or the collector
            asyncio.run(own())
            os.close(transport.get_extra_info("socket").fileno())
            del root, connection, kept, callback
            gc.collect()
            sys.stdout.flush()
            os._exit(0)
        pid, status = await asyncio.to_thread(os.waitpid, child, 0)
        print("child", status)
        for number in range(3):
            assert number == await root.echo(number)
        print("called back", await root.call_back("hi"))
        await root.open()
        print("waited", await waiting)
asyncio.run(main())
"""
SERVER = """
import asyncio, sys, pb
class Root(pb.Root):
    def __init__(self): self.gate = asyncio.Event()
    def remote_echo(self, value): return value
    def remote_keep(self, value): self.kept = value; return self
    async def remote_call_back(self, words): return await self.kept.hear(words)
    async def remote_wait(self): await self.gate.wait(); return "as ever"
    def remote_open(self): self.gate.set()
    def remote_count(self): return len(server.connections)
async def main():
    global server
    async with pb.serve(Root(), {url!r}, tls={key!r}) as server:
        print(server.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)
asyncio.run(main())
"""


@contextmanager
def served(scheme: str, path) -> Iterator[str]:
    """Serve in another process; give the URL."""
    key = path / "server.pem"
    tls.create(key)
    url = f"pb+unix://{path}/socket" if scheme == "pb+unix" else f"{scheme}://127.0.0.1:0"
    code = SERVER.format(url=url, key=str(key) if scheme == "pbs" else None)
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield process.stdout.readline().strip()
        process.stdin.close()


@pytest.mark.parametrize("scheme", ["pb", "pbs", "pb+unix", "ws"])
def test_a_fork_leaves_the_connections_to_the_parent(scheme, tmp_path):
    """In the child each use says so, whatever it closes or collects; the parent notices nothing."""
    with served(scheme, tmp_path) as url:
        done = script(PROGRAM, url, scheme)

    assert ("", 0) == (done.stderr, done.returncode)
    assert [
        *["refused"] * 5,
        "open False",
        "its own works",
        "child 0",
        "called back hi",
        "waited as ever",
    ] == done.stdout.splitlines()


def test_a_peer_learns_of_the_parents_end_while_a_forked_child_lives(tmp_path):
    """A copy of the socket in a child that sleeps would keep the connection open for ever."""
    with served("pb", tmp_path) as url:
        done = script(
            """
import asyncio, signal
url = sys.argv[1]
async def main():
    asyncio.get_running_loop().slow_callback_duration = 60
    connection = await pb.open_connection(url)
    child = os.fork()
    if not child:
        os.close(1); os.close(2)
        signal.alarm(60)
        signal.pause()
    watching = await pb.open_connection(url)
    before = await watching.root.count()
    connection._link.transport.abort()
    while await watching.root.count() == before:
        await asyncio.sleep(0.01)
    print("learned")
    os.kill(child, signal.SIGKILL); os.waitpid(child, 0)
    await watching.close()
asyncio.run(main())
""",
            url,
        )

    assert ("learned\n", "", 0) == (done.stdout, done.stderr, done.returncode)
