"""How cases are run one after another, and what becomes of what they say."""

from __future__ import annotations

import json

import pytest

from pb.cli.main import main
from pb.conformance import vectors
from pb.conformance.case import Case
from pb.conformance.peer import Unmet
from pb.conformance.run import FAILED, MISSES, run, run_all

from .subjects import VECTORS, server


class Deaf:
    """A stream to somebody who says HELLO and nothing else."""

    has_lengths = True

    def __init__(self):
        self.bodies = [bytes.fromhex("9400a250420180")]

    def send(self, data):
        pass

    def receive(self, timeout_s):
        return self.bodies.pop()

    def close(self):
        pass


def case(fails=""):
    def do(peer):
        if fails:
            raise Unmet(fails)

    return Case("x.01", "x", ("PB-F5",), "leaf", do)


def test_where_nobody_is_there_the_rest_is_not_run():
    """What was under test has crashed: to wait for each of hundreds of cases tells nothing more."""

    def refuse():
        raise ConnectionRefusedError("nobody listens")

    assert [FAILED] * MISSES == [each.outcome for each in run_all([case()] * 100, refuse, 0.1)]


def test_who_is_away_for_a_moment_is_tried_again():
    """Only misses in a row are the end."""
    there = iter([False, False, True] * 4)

    def connect():
        if not next(there):
            raise ConnectionRefusedError("nobody listens")
        return Deaf()

    assert [FAILED, FAILED, "passed"] * 4 == [each.outcome for each in run_all([case()] * 12, connect, 0.1)]


def test_what_a_failure_quotes_is_cut():
    """It may be a whole frame of megabytes."""
    result = run(case(fails="x" * 100_000), Deaf, 0.1)

    assert "x" * 600 + "… (100000 characters)" == result.text


@pytest.mark.parametrize(
    ("lossy", "failed"), [((), {"echo: float 1.0"}), (("js",), set())], ids=["exact", "js"]
)
def test_a_neighbouring_value_passes_for_a_language_that_has_no_other(lossy, failed):
    """1.0 as 1 is what one number type makes of it; of any other language it is another value."""
    (found,) = [each for each in vectors.from_folder(VECTORS, lossy) if each.title == "echo: float 1.0"]

    class Neighbour(Deaf):
        def __init__(self):
            self.bodies = [bytes.fromhex("930201c40101"), bytes.fromhex("9400a250420180")]

    result = run(found, Neighbour, 0.1)

    assert failed == ({found.title} if result.outcome == FAILED else set())
    assert ("needs --lossy" in result.text) == bool(failed)


def test_the_command_writes_what_became_of_each_case(tmp_path, capsys):
    """The same to read and for programs."""
    with server("pb://127.0.0.1:0") as url:
        status = main(
            ["conformance", "--connect", url, "--only", "errors.0", "--json", str(tmp_path / "x.json")]
        )

    assert 0 == status
    assert capsys.readouterr().out.endswith("9 passed, 0 failed, 0 skipped\n")
    assert 9 == len(json.loads((tmp_path / "x.json").read_text())["results"])
