"""The examples without a loop, each run as the processes its page says."""

from __future__ import annotations

import signal
import subprocess
import sys

from tests.test_examples import ROOT, run, server


def test_the_script_runs_from_top_to_bottom():
    """Callbacks that call, an error that crosses as itself, and a server that ends when it is told."""
    with server("sync.server") as (url, process):
        done = run("sync.script", url)
        process.send_signal(signal.SIGINT)
        said, complaint = process.communicate(timeout=60)

    assert ("the mill stands still\n", "", 0) == (said, complaint, process.returncode)
    assert ("", 0) == (done.stderr, done.returncode)
    assert [
        "asked about kilo 1, in the main thread: True; a sack of it less one kilo has 0",
        "asked about kilo 2, in the main thread: True; a sack of it less one kilo has 1",
        "asked about kilo 3, in the main thread: True; a sack of it less one kilo has 2",
        "ground       ['fine flour', 'coarse flour', 'fine flour']",
        "left         1",
        "refused      1 kg are left",
        "afterwards   the sack is out of reach",
    ] == done.stdout.splitlines()


def test_at_the_prompt_a_call_is_a_line():
    """What was said, and what came of it, an error too."""
    with server("sync.server") as (url, _):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "examples.sync.prompt", url],
            cwd=ROOT,
            input="sack = root.buy(2)\nsack.take(1)\nsack.take(5)\nsack.take(1)\n",
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert 0 == done.returncode
    assert ">>> >>> 1\n>>> >>> 0\n>>> " == done.stdout
    assert "examples.sync.server.OutOfGrain: 1 kg are left\n" in done.stderr


def test_the_script_says_in_one_line_that_nobody_listens():
    """The exit status tells it to scripts."""
    done = run("sync.script", "pb://127.0.0.1:1")

    assert (1, 1) == (done.returncode, len(done.stderr.splitlines()))
    assert done.stderr.startswith("no mill: ")
