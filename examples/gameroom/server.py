"""The house with the room: `python -m examples.gameroom.server [url]`."""

import asyncio
import sys

import pb

from . import shared
from .room import Crowd, Player, Room

ROLES = {"knight": frozenset[str](), "wizard": frozenset({"wizard"})}

registry = pb.Registry()
registry.include(shared.registry)
registry.add(Crowd, "gameroom.Crowd")


class House(pb.Root):
    """Everybody may knock here. What happens inside, happens through a Player."""

    def __init__(self) -> None:
        self.room = Room()

    def remote_join(self, name: str, senses: pb.RemoteReference) -> pb.Attachment:
        """Let a player in who says a name. A real service asks for a proof first."""
        if not isinstance(name, str) or name not in ROLES or name in self.room.crowd.names:
            raise shared.NotNow("that part is taken, or there is none of that name")
        if not isinstance(senses, pb.RemoteReference):
            raise shared.NotNow("a player needs senses: an object that can be called")
        player = Player(name, ROLES[name], self.room)
        attachment = pb.current_call().attach(player, ended=lambda: self.leave(player))
        # What is shown to these senses from now on is shown to this player.
        player.senses = attachment.adopt(senses)
        self.room.come(player)
        print(f"the {name} comes", flush=True)
        return attachment

    def leave(self, player: Player) -> None:
        self.room.go(player)
        print(f"the {player.name} goes", flush=True)


async def main(url: str) -> None:
    async with pb.serve(House(), url, registry=registry) as server:
        print("the room is at", server.url, flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "pb://127.0.0.1:8791"))
    except OSError as error:
        sys.exit(f"no room: {error}")
    except KeyboardInterrupt:
        pass
