"""The pages under docs/: what a program writes is up to date, and what a reader may paste runs."""

from __future__ import annotations

import re

import pytest

import cred
import jelly
import pb
import pb.sync
import pb.testing
from tests import reference_page


def test_the_page_of_names_is_the_one_that_the_docstrings_give():
    """`python -m tests.reference_page` writes it anew, after a name or its first line has changed."""
    assert reference_page.page() == reference_page.PAGE.read_text()


@pytest.mark.parametrize("module", [pb, pb.sync, pb.testing, cred, jelly], ids=lambda module: module.__name__)
def test_every_public_name_stands_on_the_page(module):
    """Nobody should have to read modules to learn what there is."""
    shown = set(re.findall(r"^\| `([\w]+)[`(]", reference_page.PAGE.read_text(), re.MULTILINE))

    assert set() == set(module.__all__) - shown


def test_no_name_stands_in_two_groups():
    """A reader would wonder which of the two is meant."""
    names = [name.partition(": ")[0] for *_, names in reference_page.GROUPS for name in names]

    assert sorted(set(names)) == sorted(names)
