"""The parts of the suite: what is in none is never run."""

from __future__ import annotations

from collections import Counter

from .suite import PARTS, TESTS


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
