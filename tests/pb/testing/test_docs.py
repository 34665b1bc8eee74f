"""The page on testing runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import pb.testing

PAGE = (Path(__file__).parents[3] / "docs" / "testing.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_each_example_does_what_it_says():
    """Each uses what those before it define, as a reader would."""
    names: dict[str, object] = {}
    for block in BLOCKS:
        exec(compile(block, "docs/testing.md", "exec"), names)

    assert 3 == len(BLOCKS)


def test_pytest_runs_what_the_page_shows(tmp_path):
    """The fixture is found, and the asynchronous test is run, not skipped with a warning."""
    (tmp_path / "test_page.py").write_text("\n".join(BLOCKS))
    command = [sys.executable, "-m", "pytest", "-qp", "no:cacheprovider", "--rootdir=.", "-k", "within_a_day"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert "1 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("name", re.findall(r"^\| `(\w+)\(", PAGE, re.MULTILINE))
def test_each_fault_of_the_table_exists(name):
    """A page that names what is not there costs somebody an hour."""
    assert hasattr(pb.testing.Network, name)
