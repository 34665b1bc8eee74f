"""The client in JavaScript, `examples/clients/javascript`, by its own tests: they start what is in Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import Final

import pytest

from examples.chat.build import CLIENT, client

from ..sizes import IS_WHOLE, exhaustive

NEEDED: Final = "PB_TESTS_NEED_NODE"
LEAST: Final = 20


def node_is_missing() -> str:
    """Return why the tests cannot run here, or nothing."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "node and npm are not installed"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout
    found = re.match(r"v(\d+)", version)
    return (
        ""
        if found and int(found[1]) >= LEAST
        else f"node {LEAST} or later is wanted, found {version.strip()}"
    )


def skip_without_node() -> None:
    """Skip a test where it cannot run, or fail it where it must."""
    missing = node_is_missing()
    if missing and not os.environ.get(NEEDED):
        pytest.skip(f"{missing} ({NEEDED}=1 makes that a failure)")
    assert "" == missing


@exhaustive
def test_the_client_in_javascript_passes_its_own_tests():
    """Values byte by byte, calls both ways, logins; in the whole size only the cases of level full."""
    skip_without_node()
    client()  # installed and compiled, which others may do at the same time
    environment = {**os.environ, "PB_PYTHON": sys.executable}
    kit = "test/conformance.test.mjs"
    files = sorted(f"test/{path.name}" for path in (CLIENT / "test").glob("*.test.mjs"))
    files.remove(kit)
    done = subprocess.run(
        ["node", "--expose-gc", "--test", *([kit] if IS_WHOLE else files)],
        cwd=CLIENT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert 0 == done.returncode, (done.stdout + done.stderr)[-8000:]
    assert re.search(r"^# fail 0$", done.stdout, re.MULTILINE), done.stdout[-2000:]


def test_the_lock_names_no_registry():
    """Who installs takes packages from where they take theirs; the hashes say that they are the same."""
    lock = (CLIENT / "package-lock.json").read_text()

    assert [] == re.findall(r'"resolved"|https?://registry[^"]*', lock)
    assert 0 < lock.count('"integrity": "sha512-')
