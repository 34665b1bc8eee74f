"""Run `pb` as a process, with a hard end to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[3]
HARD_END_S = 60.0
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
ENVIRONMENT.pop("NOTIFY_SOCKET", None)


def pb(*arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run `pb ARGUMENTS` to its end."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "pb", *map(str, arguments)],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=HARD_END_S,
    )


class Running:
    """A `pb run` that was started.

    Attributes:
        urls: where it said that it listens.
    """

    def __init__(self, process: subprocess.Popen[str], listeners: int) -> None:
        assert process.stdout is not None and process.stderr is not None and process.stdin is not None
        self.process = process
        self.stdin = process.stdin
        self.stdout = process.stdout
        self.stderr = process.stderr
        lines = [self.stdout.readline() for _ in range(listeners)]
        if not all(lines):
            raise AssertionError(f"it did not start: {self.stderr.read()}")
        self.urls = [line.split()[-1] for line in lines]
        self.url = self.urls[0]

    def until_logged(self, text: str) -> str:
        """Return what it logs up to and with a line that holds a text."""
        said = ""
        for line in self.stderr:
            said += line
            if text in line:
                return said
        raise AssertionError(f"it ended without {text!r}, saying: {said}")

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Tell it to stop; return status, stdout and stderr from here on."""
        self.process.send_signal(number)
        stdout, stderr = self.process.communicate(timeout=HARD_END_S)
        return self.process.returncode, stdout, stderr


@contextmanager
def running(*arguments: object, listeners: int = 1, **environment: str) -> Iterator[Running]:
    """Start `pb run ARGUMENTS`; it is killed at the end if it has not ended, and in any case in time."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "pb", "run", *map(str, arguments)],
        cwd=ROOT,
        env=ENVIRONMENT | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    killer = threading.Timer(HARD_END_S, process.kill)
    killer.start()
    try:
        yield Running(process, listeners)
    finally:
        killer.cancel()
        process.kill()
        process.communicate(timeout=HARD_END_S)
