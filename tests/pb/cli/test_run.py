"""The command `pb run`, as a process: it starts, is told to stop, and says what is wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import pb
from tests.pb.cli.processes import HARD_END_S, Running, running
from tests.pb.cli.processes import pb as pb_command

SERVED = Path(__file__).with_name("served.py")
APPLICATION = "import pb\napplication = pb.Application('x')\n"
LISTENING = APPLICATION + "application.listen('pb://127.0.0.1:0')\n"


def in_loop(play: Callable[[], Awaitable[Any]]) -> Any:
    """Run a coroutine function to its end, in time."""

    async def bounded() -> Any:
        async with asyncio.timeout(HARD_END_S):
            return await play()

    return asyncio.run(bounded())


async def line_of(server: Running) -> str:
    return await asyncio.to_thread(server.stdout.readline)


def test_it_serves_until_it_is_told_to_stop():
    """One line for each listener says where, and with which port."""
    with running(SERVED) as server:

        async def play() -> object:
            async with pb.connect(server.url, "guest", "guest", "main") as perspective:
                return await perspective.echo("hi")

        assert "hi" == in_loop(play)
        status, stdout, stderr = server.end()

    assert (0, "detached guest\n") == (status, stdout)
    assert "served has no store" in stderr
    assert "served has stopped" in stderr
    assert "listens" not in stderr  # it was said


def test_ctrl_c_is_as_good_as_sigterm():
    """It is what people press."""
    with running(SERVED) as server:
        status, _, stderr = server.end(signal.SIGINT)

    assert 0 == status
    assert "Traceback" not in stderr


def test_what_runs_is_finished_and_nobody_new_gets_in():
    """A restart must not cost anybody an answer."""
    with running(SERVED) as server:

        async def play() -> None:
            async with pb.connect(server.url, "guest", "guest", "main") as perspective:
                answer = asyncio.ensure_future(perspective.wait())
                assert "waiting\n" == await line_of(server)
                server.process.send_signal(signal.SIGTERM)
                await asyncio.to_thread(server.until_logged, "calls are awaited")

                with pytest.raises(OSError, match=r"127\.0\.0\.1"):
                    await pb.open_connection(server.url)
                with pytest.raises(pb.NotExecuted):
                    await perspective.echo("too late")
                server.stdin.write("finished\n")
                server.stdin.flush()
                assert "finished" == await answer

        in_loop(play)
        server.process.wait(HARD_END_S)

    assert 0 == server.process.returncode


@pytest.mark.parametrize("method", ["wait", "block"])
def test_the_second_signal_ends_it_at_once(method):
    """Also where a handler sits in a thread, or blocks the loop so that the first is not heard."""
    with running(SERVED) as server:

        async def play() -> None:
            connection = await pb.open_connection(server.url)
            perspective = await (await connection.login("guest", "guest")).attach("main")
            call = asyncio.ensure_future(pb.call_remote(perspective, method))
            assert f"{method}ing\n" == await line_of(server)
            server.process.send_signal(signal.SIGTERM)
            # Two at once would be one.
            await asyncio.to_thread(server.until_logged, "told to stop; once more, and it ends at once")
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(pb.ConnectionLost):
                await call

        in_loop(play)
        server.process.wait(HARD_END_S)

    assert 128 + signal.SIGTERM == server.process.returncode


def test_drain_bounds_how_long_is_waited():
    """An operator knows better than the library how long a restart may take."""
    with running(SERVED, "--drain", "0.2") as server:

        async def play() -> None:
            connection = await pb.open_connection(server.url)
            perspective = await (await connection.login("guest", "guest")).attach("main")
            call = asyncio.ensure_future(perspective.wait())
            assert "waiting\n" == await line_of(server)
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(pb.OutcomeUnknown):
                await call

        in_loop(play)
        # The handler still waits for a line that nobody writes.
        server.until_logged("1 handlers in threads have not ended; the process ends without them")
        server.process.wait(HARD_END_S)

    assert 0 == server.process.returncode


@pytest.mark.parametrize(
    "command",
    [
        ("revoke", "guest", "main"),
        ("disable", "guest"),
        ("remove", "guest"),
        ("passwd", "guest", "--no-password"),
    ],
    ids=lambda command: command[0],
)
def test_what_another_process_revokes_is_cut_here(tmp_path, command):
    """The one who revokes cannot know which processes serve."""
    store = tmp_path / "identities.db"
    with running(SERVED, "--store", store) as server:

        async def play() -> None:
            async with pb.connect(server.url, "guest", "guest", "main") as perspective:
                assert 1 == await perspective.echo(1)
                done = await asyncio.to_thread(pb_command, "identity", *command, "--store", store)
                assert (0, "") == (done.returncode, done.stderr)
                assert "detached guest\n" == await line_of(server)
                with pytest.raises(pb.Gone):
                    await perspective.echo(2)

        in_loop(play)


def test_what_was_changed_in_the_store_outlives_a_restart(tmp_path):
    """The program declares guest again at each start; it must not undo what the operator did."""
    store = tmp_path / "identities.db"
    with running(SERVED, "--store", store) as server:
        assert 0 == server.end()[0]
    assert 0o600 == stat.S_IMODE(store.stat().st_mode)
    done = pb_command("identity", "passwd", "guest", "--stdin", "--store", store, stdin="new\n")
    assert (0, "") == (done.returncode, done.stderr)

    with running(SERVED, "--store", store, "--log-level", "debug") as server:

        async def play() -> object:
            async with pb.open_connection(server.url) as connection:
                with pytest.raises(pb.LoginFailed):
                    await connection.login("guest", "guest")
                return (await connection.login("guest", "new")).name

        assert "guest" == in_loop(play)
        assert "in the store" in server.end()[2]


def test_listen_replaces_what_the_file_says(tmp_path):
    """The operator decides where; the file may name a port that is in use."""
    socket_url = f"pb+unix://{tmp_path}/served.sock"
    with running(SERVED, "--listen", socket_url, "--listen", "pb://127.0.0.1:0", listeners=2) as server:
        assert socket_url == server.url
        assert server.urls[1].startswith("pb://127.0.0.1:")
        assert 0 == server.end()[0]


def test_tls_is_for_the_listeners_that_need_it(tmp_path):
    """`pb keygen` makes the file."""
    pem = tmp_path / "server.pem"
    assert 0 == pb_command("keygen", "-o", pem).returncode

    with running(SERVED, "--listen", "pbs://127.0.0.1:0", "--tls", pem) as server:

        async def play() -> object:
            async with pb.connect(server.url, "guest", "guest", "main") as perspective:
                return await perspective.echo("encrypted")

        assert "encrypted" == in_loop(play)


def test_state_that_cannot_be_written_is_seen_in_the_status(tmp_path):
    """A unit that lost something has failed."""
    source = LISTENING + (
        "class Owner:\n    def get_state_to_keep(self): return pb.Referenceable()\n"
        "    def set_kept_state(self, state): pass\n"
        "application.keep('owner', Owner())\n"
    )
    (tmp_path / "x.py").write_text(source)
    store = tmp_path / "x.db"

    with running(tmp_path / "x.py", "--store", store) as server:
        status, _, stderr = server.end()

    assert 1 == status
    assert stderr.splitlines()[-1].startswith(f"pb run: {store}: cannot be kept: state 'owner'")
    assert "Traceback" not in stderr


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_systemd_is_told_when_it_is_ready_and_when_it_stops(tmp_path, kind):
    """Type=notify: what depends on the service starts when it listens, not before."""
    name = str(tmp_path / "notify") if kind == "path" else f"\0pb-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(name)
        systemd.settimeout(HARD_END_S)
        with running(SERVED, NOTIFY_SOCKET=name.replace("\0", "@")) as server:
            assert b"READY=1" == systemd.recv(100)
            server.end()
        assert b"STOPPING=1" == systemd.recv(100)


def test_a_notify_socket_that_is_gone_does_no_harm(tmp_path):
    """Telling is a courtesy."""
    with running(SERVED, NOTIFY_SOCKET=str(tmp_path / "none")) as server:
        status, _, stderr = server.end()

    assert 0 == status
    assert "cannot tell READY=1 to $NOTIFY_SOCKET" in stderr


def refused(tmp_path: Path, source: str | None, *arguments: object) -> str:
    """Return why a file was not run."""
    file = tmp_path / "served.py"
    if source is not None:
        file.write_text(source)
    done = pb_command("run", file, *arguments)
    assert (1, "") == (done.returncode, done.stdout)
    return done.stderr


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (None, "cannot read {file}: No such file"),
        ("x = 1\n", "{file} defines no name `application`; expected application = pb.Application(...)"),
        ("application = 1\n", "{file} defines an `application` that is an int"),
        (APPLICATION, "{file} listens nowhere: call application.listen(url), or give --listen URL"),
        (LISTENING.replace("pb://", "pq://"), "unknown scheme"),
        (LISTENING.replace("127.0.0.1", "0.0.0.0"), "could be listened to"),
        (LISTENING.replace("pb://127.0.0.1:0", "pb+unix:///nowhere/at/all"), "no directory for the socket"),
    ],
    ids=["no file", "no name", "no application", "no listener", "bad url", "public", "no directory"],
)
def test_what_cannot_be_run_is_said_in_one_line(tmp_path, source, reason):
    """An operator reads this at night."""
    said = refused(tmp_path, source)

    last = said.splitlines()[-1]
    assert last.startswith("pb run: ")
    assert reason.format(file=tmp_path / "served.py") in last
    assert "Traceback" not in said


@pytest.mark.parametrize("source", ["import pb\n\n1 / 0\n", "def f(:\n"], ids=["error", "syntax"])
def test_an_error_in_the_file_is_shown_where_it_is(tmp_path, source):
    """And without the frames of the command, which are not to blame."""
    said = refused(tmp_path, source)

    assert f'File "{tmp_path}/served.py", line ' in said
    assert "pb/cli/run.py" not in said
    assert f"pb run: {tmp_path}/served.py could not be executed; nothing was started" in said


def test_imports_look_beside_the_file_and_may_be_relative_in_a_package(tmp_path):
    """As `python FILE`, and `python -m package.file`, do."""
    (tmp_path / "beside.py").write_text("name = 'plain'\n")
    package = tmp_path / "outer" / "inner"
    package.mkdir(parents=True)
    for directory in (package, package.parent):
        (directory / "__init__.py").touch()
    (package / "beside.py").write_text("name = 'packaged'\n")
    listening = "import pb\napplication = pb.Application(name)\napplication.listen('pb://127.0.0.1:0')\n"
    (tmp_path / "one.py").write_text("from beside import name\n" + listening)
    (package / "two.py").write_text("from .beside import name\n" + listening)

    for file, name in ((tmp_path / "one.py", "plain"), (package / "two.py", "packaged")):
        with running(file) as server:
            assert f"{name} has stopped" in server.end()[2]


def test_dataclasses_of_the_file_find_their_module(tmp_path):
    """They look it up by name; an anonymous one would break them."""
    source = (
        "from __future__ import annotations\nfrom dataclasses import KW_ONLY, dataclass\n"
        "@dataclass\nclass Point:\n    x: int\n    _: KW_ONLY\n    y: int\n"
        "assert 2 == Point(1, y=2).y\n" + LISTENING
    )
    (tmp_path / "points.py").write_text(source)

    with running(tmp_path / "points.py") as server:
        assert 0 == server.end()[0]


def make_store(path: Path, change: str) -> None:
    """Make a store with one thing wrong with it."""
    if change == "garbage":
        path.write_bytes(b"this is no database, but long enough to look like a file" * 20)
        path.chmod(0o600)
    elif change == "directory":
        path.mkdir()
    elif change != "nowhere":
        assert 0 == pb_command("identity", "add", "x", "--no-password", "--store", path).returncode
        if change == "readable":
            path.chmod(0o644)
        if change == "newer":
            with sqlite3.connect(path) as database:
                database.execute("UPDATE cred_store SET version = 2")
            database.close()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("garbage", "it is no store, or damaged: put a copy of it back, or name another file"),
        ("directory", "name a file"),
        ("readable", "has mode 0644 and holds secrets: chmod 600 it"),
        ("newer", "the store has version 2, this program reads version 1; update this program"),
        ("nowhere", "make the directory first"),
    ],
)
def test_a_store_that_cannot_be_used_is_named_with_the_remedy(tmp_path, change, reason):
    """Nothing is started with half of the identities, and nothing is written."""
    path = tmp_path / ("missing/store.db" if change == "nowhere" else "store.db")
    make_store(path, change)
    before = path.read_bytes() if path.is_file() else None

    said = refused(tmp_path, LISTENING, "--store", path)

    last = said.splitlines()[-1]
    assert last.startswith("pb run: ") and str(path) in last and reason in last
    assert before == (path.read_bytes() if path.is_file() else None)


def test_a_store_for_an_application_that_brings_one_is_refused(tmp_path):
    """Else the operator would look for identities where they are not."""
    source = LISTENING.replace("'x'", "'x', cred.Authorizer()").replace("import pb", "import cred, pb")

    assert "brings its own authorizer" in refused(tmp_path, source, "--store", tmp_path / "store.db")


@pytest.mark.parametrize("arguments", [["--drain", "-1"], ["--drain", "soon"], ["--log-level", "loud"]])
def test_misuse_has_its_own_status(tmp_path, arguments):
    """2, as for all commands."""
    (tmp_path / "x.py").write_text(LISTENING)

    assert 2 == pb_command("run", tmp_path / "x.py", *arguments).returncode
