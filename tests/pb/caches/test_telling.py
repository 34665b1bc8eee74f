"""Telling of a change that cannot be sent: what its author hears. test_tracked_telling.py has the rest."""

from __future__ import annotations

import operator

import pytest

import jelly
import pb

from ..boards import Board, follow


class Unknown:
    x: int


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda board: setattr(board, "title", Unknown()), "Board.title is an Unknown, which is not"),
        (lambda board: setattr(board, "players", ["x", object()]), "Board.players[1] is an object, one of"),
        (lambda board: setattr(board, "score", {"a": [object()]}), "Board.score['a'][0] is an object"),
        (lambda board: board.players.append(object()), "Board.players[2] is an object"),
        (lambda board: board.players.extend(["x", {"a": object()}]), "Board.players[3]['a'] is an object"),
        (lambda board: board.score.update(x=object()), "Board.score['x'] is an object"),
        (
            lambda board: operator.setitem(board.score, (1,), [object()]),
            "Board.score[<tuple>][0] is an object",
        ),
        (lambda board: operator.setitem(board.score, Unknown(), 1), "a key of Board.score is an Unknown"),
    ],
)
def test_a_change_that_cannot_be_sent_is_told_of_in_terms_of_the_object(change, place):
    """Who has made it knows nothing of a splice and its third argument."""
    board = Board(players=["ann", "bob"])
    (_,), (replica,) = follow(board, "guest")

    with pytest.raises(jelly.Unjellyable) as caught:
        change(board)

    assert str(caught.value).startswith(place)
    assert caught.value.__context__ is None
    assert (["ann", "bob"], {}, "a") == (board.players, board.score, board.title)
    assert not pb.is_stale(replica)
