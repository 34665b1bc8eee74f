"""What the two sides of the conversations on pipelining do."""

from __future__ import annotations

import pb


class Library(pb.Referenceable):
    def remote_find(self, name):
        assert "sicp" == name
        return Book()

    def remote_lend(self, book, days):
        return [book.title, days]


class Book(pb.Referenceable):
    title = "SICP"

    def remote_title(self):
        return self.title


class LibraryRoot(pb.Root):
    """Where the conversations begin."""

    def remote_library(self):
        return Library()


# (conversation, role) -> what our side does of its own, each before the frame of that number.
ACTS = {
    ("08-pipeline", "C"): {
        0: lambda play: [
            play.ask("library"),
            play.ask_result(0, "find", "sicp"),
            play.ask_result(1, "title"),
        ],
        7: lambda play: [play.drop(0), play.drop(1)],
    },
    ("45-pipelined-argument", "C"): {
        0: lambda play: [
            play.ask("library"),
            play.ask_result(0, "find", "sicp"),
            play.ask_result(0, "lend", play.replies[1], 14),
        ],
        7: lambda play: [play.drop(0), play.drop(1)],
    },
    ("46-broken-promise", "C"): {
        0: lambda play: [
            play.ask("withdraw", 9),
            play.ask_result(0, "count"),
            play.ask_result(1, "sum"),
        ],
    },
}
