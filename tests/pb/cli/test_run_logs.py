"""The logs of `pb run`: one line each, and where the file wants them if it says so."""

from __future__ import annotations

from pathlib import Path

from tests.pb.cli.processes import running

LISTENING = "import pb\napplication = pb.Application('x')\napplication.listen('pb://127.0.0.1:0')\n"
OWN_LOGS = (
    """
import logging, sys
{}
"""
    + LISTENING
)


def logged_by(tmp_path: Path, set_up: str, *arguments: object) -> list[str]:
    """Return the lines on stderr of a file that sets logging up itself, but for what is not logged."""
    (tmp_path / "own.py").write_text(OWN_LOGS.format(set_up))
    with running(tmp_path / "own.py", *arguments) as server:
        status, _, stderr = server.end()
    assert 0 == status
    return [line for line in stderr.splitlines() if not line.startswith("pb run: told to stop")]


def test_a_file_that_has_set_up_logging_is_left_to_it(tmp_path):
    """Or each line would be there twice, or in a form that the file has not chosen."""
    mine = 'logging.basicConfig(format="MINE %(levelname)s %(message)s", level={})'

    lines = logged_by(tmp_path, mine.format("logging.WARNING"))
    assert ["MINE WARNING x has no store: identities and state end with this process"] == lines
    lines = logged_by(tmp_path, mine.format("logging.WARNING"), "--log-level", "info")
    assert 1 == sum(line == "MINE INFO x has stopped" for line in lines)
    assert all(line.startswith("MINE ") for line in lines)


def test_what_a_logger_has_a_handler_for_is_not_written_twice(tmp_path):
    """The audit log goes to its file; and a library that only says that it is one is logged as ever."""
    set_up = """
own = logging.StreamHandler(sys.stderr)
own.setFormatter(logging.Formatter("MINE %(message)s"))
logging.getLogger("pb").addHandler(own)
logging.getLogger("lib").addHandler(logging.NullHandler())
import atexit
atexit.register(lambda: logging.getLogger("lib.part").info("is heard"))
"""
    lines = logged_by(tmp_path, set_up)
    assert 1 == sum("x has stopped" in line for line in lines)
    assert "MINE x has stopped" in lines
    assert 1 == sum(line.endswith("INFO lib.part: is heard") for line in lines)
