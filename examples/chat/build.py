"""Build the page: TypeScript to JavaScript, and the client it uses beside it. Needs node and npm.

What is built is kept in `page/dist` until something it is made of is newer.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parent / "page"
BUILT: Final = PAGE / "dist"
CLIENT: Final = Path(__file__).parent.parent / "clients" / "javascript"
STATIC: Final = ("index.html", "style.css", "icon.svg")


class BuildFailed(Exception):
    """The page cannot be built; the text says why."""


def build() -> Path:
    """Return the folder with the page, built if it is not there or something has changed.

    Raises:
        BuildFailed: node is missing, or a program of it failed.
    """
    with _alone():
        _install()
        sources = [*PAGE.glob("src/*.ts"), *(PAGE / name for name in STATIC), PAGE / "tsconfig.json"]
        stamp = BUILT / ".built"
        if _is_newer(stamp, [*_sources_of_client(), *sources]):
            return BUILT
        shutil.rmtree(BUILT, ignore_errors=True)
        # The client first: the page is checked against its types.
        shutil.copytree(_client(), BUILT / "pb", ignore=shutil.ignore_patterns(".built"))
        _compile(PAGE, BUILT)
        for name in STATIC:
            shutil.copy(PAGE / name, BUILT)
        msgpack = CLIENT / "node_modules" / "@msgpack" / "msgpack" / "dist.esm"
        shutil.copytree(msgpack, BUILT / "msgpack", ignore=shutil.ignore_patterns("*.d.ts", "*.map"))
        stamp.touch()
        return BUILT


def client() -> Path:
    """Return the folder with the client in JavaScript, compiled if it is not there or something has changed.

    Raises:
        BuildFailed: node is missing, or a program of it failed.
    """
    with _alone():
        _install()
        return _client()


def _client() -> Path:
    compiled = CLIENT / "dist"
    stamp = compiled / ".built"
    if not _is_newer(stamp, _sources_of_client()):
        shutil.rmtree(compiled, ignore_errors=True)
        _compile(CLIENT, compiled)
        stamp.touch()
    return compiled


def _sources_of_client() -> list[Path]:
    return [*CLIENT.glob("src/*.ts"), CLIENT / "tsconfig.json", CLIENT / "package-lock.json", Path(__file__)]


def _is_newer(stamp: Path, sources: list[Path]) -> bool:
    return stamp.exists() and stamp.stat().st_mtime >= max(file.stat().st_mtime for file in sources)


def _install() -> None:
    installed = CLIENT / "node_modules" / ".package-lock.json"
    if not _is_newer(installed, [CLIENT / "package-lock.json"]):
        _run("npm", "ci")


def _compile(folder: Path, into: Path) -> None:
    _run("node", "node_modules/typescript/bin/tsc", "-p", str(folder), "--outDir", str(into))


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, cwd=CLIENT, capture_output=True, text=True)
    except FileNotFoundError:
        raise BuildFailed(
            f"{command[0]} is missing: the page is built by Node 20 or later, with npm"
        ) from None
    if done.returncode:
        raise BuildFailed(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


@contextmanager
def _alone() -> Iterator[None]:
    """Wait for another process that builds."""
    with open(PAGE / ".building", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
