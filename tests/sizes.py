"""Two sizes of what is exhaustive by nature: a spread sample for each commit, and the whole of it.

`make test` takes the sample; `make exhaustive` runs only what has two sizes, whole, and `.ci/run` both.
"""

from __future__ import annotations

import os
from typing import Final, TypeVar

import pytest

IS_WHOLE: Final = os.environ.get("PB_TESTS_EXHAUSTIVE") == "1"
T = TypeVar("T")

# For each test that asks for a size.
exhaustive: Final = pytest.mark.exhaustive


def sized(sample: T, whole: T) -> T:
    """Return the one that this run is for."""
    return whole if IS_WHOLE else sample
