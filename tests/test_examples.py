"""Every example, run as the processes its page says, with the output it promises."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an example to its end."""
    command = [sys.executable, "-W", "error", "-m", f"examples.{module}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


@contextmanager
def server(module: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run an example's server; yield where it listens, and the process."""
    command = [sys.executable, "-W", "error", "-m", f"examples.{module}", "pb://127.0.0.1:0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[-1], process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def test_listing_9_calls_back_with_result_and_error():
    """The caller never blocks; the one goes to the callback, the other to the errback."""
    with server("paper.listing09_server") as (url, _):
        done = run("paper.listing09_client", url)

    assert "" == done.stderr
    assert [
        "both calls are made, neither is waited for",
        "it worked: did it",
        "it failed: oh no, mr. bill!",
    ] == done.stdout.splitlines()


def test_listings_11_and_12_echo():
    """What the paper prints, on both sides."""
    with server("paper.listing11") as (url, process):
        done = run("paper.listing12", url)
        assert process.stdout is not None
        assert "echoing: hello network\n" == process.stdout.readline()

    assert "" == done.stderr
    assert 0 == done.returncode
    first, second = done.stdout.splitlines()
    assert first.startswith("got object: <RemoteReference 0 of 127.0.0.1:")
    assert "server echoed: hello network" == second


def test_listing_12_says_in_one_line_that_nobody_listens():
    """The exit status tells it to scripts."""
    done = run("paper.listing12", "pb://127.0.0.1:1", "5")

    assert 1 == done.returncode
    assert done.stderr.startswith("no object: ")
    assert 1 == len(done.stderr.splitlines())


def test_the_demo_shows_everything_it_promises():
    """`make demo` is the first thing a newcomer sees."""
    done = run("demo")

    assert "" == done.stderr
    assert 0 == done.returncode
    for said in (
        "echo         hello network",
        "the server says: 100 degrees",
        "result       boiling",
        "its answer   0.5 litres are left",
        "error        OutOfTea: 0.5 litres are left",
        "nothing is left open",
        "server ended with status 0, client with status 0",
    ):
        assert said in done.stdout


def test_the_example_of_the_readme_works_when_pasted():
    """It is what most people will ever run."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code = text.split("```python\n")[1].split("```")[0]

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert "" == done.stderr
    assert "the room says: mind the step\nlight\n" == done.stdout
