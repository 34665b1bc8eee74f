"""What the conversation about a replica that comes back needs: spec/vectors/conversations 61."""

from __future__ import annotations

from pb.caches import tracking
from pb.caches.history import History
from pb.caches.offering import Offering
from pb.caches.replica import Replica

from .binders_flavours import Board, asks, result, state_of
from .pump import Outcome

FIRST_KEY = bytes(range(16))


def come_back_at_server(play):
    """Let there have been a connection that knew the board by a key, and was told of two changes."""
    board, told = play.root.board, iter(["the second ke", "y is this one"])
    play.side.incident = lambda: next(told)
    history = tracking.followers_of(board).history = History(["title", "notes", "seats"])
    history.begin(FIRST_KEY, None, True)
    board.title = "c"
    board.title = "b"
    board.seats["north"] = "ann"


def come_back_at_client(play):
    """Offer what is left of such a connection."""
    play.board = Board("b", ["x"], {})  # kept by the program
    vars(play.board).update(title="b", notes=["x"], seats={})
    row = Replica(9, play.side.broker.scope, play.board)
    row.key, row.version = FIRST_KEY, 2
    offering = Offering([row], play.side.broker.scope, Outcome())
    root = play.side.broker.root_reference()._pb_import
    play.side.broker.calls.make(root, "pb:resync", (offering.offers,), {}, offering)


# (conversation, role) -> what a side does of its own, each before the frame of that number.
ACTS = {
    ("61-resync", "S"): {3: come_back_at_server},
    ("61-resync", "C"): {
        2: come_back_at_client,
        4: asks("board"),
        8: asks("matches", lambda play: state_of(result(0)(play))),
    },
}
