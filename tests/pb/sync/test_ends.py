"""How programs with connections end, and what becomes of them after a fork."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LIMIT_S = 20


def script(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; every warning is an error, and shows."""
    head = "import os, sys, threading, pb\nfrom pb import sync\n"
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", head + code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )


# How long a callback takes is no news, on a machine that is busy.
OPEN = """
import asyncio
sync.on_loop(lambda: setattr(asyncio.get_running_loop(), "slow_callback_duration", 60))
class Root(pb.Root):
    def remote_echo(self, value):
        return value
    def remote_hold(self):
        threading.Event().wait()
server = sync.serve(Root(), "pb://127.0.0.1:0")
connection = sync.open_connection(server.url)
root = connection.root
assert 1 == root.echo(1)
"""


@pytest.mark.parametrize(
    "more",
    [
        "",
        "root.echo.send(1)",
        "threading.Thread(target=root.hold, daemon=True).start()",
        """
def busy():
    while True: root.echo(1)
for _ in range(4): threading.Thread(target=busy, daemon=True).start()
root.echo(1)
""",
        "sync.on_disconnect(root, lambda reference: print('told'))",
        "import atexit; atexit.register(lambda: connection.close())",
        "keep = sync.get_object_at(server.url)",
    ],
    ids=["open", "sent", "waiting", "busy", "told", "closed at exit", "object"],
)
def test_a_program_ends_silently_whatever_is_open(more):
    """No warning, no traceback, no hang; peers get a BYE."""
    done = script(OPEN + more)

    assert ("", "", 0) == (done.stdout, done.stderr, done.returncode)


def test_after_its_end_nothing_can_be_called():
    """What other parts of a program do at exit gets a reason."""
    done = script(
        "import atexit\n"
        "@atexit.register\n"
        "def late():\n"
        "    try: root.echo(1)\n"
        "    except RuntimeError as error: print(error)\n" + OPEN
    )

    assert "" == done.stderr
    assert "the interpreter is exiting, and the connections of pb.sync have been closed\n" == done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_leaves_the_connections_to_the_parent():
    """The child gets a reason, may open its own, and the parent notices nothing."""
    done = script(
        "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n"
        + OPEN
        + """
child = os.fork()
if not child:
    for call in (lambda: root.echo(1), lambda: root.echo.send(1), connection.abort):
        try:
            call()
        except RuntimeError as error:
            print(error)
        else:
            print("nothing raised")
    connection.close()  # what a block does in the child, too, says nothing and hides nothing
    server.close()
    with connection, server:
        pass
    del root
    with sync.open_connection(server.url) as own:
        print("its own", own.root.echo("works"))
    sys.exit(0)
pid, status = os.waitpid(child, 0)
print("child", status, "parent", root.echo("works"), connection.is_open)
"""
    )

    assert "" == done.stderr
    *refusals, own, last = done.stdout.splitlines()
    assert 3 == len(
        [each for each in refusals if "belongs to the process that this one was forked from" in each]
    )
    assert "its own works" == own
    assert "child 0 parent works True" == last


@pytest.mark.parametrize("more", ["", "server.close()", "server.close(); lasting.status.wait_for('waiting')"])
def test_a_program_ends_silently_with_a_connection_that_comes_back(more):
    """It says goodbye where it is connected, and does not try again where it is not."""
    done = script(OPEN + "lasting = sync.open_connection(server.url, reconnect=True)\n" + more)

    assert ("", "", 0) == (done.stdout, done.stderr, done.returncode)
