"""What a peer sends fills no log: so many lines of a kind a minute, and then a number."""

from __future__ import annotations

import logging

import pytest

import jelly
import pb
from pb._log_bound import MAX_LINES, WINDOW_S, LogBound

from .pump import Script, packed

NOTHING = packed([[], {}])


class Server(pb.Root):
    def remote_raise(self):
        raise RuntimeError("secret")

    def remote_take(self, one):
        """Be published."""


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "pb")
    return lambda: [record.getMessage() for record in caplog.records]


CALLS = {
    "no method": "nothing",
    "raises": "raise",
    "no fit": "take",
}


@pytest.mark.parametrize("method", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("wants_answer", [False, True], ids=["id 0", "ids"])
def test_a_flood_of_calls_that_fail_writes_so_many_lines(method, wants_answer, lines):
    """Whatever fails of them, and whether or not they want an answer."""
    script = Script(Server())
    for number in range(3 * MAX_LINES):
        script.say([1, (number + 1) * wants_answer, 0, method, NOTHING])
    assert wants_answer * 3 * MAX_LINES == len(script.heard())
    assert MAX_LINES + 1 == len(lines())
    assert "100 lines about this in a minute with " in lines()[-1]

    script.broker.connection_lost("gone")
    per_call = 2 if method != "raise" and not wants_answer else 1
    assert f"{(3 * per_call - 1) * MAX_LINES} more of these with " in lines()[-1]
    assert MAX_LINES + 2 == len(lines())


def test_an_error_that_cannot_be_sent_is_bounded_too(lines):
    """Its two lines are of two kinds."""

    class Odd(pb.Error):
        def get_state_to_copy(self):
            raise SystemExit("no state")

        def set_copyable_state(self, state):
            """Be one that could come back."""

    class Root(pb.Root):
        def remote_odd(self):
            raise Odd

    registry = jelly.Registry()
    registry.add(Odd, "test.Odd")
    script = Script(Root(), registry=registry)
    for number in range(2 * MAX_LINES):
        script.say([1, number + 1, 0, "odd", NOTHING])
    assert 2 * MAX_LINES == len(script.heard())
    assert MAX_LINES == sum("could not be sent" in line for line in lines())
    assert MAX_LINES == sum(line.startswith("incident ") for line in lines())


def test_after_a_minute_lines_are_written_again_and_the_rest_is_told(lines):
    """The clock is the connection's."""
    now = [5.0]
    bound = LogBound(lambda: now[0])
    log = logging.getLogger("pb")

    def flood(count, event="incident"):
        for _ in range(count):
            if bound.allows(logging.ERROR, event, "peer"):
                log.error("line")

    flood(MAX_LINES + 7)
    flood(1, "call.failed")  # each kind for itself
    assert MAX_LINES + 1 == lines().count("line")
    now[0] += WINDOW_S - 1
    flood(1)
    assert MAX_LINES + 1 == lines().count("line")
    now[0] += 1
    flood(2)
    assert MAX_LINES + 3 == lines().count("line")
    assert ["8 more of these with peer were not logged: incident", "line", "line"] == lines()[-3:]
    now[0] += WINDOW_S
    flood(1)  # nothing was left out
    assert MAX_LINES + 4 == lines().count("line")
    bound.close("peer")
    assert "line" == lines()[-1]


def test_what_is_not_logged_is_not_counted(lines, caplog):
    """Who does not want that level gets no line about it."""
    caplog.set_level(logging.ERROR, "pb")
    bound = LogBound(lambda: 0.0)
    assert not any(bound.allows(logging.INFO, "call.refused", "peer") for _ in range(2 * MAX_LINES))
    bound.close("peer")
    assert [] == lines()
