"""How programs on asyncio end: in silence, whatever is open, under way or held. See ending.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .loops import FACTORIES

ROOT = Path(__file__).parents[3]
LIMIT_S = 60
# uvloop warns of transports that the program has left open, and cannot bear that this becomes an error.
LOUD = {"uvloop": []}


@pytest.mark.parametrize(
    "how",
    ["returns", "exits", "closes", "abandons", *(["uvloop"] if "uvloop" in FACTORIES else [])],
)
def test_interpreter_shutdown_is_silent(how):
    """With connections, calls, references, replicas and streams left as they are, over each transport.

    Neither a traceback nor a warning: nothing of it is anybody's mistake, and it would hide what is.
    """
    ended = subprocess.run(
        [sys.executable, *LOUD.get(how, ["-W", "error"]), "-m", "tests.pb.aio.ending", how],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )

    assert (0, "", "49 things are left open\n") == (ended.returncode, ended.stderr, ended.stdout)
