"""The README's listings: all are Python, and those that a reader may paste into a file run as they stand."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from tests.pb.cli.processes import ROOT, running

_PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def listings(text: str) -> list[str]:
    """Return what stands between the fences of Python."""
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


README = listings(_PAGES[0].read_text())
FIRST = README[0]
(PBECHO,) = [each for each in README if each.startswith("# pbecho.py")]


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_every_listing_is_python(page):
    """A fragment may leave out what is around it, such as the coroutine that its `await` stands in."""
    for number, listing in enumerate(listings(page.read_text()), 1):
        compile(listing, f"{page.name}, listing {number}", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_the_first_listing_prints_what_is_said_below_it():
    """It is what a reader tries first."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FIRST], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert ("", "the room says: mind the step\nlight\n") == (done.stderr, done.stdout)
    for line in done.stdout.splitlines():
        assert f"`{line}`" in _PAGES[0].read_text()


def test_pbecho_runs_as_pasted_and_answers_alice(tmp_path):
    """By the commands that stand beside it: `pb identity add`, `pb run`, `pb call`."""
    file, store = tmp_path / "pbecho.py", tmp_path / "pbecho.db"
    file.write_text(PBECHO)
    as_alice = ("--user", "alice", "--service", "echo", "--stdin")

    def pb(*arguments: object) -> tuple[int, str, str]:
        """Run a command that reads a password from stdin."""
        command = [sys.executable, "-W", "error", "-m", "pb", *map(str, arguments)]
        done = subprocess.run(command, cwd=ROOT, input="sesame\n", capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    assert 0 == pb("identity", "add", "alice", "--grant", "echo", "--store", store, "--stdin")[0]
    with running(file, "--store", store, "--listen", "pb://127.0.0.1:0") as server:
        assert (0, '"alice said hello"\n', "") == pb("call", server.url, "echo", '"hello"', *as_alice)
        status, listed, _ = pb("ls", server.url, *as_alice)
        assert 0 == status
        assert "echo" in listed
        assert 0 == server.end()[0]
