"""Imports go down only: what each package may know of the others and of the world."""

from __future__ import annotations

import ast
import gc
import subprocess
import sys
from pathlib import Path

import pytest

from .suite import ROOMS

ROOT = Path(__file__).parent.parent
# The core must be replayable: no loop, no socket, no thread, no clock and no chance.
WORLD = {
    "asyncio",
    "socket",
    "ssl",
    "threading",
    "time",
    "random",
    "secrets",
    "select",
    "subprocess",
    "uvloop",
}
OURS = {"jelly", "cred", "pb"}
PB = ROOT / "pb"
CORE = sorted([*PB.glob("*.py"), *(path for room in ROOMS for path in (PB / room).glob("*.py"))])


@pytest.fixture(autouse=True)
def _without_collections():
    """Let no finalizer run within ast.parse: one that logs a traceback parses too, which 3.11 cannot bear."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def imports_of(path: Path, *, for_types: bool = True) -> set[str]:
    """Return the dotted modules that a file imports, relative ones resolved.

    Args:
        for_types: also those that only the checker of types is shown.
    """
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not for_types:
        tree.body = [
            node for node in tree.body if not (isinstance(node, ast.If) and "TYPE" in ast.dump(node.test))
        ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def is_for_types(node: ast.stmt) -> bool:
    """Return whether it is `if TYPE_CHECKING:`."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def test_a_relative_import_is_resolved():
    """The walk below is worth nothing if it cannot see `from .. import x`."""
    assert "pb.wire.state.State" in imports_of(ROOT / "pb" / "broker.py")
    assert "asyncio" in imports_of(ROOT / "pb" / "aio" / "link.py")


@pytest.mark.parametrize("path", sorted((ROOT / "jelly").glob("*.py")), ids=lambda path: path.name)
def test_jelly_knows_neither_pb_nor_the_world(path):
    """A serializer that can open a socket is one bug from doing so."""
    tops = {name.partition(".")[0] for name in imports_of(path)}

    assert set() == tops & (WORLD | OURS - {"jelly"})


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(PB)))
def test_the_core_knows_jelly_only(path):
    """What comes from the world comes in as an argument; faces are loaded by name when first used."""
    names = imports_of(path)
    tops = {name.partition(".")[0] for name in names}

    assert set() == tops & (WORLD | {"cred"})
    if path.parent != PB or path.name not in ("__init__.py", "__main__.py"):
        assert not [name for name in names if name.startswith(("pb.aio", "pb.auth", "pb.cli", "pb.sync"))]


@pytest.mark.parametrize(("room", "below"), [("wire", set()), ("bounds", {"wire"})], ids=["wire", "bounds"])
def test_the_lowest_rooms_of_the_core_know_none_above_them(room, below):
    """What is received when, and how much of it, can be read without knowing what is made of it."""
    names = {name for path in (PB / room).glob("*.py") for name in imports_of(path, for_types=False)}
    known = {name.split(".")[1] for name in names if name.startswith("pb.")}

    assert known & {*ROOMS} - {room} <= below


@pytest.mark.parametrize("path", sorted((ROOT / "pb" / "auth").glob("*.py")), ids=lambda path: path.name)
def test_auth_is_where_cred_and_the_broker_meet(path):
    """And it is as replayable as both; only by what chance strangers are dropped has a default.

    What an application is given and gives is of the face, which it loads by name; type checkers are told.
    """
    names = imports_of(path, for_types=path.name != "application.py")
    tops = {name.partition(".")[0] for name in names}

    assert tops & WORLD <= ({"secrets"} if path.name == "strangers.py" else set())
    assert not [name for name in names if name.startswith(("pb.aio", "pb.cli", "pb.sync"))]


@pytest.mark.parametrize("path", sorted((ROOT / "cred").rglob("*.py")), ids=lambda path: path.name)
def test_cred_knows_no_wire(path):
    """It is of use behind other doors too."""
    tops = {name.partition(".")[0] for name in imports_of(path)}

    assert set() == tops & {"pb", "jelly", "msgpack", "socket", "ssl"}


@pytest.mark.parametrize("name", ["pump", "side", "tasks", "wire"])
def test_the_pump_is_as_replayable_as_the_core(name):
    """A test that needs no loop should not get one; chance comes in as an argument, which only types name."""
    names = imports_of(ROOT / "pb" / "testing" / f"{name}.py")

    assert {each.partition(".")[0] for each in names} & WORLD <= {"random"}
    assert not [each for each in names if each.startswith(("pb.aio", "pb.auth", "pb.cli", "pb.sync"))]


@pytest.mark.parametrize("path", sorted((ROOT / "pb" / "aio").glob("*.py")), ids=lambda path: path.name)
def test_cryptography_is_known_to_tls_only(path):
    """Everything else gets contexts and fingerprints."""
    tops = {name.partition(".")[0] for name in imports_of(path)}

    assert ("cryptography" in tops) == (path.name == "tls.py")


def test_getattr_with_a_name_from_the_peer_is_in_dispatch_only():
    """One place to read, for who wants to know what a peer can reach."""
    files = [*(ROOT / "jelly").glob("*.py"), *CORE]
    dynamic = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "getattr"
                and any(isinstance(part, ast.BinOp | ast.Call) for part in ast.walk(node.args[1]))
            ):
                dynamic.add(path.name)

    assert {"dispatch.py"} == dynamic


# What runs or loads what it is given: none of it may meet a byte of a peer.
RUNS = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "yaml", "runpy", "code"}
RUN = {"eval", "exec", "compile", "__import__"}
# The only places, each for what the program or its operator has written.
RUN_HERE = {
    "pb/__init__.py": {"import_module"},  # out of a table of names
    "pb/testing/__init__.py": {"import_module"},
    "pb/cli/main.py": {"import_module"},
    "pb/cli/run.py": {"exec", "compile"},  # the operator's file
}


def runs_what_it_is_given(path: Path) -> set[str]:
    """Return by which means a module could run, or load, something that it is given."""
    found = {name.partition(".")[0] for name in imports_of(path)} & RUNS
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name):
            found |= {node.id} & RUN
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            found |= set() if isinstance(node.args[0], ast.Constant) else {"import_module"}
    return found


def test_nothing_runs_or_loads_what_it_is_given():
    """No serializer that runs code is reachable from the wire, and no class is looked up by a path."""
    found = {
        path.relative_to(ROOT).as_posix(): means
        for package in ("jelly", "cred", "pb")
        for path in (ROOT / package).rglob("*.py")
        if (means := runs_what_it_is_given(path))
    }

    assert RUN_HERE == found


@pytest.mark.parametrize("package", ["jelly", "cred", "pb", "tests", "examples"])
def test_no_file_is_over_400_lines(package):
    """Every project of this kind regrets its biggest file."""
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / package).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }

    assert {} == long


def test_import_pb_loads_neither_ssl_nor_cryptography_nor_a_loop():
    """Scripts and command-line tools pay for what they use."""
    code = (
        "import sys, pb; "
        "bad = {'asyncio', 'ssl', 'cryptography', 'twisted', 'websockets', 'uvloop'} & set(sys.modules); "
        "sys.exit(repr(bad) if bad else 0)"
    )

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=ROOT
    )

    assert "" == done.stderr
    assert 0 == done.returncode


@pytest.mark.parametrize(
    "path", sorted((ROOT / "pb" / "conformance").rglob("*.py")), ids=lambda path: path.name
)
def test_the_conformance_kit_shares_no_code_with_what_it_judges(path):
    """It could not find a fault that it has itself."""
    ours = {name for name in imports_of(path) if name.partition(".")[0] in OURS}

    assert set() == {name for name in ours if not name.startswith("pb.conformance")}
