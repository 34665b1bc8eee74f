"""The page on testing runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pb.testing

PAGE = (Path(__file__).parents[3] / "docs" / "testing.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_each_example_does_what_it_says():
    """The second uses what the first defines, as a reader would."""
    names: dict[str, object] = {}
    for block in BLOCKS:
        exec(compile(block, "docs/testing.md", "exec"), names)

    assert 2 == len(BLOCKS)


@pytest.mark.parametrize("name", re.findall(r"^\| `(\w+)\(", PAGE, re.MULTILINE))
def test_each_fault_of_the_table_exists(name):
    """A page that names what is not there costs somebody an hour."""
    assert hasattr(pb.testing.Network, name)
