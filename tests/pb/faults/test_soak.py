"""Connections that came and went leave nothing behind; tests/bench/soak.py does it two thousand times."""

from __future__ import annotations

import pytest

from ...bench.soak import soak
from ..aio.loops import run


@pytest.mark.parametrize("url", ["pb://127.0.0.1:0", "memory://soak"], ids=["pb", "memory"])
def test_connections_that_have_ended_leave_nothing_behind(url, loop, caplog):
    """No object of any type, no task, no file: counted, not guessed. Memory is for the long run."""
    caplog.set_level("CRITICAL", "pb")
    # A thread more in the pool is a lock or two; what one cycle in four leaves behind would be ten.
    grown = run(soak(url, cycles=40, warm_up=12, tolerance=8), loop)

    assert {} == {name: count for name, count in grown.items() if name != "bytes of memory"}
