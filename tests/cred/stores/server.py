"""A PostgreSQL server of our own for the tests: installed binaries, a socket in a temporary folder."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

# Set where skipping would be a lie: a continuous integration that says "all passed".
NEEDED = "PB_TESTS_NEED_POSTGRES"


def binaries():
    """Return the folder of the newest initdb; None if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    elsewhere = shutil.which("initdb")
    return Path(elsewhere).resolve().parent if elsewhere else None


@contextmanager
def serving():
    """Run a server; yield the folder of its socket and the name of its user. Skips where none can be had."""
    folder = binaries()
    if folder is None:
        say = pytest.fail if os.environ.get(NEEDED) else pytest.skip
        say("no PostgreSQL to start (no initdb): apt-get install postgresql")
    # Not pytest's tmp_path: it is closed to the user the server runs as, and too long for a socket.
    home = Path(tempfile.mkdtemp(prefix="pb-pg-"))
    user, options = getpass.getuser(), {}
    if os.geteuid() == 0:
        # It refuses to run as root.
        user = "postgres" if any(entry.pw_name == "postgres" for entry in pwd.getpwall()) else "nobody"
        shutil.chown(home, user)
        options = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}

    def call(program, *arguments):
        done = subprocess.run(
            [str(folder / program), *arguments],
            cwd=home,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        assert 0 == done.returncode, done.stderr

    data = str(home / "data")
    try:
        call("initdb", "-D", data, "-U", "cred", "-A", "trust", "-N", "-E", "UTF8", "--locale=C")
        settings = f"-k {home} -c listen_addresses='' -c fsync=off -c max_connections=60"
        call("pg_ctl", "-D", data, "-w", "-l", str(home / "log"), "-o", settings, "start")
        try:
            yield str(home), "cred"
        finally:
            call("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)
