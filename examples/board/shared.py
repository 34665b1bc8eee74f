"""What both processes know: the fields of the board, and the one error that crosses as itself."""

import pb

registry = pb.Registry()


class Board(pb.Tracked):
    """The notes, by who pinned them. Each side adds what it does with them, under the name board.Board."""

    notes: dict[str, str]


@registry.copyable("board.Refused")
class Refused(pb.Error):
    """The board takes short texts only, and one guest of a name."""
