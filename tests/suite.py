"""The whole test suite, with branch coverage where it must be complete: `python -m tests.suite`.

It runs in parts, three at a time, and mypy beside them. With arguments they go to pytest, and neither
coverage nor types are looked at; with `--quick` as the first, what is about processes, faults and other
languages is left out, the same everywhere; with `--exhaustive`, only what has two sizes runs, whole
(tests/sizes.py); with `--coverage`, all is measured, and shown file by file, which takes twice as long.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

# jelly, cred and the core of pb are covered branch by branch, or the line says why not.
ROOMS: Final = ("wire", "bounds", "calling", "promises", "holding", "caches", "streams", "watching")
# Those whose tests run beside those of what has no room; the others take as long.
LOWER: Final = ("wire", "bounds", "watching")
COMPLETE: Final = ",".join(("jelly/*", "cred/*", "pb/*.py", *(f"pb/{room}/*" for room in ROOMS)))
# What else there is in pb: to measure it too takes longer than the tests themselves.
FACES: Final = ("aio", "auth", "cli", "conformance", "sync", "testing")
LEFT_OUT: Final = ",".join(("pb/__main__.py", *(f"pb/{face}/*" for face in FACES)))
# One more than the cores that it is made for: a part that waits for processes leaves its core to another.
WORKERS: Final = 3
TESTS: Final = Path(__file__).parent
CORE: Final = sorted((TESTS / "pb").glob("test_*.py"))
TOP: Final = sorted(TESTS.glob("test_*.py"))
EXAMPLES: Final = [path for path in TOP if "examples" in path.name]
VECTORS: Final = TESTS / "test_vectors.py"
OTHERS: Final = sorted((TESTS / "interop").glob("test_*.py"))  # other languages
# What starts Chromium, or the compiler of TypeScript, is in one part, which does so once.
IN_JAVASCRIPT: Final = [
    path
    for path in (*EXAMPLES, *OTHERS)
    if path.stem.split("_")[-1] in ("chat", "server", "page", "javascript")
]
AIO: Final = sorted((TESTS / "pb" / "aio").glob("test_*.py"))
# Where the core is reached on ways that it has from a face only: hooks of a login, a full network, a loss.
REACHING: Final = [
    path
    for path in AIO
    if path.stem.removeprefix("test_") in ("backpressure", "observing", "reconnecting_pipelining")
]
FAULTS: Final = sorted((TESTS / "pb" / "faults").glob("test_*.py"))
COMEBACKS: Final = [
    path for path in FAULTS if path.stem == "test_comebacks"
]  # half of the work where it is whole
PYTEST_FOUND_NOTHING: Final = 5
COVERAGE: Final = (sys.executable, "-m", "coverage")


class Part(NamedTuple):
    """Tests that run in one process.

    Attributes:
        covered: whether coverage is measured by `make test`: where it must be complete. It takes twice as
            long, where a test is not marked `unmeasured`.
        quick: whether every Python is asked.
    """

    name: str
    paths: Sequence[Path]
    covered: bool = True
    quick: bool = True


def without(paths: Sequence[Path], others: Sequence[Path]) -> list[Path]:
    """Return the paths that are not among the others."""
    return [path for path in paths if path not in others]


# What takes longest first, so that all workers end at about the same time.
PARTS: Final = (
    Part("examples", without(EXAMPLES, IN_JAVASCRIPT), covered=False, quick=False),
    Part("faces", [TESTS / "pb" / name for name in ("auth", "cli", "sync")], covered=False),
    Part("asyncio", without(AIO, REACHING), covered=False),
    Part("values", [TESTS / "jelly", TESTS / "cred", VECTORS]),
    Part("core, first rooms", [*CORE, *(TESTS / "pb" / room for room in LOWER)]),
    Part("pages", IN_JAVASCRIPT, covered=False, quick=False),
    Part("interop", [*without(OTHERS, IN_JAVASCRIPT), TESTS / "conformance"], covered=False, quick=False),
    Part("core, other rooms", [TESTS / "pb" / room for room in ROOMS if room not in LOWER]),
    Part("faults", without(FAULTS, COMEBACKS), covered=False, quick=False),
    Part("documents", without(TOP, [*EXAMPLES, VECTORS]), covered=False),
    Part("comebacks", COMEBACKS, covered=False, quick=False),
    Part("asyncio, reaching the core", REACHING),
    Part("testing", [TESTS / "pb" / "testing"], covered=False),
)


def main(arguments: list[str]) -> int:
    """Run the parts, under coverage where that says something, show what is missing; return the status."""
    uvloop = version("uvloop") if importlib.util.find_spec("uvloop") else "none"
    print(
        f"running on {platform.python_implementation()} {platform.python_version()}, "
        f"msgpack {version('msgpack')}, uvloop {uvloop}, {platform.system()}",
        flush=True,
    )
    pytest = [sys.executable, "-m", "pytest"]
    if arguments[:1] == ["--quick"]:
        return run([(part, [*pytest, *arguments[1:]]) for part in PARTS if part.quick])
    if arguments[:1] == ["--exhaustive"]:
        os.environ["PB_TESTS_EXHAUSTIVE"] = "1"
        whole = [*pytest, "-m", "exhaustive", *arguments[1:]]
        # What takes little of `make test`, for it is a sample there, takes longest here.
        parts = [part._replace(paths=sized_in(part.paths)) for part in reversed(PARTS)]
        return run([(part, whole) for part in parts if part.paths], selects=True)
    measures_all = arguments == ["--coverage"]
    if arguments and not measures_all:
        return run([(part, [*pytest, *arguments]) for part in PARTS], selects=True)
    subprocess.run([*COVERAGE, "erase"])
    left_out = [] if measures_all else [f"--omit={LEFT_OUT}"]
    covered = [*COVERAGE, "run", "--parallel-mode", *left_out, "-m", "pytest"]
    types = (Part("types", []), [sys.executable, "-m", "mypy"])
    status = run([types, *((part, covered if part.covered or measures_all else pytest) for part in PARTS)])
    if status:
        return status
    subprocess.run([*COVERAGE, "combine", "--quiet"])
    if measures_all:
        subprocess.run([*COVERAGE, "report", "--skip-covered", f"--omit={COMPLETE}"])
    return subprocess.run(
        [*COVERAGE, "report", "--skip-covered", f"--include={COMPLETE}", "--fail-under=100"]
    ).returncode


def sized_in(paths: Sequence[Path]) -> list[Path]:
    """Return the files of tests among these, or in them, that have two sizes: the others need not be read."""
    within = [sorted(path.rglob("test_*.py")) if path.is_dir() else [path] for path in paths]
    files = [file for each in within for file in each]
    return [file for file in files if "@exhaustive" in file.read_text(encoding="utf-8")]


def run(parts: Sequence[tuple[Part, Sequence[str]]], *, selects: bool = False) -> int:
    """Run the parts, each with its command, and show each when it has ended; return the worst status.

    What has failed is named at the end: between it and the part that it is of there are thousands of lines.

    Args:
        selects: the commands choose among the tests, so a part may be left with none.
    """
    # Processes are started by the hundred; those that may not keep what they compiled take 0.4 s more each.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    worst, total_s, began = 0, 0.0, time.monotonic()
    failed: list[str] = []

    def run_part(part: Part, command: Sequence[str]) -> tuple[Part, int, float, bytes]:
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                [*command, *map(str, part.paths)], env=environment, stdout=output, stderr=subprocess.STDOUT
            )
            _, ended, used = os.wait4(process.pid, 0)  # what it has used, and all that it started
            process.returncode = os.waitstatus_to_exitcode(ended)
            output.seek(0)
            return part, process.returncode, used.ru_utime + used.ru_stime, output.read()

    with ThreadPoolExecutor(WORKERS) as pool:
        for each in as_completed([pool.submit(run_part, *part) for part in parts]):
            part, status, cpu_s, output = each.result()
            total_s += cpu_s
            sys.stdout.buffer.write(output)
            at_s = time.monotonic() - began
            print(f"== {part.name}: {cpu_s:.0f} s of the processor, ended after {at_s:.0f} s")
            sys.stdout.flush()
            if status != PYTEST_FOUND_NOTHING or not selects:
                worst = max(worst, abs(status))
                if status:
                    failed += failed_in(output) or [f"{part.name}, which ended with status {status}"]
    print(f"== all: {total_s:.0f} s of the processor, {time.monotonic() - began:.0f} s")
    if failed:
        print("\n  ".join([f"== {len(failed)} failed:", *failed]))
    return worst


def failed_in(output: bytes) -> list[str]:
    """Return which tests have failed, as one gives them to pytest, by the summary of a part's output."""
    lines = output.decode("utf-8", "replace").splitlines()
    told = [line for line in lines if line.startswith(("FAILED ", "ERROR tests"))]
    return [line.partition(" ")[2].partition(" - ")[0] for line in told]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
