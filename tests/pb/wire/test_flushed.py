"""Whose output is about to be taken: it is a list, and it knows whether waiting for more is worth while."""

from __future__ import annotations

import pytest

from pb.wire.flushed import ALONE, Flushed


def turn(flushed, changes):
    """Let a turn go by that has so many changes; return which of them were taken for alone."""
    found = [flushed.note_change() for _ in range(changes)]
    flushed.take()
    return found


def test_the_faces_are_taken_in_their_order_and_forgotten():
    """Who is appended meanwhile is one of the next turn."""
    flushed = Flushed()
    flushed.append("first")
    flushed.append("second")
    taken = flushed.take()
    flushed.append("third")

    assert (["first", "second"], ["third"]) == (taken, flushed)


def test_a_change_is_alone_where_changes_have_come_one_by_one_for_a_while():
    """What is likely is what was; at the beginning nothing is known."""
    flushed = Flushed()

    assert [[False]] * ALONE == [turn(flushed, 1) for _ in range(ALONE)]
    assert [[True]] * 3 == [turn(flushed, 1) for _ in range(3)]


def test_only_the_first_change_of_a_turn_is_alone():
    """A second one is not, and has found out that the first was not either."""
    flushed = Flushed()
    for _ in range(ALONE):
        turn(flushed, 1)

    assert [True, False, False] == turn(flushed, 3)


def test_a_change_is_not_alone_where_something_waits_already():
    """It leaves with that: this turn has more to say."""
    flushed = Flushed()
    for _ in range(ALONE):
        turn(flushed, 1)
    flushed.append("somebody")

    assert [False] == turn(flushed, 1)
    assert [True] == turn(flushed, 1)


@pytest.mark.parametrize("several", [2, 50])
def test_several_changes_in_a_turn_are_remembered_for_a_while(several):
    """They are one write for each connection, if the first waits for the others; so may the next ones be."""
    flushed = Flushed()
    for _ in range(ALONE + 1):
        turn(flushed, 1)
    turn(flushed, several)

    assert [[False]] * ALONE == [turn(flushed, 1) for _ in range(ALONE)]
    assert [True] == turn(flushed, 1)


def test_a_turn_without_a_change_teaches_nothing():
    """Between two changes, or bursts of them, a server writes its answers."""
    flushed = Flushed()
    for _ in range(ALONE):
        turn(flushed, 0)
        turn(flushed, 1)
        turn(flushed, 0)
    assert [True, False] == turn(flushed, 2)
    for _ in range(ALONE):
        turn(flushed, 0)

    assert [False] == turn(flushed, 1)
