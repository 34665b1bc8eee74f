"""The kit finds faults: each of a list is put into a copy of our broker, and a named case must fail."""

from __future__ import annotations

import compileall
import py_compile
import shutil

import pytest

from pb.conformance.run import chosen

from ..sizes import exhaustive, sized
from .mutations import FAULTS
from .subjects import ROOT, all_cases, judge_server, server

CASES = all_cases()
# A fault may make a server say nothing where something is expected; then this long is waited.
PATIENCE_S = 0.5


@pytest.fixture(scope="session")
def copy(tmp_path_factory):
    """A copy of what a server under test needs, compiled: only what is changed must be compiled again."""
    tree = tmp_path_factory.mktemp("broken")
    for name in ("pb", "jelly", "cred"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "examples" / "conformance", tree / "examples" / "conformance")
    (tree / "examples" / "__init__.py").touch()
    # By what is in a file, not by its second and its size, which a fault may leave as they are.
    by_content = py_compile.PycInvalidationMode.CHECKED_HASH
    assert compileall.compile_dir(tree, quiet=1, invalidation_mode=by_content)
    return tree


@exhaustive
@pytest.mark.parametrize("fault", FAULTS[:: sized(5, 1)], ids=lambda fault: fault.name)
def test_a_fault_is_found_by_its_case(fault, copy):
    """The same cases that pass without it: so it is the fault that they find."""
    path = copy / fault.file
    whole = path.read_text()
    assert 1 == whole.count(fault.text), f"the text of this fault stands {whole.count(fault.text)} times"
    path.write_text(whole.replace(fault.text, fault.instead))
    try:
        with server("pb://127.0.0.1:0", tree=copy) as url:
            results = judge_server(chosen(CASES, "full", fault.case), url, PATIENCE_S)
    finally:
        path.write_text(whole)

    assert "failed" in {result.outcome for result in results}


def test_there_are_enough_faults():
    """Fewer would prove little, and each is another one."""
    assert len({(fault.file, fault.text, fault.instead) for fault in FAULTS}) == len(FAULTS) >= 25
