"""The whole test suite with branch coverage: `python -m tests.suite`, as `make test` runs it.

With arguments they go to pytest, and coverage is not measured.
"""

from __future__ import annotations

import importlib.util
import platform
import subprocess
import sys
from importlib.metadata import version

# jelly, cred and the core of pb are covered branch by branch, or the line says why not.
COMPLETE = "jelly/*,cred/*,pb/*.py"


def main(arguments: list[str]) -> int:
    """Run pytest under coverage, show what is missing, and return the exit status."""
    uvloop = version("uvloop") if importlib.util.find_spec("uvloop") else "none"
    print(
        f"running on {platform.python_implementation()} {platform.python_version()}, "
        f"msgpack {version('msgpack')}, uvloop {uvloop}, {platform.system()}",
        flush=True,
    )
    if arguments:
        return subprocess.run([sys.executable, "-m", "pytest", *arguments]).returncode
    run = [sys.executable, "-m", "coverage"]
    tests = subprocess.run([*run, "run", "-m", "pytest"])
    if tests.returncode:
        return tests.returncode
    subprocess.run([*run, "report", "--skip-covered", "--omit=pb/*.py,jelly/*,cred/*"])
    return subprocess.run(
        [*run, "report", "--skip-covered", f"--include={COMPLETE}", "--fail-under=100"]
    ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
