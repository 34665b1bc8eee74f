"""The whole test suite with branch coverage: `python -m tests.suite`, as `make test` runs it.

It runs as two processes side by side. With arguments they go to pytest, and coverage is not measured; with
`--quick` as the first, what is about processes and other languages is left out, the same on each Python.
"""

from __future__ import annotations

import importlib.util
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

# jelly, cred and the core of pb are covered branch by branch, or the line says why not.
COMPLETE: Final = "jelly/*,cred/*,pb/*.py"
# Two halves that take about as long as each other: what waits for processes, and what computes.
TESTS: Final = Path(__file__).parent
APART: Final = [str(TESTS / "pb" / name) for name in ("auth", "cli", "sync")]
OTHERS: Final = [str(path) for path in TESTS.iterdir() if path.name not in ("pb", "__pycache__")]
# What `--quick` leaves out.
SLOW: Final = ("conformance", "interop", "test_examples")
HALVES: Final = (
    [str(TESTS / "pb"), *(f"--ignore={path}" for path in APART)],
    [*(path for path in OTHERS if "test_" in path or Path(path).is_dir()), *APART],
)


def main(arguments: list[str]) -> int:
    """Run pytest under coverage, show what is missing, and return the exit status."""
    uvloop = version("uvloop") if importlib.util.find_spec("uvloop") else "none"
    print(
        f"running on {platform.python_implementation()} {platform.python_version()}, "
        f"msgpack {version('msgpack')}, uvloop {uvloop}, {platform.system()}",
        flush=True,
    )
    if arguments[:1] == ["--quick"]:
        first, second = HALVES
        second = [path for path in second if not Path(path).name.startswith(SLOW)]
        halves = ([*first, f"--ignore={TESTS / 'pb' / 'faults'}"], second)
        return run_halves([sys.executable, "-m", "pytest", *arguments[1:]], halves)
    if arguments:
        return run_halves([sys.executable, "-m", "pytest", *arguments], HALVES)
    coverage = [sys.executable, "-m", "coverage"]
    subprocess.run([*coverage, "erase"])
    status = run_halves([*coverage, "run", "--parallel-mode", "-m", "pytest"], HALVES)
    if status:
        return status
    subprocess.run([*coverage, "combine", "--quiet"])
    subprocess.run([*coverage, "report", "--skip-covered", "--omit=pb/*.py,jelly/*,cred/*"])
    return subprocess.run(
        [*coverage, "report", "--skip-covered", f"--include={COMPLETE}", "--fail-under=100"]
    ).returncode


def run_halves(command: Sequence[str], halves: tuple[list[str], list[str]]) -> int:
    """Run both halves at once; show the first as it goes, the second when it has ended."""
    with tempfile.TemporaryFile() as output:
        second = subprocess.Popen([*command, *halves[1]], stdout=output, stderr=subprocess.STDOUT)
        try:
            first = subprocess.run([*command, *halves[0]]).returncode
        finally:
            status = second.wait()
        output.seek(0)
        sys.stdout.flush()
        sys.stdout.buffer.write(output.read())
        sys.stdout.flush()
    return first or status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
