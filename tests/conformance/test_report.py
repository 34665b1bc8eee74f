"""What the runner prints."""

from __future__ import annotations

from pb.conformance import report
from pb.conformance.run import FAILED, Result

from .subjects import all_cases


def test_what_the_side_under_test_says_is_printed_harmlessly():
    """A failure quotes it; a terminal must not obey that."""
    said = "BYE 8 \x1b[2J\x9b\u202e\nPASSED all"

    printed = report.line(Result(all_cases()[0], FAILED, said, (said,), 0.0))

    assert 3 == len(printed.splitlines())
    assert r"\x1b[2J\x9b\u202e\nPASSED all" in printed
    assert "".join(printed.split("\n")).isprintable()


def test_what_was_not_run_is_said():
    """Else a run that ended early would look like a short one."""
    assert "stopped: 3 cases in a row met nobody, so 412 were not run" == report.stopped(412)
