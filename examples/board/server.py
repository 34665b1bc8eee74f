"""The hall where the board hangs: `python -m examples.board.server [url]`."""

import asyncio
import sys
from typing import Any

import pb

from . import shared

registry = pb.Registry()
registry.include(shared.registry)


@registry.cacheable("board.Board")
class Board(shared.Board):
    """The original. Whatever is done to `notes`, every replica follows."""

    def __init__(self) -> None:
        self.notes = {}

    def stopped_observing(self, perspective: Any, observer: Any) -> None:
        """The replica is gone, or the whole client, in whichever way."""
        super().stopped_observing(perspective, observer)
        print(f"the {perspective.name} looks no more", flush=True)


class Guest:
    """What one client may do: a note can be taken down by who pinned it, and by nobody else."""

    def __init__(self, name: str, board: Board) -> None:
        self.name = name
        self.board = board

    def perspective_get_board(self) -> Board:
        return self.board

    def perspective_pin(self, text: str) -> None:
        self.board.notes[self.name] = short(text)

    def perspective_take_down(self) -> None:
        self.board.notes.pop(self.name, None)


class Hall(pb.Root):
    def __init__(self) -> None:
        self.board = Board()
        self.names: set[str] = set()

    def remote_enter(self, name: str) -> pb.Attachment:
        """Let a guest in who says a name. A real service asks for a proof."""
        if short(name) in self.names:
            raise shared.Refused(f"there is a {name} already")
        self.names.add(name)
        print(f"the {name} comes", flush=True)
        return pb.current_call().attach(Guest(name, self.board), ended=lambda: self.leave(name))

    def leave(self, name: str) -> None:
        """However a guest leaves, a crash included, the note goes too."""
        self.names.remove(name)
        self.board.notes.pop(name, None)
        print(f"the {name} goes", flush=True)


def short(text: object) -> str:
    """Return what a client sent, if it is a short text. The library has not looked at its type."""
    if not isinstance(text, str) or not 0 < len(text) <= 80:
        raise shared.Refused("a text of 1 to 80 characters is expected")
    return text


async def main(url: str) -> None:
    async with pb.serve(Hall(), url, registry=registry) as server:
        print("the board hangs at", server.url, flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "pb://127.0.0.1:8790"))
    except OSError as error:
        sys.exit(f"no board: {error}")
    except KeyboardInterrupt:
        pass
