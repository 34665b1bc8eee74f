"""What type checkers say about programs that use this: `typed/right.py` and `typed/wrong.py`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WRONG, RIGHT = "tests/typed/wrong.py", "tests/typed/right.py"


def test_slips_are_found_and_nothing_else_is(monkeypatch):
    """Most are of names, and what follows one has to be looked at too."""
    api = pytest.importorskip("mypy.api")
    monkeypatch.chdir(ROOT)
    lines = (ROOT / WRONG).read_text(encoding="utf-8").splitlines()
    marks = [(number, re.search(r"# E: ([\w-]+)$", line)) for number, line in enumerate(lines, 1)]
    expected = {f"{WRONG}:{number} {mark[1]}" for number, mark in marks if mark}
    output, failed, _ = api.run([WRONG, RIGHT])
    found = re.findall(r"^(.+:\d+): error: .*\[([\w-]+)\]$", output, re.MULTILINE)

    assert (expected, "") == ({f"{where} {code}" for where, code in found}, failed)
