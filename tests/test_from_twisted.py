"""The page for who comes from Twisted: its program runs, and the names that it promises are there."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import cred
import pb
from pb import sync
from pb.cli.main import COMMANDS

from .test_readme import ROOT, listings

PAGE = (ROOT / "docs" / "from-twisted.md").read_text()
HERE = (
    "\n".join(row.split("|")[2] for row in PAGE.splitlines() if row.startswith("| "))
    + PAGE[PAGE.index("## What") :]
)


def test_the_program_does_what_is_said():
    """It is the first thing that is compared with what one has."""
    (program,) = listings(PAGE)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert ("", "HEARD WELCOME\n") == (done.stderr, done.stdout)
    assert f"`{done.stdout.strip()}`" in PAGE


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\b((?:pb|cred)\.(?:sync\.)?[A-Za-z_]+)\b", HERE))))
def test_each_name_of_this_side_is_there(path):
    """A page that names what is not there costs somebody an hour."""
    package, _, name = path.rpartition(".")
    if path == "pb.Internal":  # an error's type as it arrives, of which there is no class
        return
    assert hasattr({"pb": pb, "cred": cred, "pb.sync": sync}[package], name)


def test_its_commands_and_hooks_are_there():
    """Those that a class defines are looked up by name, and silently not found."""
    named = set(re.findall(r"`pb ([a-z]+)", HERE))
    assert {"run", "identity"} == named <= COMMANDS.keys()
    assert hasattr(pb.Copyable, "get_state_to_copy_for")
    assert hasattr(pb.Cacheable, "get_state_to_cache_and_observe_for")
    assert hasattr(pb.Cacheable, "stopped_observing")
