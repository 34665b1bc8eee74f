"""The parts of the suite: what is in none is never run."""

from __future__ import annotations

import re
import sys
from collections import Counter

from .suite import PARTS, TESTS, Part, failed_in, run, sized_in


def test_every_file_of_tests_is_in_one_part():
    """Also one that was added yesterday."""
    files = {path for path in TESTS.rglob("test_*.py") if "bench" not in path.parts}
    times = Counter(
        file
        for part in PARTS
        for path in part.paths
        for file in (path.rglob("test_*.py") if path.is_dir() else [path])
    )

    assert {} == {file: times[file] for file in files | set(times) if times[file] != 1}


def test_what_has_two_sizes_is_found_in_every_part():
    """`make exhaustive` reads no other files: one that it did not find would never run whole."""
    asking = {
        path
        for path in TESTS.rglob("test_*.py")
        if re.search(r"sizes import .*\bexhaustive\b", path.read_text())
    }

    assert asking == {file for part in PARTS for file in sized_in(part.paths)}
    assert 10 < len(asking)


def test_what_has_failed_is_named_at_the_end(tmp_path, capfdbinary):
    """Whoever ran it sees what to run again, and not only that something is wrong somewhere above."""
    (tmp_path / "test_one.py").write_text("def test_good(): pass\ndef test_bad(): assert 'a - b' == 1\n")
    pytest = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rfE",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
    ]
    one = Part("one", [tmp_path / "test_one.py"])
    gone = Part("gone", [])
    status = run([(one, pytest), (gone, [sys.executable, "-c", "raise SystemExit(3)"])])
    last = capfdbinary.readouterr().out.decode().splitlines()[-3:]

    assert 3 == status
    assert "== 2 failed:" == last[0]
    assert ["gone, which ended with status 3", "test_one.py::test_bad"] == sorted(
        line.strip().rpartition("/")[2] for line in last[1:]
    )


def test_nothing_is_named_where_all_is_well():
    """The summary is of pytest's own words, and a test that prints such a word has not failed."""
    assert [] == failed_in(b"1 passed\n  FAILED is not at the beginning\nERROR    pb: a line of a log\n")
    assert ["tests/a.py::b[x-1]", "tests/c.py"] == failed_in(
        b"FAILED tests/a.py::b[x-1] - assert 1 - 2\nERROR tests/c.py - SystemExit\n"
    )
