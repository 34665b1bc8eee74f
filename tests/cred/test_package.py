"""The package: what it may import, what it shows, and that secrets are compared in constant time."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import cred
import cred.testing

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "cred").rglob("*.py"))
# Who may see what is decided without a connection; a loop is needed where several wait for one thing.
FORBIDDEN = {"jelly", "pb", "msgpack", "socket", "ssl", "select", "subprocess", "random", "uvloop"}
LOOPS = {"_loop.py", "sqlite.py", "testing.py"}


def imports_of(path):
    """Return the top-level modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_knows_no_wire(path):
    """A login can be replayed from bytes; a store can be used without a broker."""
    found = imports_of(path)

    assert set() == found & FORBIDDEN
    assert ("asyncio" in found) == (path.name in LOOPS)
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_importing_it_loads_no_loop_of_others_and_no_database():
    """asyncpg is an extra, sqlite3 is for who uses it."""
    code = (
        "import sys, cred; "
        "bad = {'asyncpg', 'sqlite3', 'msgpack', 'pb', 'jelly', 'uvloop'} & set(sys.modules); "
        "sys.exit(repr(bad) if bad else 0)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)

    assert ("", 0) == (done.stderr, done.returncode)


@pytest.mark.parametrize("name", cred.__all__)
def test_every_public_name_says_what_it_is(name):
    """A name without a docstring is a promise nobody can read."""
    value = getattr(cred, name)
    if inspect.isclass(value):
        for attribute, member in vars(value).items():
            if inspect.isfunction(member) and not attribute.startswith("_"):
                assert inspect.getdoc(member), attribute

    assert inspect.getdoc(value)


def test_no_name_is_listed_twice_and_no_error_is_forgotten():
    """Callers catch what is public."""
    errors = {
        name
        for name, value in vars(cred.errors).items()
        if inspect.isclass(value) and not name.startswith("_")
    }

    assert len(set(cred.__all__)) == len(cred.__all__)
    assert errors <= set(cred.__all__)


# What a peer sends and what only the right one could know.
SECRETS = {"proof", "signature", "expected", "stored_key", "server_key", "client_key", "hello", "_hello_hash"}


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name != "testing.py"], ids=lambda path: path.name
)
def test_secrets_are_not_compared_with_equals(path):
    """An early exit tells how many bytes were right; whole systems were opened by it."""
    compared = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.In):
            for side in (node.left, *node.comparators):
                name = side.attr if isinstance(side, ast.Attribute) else getattr(side, "id", "")
                compared |= {name} & SECRETS

    assert set() == compared
