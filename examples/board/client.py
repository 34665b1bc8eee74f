"""One who looks at the board: `python -m examples.board.client name [url]`."""

import asyncio
import sys
from collections.abc import Callable

import pb

from . import shared

NOTES = {
    "cook": "soup at noon",
    "smith": "will mend pots",
    "miller": "flour is in",
}

registry = pb.Registry()
registry.include(shared.registry)


@registry.cacheable("board.Board")
class Board(shared.Board):
    """The replica: it has the notes that the board of the server has. Not to be written to."""

    def post_unjelly(self) -> None:
        """Be complete: no constructor runs for what comes from a peer."""
        self.shown = dict(self.notes)
        self.seen = set(self.notes)  # also of those that are down again
        self.news = asyncio.Event()

    def changed(self, field: str) -> None:
        """Tell what is new. Called after each change, whatever the server did to `notes`."""
        for name, text in self.notes.items() - self.shown.items():
            say(f"+ {name}: {text}")
        for name, text in self.shown.items() - self.notes.items():
            say(f"- {name}: {text}")
        self.shown = dict(self.notes)
        self.seen.update(self.notes)
        self.news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that stays true: changes come in order, but many may come at once.

        Raises:
            ConnectionLost: nobody will tell of changes any more.
        """
        forget = pb.on_disconnect(self, lambda board: board.news.set())
        try:
            while not condition():
                if pb.is_stale(self):
                    raise pb.ConnectionLost("the board is out of sight")
                await self.news.wait()
                self.news.clear()
        finally:
            forget()


def say(*words: object) -> None:
    print(f"{NAME}:", *words, flush=True)


async def main(url: str) -> None:
    async with pb.open_connection(url, registry=registry) as connection:
        me = await connection.root.enter(NAME)
        board = await me.get_board()
        say("finds notes of", ", ".join(board.notes) or "nobody")
        say("asks again; it is the same board:", await me.get_board() is board)

        await me.pin(NOTES.get(NAME, "was here"))
        await board.until(lambda: len(board.seen) >= 3)
        say("has seen all three")

        await me.take_down()
        await board.until(lambda: not board.notes)
        say("leaves an empty board")


if __name__ == "__main__":
    NAME = sys.argv[1] if len(sys.argv) > 1 else "cook"
    try:
        asyncio.run(main(sys.argv[2] if len(sys.argv) > 2 else "pb://127.0.0.1:8790"))
    except (OSError, shared.Refused) as error:
        sys.exit(f"no board: {error}")
