"""Implementations under test: processes that publish the conformance object."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pb.conformance import vectors
from pb.conformance.case import Case
from pb.conformance.cases import built_in
from pb.conformance.run import Result, run_all
from pb.conformance.streams import Listener, dial

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "spec" / "vectors"
TIMEOUT_S = 10.0


def all_cases() -> list[Case]:
    """Return every case of the kit."""
    return built_in() + vectors.from_folder(VECTORS)


@contextmanager
def process(module: str, *arguments: str, tree: Path = ROOT) -> Iterator[subprocess.Popen[str]]:
    """Run a module of a tree until the end of the block."""
    environment = os.environ | {"PYTHONPATH": str(tree)}
    started = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=tree,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


@contextmanager
def server(url: str, tree: Path = ROOT) -> Iterator[str]:
    """Run a server under test; give its URL."""
    with process("examples.conformance.server", url, tree=tree) as started:
        assert started.stdout is not None
        line = started.stdout.readline()
        assert line, "the server under test did not start"
        yield line.split()[-1]


def judge_server(cases: list[Case], url: str, timeout_s: float = TIMEOUT_S) -> list[Result]:
    """Run cases against a server."""
    return list(run_all(cases, lambda: dial(url, timeout_s), timeout_s))


def judge_client(cases: list[Case], scheme: str) -> list[Result]:
    """Run cases against clients of the example."""
    listener = Listener(f"{scheme}://127.0.0.1:0")
    try:
        with process("examples.conformance.client", listener.url):
            return list(run_all(cases, lambda: listener.accept(TIMEOUT_S), TIMEOUT_S))
    finally:
        listener.close()


def unmet(results: list[Result]) -> list[Any]:
    """Return what has failed, with why."""
    return [(result.case.name, result.text) for result in results if result.outcome == "failed"]
