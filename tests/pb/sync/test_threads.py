"""The thread in the background: who may call where, and what a lost peer and an interrupt do."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import jelly
import pb
from pb import sync

ROOT = Path(__file__).parents[3]
HOLD_S = 20


class Root(pb.Root):
    def __init__(self):
        self.told = threading.Event()
        self.stopped = threading.Event()
        self.go = threading.Event()
        self.kept = None

    def remote_echo(self, value):
        return value

    def remote_keep(self, value):
        self.kept = value

    def remote_hold(self):
        self.told.set()
        self.go.wait(HOLD_S)

    async def remote_forever(self):
        self.told.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.stopped.set()
            raise

    def remote_board(self):
        return self.board


def test_a_running_loop_is_not_blocked(connect):
    """The asyncio face is for programs that have one; the error says so."""
    connection, server = connect(Root())
    root = connection.root

    async def main():
        for call in (lambda: root.echo(1), lambda: root.echo.send(1), connection.close):
            with pytest.raises(RuntimeError, match="use pb there, and await"):
                call()
        with pytest.raises(RuntimeError, match="use pb there, and await"):
            sync.open_connection(server.url)

    asyncio.run(main())
    assert 1 == root.echo(1)


def test_the_thread_of_the_connections_does_not_wait_for_itself(connect):
    """An async method is on that loop: it may send, and is told why it may not call."""
    server_root = Root()
    connection, _ = connect(server_root)

    class Listener(pb.Referenceable):
        async def remote_hear(self):
            with pytest.raises(RuntimeError, match="would wait for itself"):
                connection.root.echo(1)
            connection.root.keep.send("sent")
            return "refused"

    connection.root.keep(Listener())

    assert "refused" == server_root.kept.hear()
    assert "sent" == connection.root.echo("sent")
    assert "sent" == server_root.kept


def test_functions_of_pb_say_where_they_belong(connect):
    """Both faces have the same names: a mistake is easily made."""
    connection, _ = connect(Root())

    with pytest.raises(RuntimeError, match=r"use the function of that name there"):
        pb.release(connection.root)
    with pytest.raises(RuntimeError, match=r"use the function of that name there"):
        pb.call_remote(connection.root, "echo", 1)


def test_an_application_is_not_served_in_threads():
    """Logins run on a loop."""
    application = pb.Application("demo")

    with pytest.raises(TypeError, match=r"serve it by pb\.serve"):
        sync.serve(application.root, "pb://127.0.0.1:0")


def test_a_peer_that_dies_ends_the_calls_that_wait(connect):
    """Promptly: OutcomeUnknown where it was sent, and everybody is told."""
    root = Root()
    connection, server = connect(root)

    def call():
        with pytest.raises(pb.OutcomeUnknown):
            connection.root.forever()
        with pytest.raises(pb.NotExecuted):
            connection.root.echo(1)
        return "told"

    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(call) for _ in range(3)]
        assert root.told.wait(HOLD_S)
        while connection.usage.calls_made < 3:
            assert 1 == connection.root.echo(1)
        server.connections[0].abort()
        assert ["told"] * 3 == [each.result(HOLD_S) for each in calls]
    connection.wait_closed()
    with pytest.raises(pb.DeadReference):
        connection.root  # noqa: B018


def test_a_process_that_is_killed_ends_the_call_that_waits():
    """No timeout is needed for that."""
    code = """
class Root(pb.Root):
    def remote_die(self):
        os._exit(1)
server = sync.serve(Root(), "pb://127.0.0.1:0")
print(server.url, flush=True)
server.serve_forever()
"""
    head = "import os, pb\nfrom pb import sync\n"
    with subprocess.Popen(
        [sys.executable, "-c", head + code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as peer:
        assert peer.stdout is not None
        url = peer.stdout.readline().strip()
        with sync.open_connection(url) as connection, pytest.raises(pb.OutcomeUnknown):
            connection.root.die()


def test_ctrl_c_cancels_the_call_and_leaves_the_connection(connect):
    """The callee is stopped; the next call works."""
    root = Root()
    connection, _ = connect(root)

    def interrupt():
        assert root.told.wait(HOLD_S)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            connection.root.forever()
        done.result(HOLD_S)

    assert root.stopped.wait(HOLD_S)
    assert 1 == connection.root.echo(1)
    assert 0 == connection.usage.calls_made


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no process can be stopped here")
def test_ctrl_c_leaves_a_with_block_at_once():
    """A peer that hangs would hold it up for as long as a close may take."""
    code = """
class Root(pb.Root):
    async def remote_hang(self):
        await asyncio.Event().wait()
server = sync.serve(Root(), "pb://127.0.0.1:0")
print(server.url, flush=True)
server.serve_forever()
"""
    head = "import asyncio, pb\nfrom pb import sync\n"
    with subprocess.Popen(
        [sys.executable, "-c", head + code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as peer:
        assert peer.stdout is not None
        url = peer.stdout.readline().strip()

        def interrupt(connection):
            while not connection.usage.calls_made:
                pass
            peer.send_signal(signal.SIGSTOP)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

        try:
            with (
                ThreadPoolExecutor(1) as pool,
                pytest.raises(KeyboardInterrupt),
                # The watchdog of these tests does not wait so long.
                sync.open_connection(url, limits=pb.Limits(drain_s=3600)) as connection,
            ):
                pool.submit(interrupt, connection)
                connection.root.hang()
            assert not connection.is_open
        finally:
            peer.kill()


def test_nobody_listening_is_said_as_ever():
    """The errors are those of pb."""
    with pytest.raises(ConnectionRefusedError, match="nobody listens at"):
        sync.open_connection("pb://127.0.0.1:1")
    with pytest.raises(pb.BadURL):
        sync.open_connection("http://127.0.0.1")
    with pytest.raises(TypeError, match="registry="):
        sync.get_object_at("pb://127.0.0.1:1", registry=pb.Registry)


def test_what_is_observed_is_changed_on_the_loop():
    """A Tracked is told of from there, and followed from there."""
    server_registry, client_registry = pb.Registry(), pb.Registry()
    seen = threading.Event()

    @server_registry.cacheable("test.Board")
    class Board(pb.Tracked):
        notes: dict

    @client_registry.cacheable("test.Board")
    class Replica(pb.Tracked):
        notes: dict

        def changed(self, field):
            seen.set()

    root = Root()
    root.board = Board()
    root.board.notes = {}
    with (
        sync.serve(root, "pb://127.0.0.1:0", registry=server_registry) as server,
        sync.open_connection(server.url, registry=client_registry) as connection,
    ):
        replica = connection.root.board()

        with pytest.raises(RuntimeError, match=r"pb\.sync\.on_loop"):
            root.board.notes["today"] = "soup"
        sync.on_loop(root.board.notes.__setitem__, "today", "pie")

        assert seen.wait(HOLD_S)
        assert {"today": "pie"} == replica.notes
        assert not sync.is_stale(replica)
    assert sync.is_stale(replica)


def test_names_are_those_of_pb():
    """What is learned at one face is known at the other."""
    only_here = {"on_loop", "Gui"}

    assert set() == set(sync.__all__) - set(pb.__all__) - only_here
    for name in sync.__all__:
        assert getattr(sync, name).__doc__
    assert jelly.Referenceable is pb.Referenceable
